/** A program of somebody else's as the other end of a connection. */
import { spawn } from 'node:child_process'
import { createTask, sleep, until, type Task } from 'cede'

export interface Talk {
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

export class Program {
  readonly #child
  readonly #stdout: Buffer[] = []
  #stderr = ''
  readonly ended: Task<Talk>

  constructor(command: string, args: readonly string[]) {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child = child
    child.stdin.on('error', () => {})
    child.stdout.on('data', (chunk: Buffer) => this.#stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()))
    const closed = new Promise<Talk>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) =>
        resolve({ code, stdout: Buffer.concat(this.#stdout), stderr: this.#stderr }),
      )
    })
    this.ended = createTask(until(closed), { name: command })
  }

  /** What it has printed so far. */
  get printed(): string {
    return Buffer.concat(this.#stdout).toString()
  }

  type(text: string | Uint8Array): void {
    this.#child.stdin.write(text)
  }

  /** The end of its input. */
  endInput(): void {
    this.#child.stdin.end()
  }

  /** Waits until `text` stands in what it has printed. */
  *untilPrinted(text: string) {
    while (!this.printed.includes(text)) {
      if (this.ended.done())
        throw new Error(`expected ${JSON.stringify(text)}, found the end\n${this.printed}${this.#stderr}`)
      yield* sleep(2)
    }
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

export function python(program: string, ...args: readonly string[]): Program {
  return new Program('python3', ['-u', '-c', program, ...args])
}
