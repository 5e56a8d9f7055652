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
}

/** What came of it; times in nanoseconds. */
export interface LoadAnswer {
  readonly ns: number
  readonly lines: number
  /** Latencies: of whole batches in the closed loop, of lines in the open one. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly longest: number
}

type Reply = LoadAnswer & { readonly error?: string }

export class LoadGenerator {
  readonly #process: LineProcess<Reply>

  constructor(port: number, { connections, lineBytes, pipelined: batch }: LineLoad, core?: number) {
    const args = ['127.0.0.1', ...[port, connections, lineBytes, batch].map(String)]
    this.#process = new LineProcess('the load', pinned(core, [compiledLoad(), ...args]))
  }

  /** Opens all connections; comes first. */
  async connect(): Promise<void> {
    await this.#ask('connect')
  }

  /** Every connection sends its next batch when the last one is back, until so many lines have been echoed. */
  closedLoop(lines: number): Promise<LoadAnswer> {
    return this.#ask(`closed ${lines}`)
  }

  /** So many lines are due each second, whatever became of those before; latencies count from when they were due. */
  openLoop(linesPerSecond: number, seconds: number): Promise<LoadAnswer> {
    return this.#ask(`open ${linesPerSecond} ${seconds}`)
  }

  end(): void {
    this.#process.end()
  }

  async #ask(command: string): Promise<LoadAnswer> {
    const reply = await this.#process.ask(command)
    if (reply.error !== undefined) throw new Error(reply.error)
    return reply
  }
}
