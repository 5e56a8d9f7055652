/** Connects one end to an endpoint. */
import { Loop } from '../core/loop.ts'
import type { Suspension } from '../core/suspension.ts'
import type { CallSite } from './call-site.ts'
import type { Endpoint } from './endpoint.ts'
import { ConnectError } from './errors.ts'
import { wrapped, type Policy } from './policy.ts'
import type { ConnectionEnd } from './transport.ts'

/**
 * Suspends until `end` is connected, behind the policies. The connection belongs to the run from then on; if this is
 * cancelled or fails, nothing of it is left.
 *
 * @throws {ConnectError} if it cannot
 */
export function* connected(
  act: string,
  endpoint: Endpoint,
  end: ConnectionEnd,
  policies: readonly Policy[] | undefined,
  site: CallSite,
): Generator<Suspension, void> {
  const runner = Loop.currentRunner(act)
  const disown = runner.own(() => end.close())
  end.onLost = disown
  let complete = false
  try {
    const events = wrapped(policies ?? [], end, runner)
    yield* endpoint.connect((connection) => connection.take(events, runner))
    complete = true
  } catch (error) {
    if (error instanceof ConnectError) site.giveTo(error)
    throw error
  } finally {
    if (!complete) {
      end.abort()
      disown()
    }
  }
}
