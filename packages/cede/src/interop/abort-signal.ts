/** `AbortSignal` in both directions: a signal that ends with a scope, and a signal that cancels an operation. */
import { cancelledError } from '../core/errors.ts'
import { THREW } from '../core/frame.ts'
import { wrongArgument } from '../core/misuse.ts'
import { BodyScope, type CancelScope, type Scope } from '../core/scope.ts'
import type { Body, Coroutine } from '../core/suspension.ts'
import { requireTask } from '../core/task.ts'

const signals = new WeakMap<Scope, AbortSignal>()

/**
 * A signal that is aborted when the current scope, or one around it, is cancelled, or when the current scope ends, for
 * functions that take one. Within one scope it is the same signal. It is aborted from the loop, never inside `cancel()`.
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
  abortWith(scope, controller)
  return controller.signal
}

/** A cancel of any scope around this one cancels this one too, up to the first that holds it back. */
function abortWith(scope: Scope, controller: AbortController): void {
  const unhook: (() => void)[] = []
  for (let around: Scope | null = scope; around !== null; around = around.shielded ? null : around.outer) {
    const from = around
    if (from.cancelled) {
      controller.abort(reasonOf(from))
      break
    }
    const abort = (): void => {
      for (const takeBack of unhook) takeBack()
      // The first one counts.
      controller.abort(reasonOf(from))
    }
    unhook.push(from.addHook(abort))
  }
  if (controller.signal.aborted) for (const takeBack of unhook) takeBack()
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
 * @throws {MisuseError} at the call, if `signal` is no `AbortSignal`
 */
export function withSignal<T>(signal: AbortSignal, body: Body<T, [scope: CancelScope]>): Coroutine<T> {
  if (typeof (signal as Partial<AbortSignal> | null | undefined)?.addEventListener !== 'function') {
    throw wrongArgument('withSignal()', 'an AbortSignal', signal, 'pass `controller.signal`')
  }
  return new SignalScope<T>(signal, body) as unknown as Coroutine<T>
}
