/** `AbortSignal` in both directions: a signal that ends with a scope, and a signal that cancels an operation. */
import { cancelledError } from '../core/errors.ts'
import { THREW } from '../core/frame.ts'
import { BodyScope, type CancelScope, type Scope } from '../core/scope.ts'
import type { Body, Coroutine } from '../core/suspension.ts'
import { requireTask } from '../core/task.ts'

const signals = new WeakMap<Scope, AbortSignal>()

/**
 * A signal that is aborted when the current scope is cancelled or ends, for functions that take one. Within one scope
 * it is the same signal. It is aborted from the loop, never inside `cancel()`.
 *
 * Does not suspend.
 *
 * @throws {MisuseError} outside a coroutine
 *
 * @example
 * import { abortSignal, run } from 'cede'
 *
 * await run(function* () {
 *   console.log(abortSignal().aborted)
 * })
 */
export function abortSignal(): AbortSignal {
  const { scope } = requireTask('abortSignal()')
  const known = signals.get(scope)
  if (known !== undefined) return known
  const controller = new AbortController()
  signals.set(scope, controller.signal)
  if (scope.cancelled) controller.abort(reasonOf(scope))
  else scope.addHook(() => controller.abort(reasonOf(scope)))
  return controller.signal
}

function reasonOf(scope: Scope): Error {
  if (!scope.cancelled) return cancelledError('what still used the signal', 'its scope has ended')
  return scope.reason instanceof Error ? scope.reason : cancelledError('a scope', scope.reason)
}

class SignalScope<T> extends BodyScope<T, CancelScope> {
  readonly #signal: AbortSignal
  #bySignal = false
  readonly #abort = (): void => {
    this.#bySignal = true
    this.cancel({ reason: this.#signal.reason as unknown })
  }

  constructor(signal: AbortSignal, body: Body<T, [scope: CancelScope]>) {
    super(body)
    this.#signal = signal
  }

  protected override act(): string {
    return 'withSignal()'
  }

  override makeBody(): void {
    if (this.#signal.aborted) this.#abort()
    else this.#signal.addEventListener('abort', this.#abort, { once: true })
    super.makeBody()
  }

  override leave(): void {
    this.#signal.removeEventListener('abort', this.#abort)
    super.leave()
  }

  override settleUnwound(): void {
    this.state = THREW
    this.outcome = this.#bySignal ? this.#signal.reason : cancelledError('withSignal()', this.reason)
  }
}

/**
 * Runs `body` until `signal` is aborted; then it is unwound, and the signal's reason thrown.
 *
 * Runs in the caller's task; suspends only where the body does.
 *
 * @param signal one listener is added, and removed when the body has ended
 * @param body an operation, or a function that is given the scope and returns one
 * @returns the value of the body
 * @throws the reason of the signal, after the body has unwound
 */
export function withSignal<T>(signal: AbortSignal, body: Body<T, [scope: CancelScope]>): Coroutine<T> {
  return new SignalScope<T>(signal, body) as unknown as Coroutine<T>
}
