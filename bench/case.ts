// What a benchmark is made of.
//
// A *case* does one thing over and over and says how long that took; it keeps its own set-up out of the
// time. A *program* runs once in a process of its own and gives figures (bytes, counts). A *server* listens, and is
// measured from outside. A case module exports any number of them, by name; bench/host.ts loads it in a child process.

export interface TimedCase {
  /** Does the thing `iterations` times; gives the nanoseconds that all of them took. */
  sample(iterations: number): Promise<number>
  /** Iterations come in multiples of this. */
  readonly batch?: number
  /** Runs once, before the first sample. */
  setUp?(): Promise<void>
}

export interface Program {
  figures(size: number): Promise<Record<string, number>>
}

/** Starts listening on 127.0.0.1; gives the port. It serves until its process is ended. */
export type ServerCase = () => Promise<number>

export interface CaseModule {
  readonly cases?: Readonly<Record<string, TimedCase>>
  readonly programs?: Readonly<Record<string, Program>>
  readonly servers?: Readonly<Record<string, ServerCase>>
}

/** Nanoseconds since the process began. */
export function now(): number {
  return performance.now() * 1e6
}

/** A case that computed something wrong has measured nothing. */
export function check(condition: boolean, message: string): void {
  if (!condition) throw new Error(`the case does not do what it measures: ${message}`)
}
