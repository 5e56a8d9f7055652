import { checkedCallback } from '../core/checked-callback.ts'
import { MisuseError } from '../core/errors.ts'
import { nameOf } from '../core/misuse.ts'
import type { Coroutine } from '../core/suspension.ts'
import { Heap, type Compare } from './heap.ts'
import type { NameOptions } from './options.ts'
import { Queue } from './queue.ts'

/** What has an order of its own; everything else needs a function that compares. */
export type Ordered = number | bigint | string | Date

/**
 * A queue that gives the least item first, and of equal ones that which was put first. Everything else is as in `Queue`.
 *
 * Those who wait for room are let in as in any queue, first come first served, whatever their items.
 *
 * @example
 * import { PriorityQueue, run } from 'cede'
 *
 * interface Job {
 *   readonly urgency: number
 *   readonly name: string
 * }
 *
 * await run(function* () {
 *   const jobs = new PriorityQueue<Job>(100, (a, b) => b.urgency - a.urgency)
 *   yield* jobs.put({ urgency: 1, name: 'tidy up' })
 *   yield* jobs.put({ urgency: 9, name: 'put out the fire' })
 *   console.log((yield* jobs.get()).name) // put out the fire
 * })
 */
export class PriorityQueue<T> extends Queue<T> {
  readonly #compare: Compare<T>

  /**
   * @param maxSize how many items it holds before `put` waits; `Infinity`: it never waits, and memory is the limit
   * @param compare negative if the first comes before the second, positive if after, 0 if they are equal; it must not
   *   touch the queue. Default: the least number, bigint, string or Date first
   * @param options a name for dumps and messages
   * @throws {RangeError} if `maxSize` is no whole number above 0; {MisuseError} if it is no number, or `compare` no
   *   function
   */
  constructor(
    maxSize: number,
    ...rest: [T] extends [Ordered]
      ? [compare?: Compare<T> | undefined, options?: NameOptions]
      : [compare: Compare<T>, options?: NameOptions]
  )
  constructor(maxSize: number, compare: Compare<T> = compareOrdered, options?: NameOptions) {
    checkedCallback('new PriorityQueue()', compare, 'the comparison of two items')
    super(maxSize, options, new Heap<T>(compare))
    this.#compare = compare
  }

  override put(item: T): Coroutine<void> {
    this.#requireComparable('put()', item)
    return super.put(item)
  }

  override tryPut(item: T): boolean {
    this.#requireComparable('tryPut()', item)
    return super.tryPut(item)
  }

  /** One that is not equal to itself (NaN, or by a comparison that gives true and false) would be lost in the heap. */
  #requireComparable(act: string, item: T): void {
    const order: unknown = this.#compare(item, item)
    if (order === 0) return
    throw new MisuseError(
      `${act}: the comparison of an item of a PriorityQueue with itself was expected to give 0, found ${nameOf(order)}`,
    )
  }

  /** @internal */
  override nameForMessages(): string {
    return 'PriorityQueue'
  }
}

function compareOrdered(a: unknown, b: unknown): number {
  requireOrdered(a)
  if (a !== b) requireOrdered(b)
  if (typeof a !== typeof b) requireNoText(a, b)
  return a < b ? -1 : a > b ? 1 : a >= b ? 0 : NaN
}

/** By itself `'a' < 5` is false, and so is `'a' > 5`: the heap would be in no order, and nobody would know. */
function requireNoText(a: unknown, b: unknown): void {
  if (typeof a !== 'string' && typeof b !== 'string') return
  throw new MisuseError(
    `PriorityQueue: either strings or numbers, bigints and Dates were expected, found ${nameOf(a)} and ${nameOf(b)}; ` +
      HOW_TO_COMPARE,
  )
}

const HOW_TO_COMPARE = 'for other items write `new PriorityQueue(maxSize, (a, b) => a.priority - b.priority)`'

function requireOrdered(item: unknown): asserts item is number {
  switch (typeof item) {
    case 'number':
    case 'bigint':
    case 'string':
      return
  }
  if (item instanceof Date) return
  throw new MisuseError(
    `PriorityQueue: numbers, strings, bigints or Dates were expected, found ${nameOf(item)}; ${HOW_TO_COMPARE}`,
  )
}
