/** A scope for a stretch of code that someone may want to stop, and its opposite, a stretch that must not be stopped. */
import { BodyScope, type CancelScope } from '../core/scope.ts'
import type { Body, Coroutine } from '../core/suspension.ts'

class PlainScope<T> extends BodyScope<T, CancelScope> {
  protected override act(): string {
    return 'withScope()'
  }
}

/**
 * Runs `body` in a scope of its own, which `scope.cancel()` stops without stopping the task.
 *
 * Runs in the caller's task; suspends only where the body does.
 *
 * @param body an operation, or a function that is given the scope and returns one
 * @returns the value of the body, or `undefined` if it was cancelled
 *
 * @example
 * import { run, sleep, withScope } from 'cede'
 *
 * await run(function* () {
 *   yield* withScope(function* (scope) {
 *     scope.cancel()
 *     yield* sleep(1_000)
 *   })
 *   console.log('goes on here')
 * })
 */
export function withScope<T>(body: Body<T, [scope: CancelScope]>): Coroutine<T | undefined> {
  return new PlainScope<T>(body) as unknown as Coroutine<T | undefined>
}

class Shield<T> extends BodyScope<T, CancelScope> {
  override shielded = true

  protected override act(): string {
    return 'shield()'
  }
}

/**
 * Holds cancellation from outside back until `body` has ended, in the same task. It may have a timeout of its own
 * inside. A timeout around it expires only after the body has ended, and then the body's value is returned.
 *
 * Suspends only where the body does.
 *
 * @param body an operation, or a function that returns one
 * @returns the value of the body
 *
 * @example
 * import { run, shield, sleep, timeout } from 'cede'
 *
 * await run(function* () {
 *   console.log(yield* timeout(5, shield(sleep(20, 'saved'))))
 * })
 */
export function shield<T>(body: Body<T>): Coroutine<T> {
  return new Shield<T>(body) as unknown as Coroutine<T>
}
