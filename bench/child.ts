// A child process that runs cases: the parent's end of the conversation described in bench/host.ts.

import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Sampler } from './harness.ts'

/** Where a case is: a module for bench/host.ts, or a Python script that speaks the same protocol. */
export interface Place {
  readonly module: URL
  readonly name: string
}

/** The case cannot run here: something that it needs is not installed. */
export class MissingError extends Error {}

interface Reply {
  readonly ready?: true
  readonly batch?: number
  readonly versions?: Record<string, string>
  readonly ns?: number
  readonly figures?: Record<string, number>
  readonly missing?: string
  readonly error?: string
}

/** No single request takes longer on a machine that works. */
const patienceMs = 120_000

export class Child {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>
  #waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void } | undefined
  #ended: Error | undefined
  /** What the process said it is made of. */
  readonly versions: Record<string, string> = {}

  constructor(place: Place) {
    const script = fileURLToPath(place.module)
    this.#process = script.endsWith('.py') ? startPython(script) : startNode()
    createInterface({ input: this.#process.stdout }).on('line', (line) => {
      this.#waiting?.resolve(JSON.parse(line) as Reply)
    })
    this.#process.stdin.on('error', () => undefined) // the exit is reported by 'exit'
    this.#process.on('error', (error) => {
      this.#fail(new MissingError(error.message))
    })
    this.#process.on('exit', (code, signal) => {
      this.#fail(new Error(`the process of the case ended (${signal ?? `status ${code}`})`))
    })
  }

  /** Loads a timed case, sets it up, and gives it to the harness under a name. */
  async timedCase(name: string, place: Place): Promise<Sampler> {
    const { batch, versions } = await this.#request(place, {})
    Object.assign(this.versions, versions)
    return {
      name,
      batch: batch ?? 1,
      sample: async (iterations) => (await this.#request(place, { sample: iterations })).ns ?? NaN,
    }
  }

  async runProgram(place: Place, size: number): Promise<Record<string, number>> {
    return (await this.#request(place, { size })).figures ?? {}
  }

  end(): void {
    this.#process.stdin.end()
    this.#process.kill()
  }

  async #request(place: Place, what: { sample?: number; size?: number }): Promise<Reply> {
    if (this.#ended) throw this.#ended
    const timer = setTimeout(() => {
      this.#fail(new Error(`no answer within ${patienceMs / 1000} s`))
      this.end()
    }, patienceMs)
    const reply = await new Promise<Reply>((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#process.stdin.write(JSON.stringify({ load: place.module.href, name: place.name, ...what }) + '\n')
    }).finally(() => {
      clearTimeout(timer)
    })
    if (reply.missing !== undefined) throw new MissingError(reply.missing)
    if (reply.error !== undefined) throw new Error(reply.error)
    return reply
  }

  #fail(error: Error): void {
    this.#ended ??= error
    this.#waiting?.reject(this.#ended)
  }
}

/**
 * The young generation has the same size in every process, the one that a busy program arrives at. V8 would begin with
 * less and grow it by what it has seen, the garbage of loading included, and the unit alone differs by a fifth with it.
 */
const flags = [
  '--expose-gc',
  '--min-semi-space-size=16',
  '--max-semi-space-size=16',
  '--max-old-space-size=4096',
]

function startNode() {
  const host = fileURLToPath(new URL('host.ts', import.meta.url))
  // Without the paths of the root tsconfig, so that `cede` is the package as built, not its sources: the
  // loader keeps function names by code of its own, which is no part of what is published.
  const tsconfig = fileURLToPath(new URL('tsconfig.built.json', import.meta.url))
  return spawn(process.execPath, [...flags, '--import', 'tsx', host], {
    env: { ...process.env, TSX_TSCONFIG_PATH: tsconfig },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
}

function startPython(script: string) {
  return spawn(process.env['PYTHON'] ?? 'python3', [script], { stdio: ['pipe', 'pipe', 'inherit'] })
}
