// A process that is asked by lines on its standard input and answers each with a line of JSON.

import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'

/** The program is not installed. */
export class MissingError extends Error {}

/** No single request takes longer on a machine that works. */
const patienceMs = 120_000

export class LineProcess<Reply> {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>
  readonly #what: string
  #waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void } | undefined
  #ended: Error | undefined

  /** `what` names it in errors. */
  constructor(what: string, [command, ...args]: readonly [string, ...string[]], env: NodeJS.ProcessEnv = {}) {
    this.#what = what
    this.#process = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    createInterface({ input: this.#process.stdout }).on('line', (line) => {
      this.#waiting?.resolve(JSON.parse(line) as Reply)
    })
    this.#process.stdin.on('error', () => undefined) // the exit is reported by 'exit'
    this.#process.on('error', (error) => {
      this.#fail(new MissingError(error.message))
    })
    this.#process.on('exit', (code, signal) => {
      // taskset ends with 127 where there is no such program.
      const Reason = code === 127 ? MissingError : Error
      this.#fail(new Reason(`the process of ${what} ended (${signal ?? `status ${code}`})`))
    })
  }

  /** Undefined if it could not be started. */
  get pid(): number | undefined {
    return this.#process.pid
  }

  async ask(line: string): Promise<Reply> {
    if (this.#ended) throw this.#ended
    const timer = setTimeout(() => {
      this.#fail(new Error(`no answer of ${this.#what} within ${patienceMs / 1000} s`))
      this.end()
    }, patienceMs)
    return new Promise<Reply>((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#process.stdin.write(line + '\n')
    }).finally(() => {
      clearTimeout(timer)
    })
  }

  end(): void {
    this.#process.stdin.end()
    this.#process.kill()
  }

  #fail(error: Error): void {
    this.#ended ??= error
    this.#waiting?.reject(this.#ended)
  }
}
