// A server of examples/ in a process of its own, and clients of it that others wrote.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** How to run a program of examples/. */
export function example(file: string): readonly string[] {
  return [process.execPath, '--import', 'tsx', `examples/${file}`]
}

/** Runs a command to its end. */
export async function runCommand(command: readonly string[], input = ''): Promise<Ended> {
  return new Spawned(command, input).ended
}

/** Undefined if `command` is there; else why the test is skipped. */
export function missing(command: string, debianPackage: string): string | undefined {
  const { error } = spawnSync(command, ['--version'])
  return error === undefined ? undefined : `${command} is not installed (Debian: ${debianPackage})`
}

export class Spawned {
  stdout = ''
  stderr = ''
  readonly ended: Promise<Ended>
  readonly #child
  #watchers: (() => void)[] = []

  /** @param input null: its standard input stays open */
  constructor([command, ...args]: readonly string[], input: string | null = '') {
    const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, CEDE_DEBUG: ___, ...env } = process.env
    const child = spawn(command!, args, { cwd: root, env, stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child = child
    child.stdin.on('error', () => {})
    if (input !== null) child.stdin.end(input)
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.#add((this.stdout += text)))
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.#add((this.stderr += text)))
    const endWithParent = (): void => void child.kill('SIGKILL')
    process.once('exit', endWithParent)
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => {
        process.off('exit', endWithParent)
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr })
        this.#add('')
      })
    })
  }

  type(text: string): void {
    this.#child.stdin.write(text)
  }

  endInput(): void {
    this.#child.stdin.end()
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** The first match of `pattern` in what it prints; waits for it. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout)
      if (match !== null) return match
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        await this.ended
        const last = pattern.exec(this.stdout)
        if (last !== null) return last
        throw new Error(`expected ${String(pattern)}, found the end\n${this.stdout}\n${this.stderr}`)
      }
      await new Promise<void>((resolve) => this.#watchers.push(resolve))
    }
  }

  #add(_text: string): void {
    const watchers = this.#watchers
    this.#watchers = []
    for (const watcher of watchers) watcher()
  }
}

/** A server that says where it listens. */
export class ServerProcess extends Spawned {
  port = 0

  static async start(command: readonly string[], ...args: readonly string[]): Promise<ServerProcess> {
    const server = new ServerProcess([...command, '--port', '0', ...args])
    server.port = Number((await server.printed(/(?:127\.0\.0\.1:|port )(\d+)/))[1])
    return server
  }

  /** Presses Ctrl-C; it must end by it, and tell nothing on stderr. */
  async stop(): Promise<string> {
    this.kill('SIGINT')
    const { code, signal, stdout, stderr } = await this.ended
    assert.equal(stderr, '')
    assert.ok(signal === 'SIGINT' || code === 130, `${code} ${signal}`)
    return stdout
  }
}

/** A client that hears text. */
export class Client {
  heard = ''
  readonly socket: Socket
  readonly closed: Promise<unknown>

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, noDelay: true })
    this.socket.setEncoding('latin1')
    this.socket.on('data', (text: string) => (this.heard += text))
    this.socket.on('error', () => {})
    this.closed = new Promise((resolve) => this.socket.once('close', resolve))
  }

  type(text: string): void {
    this.socket.write(text, 'latin1')
  }

  /** Waits until it has heard `text`. */
  async hears(text: string): Promise<void> {
    await this.#until(() => this.heard.includes(text), JSON.stringify(text))
  }

  /** Waits until it has heard so much. */
  async hearsBytes(count: number): Promise<void> {
    await this.#until(() => this.heard.length >= count, `${count} bytes`)
  }

  async #until(enough: () => boolean, expected: string): Promise<void> {
    while (!enough()) {
      if (this.socket.readyState === 'closed' || this.socket.readableEnded) {
        throw new Error(`expected ${expected}, found the end after ${JSON.stringify(this.heard.slice(-500))}`)
      }
      await Promise.race([once(this.socket, 'data'), this.closed])
    }
  }
}

/** What every server owes its user: one line for each mistake, none with a stack. */
export async function checkMessages(file: string, command: readonly string[] = example(file)): Promise<void> {
  const name = file.replace(/\.ts$/, '')
  const bad = await runCommand([...command, '--port', 'x'])
  assert.equal(bad.code, 2)
  assert.match(
    bad.stderr,
    new RegExp(`^${name}: --port: expected a whole number from 0 to 65535, found 'x'\nSee .*--help\n$`),
  )
  const unknown = await runCommand([...command, '--speed'])
  assert.equal(unknown.code, 2)
  assert.match(unknown.stderr, new RegExp(`^${name}: Unknown option '--speed'`))
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  const taken = await runCommand([...command, '--port', String(port)])
  holder.close()
  assert.equal(taken.code, 1)
  assert.equal(
    taken.stderr,
    `${name}: listen on 127.0.0.1:${port}: expected a free port, found it in use (EADDRINUSE)\n`,
  )
}
