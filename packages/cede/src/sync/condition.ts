/**
 * A condition: tasks that hold a lock wait for a change of what the lock guards, and are told of it.
 *
 * Who is notified moves from the condition's line to the end of the lock's line without being woken, and wakes when the
 * lock is handed to it. So a `notifyAll` to a thousand tasks wakes them one by one, each when it can go on.
 *
 * A notice is a value like any other and is not lost: from the moment of `notify` the wait is shielded, so one that is
 * cancelled after that gets the lock, returns from `wait()`, and unwinds at its next wait. One that is cancelled before
 * has not been told, and somebody else will be; it gets the lock back before its cleanup runs, however long that takes.
 */
import { refuseReturned } from '../core/checked-callback.ts'
import { coroutine, makesCoroutines } from '../core/coroutine.ts'
import { MisuseError } from '../core/errors.ts'
import { printsAs } from '../core/inspect.ts'
import { nameOf, wrongNumber } from '../core/misuse.ts'
import { noteMade } from '../core/running.ts'
import { Scope } from '../core/scope.ts'
import { checkpoint } from '../core/sleep.ts'
import type { Body, Coroutine, Suspension } from '../core/suspension.ts'
import { Waiting, WaitQueue } from '../core/wait-queue.ts'
import { called, inLine, printed } from './in-line.ts'
import { Lock, type LockStatistics } from './lock.ts'
import { requireOptions, type NameOptions } from './options.ts'

export interface ConditionOptions extends NameOptions {
  /** The lock it belongs to; several conditions may share one. Default: a lock of its own. */
  readonly lock?: Lock | undefined
}

export interface ConditionStatistics {
  /** Those that wait to be notified. */
  readonly tasksWaiting: number
  /** Those that were notified wait in line of the lock. */
  readonly lock: LockStatistics
}

/**
 * A lock with a place to wait for changes of what it guards.
 *
 * @example
 * import { Condition, createTask, run, sleep } from 'cede'
 *
 * const condition = new Condition()
 * const jobs: string[] = []
 * const takeJob = () =>
 *   condition.with(function* () {
 *     yield* condition.waitFor(() => jobs.length > 0)
 *     return jobs.shift()
 *   })
 * await run(function* () {
 *   const worker = createTask(takeJob())
 *   yield* sleep(10)
 *   yield* condition.with(function* () {
 *     jobs.push('a job')
 *     condition.notify()
 *   })
 *   console.log(yield* worker)
 * })
 */
export class Condition {
  static {
    printsAs(this.prototype, (condition) =>
      printed('Condition', condition.name, condition.lock.locked() ? 'locked' : 'free', condition.#line),
    )
  }

  /** For dumps and messages; an empty string if it has none. */
  readonly name: string
  /** The lock that is held around everything here. */
  readonly lock: Lock
  readonly #line: WaitQueue = new WaitQueue(
    () => ({ what: `a notice of ${called('condition', this.name)} (${inLine(this.#line)})` }),
    () => null,
  )

  /** @throws {MisuseError} if `options` are none, as a lock by itself; if `lock` is no `Lock` */
  constructor(options?: ConditionOptions) {
    requireOptions('new Condition()', options, insteadOfOptions)
    const lock = options?.lock
    if (lock !== undefined && !(lock instanceof Lock)) {
      throw new MisuseError(`new Condition(): a Lock was expected as lock, found ${nameOf(lock)}`)
    }
    this.name = options?.name ?? ''
    this.lock = lock ?? new Lock({ name: this.name })
  }

  /** `lock.with(body)`. */
  with<T>(body: Body<T>): Coroutine<T> {
    return this.lock.with(body)
  }

  /** `lock.acquire()`. */
  acquire(): Coroutine<void> {
    return this.lock.acquire()
  }

  /** `lock.tryAcquire()`. */
  tryAcquire(): boolean {
    return this.lock.tryAcquire()
  }

  /** `lock.release()`. @throws {InvalidStateError} if nobody holds the lock */
  release(): void {
    this.lock.release()
  }

  /** `lock.locked()`. */
  locked(): boolean {
    return this.lock.locked()
  }

  /**
   * Gives the lock back, waits to be notified, and takes the lock again. Always suspends. It holds the lock again
   * however it ends: also one that is cancelled waits for that, before any cleanup around it runs. Who was notified
   * returns from here, even if it is cancelled before it has the lock; the cancel then comes at its next wait.
   *
   * Others may have run between the notice and the return, so check again what was waited for, or use `waitFor`.
   *
   * @throws {InvalidStateError} unless the task that waits holds the lock
   */
  wait(): Coroutine<void> {
    return new ConditionWait(this, this.#line) as unknown as Coroutine<void>
  }

  /**
   * Waits until `predicate()` is true, asking at first and after each notice, always with the lock held.
   *
   * @param predicate a plain function; what it throws is thrown
   * @returns what it returned
   * @throws {InvalidStateError} unless the task that waits holds the lock
   * @throws {MisuseError} at the call, if `predicate` is no plain function; if it returns a promise or an operation
   */
  waitFor<T>(predicate: () => T): Coroutine<T> {
    if (typeof predicate !== 'function' || makesCoroutines(predicate)) {
      const found =
        typeof predicate === 'function' ? `${nameOf(predicate)} that makes a coroutine` : nameOf(predicate)
      throw new MisuseError(
        `waitFor(): a plain function that returns true or false was expected, found ${found}`,
      )
    }
    return waitedFor(this, predicate) as Coroutine<T>
  }

  /**
   * Notifies the `count` tasks that wait longest. They go on one after the other, when the lock is handed to them.
   *
   * @param count default: 1
   * @returns how many there were
   * @throws {InvalidStateError} unless the running task holds the lock
   * @throws {RangeError} if `count` is no whole number of 0 or more; {MisuseError} if it is no number
   */
  notify(count = 1): number {
    if (count !== Infinity && !(Number.isInteger(count) && count >= 0)) {
      throw wrongNumber(
        count,
        `notify(): a whole number of 0 or more tasks was expected, found ${nameOf(count)}`,
      )
    }
    this.requireHeld('notify()')
    return this.#notify(count)
  }

  /**
   * Notifies everyone who waits.
   *
   * @returns how many there were
   * @throws {InvalidStateError} unless the running task holds the lock
   */
  notifyAll(): number {
    this.requireHeld('notifyAll()')
    return this.#notify(Infinity)
  }

  #notify(count: number): number {
    let notified = 0
    for (let first = this.#line.first; first !== null && notified < count; first = this.#line.first) {
      ;(first as Notice).scope.shielded = true
      notified += this.#line.moveTo(this.lock.line)
    }
    return notified
  }

  /** How many wait, here and for the lock, at this moment. */
  statistics(): ConditionStatistics {
    return { tasksWaiting: this.#line.length, lock: this.lock.statistics() }
  }

  /** @internal @throws {InvalidStateError} unless the running task holds the lock */
  requireHeld(act: string): void {
    this.lock.requireHeld(act, called('condition', this.name))
  }
}

/** A place in the condition's line, and after the notice in that of the lock: woken there, the task holds the lock. */
class Notice extends Waiting<void> {
  readonly scope: ConditionWait

  constructor(line: WaitQueue, scope: ConditionWait) {
    super(line)
    this.scope = scope
  }
}

/** The scope of one wait: from the notice on it is a shield. */
class ConditionWait extends Scope<void> {
  readonly #condition: Condition
  readonly #line: WaitQueue

  constructor(condition: Condition, line: WaitQueue) {
    super(null)
    this.#condition = condition
    this.#line = line
    noteMade(this)
  }

  override makeBody(): void {
    this.body = waitForNotice(this.#condition, this.#line, this)
  }

  override nameForMessages(): string {
    return 'wait() of a condition'
  }
}

function* waitForNotice(
  condition: Condition,
  line: WaitQueue,
  scope: ConditionWait,
): Generator<Suspension, void, unknown> {
  // One that is cancelled already ends here, with the lock.
  yield* checkpoint()
  condition.requireHeld('wait()')
  const { lock } = condition
  const notice = new Notice(line, scope)
  lock.release()
  let held = false
  try {
    yield* notice
    held = true
  } finally {
    if (!held) yield* new LockAgain(lock)
  }
}

/** Waits for the lock inside the cleanup of a wait that was cancelled; not even the end of its grace cuts that. */
class LockAgain extends Scope<void> {
  override shielded = true
  readonly #lock: Lock

  constructor(lock: Lock) {
    super(null)
    this.#lock = lock
  }

  override makeBody(): void {
    this.body = this.#lock.place()[Symbol.iterator]()
  }
}

const waitedFor = coroutine('waitFor', function* (condition: Condition, predicate: () => unknown): Generator<
  Suspension,
  unknown
> {
  yield* checkpoint()
  condition.requireHeld('waitFor()')
  for (;;) {
    const value = predicate()
    // A promise and an operation would count as true, whatever comes of them.
    refuseReturned('waitFor()', value, 'a predicate that answers at once')
    if (Boolean(value)) return value
    yield* condition.wait()
  }
})

function insteadOfOptions(found: unknown): string {
  if (typeof found === 'string') return `\`new Condition({ name: '${found}' })\``
  return found instanceof Condition
    ? '`new Condition({ lock: condition.lock })`'
    : '`new Condition({ lock })`'
}
