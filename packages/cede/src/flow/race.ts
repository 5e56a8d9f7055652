/** Running several operations together for the sake of one of them. The losers are cancelled and waited for. */
import { coroutine } from '../core/coroutine.ts'
import { MisuseError } from '../core/errors.ts'
import type { Coroutine, Operation, Suspension } from '../core/suspension.ts'
import { Crowd, errorOf, futureOf, hasFailed, membersOf, type Member } from './crowd.ts'

type ValueOf<A extends readonly Operation<unknown>[]> = A[number] extends Operation<infer T> ? T : never

/**
 * Runs operations together and ends as the first of them that ends: with its value, or its error (as `Promise.race`).
 * The others are cancelled and waited for; what they still produce is dropped.
 *
 * @param operations at least one operation, task or future
 * @throws the error of the first to end, if it failed; {MisuseError} if the list is empty, since it could never end
 *
 * Suspends until all have ended.
 *
 * @example
 * import { race, run, sleep } from 'cede'
 *
 * await run(function* () {
 *   console.log(yield* race([sleep(20, 'slow'), sleep(10, 'fast')]))
 * })
 */
export function race<const A extends readonly Operation<unknown>[]>(operations: A): Coroutine<ValueOf<A>> {
  return racing('race', operations, false) as Coroutine<ValueOf<A>>
}

/**
 * Runs operations together and returns the value of the first that succeeds (as `Promise.any`). The others are
 * cancelled and waited for; what they still produce is dropped.
 *
 * @param operations operations, tasks or futures
 * @throws {AggregateError} with every error in the order in which it happened, if all failed, or there was none
 *
 * Suspends until all have ended.
 */
export function any<const A extends readonly Operation<unknown>[]>(operations: A): Coroutine<ValueOf<A>> {
  return seeking('any', operations, true) as Coroutine<ValueOf<A>>
}

function* firstOf(
  name: string,
  operations: Iterable<Operation<unknown>>,
  successOnly: boolean,
): Generator<Suspension, unknown> {
  const seen: { winner: Member | null; errors: unknown[] } = { winner: null, errors: [] }
  const crowd: Crowd = new Crowd(name, (member) => {
    const failed = hasFailed(member)
    const error = failed ? errorOf(member) : undefined
    if (seen.winner !== null) return
    if (failed && successOnly) seen.errors.push(error)
    else seen.winner = member
  })
  const members = new Set(membersOf(`${name}()`, operations))
  if (members.size === 0 && !successOnly) {
    throw new MisuseError(
      'race(): at least one operation was expected, found none, so that it would never end',
    )
  }
  try {
    for (const member of members) crowd.add(member)
    while (seen.winner === null && crowd.live.size > 0) yield* crowd.changed()
  } finally {
    yield* crowd.endAll('the race was decided')
  }
  const { winner } = seen
  if (winner === null)
    throw new AggregateError(
      seen.errors,
      `any(): one of ${String(members.size)} operations was expected to succeed, and all failed`,
    )
  return futureOf(winner).take()
}

const racing = coroutine('race', firstOf)
const seeking = coroutine('any', firstOf)
