/** A function over many items, with a limit on how many run at once. */
import { coroutine, operationFrom } from '../core/coroutine.ts'
import { isLibraryOperation, nameOf, wrongArgument, wrongNumber } from '../core/misuse.ts'
import type { Coroutine, Operation, Suspension } from '../core/suspension.ts'
import { gather } from './gather.ts'

/**
 * Calls `fn` for every item, with at most `limit` running at once, and returns the results in the order of the items.
 * On the first failure the others are cancelled and waited for, and that error is thrown.
 *
 * @param items taken one by one, as room becomes free
 * @param limit at least 1
 * @param fn is given the item and its index, and returns an operation
 * @throws the first error of `fn`; at the call {RangeError} if `limit` is not a whole number above 0, {MisuseError} if it
 *   is no number, or `items` is no iterable
 *
 * Suspends until all have ended.
 *
 * @example
 * import { mapLimit, run, sleep } from 'cede'
 *
 * await run(function* () {
 *   console.log(yield* mapLimit([30, 20, 10], 2, (ms) => sleep(ms, ms)))
 * })
 */
export function mapLimit<I, T>(
  items: Iterable<I>,
  limit: number,
  fn: (item: I, index: number) => Operation<T>,
): Coroutine<T[]> {
  if (limit !== Infinity && !(Number.isInteger(limit) && limit >= 1)) {
    throw wrongNumber(limit, `mapLimit(): a limit of 1 or more was expected, found ${nameOf(limit)}`)
  }
  if (
    typeof (items as Partial<Iterable<I>> | null | undefined)?.[Symbol.iterator] !== 'function' ||
    isLibraryOperation(items)
  ) {
    throw wrongArgument(
      'mapLimit()',
      'an iterable of items',
      items,
      'pass an array, a set, or a generator of items',
    )
  }
  return mapped(
    items as Iterable<unknown>,
    limit,
    fn as (item: unknown, index: number) => Operation<unknown>,
  ) as Coroutine<T[]>
}

/** What the workers of one call share. */
interface Work {
  readonly source: Iterator<unknown>
  readonly fn: (item: unknown, index: number) => Operation<unknown>
  readonly results: unknown[]
  /** Items taken so far. */
  taken: number
  /** The source has no more, or has failed: it is asked nothing further and needs no closing. */
  exhausted: boolean
}

const mapped = coroutine(
  'mapLimit',
  function* (
    items: Iterable<unknown>,
    limit: number,
    fn: (item: unknown, index: number) => Operation<unknown>,
  ): Generator<Suspension, unknown[]> {
    const work: Work = { source: items[Symbol.iterator](), fn, results: [], taken: 0, exhausted: false }
    const workers: Operation<void>[] = []
    try {
      // Each worker begins with an item, so that there are never more of them than items.
      while (workers.length < limit) {
        const first = take(work)
        if (first === null) break
        workers.push(worker(work, first))
      }
      yield* gather(workers)
    } finally {
      if (!work.exhausted) work.source.return?.()
    }
    return work.results
  },
)

function* worker(
  work: Work,
  first: { readonly item: unknown; readonly index: number },
): Generator<Suspension, void> {
  for (let next: typeof first | null = first; next !== null; next = take(work)) {
    const operation = work.fn(next.item, next.index)
    work.results[next.index] = yield* operationFrom('mapLimit(): what the function returned', operation)
  }
}

/** The next item with its index, or null if there are no more. */
function take(work: Work): { readonly item: unknown; readonly index: number } | null {
  if (work.exhausted) return null
  // Unless this returns an item, the source has ended or thrown.
  work.exhausted = true
  const item = work.source.next()
  if (item.done === true) return null
  work.exhausted = false
  const index = work.taken++
  work.results[index] = undefined
  return { item: item.value, index }
}
