// A child process that runs cases or serves: the parent's end of the conversation described in bench/host.ts.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { pinned } from './cores.ts'
import type { Sampler } from './harness.ts'
import { javaScriptOf } from './javascript.ts'
import { LineProcess, MissingError } from './line-process.ts'

/** Where a case is: a module for bench/host.ts, or a Python script that speaks the same protocol. */
export interface Place {
  readonly module: URL
  readonly name: string
  /** Of its process, beside that of this one. */
  readonly env?: Readonly<Record<string, string>>
  /** The module of Python that it imports, if that is not part of Python. */
  readonly pythonModule?: string
  /** Throws MissingError where it cannot run. */
  readonly requires?: () => void
}

export interface ChildOptions {
  /** The core that it keeps to; default: any. */
  readonly core?: number | undefined
  /** Flags for V8; Python has none. */
  readonly flags?: readonly string[]
}

interface Reply {
  readonly ready?: true
  readonly batch?: number
  readonly port?: number
  readonly versions?: Record<string, string>
  readonly ns?: number
  readonly figures?: Record<string, number>
  readonly missing?: string
  readonly error?: string
}

/**
 * The young generation has the same size in every process, the one that a busy program arrives at. V8 would begin with
 * less and grow it by what it has seen, the garbage of loading included, and the unit alone differs by a fifth with it.
 */
const busyFlags = ['--min-semi-space-size=16', '--max-semi-space-size=16', '--max-old-space-size=4096']

export class Child {
  readonly #process: LineProcess<Reply>
  /** What the process said it is made of. */
  readonly versions: Record<string, string> = {}

  /** @throws {MissingError} if a server of Python has no Python to run on */
  constructor(place: Place, { core, flags = busyFlags }: ChildOptions = {}) {
    const script = fileURLToPath(place.module)
    const command: [string, ...string[]] = script.endsWith('.py')
      ? [pythonWith(place.pythonModule), script]
      : [process.execPath, '--expose-gc', ...flags, fileURLToPath(javaScriptOf(host))]
    this.#process = new LineProcess(place.name, pinned(core, command), place.env)
  }

  get pid(): number | undefined {
    return this.#process.pid
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

  /** Starts a server; gives its port on 127.0.0.1. */
  async serve(place: Place): Promise<number> {
    const { port, versions } = await this.#request(place, {})
    Object.assign(this.versions, versions)
    if (port === undefined) throw new Error(`${place.name} is no server`)
    return port
  }

  async runProgram(place: Place, size: number): Promise<Record<string, number>> {
    return (await this.#request(place, { size })).figures ?? {}
  }

  /** The memory of the process, in bytes, after its garbage was collected. */
  async residentBytes(place: Place): Promise<number> {
    return (await this.#request(place, { memory: true })).figures?.['residentBytes'] ?? NaN
  }

  end(): void {
    this.#process.end()
  }

  async #request(place: Place, what: { sample?: number; size?: number; memory?: true }): Promise<Reply> {
    const reply = await this.#process.ask(
      JSON.stringify({ load: javaScriptOf(place.module).href, name: place.name, ...what }),
    )
    if (reply.missing !== undefined) throw new MissingError(reply.missing)
    if (reply.error !== undefined) throw new Error(reply.error)
    return reply
  }
}

/**
 * The first Python that has the module: $PYTHON, python3, or the system's own, for which Debian's packages are.
 *
 * @throws {MissingError} if none has it
 */
export function pythonWith(
  module: string | undefined,
  candidates: readonly string[] = [process.env['PYTHON'] ?? 'python3', 'python3', '/usr/bin/python3'],
): string {
  if (module === undefined) return candidates[0] ?? 'python3'
  const found = candidates.find((python) => {
    return spawnSync(python, ['-c', `import ${module}`], { stdio: 'ignore' }).status === 0
  })
  if (found !== undefined) return found
  throw new MissingError(`a Python with ${module} was expected, found none (${candidates.join(', ')})`)
}

const host = new URL('host.ts', import.meta.url)
