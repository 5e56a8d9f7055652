/**
 * SIGINT and SIGTERM as cancellation.
 *
 * The first signal cancels the mains that handle signals; their cleanup runs and their `run` settles. When the process
 * would end after that, the signal is raised again with nobody listening, so that the parent sees what ended it; a
 * process that survives that (PID 1 in a container) exits with 128 + n. An exit code that the program has chosen since
 * the signal goes before that. The second signal prints where every task is and ends the process at once, by that
 * signal.
 *
 * A main that was cancelled in this way rejects its `run`. Where nobody handles that rejection, it is the ordinary end
 * of a program stopped with Ctrl-C and not worth a stack trace: the process ends by the signal, silently.
 */
import { constants } from 'node:os'

export type StopSignal = 'SIGINT' | 'SIGTERM'
export const STOP_SIGNALS: readonly StopSignal[] = ['SIGINT', 'SIGTERM']

/**
 * Exit codes that Node sets itself, for an uncaught error and for a top-level `await` that never ends: they are nobody's
 * choice.
 */
const CODES_OF_THE_HOST: readonly unknown[] = [1, 13]

/** Called with the signal; cancels a main. */
type Stop = (signal: StopSignal) => void

class SignalWatch {
  readonly #stops = new Map<StopSignal, Set<Stop>>()
  readonly #listeners = new Map<StopSignal, () => void>()
  /** Rejections that mean no more than that the signal did its work. */
  readonly #expected = new WeakSet<Error>()
  #received: StopSignal | null = null
  /** `process.exitCode` when it came. */
  #codeBefore: typeof process.exitCode
  /** Runs that the signal has cancelled and that have not settled. */
  readonly #stopping = new Set<Stop>()
  #endWhenStopped = false
  #dump: () => string = () => ''

  /** Calls `stop` at the first of `signals`. @returns how to stop watching */
  watch(signals: readonly StopSignal[], stop: Stop, dump: () => string): () => void {
    this.#dump = dump
    for (const signal of signals) this.#add(signal, stop)
    return () => {
      for (const signal of signals) this.#remove(signal, stop)
      if (!this.#stopping.delete(stop) || this.#stopping.size > 0 || !this.#endWhenStopped) return
      setImmediate(() => this.#endAsChosen())
    }
  }

  /** True if nobody but this watch listens to `signal`, so that its default action would end the process. */
  isFree(signal: StopSignal): boolean {
    return process.listenerCount(signal) === (this.#listeners.has(signal) ? 1 : 0)
  }

  /** The rejection of a main that a signal has cancelled. */
  expect(error: Error): void {
    this.#expected.add(error)
  }

  #add(signal: StopSignal, stop: Stop): void {
    let stops = this.#stops.get(signal)
    if (stops === undefined) {
      stops = new Set()
      this.#stops.set(signal, stops)
      const listener = (): void => this.#arrived(signal)
      this.#listeners.set(signal, listener)
      process.on(signal, listener)
    }
    stops.add(stop)
  }

  #remove(signal: StopSignal, stop: Stop): void {
    const stops = this.#stops.get(signal)
    stops?.delete(stop)
    // After a signal the listener stays: the process is on its way out, and the second one ends it.
    if (stops?.size === 0 && this.#received === null) this.#unlisten(signal)
  }

  #unlisten(signal: StopSignal): void {
    const listener = this.#listeners.get(signal)
    if (listener !== undefined) process.off(signal, listener)
    this.#listeners.delete(signal)
    this.#stops.delete(signal)
  }

  #arrived(signal: StopSignal): void {
    if (this.#received !== null) {
      try {
        process.stderr.write(`\n${signal} again: ending at once. Where every task is:\n${this.#dump()}\n`)
      } finally {
        this.#end(signal)
      }
    }
    this.#received = signal
    this.#codeBefore = process.exitCode
    process.once('exit', this.#raiseAtExit)
    process.on('uncaughtException', this.#uncaught)
    for (const stop of [...(this.#stops.get(signal) ?? [])]) {
      this.#stopping.add(stop)
      stop(signal)
    }
  }

  readonly #raiseAtExit = (): void => {
    if (!this.#codeWasChosen()) this.#raise(this.#received!)
  }

  readonly #uncaught = (error: unknown): void => {
    if (error instanceof Error && this.#expected.has(error)) {
      // The cleanup of other runs must not be cut short by the one that was quickest.
      if (this.#stopping.size > 0) this.#endWhenStopped = true
      else this.#endAsChosen()
      return
    }
    // Not ours: it must end the process as it would without this listener.
    process.off('uncaughtException', this.#uncaught)
    if (process.listenerCount('uncaughtException') > 0) return
    // The host prints the error only after `exit`, which the signal would forestall.
    process.off('exit', this.#raiseAtExit)
    setImmediate(() => {
      throw error
    })
  }

  /** The program has said with which code it wants to end: `process.exit(n)`, or `process.exitCode = n`. */
  #codeWasChosen(): boolean {
    const { exitCode } = process
    return exitCode !== undefined && exitCode !== this.#codeBefore && !CODES_OF_THE_HOST.includes(exitCode)
  }

  #endAsChosen(): never {
    if (this.#codeWasChosen()) process.exit()
    this.#end(this.#received!)
  }

  #end(signal: StopSignal): never {
    this.#raise(signal)
    process.exit()
  }

  /** Raises the signal with its default action; what follows runs only where that does not end the process. */
  #raise(signal: StopSignal): void {
    for (const listening of [...this.#listeners.keys()]) this.#unlisten(listening)
    process.exitCode = 128 + constants.signals[signal]
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
  }
}

let watching: SignalWatch | null = null

/** The watch of this process. */
export function signalWatch(): SignalWatch {
  watching ??= new SignalWatch()
  return watching
}
