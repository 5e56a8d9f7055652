// The load generator of bench/load/load.c in a process of its own.

import { pinned } from '../cores.ts'
import { LineProcess } from '../line-process.ts'
import { compiledLoad } from './compile.ts'

/** Lines that are sent to a server which echoes them. */
export interface LineLoad {
  readonly connections: number
  /** With the newline. */
  readonly lineBytes: number
  /** How many lines a connection sends in one write, before it waits for all of them. */
  readonly pipelined: number
  /** How the lines come; default: a closed loop. */
  readonly loop?: LineLoop
}

export type LineLoop =
  | 'closed'
  /** As many are sent as the server takes, and read back; what is counted is MiB, and a batch so many of them. */
  | { readonly streamMiB: number; readonly quickMiB: number }
  /** Lines are due at a constant rate, so many a second. With a flood the first connection sends without end. */
  | { readonly rate: Rate; readonly flood?: true }

/** Lines a second, or the part of what the slowest server of the suite with such a load does in a closed loop. */
export type Rate = number | { readonly partOfSlowest: number }

/** What came of it; times in nanoseconds. */
export interface LoadAnswer {
  readonly ns: number
  readonly lines: number
  /** Latencies: of whole batches in the closed loop, of lines in the open one. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly longest: number
  /** What the flooding connection got back, if there was one. */
  readonly flooded: number
}

interface Reply extends LoadAnswer {
  readonly error?: string
  readonly sent?: number
}

export class LoadGenerator {
  readonly #process: LineProcess<Reply>

  constructor(port: number, { connections, lineBytes, pipelined: batch }: LineLoad, core?: number) {
    const args = ['127.0.0.1', ...[port, connections, lineBytes, batch].map(String)]
    this.#process = new LineProcess('the load', pinned(core, [compiledLoad(), ...args]))
  }

  /** Opens all connections; comes first. Gives the time from the first to the last that was served. */
  async connect(): Promise<{ readonly ns: number }> {
    return this.#ask('connect')
  }

  /** Every connection sends its next batch when the last one is back, until so many lines have been echoed. */
  closedLoop(lines: number): Promise<LoadAnswer> {
    return this.#ask(`closed ${lines}`)
  }

  /** So many lines are due each second, whatever became of those before; latencies count from when they were due. */
  openLoop(linesPerSecond: number, seconds: number): Promise<LoadAnswer> {
    return this.#ask(`open ${linesPerSecond} ${seconds}`)
  }

  /** The same over all connections but the first, which sends without end and reads what comes back. */
  flood(linesPerSecond: number, seconds: number): Promise<LoadAnswer> {
    return this.#ask(`flood ${linesPerSecond} ${seconds}`)
  }

  /** Every connection sends so many bytes, as fast as the server takes them, and reads them back. */
  stream(bytes: number): Promise<LoadAnswer> {
    return this.#ask(`stream ${bytes}`)
  }

  /**
   * Every connection sends so many bytes and reads nothing, until the server has taken none for a while. Gives how many
   * bytes it took.
   */
  async deaf(bytes: number, quietMs: number): Promise<number> {
    return (await this.#ask(`deaf ${bytes} ${quietMs}`)).sent ?? NaN
  }

  /** Every connection reads what is still to come back. */
  async hear(): Promise<void> {
    await this.#ask('hear')
  }

  end(): void {
    this.#process.end()
  }

  async #ask(command: string): Promise<Reply> {
    const reply = await this.#process.ask(command)
    if (reply.error !== undefined) throw new Error(reply.error)
    return reply
  }
}
