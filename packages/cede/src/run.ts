/**
 * The composition root on Node, Bun and Deno: the only file that knows which driver is used, how AsyncLocalStorage is
 * kept, who prints reports and what signals do. The part of it that needs no Node API is `run-portable.ts`.
 */
import type { Context } from './core/context.ts'
import { CancelledError } from './core/errors.ts'
import type { Body } from './core/suspension.ts'
import type { Task } from './core/task.ts'
import { chooseDriver } from './drivers/choose-driver.ts'
import { asyncLocalStorageBridge } from './interop/async-local-storage.ts'
import { signalWatch, STOP_SIGNALS, type StopSignal } from './io/signals.ts'
import {
  driverOfThread,
  dumpTasks,
  runAlone,
  Runner as PortableRunner,
  type DriverInfo,
  type RunOptions as PortableRunOptions,
} from './run-portable.ts'

export interface RunOptions extends PortableRunOptions {
  /** Keeps AsyncLocalStorage per task. Default: true. */
  readonly asyncLocalStorage?: boolean | undefined
  /**
   * Signals that cancel the main. Default: SIGINT and SIGTERM, each only if nobody else listens to it when the run begins;
   * `true`: both in any case. The process then ends by the signal, unless the program chooses an exit code after it.
   */
  readonly handleSignals?: boolean | readonly StopSignal[] | undefined
}

/**
 * Several mains one after the other, with the same options and the same context variables; background tasks live until
 * `close`.
 *
 * @example
 * import { Runner, sleep } from 'cede'
 *
 * const runner = new Runner()
 * console.log(await runner.run(sleep(1, 'first')), await runner.run(sleep(1, 'second')))
 * await runner.close()
 */
export class Runner extends PortableRunner {
  readonly #handleSignals: boolean | readonly StopSignal[] | undefined

  /** @throws {RangeError} if `cleanupGraceMs` is negative; {MisuseError} if `exceptionHandler` is no plain function */
  constructor(options?: RunOptions) {
    super(options, options?.asyncLocalStorage === false ? null : asyncLocalStorageBridge(), chooseDriver)
    this.#handleSignals = options?.handleSignals
  }

  /** @internal Watches for signals until what `settle` makes of the outcome has settled. */
  override watched<T>(
    main: Body<T>,
    options: { readonly context?: Context | undefined } | undefined,
    settle: (outcome: Promise<T>, task: Task<T>) => Promise<T>,
  ): Promise<Awaited<T>> {
    return super.watched(main, options, (outcome, task) => this.#watchSignals(outcome, task, settle))
  }

  async #watchSignals<T>(
    outcome: Promise<T>,
    task: Task<T>,
    settle: (outcome: Promise<T>, task: Task<T>) => Promise<T>,
  ): Promise<T> {
    const signals = this.#signals()
    if (signals.length === 0) return settle(outcome, task)
    let signalled = false
    const stop = (signal: StopSignal): void => {
      signalled = task.cancel({ reason: signal })
    }
    const unwatch = signalWatch().watch(signals, stop, () => dumpTasks())
    const told = outcome.catch((error: unknown) => {
      if (signalled && error instanceof CancelledError) signalWatch().expect(error)
      throw error
    })
    try {
      return await settle(told, task)
    } finally {
      unwatch()
    }
  }

  #signals(): readonly StopSignal[] {
    const wanted = this.#handleSignals
    if (typeof wanted === 'object') return wanted
    if (wanted === false || this.loop.driver.name === 'sim') return []
    if (wanted === true) return STOP_SIGNALS
    return STOP_SIGNALS.filter((signal) => signalWatch().isFree(signal))
  }
}

/**
 * Runs a coroutine program: `main`, and all tasks that are started inside, until `main` has ended and the others were
 * cancelled and have ended. May be called any number of times, also while others run.
 *
 * @param main an operation, or a function that makes one (a generator function)
 * @param options see `RunOptions`
 * @returns a promise of the value of `main`; rejects with its error, with `CancelledError` if it was cancelled (a
 *   signal), with `DeadlockError` if it waits for something that can never come
 * @throws {MisuseError} at the call: inside a coroutine (write `yield*` there), if `main` is no operation, or if
 *   `exceptionHandler` is no plain function
 *
 * @example
 * import { run, sleep } from 'cede'
 *
 * const greeting = await run(function* () {
 *   yield* sleep(10)
 *   return 'hello'
 * })
 * console.log(greeting)
 */
export function run<T>(main: Body<T>, options?: RunOptions): Promise<Awaited<T>> {
  return runAlone(new Runner(options), main)
}

/**
 * The driver that programs of this thread run on, and why it is this one. The environment variable CEDE_DRIVER (`epoll`
 * or `node`) chooses; else it is `epoll` on Linux on Node, if the system lets it, and `node` everywhere else.
 *
 * @example
 * import { currentDriver } from 'cede'
 *
 * const { name, why } = currentDriver()
 * console.log(`${name}: ${why}`)
 */
export function currentDriver(): DriverInfo {
  return driverOfThread(chooseDriver)
}
