// A program of ours in a process of its own: what it prints, and how its end looks to the parent.
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

export interface Ended {
  /** Null if a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface ChildOptions {
  /** Options of Node itself. */
  readonly nodeArgs?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export class Child {
  readonly ended: Promise<Ended>
  readonly #process: ChildProcessWithoutNullStreams
  readonly #watchers = new Set<() => void>()
  #stdout = ''
  #stderr = ''

  constructor(program: string, args: readonly string[], options: ChildOptions = {}) {
    const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, CEDE_DEBUG: ___, ...inherited } = process.env
    this.#process = spawn(
      process.execPath,
      [...(options.nodeArgs ?? []), '--import', 'tsx', program, ...args],
      { cwd: root, env: { ...inherited, ...options.env } },
    )
    this.#process.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      this.#changed()
    })
    this.#process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
      this.#changed()
    })
    const endWithParent = (): void => void this.#process.kill('SIGKILL')
    process.once('exit', endWithParent)
    this.ended = new Promise((resolve, reject) => {
      this.#process.once('error', reject)
      this.#process.once('close', (code, signal) => {
        process.off('exit', endWithParent)
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr })
        this.#changed()
      })
    })
  }

  /** What it has printed so far. */
  get stdout(): string {
    return this.#stdout
  }

  /** Resolves when `text` stands in what the child has printed; rejects if it ends without. */
  async printed(text: string): Promise<void> {
    while (!this.#stdout.includes(text)) {
      if (this.#process.exitCode !== null || this.#process.signalCode !== null) {
        const { code, signal, stdout, stderr } = await this.ended
        if (stdout.includes(text)) return
        throw new Error(
          `wait for ${JSON.stringify(text)}: the child has ended (${code ?? signal ?? '?'})\n${stdout}\n${stderr}`,
        )
      }
      await new Promise<void>((resolve) => {
        this.#watchers.add(resolve)
      })
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  #changed(): void {
    const watchers = [...this.#watchers]
    this.#watchers.clear()
    for (const watcher of watchers) watcher()
  }
}

/** Runs a program from start to end. */
export function runChild(program: string, args: readonly string[], options?: ChildOptions): Promise<Ended> {
  return new Child(program, args, options).ended
}
