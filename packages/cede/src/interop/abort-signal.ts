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
  const controller = newAbortController()
  signals.set(scope, controller.signal)
  abortWith(scope, controller)
  return controller.signal
}

/** The part of Node's `events` that is used here; other hosts have none, and do not count listeners. */
interface NodeEvents {
  setMaxListeners?(count: number, target: AbortSignal): void
}
type HostProcess = { getBuiltinModule?(id: string): NodeEvents | undefined } | undefined
const events = (globalThis as { process?: HostProcess }).process?.getBuiltinModule?.('node:events')

/**
 * With a signal that any number of listeners may wait for: it lives as long as a scope or a wait, and they go with it.
 * Node would warn from the eleventh on.
 */
export function newAbortController(): AbortController {
  const controller = new AbortController()
  events?.setMaxListeners?.(0, controller.signal)
  return controller
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

/** Who waits for a signal: all of them stand behind one listener. */
class Listeners {
  static readonly #of = new WeakMap<AbortSignal, Listeners>()

  readonly #signal: AbortSignal
  readonly #scopes = new Set<() => void>()
  readonly #abort = (): void => {
    for (const abort of [...this.#scopes]) abort()
  }

  private constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  static of(signal: AbortSignal): Listeners {
    let listeners = Listeners.#of.get(signal)
    if (listeners === undefined) {
      listeners = new Listeners(signal)
      Listeners.#of.set(signal, listeners)
    }
    return listeners
  }

  add(abort: () => void): void {
    if (this.#scopes.size === 0) this.#signal.addEventListener('abort', this.#abort, { once: true })
    this.#scopes.add(abort)
  }

  remove(abort: () => void): void {
    if (this.#scopes.delete(abort) && this.#scopes.size === 0)
      this.#signal.removeEventListener('abort', this.#abort)
  }
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
    else Listeners.of(this.#signal).add(this.#abort)
    super.makeBody()
  }

  override leave(): void {
    Listeners.of(this.#signal).remove(this.#abort)
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
 * @param signal one listener is added, for all bodies that run until it, and removed when the last of them has ended
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
