/** A function over many items, with a limit on how many run at once. */
import { coroutine, operationFrom } from '../core/coroutine.ts'
import { MisuseError } from '../core/errors.ts'
import { nameOf } from '../core/misuse.ts'
import type { Coroutine, Operation, Suspension } from '../core/suspension.ts'
import { gather } from './gather.ts'

/**
 * Calls `fn` for every item, with at most `limit` running at once, and returns the results in the order of the items.
 * On the first failure the others are cancelled and waited for, and that error is thrown.
 *
 * @param items taken one by one, as room becomes free
 * @param limit at least 1
 * @param fn is given the item and its index, and returns an operation
 * @throws the first error of `fn`; {MisuseError} at the call, if `limit` is not a whole number above 0
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
    throw new MisuseError(`mapLimit(): a limit of 1 or more was expected, found ${nameOf(limit)}`)
  }
  return mapped(
    items as Iterable<unknown>,
    limit,
    fn as (item: unknown, index: number) => Operation<unknown>,
  ) as Coroutine<T[]>
}

const RESULT_OF_FN = 'mapLimit(): what the function returned'

const mapped = coroutine(
  'mapLimit',
  function* (
    items: Iterable<unknown>,
    limit: number,
    fn: (item: unknown, index: number) => Operation<unknown>,
  ): Generator<Suspension, unknown[]> {
    const results: unknown[] = []
    const source = items[Symbol.iterator]()
    let taken = 0
    function* worker(): Generator<Suspension, void> {
      for (let item = source.next(); item.done !== true; item = source.next()) {
        const index = taken++
        results[index] = undefined
        results[index] = yield* operationFrom(RESULT_OF_FN, fn(item.value, index))
      }
    }
    const workers: Operation<void>[] = []
    try {
      if (limit === Infinity) {
        for (let item = source.next(); item.done !== true; item = source.next()) {
          const index = taken++
          results[index] = undefined
          workers.push(store(results, index, operationFrom(RESULT_OF_FN, fn(item.value, index))))
        }
      } else {
        const known = sizeOf(items)
        for (let i = 0; i < Math.min(limit, known); i++) workers.push(worker())
      }
      yield* gather(workers)
    } finally {
      source.return?.()
    }
    return results
  },
)

function* store(
  results: unknown[],
  index: number,
  operation: Operation<unknown>,
): Generator<Suspension, void> {
  results[index] = yield* operation
}

/** How many workers are worth starting: the number of items where it is known. */
function sizeOf(items: Iterable<unknown>): number {
  if (Array.isArray(items)) return items.length
  const { size } = items as Partial<ReadonlySet<unknown>>
  return typeof size === 'number' ? size : Infinity
}
