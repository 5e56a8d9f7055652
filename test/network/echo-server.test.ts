/** The echo servers of the README and of examples/ (`npm start`), as their users and their parent see them. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Child, runChild } from '../support/child.ts'

const PROGRAM = 'examples/echo-server.ts'
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** The port it says it listens on. */
async function portOf(child: Child): Promise<number> {
  await child.printed('The echo server listens on 127.0.0.1:')
  await child.printed('Each line comes back.')
  return Number(/127\.0\.0\.1:(\d+)/.exec(child.stdout)![1])
}

class Client {
  readonly socket: Socket
  heard = ''
  readonly closed: Promise<unknown>

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port })
    this.socket.setEncoding('utf8')
    this.socket.on('data', (text: string) => (this.heard += text))
    this.closed = new Promise((resolve) => this.socket.once('close', resolve))
  }

  async hears(text: string): Promise<void> {
    while (!this.heard.includes(text)) await once(this.socket, 'data')
  }
}

test('it says where it listens and how to try it, echoes, and ends a connection at BYE', async () => {
  const server = new Child(PROGRAM, ['--port', '0'])
  const port = await portOf(server)
  assert.match(server.stdout, new RegExp(`nc 127\\.0\\.0\\.1 ${port}\n`))
  assert.match(server.stdout, new RegExp(`python3 -c .*127\\.0\\.0\\.1', ${port}`))
  const client = new Client(port)
  client.socket.write('hello\n')
  await client.hears('hello\n')
  client.socket.write('BYE\nnot echoed\n')
  await client.closed
  assert.equal(client.heard, 'hello\n')
  server.kill('SIGINT')
  const { signal, stderr, stdout } = await server.ended
  assert.equal(signal, 'SIGINT')
  assert.equal(stderr, '')
  assert.match(stdout, /conn-1 127\.0\.0\.1:\d+ is here\nconn-1 127\.0\.0\.1:\d+ said BYE\nstopped\n$/)
})

test('idle connections are told and closed', async () => {
  const server = new Child(PROGRAM, ['--port', '0', '--idle', '0.2'])
  const client = new Client(await portOf(server))
  await client.closed
  assert.equal(client.heard, 'idle for 0.2 s, goodbye\n')
  server.kill('SIGTERM')
  assert.equal((await server.ended).signal, 'SIGTERM')
})

test('Ctrl-C: no new connections, the open ones go on, and the process ends when the last has left', async () => {
  const server = new Child(PROGRAM, ['--port', '0', '--idle', '60'])
  const port = await portOf(server)
  const client = new Client(port)
  client.socket.write('before\n')
  await client.hears('before\n')
  server.kill('SIGINT')
  await server.printed('stopping: 1 connection has 3 s')
  const late = connect({ host: '127.0.0.1', port })
  await assert.rejects(once(late, 'connect'), /ECONNREFUSED/)
  client.socket.write('still served\n')
  await client.hears('still served\n')
  client.socket.write('BYE\n')
  await client.closed
  const { signal, stderr } = await server.ended
  assert.equal(signal, 'SIGINT')
  assert.equal(stderr, '')
})

test('Ctrl-C: connections that stay are told and cut after the grace', async () => {
  const server = new Child(PROGRAM, ['--port', '0', '--idle', '60'])
  const client = new Client(await portOf(server))
  client.socket.write('I stay\n')
  await client.hears('I stay\n')
  server.kill('SIGINT')
  await client.closed
  assert.equal(client.heard, 'I stay\nthe server stops, goodbye\n')
  const { signal, stdout } = await server.ended
  assert.equal(signal, 'SIGINT')
  assert.match(stdout, /is cut off: the server stops\nstopped\n$/)
})

test('Ctrl-C twice: it ends at once and says where every task is', async () => {
  const server = new Child(PROGRAM, ['--port', '0', '--idle', '60'])
  const client = new Client(await portOf(server))
  client.socket.on('error', () => {})
  client.socket.write('x\n')
  await client.hears('x\n')
  server.kill('SIGINT')
  await server.printed('stopping')
  server.kill('SIGINT')
  const { signal, stderr } = await server.ended
  assert.equal(signal, 'SIGINT')
  assert.match(stderr, /conn-1 127\.0\.0\.1:\d+.*a line from 127\.0\.0\.1/s)
  client.socket.destroy()
})

test('a line that is too long is told, and the server goes on', async () => {
  const server = new Child(PROGRAM, ['--port', '0'])
  const port = await portOf(server)
  const client = new Client(port)
  client.socket.on('error', () => {})
  client.socket.write('x'.repeat(66_000))
  await client.closed
  assert.equal(client.heard, 'a line may have 65536 bytes, goodbye\n')
  const next = new Client(port)
  next.socket.end('fine\n')
  await next.closed
  assert.equal(next.heard, 'fine\n')
  server.kill('SIGINT')
  await server.ended
})

test('the mistakes of users are told in one line, without a stack', async () => {
  for (const [args, message] of [
    [['--port', 'x'], "echo-server: --port: expected a whole number from 0 to 65535, found 'x'\n"],
    [['--port', '65536'], "echo-server: --port: expected a whole number from 0 to 65535, found '65536'\n"],
    [['--idle', '-1'], 'echo-server: '],
    [['--idle=0'], "echo-server: --idle: expected a number of seconds above 0, found '0'\n"],
    [['--host='], 'echo-server: --host: expected an address, found none\n'],
    [['--speed'], "echo-server: Unknown option '--speed'"],
  ] as const) {
    const { code, stderr, stdout } = await runChild(PROGRAM, args)
    assert.equal(code, 2, args.join(' '))
    assert.ok(stderr.startsWith(message), stderr)
    assert.match(stderr, /See npm start -- --help\n$/)
    assert.doesNotMatch(stderr, /\n {4}at /)
    assert.equal(stdout, '')
  }
})

test('a port in use and a foreign address: one line with the address, status 1', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  const taken = await runChild(PROGRAM, ['--port', String(port)])
  assert.equal(taken.code, 1)
  assert.equal(
    taken.stderr,
    `echo-server: listen on 127.0.0.1:${port}: expected a free port, found it in use (EADDRINUSE)\n`,
  )
  holder.close()
  const foreign = await runChild(PROGRAM, ['--port', '0', '--host', '192.0.2.1'])
  assert.equal(foreign.code, 1)
  assert.match(foreign.stderr, /^echo-server: listen on 192\.0\.2\.1:0: expected an address of this machine/)
})

test('npm start: Ctrl-C in the terminal ends npm and server by the signal', async () => {
  const npm = spawn('npm', ['start', '--silent', '--', '--port', '0'], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  npm.stdout.setEncoding('utf8')
  const listens = new Promise<void>((resolve, reject) => {
    npm.stdout.on('data', (text: string) => {
      printed += text
      if (printed.includes('Each line comes back.')) resolve()
    })
    npm.once('close', () => reject(new Error(`expected it to listen, found the end\n${printed}`)))
  })
  await listens
  process.kill(-npm.pid!, 'SIGINT')
  const [code, signal] = (await once(npm, 'close')) as [number | null, string | null]
  assert.ok(signal === 'SIGINT' || code === 130, `${code} ${signal}`)
  assert.match(printed, /stopped\n$/)
})

test('the program of the README runs as printed', async () => {
  const [, program = ''] = /```ts\n(.*?)```/s.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? []
  assert.match(program, /port: 8888/)
  const port = await freePort()
  mkdirSync(join(root, '.cache'), { recursive: true })
  const folder = mkdtempSync(join(root, '.cache', 'readme-'))
  try {
    const file = join(folder, 'echo.ts')
    writeFileSync(file, program.replace('8888', String(port)))
    const server = new Child(file, [])
    const client = await connectWhenItListens(port)
    client.socket.write('hello\n')
    await client.hears('hello\n')
    client.socket.write('BYE\n')
    await client.closed
    server.kill('SIGINT')
    const { signal, stderr } = await server.ended
    assert.equal(signal, 'SIGINT')
    assert.equal(stderr, '')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

async function freePort(): Promise<number> {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  holder.close()
  await once(holder, 'close')
  return port
}

/** It prints nothing: that it listens shows when it answers. */
async function connectWhenItListens(port: number): Promise<Client> {
  for (;;) {
    const client = new Client(port)
    try {
      await once(client.socket, 'connect')
      return client
    } catch {
      await client.closed
      await pause(20)
    }
  }
}
