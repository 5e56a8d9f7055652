/** Running several operations together and waiting for all of them. Nothing is left behind, whatever happens. */
import type { Coroutine, Operation, Suspension } from '../core/suspension.ts'
import type { Outcome } from '../core/task.ts'
import { coroutine } from '../core/coroutine.ts'
import { Crowd, errorOf, futureOf, hasFailed, membersOf, type Member } from './crowd.ts'

/** The results of a tuple, array or record of operations, in its shape. */
export type Results<A extends readonly Operation<unknown>[] | Readonly<Record<string, Operation<unknown>>>> =
  {
    -readonly [K in keyof A]: A[K] extends Operation<infer T> ? T : never
  }

/**
 * Runs operations together, each in a task of its own, and returns their values in the order of the arguments. On the
 * first failure the others are cancelled and waited for, and that error is thrown. Tasks and futures may be given too,
 * and are cancelled in the same way.
 *
 * @param operations an array, a tuple or a record of operations
 * @returns their values, in the same shape
 * @throws the first error of an operation; {CancelledError} if someone cancelled one of them
 *
 * Suspends until all have ended.
 *
 * @example
 * import { gather, run, sleep } from 'cede'
 *
 * await run(function* () {
 *   const [a, b] = yield* gather([sleep(20, 'a'), sleep(10, 'b')])
 *   console.log(a, b)
 * })
 */
export function gather<const A extends readonly Operation<unknown>[]>(operations: A): Coroutine<Results<A>>
export function gather<const R extends Readonly<Record<string, Operation<unknown>>>>(
  operations: R,
): Coroutine<Results<R>>
export function gather(
  operations: readonly Operation<unknown>[] | Readonly<Record<string, Operation<unknown>>>,
): Coroutine<unknown> {
  if (typeof operations === 'object' && operations !== null && !(Symbol.iterator in operations)) {
    return gatherRecord(operations)
  }
  return gatherList(operations)
}

const gatherRecord = coroutine(
  'gather',
  function* (record: Readonly<Record<string, Operation<unknown>>>): Generator<Suspension, unknown> {
    const keys = Object.keys(record)
    const values = yield* gatherList(keys.map((key) => record[key]!))
    return Object.fromEntries(keys.map((key, index) => [key, values[index]]))
  },
)

const gatherList = coroutine('gather', function* (operations: Iterable<Operation<unknown>>): Generator<
  Suspension,
  unknown[]
> {
  const failed: { first: Member | null } = { first: null }
  const crowd: Crowd = new Crowd('gather', (member) => {
    if (!hasFailed(member)) return
    if (failed.first === null) {
      failed.first = member
      crowd.cancelAll('another operation of the gather failed')
    }
    errorOf(member)
  })
  const members = membersOf('gather()', operations)
  try {
    for (const member of new Set(members)) crowd.add(member)
    if (failed.first !== null) crowd.cancelAll('another operation of the gather failed')
    yield* crowd.whenEmpty()
  } finally {
    yield* crowd.endAll('the gather was cancelled')
  }
  if (failed.first !== null) throw errorOf(failed.first)
  return members.map((member) => valueOf(member))
})

function valueOf(member: Member): unknown {
  return futureOf(member).take()
}

/** How a member ended, without throwing. */
function outcomeOf<T>(member: Member<T>): Outcome<T> {
  const future = futureOf(member)
  future.outcomeRead = true
  switch (future.status) {
    case 'done':
      return { status: 'done', value: future.outcome as T }
    case 'cancelled':
      return { status: 'cancelled', reason: future.outcome }
    default:
      return { status: 'failed', error: future.outcome }
  }
}

/** The outcomes of a tuple or array of operations. */
export type Outcomes<A extends readonly Operation<unknown>[]> = {
  -readonly [K in keyof A]: A[K] extends Operation<infer T> ? Outcome<T> : never
}

/**
 * Runs operations together and returns how each ended, in the order of the arguments; a failure stops nobody.
 *
 * @param operations an array or a tuple of operations
 * @returns `{ status, value | error | reason }` for each
 *
 * Suspends until all have ended; if it is cancelled meanwhile, they are cancelled and waited for.
 */
export function gatherSettled<const A extends readonly Operation<unknown>[]>(
  operations: A,
): Coroutine<Outcomes<A>> {
  return gatherSettledList(operations) as unknown as Coroutine<Outcomes<A>>
}

const gatherSettledList = coroutine(
  'gatherSettled',
  function* (operations: Iterable<Operation<unknown>>): Generator<Suspension, Outcome<unknown>[]> {
    const crowd = new Crowd('gatherSettled', (member) => void outcomeOf(member))
    const members = membersOf('gatherSettled()', operations)
    try {
      for (const member of new Set(members)) crowd.add(member)
      yield* crowd.whenEmpty()
    } finally {
      yield* crowd.endAll('the gather was cancelled')
    }
    return members.map((member) => outcomeOf(member))
  },
)
