/**
 * A future: a result that somebody sets once and any number of tasks wait for.
 *
 * Waiting tasks and callbacks stand in one list and are told in the order in which they came. A task reads the outcome
 * when it is stepped, so whoever was woken by a settled future gets its value even if it is cancelled in between.
 */
import { checkedCallback } from './checked-callback.ts'
import { cancelledError, InvalidStateError, MisuseError } from './errors.ts'
import { printsAs } from './inspect.ts'
import { GIVE_WAY, Leaf } from './leaf.ts'
import { nameOf } from './misuse.ts'
import { answerProbe, isProbe } from './probe.ts'
import type { Runner } from './runner.ts'
import { announce, mayFinishNow, running } from './running.ts'
import type { Operation, Suspension, WaitDescription } from './suspension.ts'
import { takenBy } from './taken.ts'
import type { Task } from './task.ts'

export type FutureStatus = 'pending' | 'done' | 'failed' | 'cancelled'

/** Told once when a future settles. */
export interface Waiter {
  settled(): void
}

export class Future<T> implements Operation<T> {
  static {
    printsAs(this.prototype as Future<unknown>, (future) => `Future(${future.status})`)
  }

  #status: FutureStatus = 'pending'
  #outcome: unknown = undefined
  /** None, one, or several in the order in which they came. */
  #waiters: Waiter | Set<Waiter> | null = null
  /** @internal The task whose outcome this is. */
  readonly owner: Task | null
  /** @internal Somebody has received the outcome. */
  outcomeRead = false
  /** Somebody was told of the outcome who waited for it, and will receive it. */
  #received = false
  readonly #runner: Runner | null

  constructor()
  /** @internal */
  constructor(owner: Task | null)
  constructor(owner: Task | null = null) {
    this.owner = owner
    this.#runner = owner === null ? running.runner : owner.runner
  }

  /** `pending`, or how it was settled. */
  get status(): FutureStatus {
    return this.#status
  }

  /** True if it was settled in any way. */
  done(): boolean {
    return this.#status !== 'pending'
  }

  /** True if it was settled by `cancel`. */
  cancelled(): boolean {
    return this.#status === 'cancelled'
  }

  /**
   * Settles the future with a value. Those who wait get it in the next pass.
   *
   * @throws {InvalidStateError} if it was settled before
   */
  setResult(value: T): void {
    this.#settleByUser('setResult()', 'done', value)
  }

  /**
   * Settles the future with an error.
   *
   * @throws {InvalidStateError} if it was settled before
   */
  setException(error: unknown): void {
    this.#settleByUser('setException()', 'failed', error)
  }

  /**
   * Settles the future as cancelled; those who wait get a `CancelledError`.
   *
   * @returns false if it was settled before, and nothing has changed
   */
  cancel(reason?: unknown): boolean {
    if (this.#status !== 'pending') {
      this.outcomeRead = true
      return false
    }
    this.settle('cancelled', reason)
    return true
  }

  /**
   * The value.
   *
   * @throws the error it was settled with; {CancelledError} if it was cancelled; {InvalidStateError} if it is pending
   */
  result(): T {
    if (this.#status === 'pending') throw this.#tooEarly('result()')
    return this.take()
  }

  /**
   * The error it was settled with, or null if it has a value.
   *
   * @throws {CancelledError} if it was cancelled; {InvalidStateError} if it is pending
   */
  exception(): unknown {
    if (this.#status === 'pending') throw this.#tooEarly('exception()')
    this.outcomeRead = true
    if (this.#status === 'cancelled') throw this.#cancelledError()
    return this.#status === 'failed' ? this.#outcome : null
  }

  /**
   * Calls `callback(this)` from the loop once the future is settled: in the next pass if it is settled already, never
   * from inside this call. It runs in the context of this call, whoever settles the future.
   *
   * @throws {MisuseError} if `callback` is no plain function
   */
  addDoneCallback(callback: (future: this) => void): void {
    checkedCallback('addDoneCallback()', callback)
    const runner = running.runner ?? this.#runner
    if (runner === null) throw new InvalidStateError('addDoneCallback(): expected a running loop, found none')
    const { loop } = runner
    const scope = loop.callbackScope(runner)
    const told: (future: this) => unknown = callback
    const call = (): unknown => {
      try {
        return told(this)
      } finally {
        // Being told is not reading: who only keeps count of what is under way must not swallow a failure.
        if (this.#status === 'failed' && !this.#received && !this.outcomeRead) loop.noteFailure(this)
      }
    }
    const waiter: DoneCallback = { callback: callback, settled: () => loop.callSoonIn(scope, call) }
    if (this.#status === 'pending') this.addWaiter(waiter)
    else waiter.settled()
  }

  /** Takes back every registration of `callback`. @returns how many there were */
  removeDoneCallback(callback: (future: this) => void): number {
    let removed = 0
    for (const waiter of this.#waiterList()) {
      if ((waiter as Partial<DoneCallback>).callback === callback) {
        this.removeWaiter(waiter)
        removed++
      }
    }
    return removed
  }

  /** Waits for the outcome; a checkpoint. Any number of tasks may wait, any number of times. */
  [Symbol.iterator](): Iterator<Suspension, T, unknown> {
    return new FutureWait<T>(this)
  }

  /** Makes the future awaitable from async functions. */
  then<R = T, E = never>(
    onValue?: ((value: T) => R | PromiseLike<R>) | null,
    onError?: ((error: unknown) => E | PromiseLike<E>) | null,
  ): Promise<R | E> {
    return this.asPromise().then(onValue, onError)
  }

  /** A promise of the outcome; rejects with `CancelledError` if the future is cancelled. */
  asPromise(): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const settled = (): void => {
        try {
          resolve(this.take())
        } catch (error) {
          reject(error)
        }
      }
      if (this.#status === 'pending') this.addWaiter({ settled })
      else settled()
    })
  }

  /** @internal */
  settle(status: Exclude<FutureStatus, 'pending'>, outcome: unknown): void {
    this.#status = status
    this.#outcome = outcome
    const waiters = this.#waiters
    if (waiters === null) {
      if (status === 'failed') this.#runner?.loop.noteFailure(this)
      return
    }
    if (waiters instanceof Set) {
      // The list stays meanwhile: whoever is told may cancel others that stand in it, and those leave it untold.
      for (const waiter of waiters) this.#tell(waiter)
      this.#waiters = null
    } else {
      this.#waiters = null
      this.#tell(waiters)
    }
  }

  #tell(waiter: Waiter): void {
    if ((waiter as Partial<DoneCallback>).callback === undefined) this.#received = true
    waiter.settled()
  }

  /** @internal The outcome for one who waited: returned or thrown. */
  take(): T {
    this.outcomeRead = true
    if (this.#status === 'done') return this.#outcome as T
    throw this.#status === 'failed' ? this.#outcome : this.#cancelledError()
  }

  /** @internal The error of a failed future without marking it as read. */
  get outcome(): unknown {
    return this.#outcome
  }

  /** @internal */
  addWaiter(waiter: Waiter): void {
    const waiters = this.#waiters
    if (waiters === null) this.#waiters = waiter
    else if (waiters instanceof Set) waiters.add(waiter)
    else this.#waiters = new Set([waiters, waiter])
  }

  /** @internal */
  removeWaiter(waiter: Waiter): void {
    const waiters = this.#waiters
    if (waiters === waiter) this.#waiters = null
    else if (waiters instanceof Set) {
      waiters.delete(waiter)
      if (waiters.size === 0) this.#waiters = null
    }
  }

  /** @internal */
  describe(): WaitDescription {
    return this.owner === null
      ? { what: 'a future' }
      : { what: this.owner.describeSelf(), holders: [this.owner] }
  }

  /** @internal Nobody has received the error though all could have. */
  reportLost(): void {
    if (this.owner !== null) {
      this.owner.reportLost()
      return
    }
    this.outcomeRead = true
    this.#runner?.report({
      message: 'a future failed and nobody waits for it',
      error: this.#outcome,
      future: this,
    })
  }

  #waiterList(): readonly Waiter[] {
    const waiters = this.#waiters
    if (waiters === null) return []
    return waiters instanceof Set ? [...waiters] : [waiters]
  }

  #settleByUser(act: string, status: 'done' | 'failed', outcome: unknown): void {
    if (this.#status !== 'pending') {
      throw new InvalidStateError(`${act}: a pending future was expected, found one that is ${this.#status}`)
    }
    this.settle(status, outcome)
  }

  #tooEarly(act: string): InvalidStateError {
    return new InvalidStateError(
      `${act}: a settled future was expected, found a pending one; wait for it with \`yield*\``,
    )
  }

  #cancelledError(): Error {
    return cancelledError(this.owner === null ? 'the future' : this.owner.describeSelf(), this.#outcome)
  }
}

interface DoneCallback extends Waiter {
  readonly callback: (future: never) => void
}

class FutureWait<T> extends Leaf<T> implements Waiter {
  readonly #future: Future<T>
  #task: Task | null = null

  constructor(future: Future<T>) {
    super()
    this.#future = future
    // Made by the `yield*` itself.
    this.claimed = true
  }

  next(value?: unknown): IteratorResult<Suspension, T> {
    if (isProbe(value)) return answerProbe()
    const future = this.#future
    if (this.#task !== null && this.#task !== running.task) return takenBy(this.#task, this.describe().what)
    if (!future.done()) {
      if (future.owner !== null && future.owner === running.task) throw awaitsItself(future.owner)
      return announce(this)
    }
    if (this.#task === null && !mayFinishNow()) return announce(GIVE_WAY)
    return { done: true, value: future.take() }
  }

  park(task: Task): void {
    this.#task = task
    this.#future.addWaiter(this)
  }

  unpark(): void {
    this.#future.removeWaiter(this)
  }

  settled(): void {
    this.#task!.resume(undefined)
  }

  describe(): WaitDescription {
    return this.#future.describe()
  }

  /** @internal */
  blocker(): Task | null {
    return this.#future.owner
  }
}

function awaitsItself(task: Task): MisuseError {
  return new MisuseError(
    `${task.describeSelf()} waits for itself: it was expected to wait for another task, and would never end`,
  )
}

/** For messages of functions that take tasks or futures. */
export function notAFuture(act: string, value: unknown): MisuseError {
  return new MisuseError(
    `${act}: a task or a future was expected, found ${nameOf(value)}; make a task with \`createTask(operation)\``,
  )
}
