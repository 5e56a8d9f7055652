/**
 * Which of several addresses answers first ("happy eyeballs", RFC 8305, sections 4 and 5).
 *
 * A host often has addresses of both kinds, and one of the kinds often leads nowhere, without a word. So the addresses
 * are tried in turn, the kinds alternating; the next attempt begins when the last one has failed or has taken a quarter of
 * a second, and the earlier ones go on. The first that succeeds ends the others.
 */
import type { Operation, Suspension } from '../core/suspension.ts'
import { WaitQueue } from '../core/wait-queue.ts'
import { taskGroup } from '../flow/task-group.ts'
import { timeoutOr } from '../flow/timeout.ts'
import type { ResolvedAddress } from './resolver.ts'

/** The "connection attempt delay" that RFC 8305 recommends, in milliseconds. */
export const DEFAULT_ATTEMPT_DELAY_MS = 250

/** The same addresses, kinds alternating, beginning with the kind of the first (RFC 8305, section 4). */
export function interleaved(addresses: readonly ResolvedAddress[]): readonly ResolvedAddress[] {
  const first = addresses[0]?.family
  const preferred = addresses.filter(({ family }) => family === first)
  const others = addresses.filter(({ family }) => family !== first)
  const longest = Math.max(preferred.length, others.length)
  return Array.from({ length: longest }, (_, i) => [preferred[i], others[i]])
    .flat()
    .filter((address) => address !== undefined)
}

/**
 * Attempts each of `places` until one succeeds. Suspends until then, and until the other attempts have ended.
 *
 * @returns null if one succeeded, else the errors of all in the order they came
 */
export function* raceAttempts<P>(
  places: readonly P[],
  attempt: (place: P) => Operation<unknown>,
  delayMs: number,
): Generator<Suspension, readonly Error[] | null> {
  const errors: Error[] = []
  const failed = new Set<P>()
  const ended = new WaitQueue(() => ({ what: `an answer from one of ${String(places.length)} addresses` }))
  let underWay = 0
  let succeeded = false

  function* tryOne(place: P): Generator<Suspension, void> {
    try {
      yield* attempt(place)
      succeeded = true
    } catch (error) {
      errors.push(error as Error)
      failed.add(place)
    } finally {
      underWay--
      ended.wakeAll()
    }
  }
  function* whileItMaySucceed(place: P): Generator<Suspension, void> {
    while (!succeeded && !failed.has(place)) yield* ended.wait()
  }

  yield* taskGroup(function* (group) {
    for (const place of places) {
      underWay++
      group.createTask(tryOne(place), { name: 'connection attempt' })
      yield* timeoutOr(delayMs, whileItMaySucceed(place), undefined)
      if (succeeded) break
    }
    while (!succeeded && underWay > 0) yield* ended.wait()
    for (const task of group.tasks) task.cancel({ reason: 'another address answered first' })
  })
  return succeeded ? null : errors
}
