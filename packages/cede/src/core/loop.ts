/**
 * The event loop: passes over what is ready, timers in their place, then back to the driver.
 *
 * A pass runs what was ready when it began; what that schedules belongs to the next pass. Timers that are due act in
 * their own place, after what was ready before them. Passes run back to back until nothing is ready or the turn has
 * used its time; then the driver lets the outside world in, so that I/O is never starved. A pass that is cut short by
 * that goes on in the next turn.
 *
 * The loop is a guest: it never blocks, and it runs only inside `turn()`, which the driver calls.
 */
import { checkedCallback, checkReturned } from './checked-callback.ts'
import { inheritContext, setCallbackContext, setEnteredContext } from './context.ts'
import { DescriptorCallbacks } from './descriptor-callbacks.ts'
import type { Driver } from './driver.ts'
import { ClosedError, MisuseError } from './errors.ts'
import { printsAs } from './inspect.ts'
import { HOOKS, Instruments, type Instrument } from './instrument.ts'
import { nameOf } from './misuse.ts'
import { seededRandom } from './random.ts'
import { ReadyQueue, type Entry } from './ready-queue.ts'
import type { Runner } from './runner.ts'
import { leaveStep, OPERATIONS_PER_STEP, running } from './running.ts'
import type { Task } from './task.ts'
import { Handle, TimerHandle, type Callback, type CallbackScope } from './timer-handle.ts'
import { Timers, type Timer } from './timers.ts'

/**
 * How long passes run back to back before the driver has its turn, in milliseconds: others wait as long for their
 * events when one task never rests. A turn of the driver costs a fiftieth of it.
 */
const TURN_BUDGET_MS = 0.2
/** Steps after which a turn ends between two passes in any case: a virtual clock stands still meanwhile. */
const STEPS_PER_TURN = 16_384
/** The clock is read after 1, 2, 4, ... steps of a turn, and then each time so many have run: quick ones pay little. */
const STEPS_PER_CLOCK_READ = 32

/**
 * Who waits for a task may need so many passes to come to that; a failure that nobody has received by then is reported,
 * or as soon as nothing is left to run.
 */
const PASSES_UNTIL_REPORT = 32

export interface LoopOptions {
  /** Runs each pass in an order drawn from this seed, for tests. Default: first in, first out. */
  readonly shuffleSeed?: number | undefined
  /** Why it is this driver, in words, for messages. */
  readonly whyDriver?: string | undefined
}

/** What has failed: a task, a future, a promise. */
interface Failure {
  readonly outcomeRead: boolean
  /** Called if nobody has received the error. */
  reportLost(): void
}

/** The runs that are going on, on all loops, for messages. */
let runsOfThread = 0

const SYSTEM: CallbackScope = { runner: null, context: null, captured: null }

export class Loop {
  static {
    printsAs(this.prototype, (loop) => `Loop(${loop.driver.name}, ${String([...loop.tasks()].length)} tasks)`)
  }

  readonly driver: Driver
  /** @internal */
  readonly ready: ReadyQueue = new ReadyQueue()
  /** @internal */
  readonly timers: Timers = new Timers()
  /** @internal Null while nobody watches. */
  instrument: Required<Instrument> | null = null
  /** Passes begun so far. */
  passes = 0
  readonly #runners = new Set<Runner>()
  readonly #descriptors: DescriptorCallbacks
  readonly #random: (() => number) | null
  /** Inside a turn, or one was asked for. */
  #awake = false
  #turning = false
  /** Entries of the current pass that have not run. */
  #passLeft = 0
  /** Steps of this turn. */
  #steps = 0
  /** The clock is read after so many steps; then so many are left. */
  #stride = 1
  #strideLeft = 1
  /**
   * @internal Operations that end without a suspension before their task gives way once. Fewer while those that used up
   * all of them took long.
   */
  operationsPerStep: number = OPERATIONS_PER_STEP
  /** The last reading of the clock. */
  #nowMs: number
  #failures: Failure[] = []
  /** The pass of the first of them. */
  #failedInPass = 0

  constructor(driver: Driver, options: LoopOptions = {}) {
    this.driver = driver
    this.#descriptors = new DescriptorCallbacks(this, options.whyDriver)
    this.#random = options.shuffleSeed === undefined ? null : seededRandom(options.shuffleSeed)
    this.#nowMs = driver.now()
    driver.attach(this)
  }

  // ------------------------------------------------------------------ one turn

  /** @internal Called by the driver only. */
  turn(): void {
    if (running.task !== null || this.#turning)
      throw new MisuseError('turn(): expected to be called by the driver, found inside a step')
    this.#awake = true
    this.#turning = true
    const startedMs = this.#readClock()
    this.#steps = 0
    this.#stride = this.#strideLeft = 1
    if (this.instrument !== null) this.instrument.turnBegins()
    try {
      do {
        if (this.#passLeft === 0) this.#beginPass()
        this.#runPass(startedMs)
      } while (
        this.ready.length > 0 &&
        this.#nowMs - startedMs < TURN_BUDGET_MS &&
        this.#steps < STEPS_PER_TURN
      )
    } finally {
      leaveStep()
      running.runner = null
      this.#turning = false
      if (this.instrument !== null) this.instrument.turnEnds()
      this.#askForMore()
    }
  }

  #beginPass(): void {
    this.passes++
    this.timers.collectDue(this.#nowMs)
    this.#passLeft = this.ready.length
    if (this.#random !== null) this.ready.shuffle(this.#passLeft, this.#random)
  }

  #runPass(startedMs: number): void {
    const { ready } = this
    while (this.#passLeft > 0) {
      this.#passLeft--
      this.#steps++
      ready.shift().run()
      if (--this.#strideLeft > 0) continue
      if (this.#stride < STEPS_PER_CLOCK_READ) this.#stride *= 2
      this.#strideLeft = this.#stride
      if (this.#readClock() - startedMs >= TURN_BUDGET_MS) return
    }
  }

  #askForMore(): void {
    if (
      this.#failures.length > 0 &&
      (this.ready.length === 0 || this.passes - this.#failedInPass >= PASSES_UNTIL_REPORT)
    )
      this.driver.afterMicrotasks(() => this.#reportFailures())
    if (this.timers.hasFresh) this.#readClock()
    const nextMs = this.ready.length > 0 ? this.#nowMs : this.timers.nextDeadlineMs()
    if (nextMs !== null && nextMs <= this.#nowMs) {
      this.driver.requestTurn()
      return
    }
    this.#awake = false
    this.driver.setAlarm(nextMs)
  }

  #readClock(): number {
    const nowMs = this.driver.now()
    this.timers.clockRead(nowMs - this.#nowMs)
    this.#nowMs = nowMs
    return nowMs
  }

  // ------------------------------------------------------------------ scheduling

  /** @internal Puts an entry at the end of the ready queue. */
  schedule(entry: Entry): void {
    this.ready.push(entry)
    if (!this.#awake) {
      this.#awake = true
      this.driver.requestTurn()
    }
  }

  /** @internal Arms a timer of any kind; `act` is for the message about a bad duration. */
  arm(timer: Timer, delayMs: number, act: string): void {
    requireNumber(delayMs, 'a duration', act)
    if (!this.#turning) this.#readClock()
    if (delayMs === Infinity) {
      timer.deadlineMs = Infinity
      return
    }
    if (delayMs < 0) this.timers.armAt(timer, this.#nowMs + delayMs)
    else this.timers.arm(timer, delayMs, this.#nowMs)
    // Armed against a reading of this very moment: there is nothing to be moved by at the next one.
    if (!this.#turning) this.timers.clockRead(0)
    this.#alarmChanged(timer)
  }

  /** @internal Arms a timer anew, which may be armed; refuses a bad duration before its old place is given up. */
  rearm(timer: Timer, delayMs: number, act: string): void {
    requireNumber(delayMs, 'a duration', act)
    this.timers.disarm(timer)
    this.arm(timer, delayMs, act)
  }

  /** @internal */
  armAt(timer: Timer, whenMs: number, act: string): void {
    requireNumber(whenMs, 'a time', act)
    timer.deadlineMs = whenMs
    if (whenMs === Infinity) return
    this.timers.armAt(timer, whenMs)
    this.#alarmChanged(timer)
  }

  /** A timer was armed from outside a turn: the alarm that was set at its end may be too late. */
  #alarmChanged(timer: Timer): void {
    if (this.#awake || this.timers.nextDeadlineMs() !== timer.deadlineMs) return
    this.driver.setAlarm(timer.deadlineMs)
  }

  /**
   * Calls `callback` in the next pass, after what was scheduled before it. What it throws is told to the exception
   * handler, and so is the rejection of a promise that it returns.
   *
   * @returns a handle that can take it back
   * @throws {MisuseError} if `callback` is no function, or one that makes a coroutine
   */
  callSoon(callback: Callback): Handle {
    const handle = new Handle(
      this,
      checkedCallback('callSoon()', callback),
      this.callbackScope(running.runner),
    )
    this.schedule(handle)
    return handle
  }

  /**
   * Calls `callback` after `delayMs` milliseconds; 0 or less: in the next pass, after all that is ready by then.
   *
   * @returns a handle that can take it back or move it
   * @throws {RangeError} if `delayMs` is not a number
   */
  callLater(delayMs: number, callback: Callback): TimerHandle {
    const handle = new TimerHandle(
      this,
      checkedCallback('callLater()', callback),
      this.callbackScope(running.runner),
    )
    this.arm(handle, delayMs, 'callLater()')
    return handle
  }

  /**
   * Calls `callback` when `time()` reaches `whenMs`.
   *
   * @returns a handle that can take it back or move it
   * @throws {RangeError} if `whenMs` is not a number
   */
  callAt(whenMs: number, callback: Callback): TimerHandle {
    const handle = new TimerHandle(
      this,
      checkedCallback('callAt()', callback),
      this.callbackScope(running.runner),
    )
    this.armAt(handle, whenMs, 'callAt()')
    return handle
  }

  /**
   * Calls `callback` in a pass of the loop whenever `descriptor` can be read: something is there, or it has ended or is
   * broken. Again and again, until it was read or the reader is removed; so the callback should read. Replaces the reader
   * there was. The descriptor stays the caller's, who removes the reader before closing it: else, while another process
   * has the same file, the callback goes on being called. At the end of the run it is removed in any case. If the callback
   * throws, that is reported, and the reader stays: a callback that takes nothing, or throws before it has read, is called
   * again at once, and so for ever. The end stays readable, so remove the reader there.
   *
   * @param descriptor the number of anything the system can poll: a pipe, a terminal, a socket
   * @throws {MisuseError} if it is no number of a descriptor, or the driver cannot do that (`currentDriver()`: only
   *   `epoll` can)
   * @throws {Error} what the system says, e.g. with code EPERM for a plain file, EBADF if it is not open
   *
   * @example
   * ```ts check
   * import { Future, getRunningLoop, run } from 'cede'
   * import { readSync } from 'node:fs'
   *
   * await run(function* () {
   *   const loop = getRunningLoop()
   *   const ended = new Future<void>()
   *   const memory = Buffer.alloc(1024)
   *   loop.addReader(0, () => {
   *     const bytes = readSync(0, memory)
   *     console.log(`${bytes} bytes from standard input`)
   *     if (bytes > 0) return
   *     loop.removeReader(0)
   *     ended.setResult()
   *   })
   *   yield* ended
   * })
   * ```
   */
  addReader(descriptor: number, callback: Callback): void {
    this.#descriptors.watch('addReader()', descriptor, 'read', callback)
  }

  /** As `addReader`, for writing: whenever the descriptor takes more. */
  addWriter(descriptor: number, callback: Callback): void {
    this.#descriptors.watch('addWriter()', descriptor, 'write', callback)
  }

  /** @returns false if there was none */
  removeReader(descriptor: number): boolean {
    return this.#descriptors.unwatch('removeReader()', descriptor, 'read')
  }

  /** @returns false if there was none */
  removeWriter(descriptor: number): boolean {
    return this.#descriptors.unwatch('removeWriter()', descriptor, 'write')
  }

  /** @internal `callSoon` in what was captured when the callback was registered. */
  callSoonIn(scope: CallbackScope, callback: Callback): void {
    this.schedule(new Handle(this, callback, scope))
  }

  /** @internal A callback of the library itself: no context, errors are bugs. */
  callSystem(callback: Callback): void {
    this.schedule(new Handle(this, callback, SYSTEM))
  }

  /** @internal */
  callAtSystem(whenMs: number, callback: Callback): TimerHandle {
    const handle = new TimerHandle(this, callback, SYSTEM)
    this.armAt(handle, whenMs, 'callAtSystem()')
    return handle
  }

  /** The loop's monotonic clock, in milliseconds; read anew at each call. */
  time(): number {
    return this.driver.now()
  }

  /** @internal The last reading of the clock: cheap, at most some steps old. Outside a turn, a new one. */
  now(): number {
    return this.#turning ? this.#nowMs : this.#readClock()
  }

  /** @internal The step that runs took long: the turn ends with this pass, if its time is spent. */
  noteLongStep(): void {
    this.#readClock()
  }

  /** @internal The step that runs has used up its operations: they should take no longer than a turn may. */
  noteUsedUp(): void {
    const beforeMs = this.#nowMs
    const tookMs = this.#readClock() - beforeMs
    const operations = this.operationsPerStep
    if (tookMs > TURN_BUDGET_MS) this.operationsPerStep = Math.max(1, operations >> 2)
    else if (tookMs < TURN_BUDGET_MS / 4)
      this.operationsPerStep = Math.min(OPERATIONS_PER_STEP, operations * 2)
  }

  /**
   * @internal What a callback that is registered now runs in. One that is registered from outside, in an event of the
   * host, belongs to the run that there is; if there are several, to none, and can make no tasks.
   */
  callbackScope(registeredBy: Runner | null): CallbackScope {
    const runner = registeredBy ?? this.#onlyRunner()
    if (runner === null) return SYSTEM
    const captured = runner.bridge === null ? null : runner.bridge.open()
    return { runner, context: inheritContext(), captured }
  }

  /** @internal Runs a callback in what it was scheduled in; its error goes to the exception handler. */
  runCallback(callback: Callback, scope: CallbackScope): void {
    this.#callIn(callback, scope, (error) => {
      this.#reporter(scope.runner).report({
        message: `a callback (${callback.name === '' ? 'anonymous' : callback.name}) threw`,
        error,
      })
    })
    if (scope.captured !== null) scope.runner!.bridge!.close(scope.captured)
  }

  /**
   * @internal Runs a callback at once: in an event of the host, or in the middle of a step, which finds everything as it
   * was. `failed` is given what it throws.
   */
  callNow(callback: Callback, scope: CallbackScope, failed: (error: unknown) => void): void {
    const before = { ...running }
    const entered = setEnteredContext(null)
    running.innermost = null
    running.outermost = null
    try {
      this.#callIn(callback, scope, failed)
    } finally {
      setEnteredContext(entered)
      Object.assign(running, before)
      // It may have cancelled the task of that step.
      if (before.task !== null && before.task.target !== null) running.credit = 0
    }
  }

  #callIn(callback: Callback, scope: CallbackScope, failed: (error: unknown) => void): void {
    const call: () => unknown = callback
    leaveStep()
    running.runner = scope.runner
    const outside = setCallbackContext(scope.context)
    const debug = scope.runner?.debug ?? null
    const startedMs = debug === null ? 0 : this.time()
    try {
      const returned = scope.captured === null ? call() : scope.runner!.bridge!.call(scope.captured, callback)
      if (returned !== undefined) checkReturned('a callback', returned, failed)
    } catch (error) {
      failed(error)
    } finally {
      setCallbackContext(outside)
      if (debug !== null) debug.callbackRan(scope.runner!, callback, this.time() - startedMs)
    }
  }

  #onlyRunner(): Runner | null {
    if (this.#runners.size !== 1) return null
    for (const runner of this.#runners) return runner
    return null
  }

  #reporter(runner: Runner | null): Pick<Runner, 'report'> {
    if (runner !== null) return runner
    for (const any of this.#runners) return any
    return { report: (context) => console.error(context.message, context.error) }
  }

  // ------------------------------------------------------------------ who runs here

  /** @internal */
  addRunner(runner: Runner): void {
    this.#runners.add(runner)
    runsOfThread++
    if (this.#runners.size === 1) this.driver.hold(true)
  }

  /** @internal */
  removeRunner(runner: Runner): void {
    this.#runners.delete(runner)
    runsOfThread--
    if (this.#runners.size === 0) this.driver.hold(false)
  }

  /** All tasks of this loop that have not ended, oldest first within each runner. */
  *tasks(): Generator<Task> {
    for (const runner of this.#runners) yield* runner.tasks()
  }

  /** The runner of the step or callback that runs now. */
  static currentRunner(act: string): Runner {
    const { runner } = running
    if (runner !== null) return runner
    throw new ClosedError(
      `${act}: expected to be called from a coroutine or a callback of the loop, found ${foundInstead()}`,
    )
  }

  // ------------------------------------------------------------------ what nobody receives

  /** @internal Something failed and nobody waits for it; asked again when everybody had the chance to. */
  noteFailure(failed: Failure): void {
    if (this.#failures.push(failed) === 1) this.#failedInPass = this.passes
    if (!this.#awake) this.driver.afterMicrotasks(() => this.#reportFailures())
  }

  #reportFailures(): void {
    const failures = this.#failures
    this.#failures = []
    for (const failed of failures) {
      if (!failed.outcomeRead) failed.reportLost()
    }
  }

  /** @internal Settles when all failures of ended tasks that nobody waits for have been reported. */
  async failuresReported(): Promise<void> {
    if (this.#failures.length === 0) return
    await new Promise<void>((resolve) => this.driver.afterMicrotasks(resolve))
    this.#reportFailures()
  }

  /** @internal From the driver: nothing outside can call in any more. */
  stalled(): void {
    const runners = [...this.#runners]
    for (const runner of runners) runner.stalled()
    // Where shields hold that cancel back nothing has moved, and nobody would ask again.
    if (this.ready.length === 0) for (const runner of runners) runner.stalled()
  }

  /**
   * Adds an instrument.
   *
   * @returns how to take it off
   * @throws {MisuseError} if a hook is no plain function
   */
  addInstrument(instrument: Instrument): () => void {
    for (const name of HOOKS) {
      // eslint-disable-next-line @typescript-eslint/unbound-method -- only looked at
      const hook = instrument[name]
      if (hook !== undefined) checkedCallback('addInstrument()', hook, name)
    }
    this.#setInstruments([...this.#instruments(), instrument])
    return () => this.#setInstruments(this.#instruments().filter((other) => other !== instrument))
  }

  #instruments(): readonly Instrument[] {
    return (this.instrument as Instruments | null)?.list ?? []
  }

  #setInstruments(list: readonly Instrument[]): void {
    this.instrument =
      list.length === 0
        ? null
        : new Instruments(list, (error) =>
            this.#reporter(null).report({ message: 'an instrument threw and was taken off', error }),
          )
  }
}

/** Who has called, if it was not the loop, and what to write. */
function foundInstead(): string {
  if (runsOfThread === 0) return 'no running loop; use `run(main)` to start one'
  const found = 'code that no run has called (in a timer, an event, a promise)'
  const instead = 'write `group.createTask(operation)`'
  // With several runs, what is called from outside belongs to none of them.
  if (runsOfThread > 1) return `${found} while ${String(runsOfThread)} runs are going on; ${instead}`
  return `${found} while a run is going on; ${instead}, or \`loop.callSoon(() => { createTask(operation) })\` with a loop kept from inside`
}

/** @throws {RangeError} unless `ms` is a number */
export function requireNumber(ms: unknown, what: string, act: string): void {
  if (typeof ms === 'number' && !Number.isNaN(ms)) return
  throw new RangeError(`${act}: ${what} was expected to be a number of milliseconds, found ${nameOf(ms)}`)
}
