/** A barrier: so many tasks wait for each other, and go on together. */
import type { CodedError } from '../core/errors.ts'
import { bodyOf, coroutine, operationFrom } from '../core/coroutine.ts'
import { printsAs } from '../core/inspect.ts'
import { GIVE_WAY } from '../core/leaf.ts'
import { nameOf, wrongNumber } from '../core/misuse.ts'
import { announce, mayFinishNow } from '../core/running.ts'
import type { Body, Coroutine, Operation, Suspension } from '../core/suspension.ts'
import { Waiting, WaitQueue } from '../core/wait-queue.ts'
import { called, inLine, printed } from './in-line.ts'
import { nameFrom, type NameOptions } from './options.ts'
import { standsAlone } from './stands-alone.ts'

/** A barrier was aborted, or reset while the task waited there. */
export class BrokenBarrierError extends Error implements CodedError {
  static {
    this.prototype.name = 'BrokenBarrierError'
  }
  readonly code = 'CEDE_BROKEN_BARRIER'
}

export interface BarrierStatistics {
  readonly parties: number
  readonly broken: boolean
  readonly tasksWaiting: number
}

/**
 * Holds tasks back until there are `parties` of them, and then lets them go on together; any number of times.
 *
 * One that is cancelled while it waits is counted no more. The last one to come lets the others go, and with that the
 * barrier is empty: whoever comes next waits for the next round.
 *
 * @example
 * import { Barrier, gather, run, sleep } from 'cede'
 *
 * const barrier = new Barrier(3)
 * function* runner(ms: number) {
 *   yield* sleep(ms)
 *   return yield* barrier.wait()
 * }
 * await run(function* () {
 *   console.log(yield* gather([runner(20), runner(5), runner(10)]))
 * })
 */
export class Barrier {
  static {
    printsAs(this.prototype, (barrier) =>
      printed(
        'Barrier',
        barrier.name,
        barrier.#broken ? 'broken' : `${String(barrier.parties)} parties`,
        barrier.#line,
      ),
    )
  }

  /** For dumps and messages; an empty string if it has none. */
  readonly name: string
  /** How many tasks go on together. */
  readonly parties: number
  #broken = false
  readonly #line: WaitQueue<number> = new WaitQueue<number>(
    () => ({
      what: `${String(this.parties - this.#line.length)} more at ${called('barrier', this.name)} (${inLine(this.#line)})`,
    }),
    () => null,
  )

  /** @throws {RangeError} if `parties` is no whole number above 0; {MisuseError} if it is no number */
  constructor(parties: number, options?: NameOptions) {
    if (!(Number.isInteger(parties) && parties >= 1)) {
      throw wrongNumber(
        parties,
        `new Barrier(): a whole number of 1 or more parties was expected, found ${nameOf(parties)}` +
          standsAlone('new Barrier()', parties),
      )
    }
    this.parties = parties
    this.name = nameFrom('new Barrier()', options)
  }

  /** How many tasks wait. */
  get nWaiting(): number {
    return this.#line.length
  }

  /** True after `abort`, until `reset`. */
  get broken(): boolean {
    return this.#broken
  }

  /**
   * Waits until `parties` tasks wait here. A checkpoint; the last one to come does not suspend.
   *
   * @returns 0 to `parties - 1`, in the order in which they came: one of them, and only one, has 0
   * @throws {BrokenBarrierError} if the barrier is broken, or is aborted or reset meanwhile
   */
  wait(): Coroutine<number> {
    return new BarrierWait(this, this.#line)
  }

  /**
   * Waits here, and runs `body` then. Nothing has to be given back after it.
   *
   * @param body an operation, or a function that is given the index and returns one
   * @returns the value of the body
   * @throws {BrokenBarrierError} as `wait` does; {MisuseError} at the call, if `body` is neither an operation nor a
   *   function
   */
  with<T>(body: Body<T, [index: number]>): Coroutine<T> {
    if (typeof body === 'function') return behindBarrier(this, body) as Coroutine<T>
    // Claimed at the call: one that is cancelled in line never begins its body, and has forgotten no star.
    const claimed = bodyOf('with() of a barrier', body)
    return behindBarrier(this, () => ({ [Symbol.iterator]: () => claimed })) as Coroutine<T>
  }

  /** Makes the barrier whole and empty. Those that wait get a `BrokenBarrierError`. */
  reset(): void {
    this.#broken = false
    this.#line.failAll(this.brokenError('wait()', 'it was reset meanwhile'))
  }

  /** Breaks the barrier until `reset`. Those that wait, and all who come, get a `BrokenBarrierError`. */
  abort(): void {
    this.#broken = true
    this.#line.failAll(this.brokenError('wait()', 'it was aborted'))
  }

  /** How many wait, at this moment. */
  statistics(): BarrierStatistics {
    return { parties: this.parties, broken: this.#broken, tasksWaiting: this.#line.length }
  }

  /** @internal */
  brokenError(act: string, found: string): BrokenBarrierError {
    return new BrokenBarrierError(
      `${act} at ${called('barrier', this.name)}: expected ${String(this.parties)} tasks to come, found that ${found}`,
    )
  }

  /** @internal The last one has come. @returns its index */
  letGo(): number {
    for (let index = 0; this.#line.length > 0; index++) this.#line.wakeOne(index)
    return this.parties - 1
  }
}

class BarrierWait extends Waiting<number> {
  readonly #barrier: Barrier

  constructor(barrier: Barrier, line: WaitQueue<number>) {
    super(line)
    this.#barrier = barrier
  }

  override begin(): IteratorResult<Suspension, number> {
    const barrier = this.#barrier
    if (barrier.broken) throw barrier.brokenError('wait()', 'it is broken')
    // A cancelled task lets nobody go.
    if (!mayFinishNow()) return announce(GIVE_WAY)
    if (barrier.nWaiting + 1 < barrier.parties) return announce(this)
    return { done: true, value: barrier.letGo() }
  }
}

const behindBarrier = coroutine(
  'with',
  function* (barrier: Barrier, body: (index: number) => Operation<unknown>): Generator<Suspension, unknown> {
    const index = yield* barrier.wait()
    return yield* operationFrom('with() of a barrier', body(index))
  },
)
