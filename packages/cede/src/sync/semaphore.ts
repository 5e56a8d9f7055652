/** A semaphore: a number of permits. A permit that is given back goes to the task that waits longest. */
import { printsAs } from '../core/inspect.ts'
import { nameOf, wrongNumber } from '../core/misuse.ts'
import type { Body, Coroutine } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import { WaitQueue, type Waiting } from '../core/wait-queue.ts'
import { Acquire } from './acquire.ts'
import type { Holdable } from './holdable.ts'
import { holding } from './holding.ts'
import { called, inLine, printed } from './in-line.ts'
import { nameFrom, type NameOptions } from './options.ts'
import { standsAlone } from './stands-alone.ts'

export interface SemaphoreStatistics {
  /** Permits that are free. */
  readonly value: number
  readonly tasksWaiting: number
}

/**
 * Lets a number of tasks at a time into a stretch of code. `release` gives one permit more, whoever calls it: it may be
 * called more often than `acquire`. Where that would be a mistake use a `BoundedSemaphore`, or a `CapacityLimiter`,
 * which knows who borrowed what.
 *
 * First come, first served: a permit goes to the task that waits longest, and while tasks wait none is free.
 *
 * @example
 * import { mapLimit, run, Semaphore, sleep } from 'cede'
 *
 * const semaphore = new Semaphore(2)
 * let inside = 0
 * let most = 0
 * function* visit() {
 *   yield* semaphore.with(function* () {
 *     most = Math.max(most, ++inside)
 *     yield* sleep(10)
 *     inside--
 *   })
 * }
 * await run(function* () {
 *   yield* mapLimit([1, 2, 3, 4, 5], 5, visit)
 *   console.log('never more than', most)
 * })
 */
export class Semaphore implements Holdable {
  static {
    printsAs(this.prototype, (semaphore) =>
      printed(
        semaphore.constructor.name,
        semaphore.name,
        `${String(semaphore.#value)} free`,
        semaphore.#line,
      ),
    )
  }

  /** For dumps and messages; an empty string if it has none. */
  readonly name: string
  #value: number
  readonly #line: WaitQueue = new WaitQueue(
    () => ({ what: `a permit of ${called('semaphore', this.name)} (${inLine(this.#line)})` }),
    () => null,
  )

  /**
   * @param value how many permits there are at first; default: 1
   * @throws {RangeError} if `value` is no whole number of 0 or more; {MisuseError} if it is no number
   */
  constructor(value = 1, options?: NameOptions) {
    const act = `new ${new.target.name}()`
    requirePermits(act, 0, value)
    this.#value = value
    this.name = nameFrom(act, options)
  }

  /** Permits that are free. */
  get value(): number {
    return this.#value
  }

  /**
   * Runs `body` with a permit, and gives it back however the body ends. Waits for a permit first; suspends only for
   * that, and where the body does.
   *
   * @param body an operation, or a function that returns one, called when the permit is there
   * @returns the value of the body
   * @throws {MisuseError} at the call, if `body` is neither an operation nor a function
   */
  with<T>(body: Body<T>): Coroutine<T> {
    return holding(this, 'with() of a semaphore', body)
  }

  /**
   * Waits for a permit and takes it. A checkpoint; suspends if none is free. One that is cancelled has taken none.
   * Prefer `with`, or release it in a `finally`.
   */
  acquire(): Coroutine<void> {
    return this.place()
  }

  /** Takes a permit if one is free. Does not suspend. @returns false if none is */
  tryAcquire(): boolean {
    if (this.#value === 0) return false
    this.#value--
    return true
  }

  /** Gives a permit: to the task that waits longest, if there is one. Does not suspend. */
  release(): void {
    if (!this.#line.wakeOne()) this.#value++
  }

  /** True if no permit is free. */
  locked(): boolean {
    return this.#value === 0
  }

  /** How many are free and how many wait, at this moment. */
  statistics(): SemaphoreStatistics {
    return { value: this.#value, tasksWaiting: this.#line.length }
  }

  /** @internal */
  takeFor(_task: Task): boolean {
    return this.tryAcquire()
  }

  /** @internal */
  place(): Waiting<void> {
    return new Acquire(this, this.#line)
  }

  /** @internal */
  giveBack(_task: Task): void {
    this.release()
  }
}

/** @throws {RangeError} unless it is a whole number of `least` or more; {MisuseError} if it is no number */
export function requirePermits(act: string, least: number, permits: unknown): void {
  if (Number.isInteger(permits) && (permits as number) >= least) return
  throw wrongNumber(
    permits,
    `${act}: a whole number of ${String(least)} or more permits was expected, found ${nameOf(permits)}` +
      standsAlone(act, permits),
  )
}
