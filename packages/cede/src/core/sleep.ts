/** Waits that need nothing but the loop: for time, for ever, for the next pass. */
import { FOR_EVER, MisuseError } from './errors.ts'
import { GIVE_WAY, Leaf } from './leaf.ts'
import { nameOf, steppedByHand, usedTwice, awaited } from './misuse.ts'
import { answerProbe, answerReturn, isProbe } from './probe.ts'
import { announce, mayFinishNow, noteMade, running } from './running.ts'
import type { Coroutine, Suspension, Wait, WaitDescription } from './suspension.ts'
import { takenBy } from './taken.ts'
import type { Task } from './task.ts'
import { Timer } from './timers.ts'

const FRESH = 0
const CLAIMED = 1
const ANNOUNCED = 2
const OVER = 3

/** A sleeping task's timer, suspension and iterator in one: a million of them must fit. */
class Sleep<T> extends Timer implements Wait, Iterator<Suspension, T, unknown> {
  readonly #durationMs: number
  readonly #value: T
  #state = FRESH
  #task: Task | null = null

  constructor(durationMs: number, value: T) {
    super()
    this.#durationMs = durationMs
    this.#value = value
    noteMade(this)
  }

  get begun(): boolean {
    return this.#state !== FRESH
  }

  nameForMessages(): string {
    return `an operation (${this.describe().what})`
  }

  [Symbol.iterator](): this {
    if (this.#state !== FRESH) throw usedTwice('a sleep()')
    this.#state = CLAIMED
    return this
  }

  next(value?: unknown): IteratorResult<Suspension, T> {
    if (isProbe(value)) return answerProbe()
    if (this.#state === CLAIMED) {
      const announced = announce(this)
      this.#state = ANNOUNCED
      return announced
    }
    if (this.#task !== null && this.#task !== running.task) return takenBy(this.#task, 'a sleep()')
    if (this.#state !== OVER) throw steppedByHand('a sleep()')
    return { done: true, value: this.#value }
  }

  throw(error: unknown): IteratorResult<Suspension, T> {
    throw error
  }

  return(value?: unknown): IteratorResult<Suspension, T> {
    return answerReturn(value as T)
  }

  then(_resolve: unknown, reject?: (reason: unknown) => unknown): void {
    reject?.(awaited('sleep()'))
  }

  park(task: Task): void {
    this.#task = task
    if (this.#durationMs <= 0) this.due()
    else task.runner.loop.arm(this, this.#durationMs, 'sleep()')
  }

  unpark(task: Task): void {
    task.runner.loop.timers.disarm(this)
  }

  due(): void {
    this.#state = OVER
    this.#task!.wake()
  }

  describe(): WaitDescription {
    if (this.#durationMs <= 0) return { what: 'its turn' }
    return { what: `sleep of ${String(this.#durationMs)} ms`, deadlineMs: this.deadlineMs }
  }
}

/**
 * Waits for `ms` milliseconds. 0 or less costs one pass: everything that was ready before runs once. Always suspends.
 *
 * @param ms milliseconds; `Infinity` waits until it is cancelled
 * @param value what the wait returns
 * @throws {MisuseError} at the call, if `ms` is not a number
 *
 * @example
 * import { run, sleep } from 'cede'
 *
 * await run(function* () {
 *   console.log(yield* sleep(10, 'ten milliseconds later'))
 * })
 */
export function sleep(ms: number): Coroutine<void>
export function sleep<T>(ms: number, value: T): Coroutine<T>
export function sleep(ms: number, value?: unknown): Coroutine<unknown> {
  if (typeof ms !== 'number' || Number.isNaN(ms)) {
    throw new MisuseError(`sleep(): a number of milliseconds was expected, found ${nameOf(ms)}`)
  }
  return new Sleep(ms, value) as unknown as Coroutine<unknown>
}

class Forever extends Leaf<never> {
  next(value?: unknown): IteratorResult<Suspension, never> {
    if (isProbe(value)) return answerProbe()
    return announce(this)
  }
  park(): void {}
  unpark(): void {}
  describe(): WaitDescription {
    return { what: FOR_EVER }
  }
}

/** Waits until it is cancelled. Always suspends. */
export function sleepForever(): Coroutine<never> {
  return new Forever()
}

class Checkpoint extends Leaf<void> {
  #passed = false

  next(value?: unknown): IteratorResult<Suspension, void> {
    if (isProbe(value)) return answerProbe()
    if (this.#passed || mayFinishNow()) return { done: true, value: undefined }
    return announce(this)
  }
  park(task: Task): void {
    this.#passed = true
    GIVE_WAY.park(task)
  }
  unpark(): void {}
  describe(): WaitDescription {
    return GIVE_WAY.describe()
  }
}

/**
 * A place where the task may be cancelled and, after many operations without a wait, gives way: what every operation
 * of the library does anyway, for loops that call none. Suspends only then.
 */
export function checkpoint(): Coroutine<void> {
  return new Checkpoint()
}
