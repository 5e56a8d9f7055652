/**
 * The composition root for hosts without Node's API: everything `run` needs but AsyncLocalStorage and signals. What
 * `run.ts` adds for Node stands on this.
 */
import type { Context, ContextBridge } from './core/context.ts'
import type { Driver } from './core/driver.ts'
import { MisuseError } from './core/errors.ts'
import { Loop } from './core/loop.ts'
import { nameOf } from './core/misuse.ts'
import { RunnerCore, type ExceptionHandler } from './core/runner.ts'
import type { Body } from './core/suspension.ts'
import type { Task } from './core/task.ts'
import { DebugMode } from './debug/debug-mode.ts'
import { describeTasks, type DumpOptions } from './debug/dump.ts'
import { printReport } from './debug/report.ts'
import { HostDriver } from './drivers/host.ts'

export interface RunOptions {
  /** Told what no coroutine can receive: `{ message, error, task, ... }`. Default: prints to the console. */
  readonly exceptionHandler?: ExceptionHandler | undefined
  /** How long the cleanup of a cancelled scope may take, in milliseconds. Default: 10,000. */
  readonly cleanupGraceMs?: number | undefined
  /**
   * Records where tasks are made, and reports coroutines that are never run and steps that hold the loop for long.
   * Default: true if the environment has CEDE_DEBUG=1.
   */
  readonly debug?: boolean | undefined
  /** In debug mode, steps and callbacks that take this many milliseconds are reported. Default: 100. */
  readonly slowStepMs?: number | undefined
  /** A driver of its own, with a loop of its own, for tests. Default: that of this thread. */
  readonly driver?: Driver | undefined
  /** Runs each pass in an order drawn from this seed. Needs a driver of its own. */
  readonly shuffleSeed?: number | undefined
}

/** A driver, and in words why it is this one. */
export interface ChosenDriver {
  readonly driver: Driver
  readonly why: string
}

const loops = new WeakMap<Driver, Loop>()
let threadLoop: Loop | null = null
let whyThisDriver = ''
/** Runners that have begun and not been closed, for dumps. */
const liveRunners = new Set<RunnerCore>()

function hostDriver(): ChosenDriver {
  return { driver: new HostDriver(), why: 'it runs everywhere' }
}

/** The loop of this thread, on the driver that whoever is first chooses. */
function loopOfThread(choose: () => ChosenDriver): Loop {
  if (threadLoop === null) {
    const { driver, why } = choose()
    threadLoop = new Loop(driver, { whyDriver: why })
    whyThisDriver = why
    if (debugWanted()) console.error(`cede: debug mode; the driver is ${driver.name} (${why})`)
  }
  return threadLoop
}

function loopFor(options: RunOptions, choose: () => ChosenDriver): Loop {
  const { driver, shuffleSeed } = options
  if (driver === undefined) {
    if (shuffleSeed !== undefined)
      throw new MisuseError('run(): shuffleSeed was expected together with a driver, found it alone')
    return loopOfThread(choose)
  }
  let loop = loops.get(driver)
  if (loop === undefined) {
    loop = new Loop(driver, { shuffleSeed })
    loops.set(driver, loop)
  }
  return loop
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
export class Runner extends RunnerCore {
  /** @throws {RangeError} if `cleanupGraceMs` is negative; {MisuseError} if `exceptionHandler` is no plain function */
  constructor(options?: RunOptions)
  /** @internal */
  constructor(options?: RunOptions, bridge?: ContextBridge | null, choose?: () => ChosenDriver)
  constructor(
    options: RunOptions = {},
    bridge: ContextBridge | null = null,
    choose: () => ChosenDriver = hostDriver,
  ) {
    if (typeof options !== 'object' || options === null) {
      throw new MisuseError(`run(): options were expected to be an object, found ${nameOf(options)}`)
    }
    super({
      loop: loopFor(options, choose),
      exceptionHandler: options.exceptionHandler,
      defaultExceptionHandler: printReport,
      cleanupGraceMs: options.cleanupGraceMs,
      bridge,
      debug: (options.debug ?? debugWanted()) ? new DebugMode(options.slowStepMs) : null,
      describeTasks: (tasks) => describeTasks(tasks),
    })
  }

  /**
   * Runs a main and returns its value.
   *
   * @param main an operation, or a function that makes one
   * @param options.context context variables to run in; default: those of the runner, which persist between runs
   * @returns a promise of its value; rejects with its error, with `CancelledError` if it was cancelled (a signal), with
   *   `DeadlockError` if it waits for something that can never come
   * @throws {MisuseError} at the call, inside a coroutine, or if `main` is no operation
   * @throws {ClosedError} at the call, after `close`
   */
  run<T>(main: Body<T>, options?: { readonly context?: Context | undefined }): Promise<Awaited<T>> {
    return this.watched(main, options, (outcome) => outcome)
  }

  /** @internal One main; `settle` makes of its outcome what the promise tells. */
  watched<T>(
    main: Body<T>,
    options: { readonly context?: Context | undefined } | undefined,
    settle: (outcome: Promise<T>, task: Task<T>) => Promise<T>,
  ): Promise<Awaited<T>> {
    const { task, outcome } = this.start(main, options)
    liveRunners.add(this)
    return settle(outcome, task) as Promise<Awaited<T>>
  }

  override async close(reason?: unknown): Promise<void> {
    await super.close(reason)
    liveRunners.delete(this)
  }

  getLoop(): Loop {
    return this.loop
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function debugWanted(): boolean {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } }
  return process?.env?.['CEDE_DEBUG'] === '1'
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

/** @internal Runs one main in a runner of its own, and closes that when the main has ended. */
export function runAlone<T>(runner: Runner, main: Body<T>): Promise<Awaited<T>> {
  return runner.watched(main, undefined, (outcome) => closing(runner, outcome))
}

async function closing<T>(runner: Runner, outcome: Promise<T>): Promise<T> {
  try {
    return await outcome
  } finally {
    await runner.close('the main has ended')
  }
}

/** Every task of this thread: name, state, since when, what it waits for and who holds that, where it was made, its stack. */
export function dumpTasks(options?: DumpOptions): string {
  const tasks: Task[] = []
  const seen = new Set<Loop>()
  for (const { loop } of liveRunners) {
    if (seen.has(loop)) continue
    seen.add(loop)
    tasks.push(...loop.tasks())
  }
  return describeTasks(tasks, options)
}

/** Which driver programs of a thread run on. */
export interface DriverInfo {
  /** `epoll`, `node`. */
  readonly name: string
  /** Why it is this one, in words. */
  readonly why: string
}

/** @internal */
export function driverOfThread(choose: () => ChosenDriver): DriverInfo {
  const { driver } = loopOfThread(choose)
  return { name: driver.name, why: whyThisDriver }
}

/**
 * The driver that programs of this thread run on, and why it is this one.
 *
 * @example
 * import { currentDriver } from 'cede'
 *
 * const { name, why } = currentDriver()
 * console.log(`${name}: ${why}`)
 */
export function currentDriver(): DriverInfo {
  return driverOfThread(hostDriver)
}
