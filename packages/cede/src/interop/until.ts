/**
 * Promises in coroutines: waiting for one, and stopping what makes it when the wait is cancelled.
 *
 * A promise goes on whether or not its wait has begun, and one that is rejected while nobody listens ends the process.
 * So it is listened to from the moment it is given, and what comes of it is kept for the wait. A rejection that no wait
 * has been begun for, and that no task has taken over, is like the failure of a task that nobody waits for: it is told
 * when everybody had the chance to take it.
 */
import { checkedCallback } from '../core/checked-callback.ts'
import { cancelledError } from '../core/errors.ts'
import { Leaf } from '../core/leaf.ts'
import { isLibraryOperation, wrongArgument } from '../core/misuse.ts'
import { answerProbe, isProbe, RETURN_PROBE } from '../core/probe.ts'
import type { Runner } from '../core/runner.ts'
import { announce, running } from '../core/running.ts'
import type { Scope } from '../core/scope.ts'
import type { Coroutine, Suspension, WaitDescription } from '../core/suspension.ts'
import { takenBy } from '../core/taken.ts'
import { isTask, type Task } from '../core/task.ts'
import { newAbortController } from './abort-signal.ts'

export interface UntilOptions<T> {
  /**
   * Given the value of a promise that settles after the wait was cancelled, or whose wait was cancelled before it began,
   * so that a socket or file that comes late can be closed. Without it the value is dropped. A late rejection is dropped
   * in any case. It is not told of a wait that is made and then forgotten: neither begun nor given to a task.
   */
  readonly onLate?: ((value: T) => void) | undefined
}

const FOR_PROMISES_ONLY = '`until` is for promises: write `yield* operation` for an operation'

type Settled<T> = { readonly value: T } | { readonly error: unknown }

class Until<T> extends Leaf<T> {
  readonly #source: PromiseLike<T> | ((signal: AbortSignal) => PromiseLike<T>)
  readonly #onLate: ((value: T) => void) | undefined
  #controller: AbortController | null = null
  /** Set while parked. */
  #task: Task | null = null
  /** What came of the promise, for the wait. */
  #settled: Settled<Awaited<T>> | null = null
  /** The promise is listened to. */
  #listening = false
  #begun = false
  /** The wait was cancelled: what comes is late. */
  #over = false
  /** Somebody has it, and begins the wait later on or drops it. */
  #held = false
  #runner: Runner | null

  constructor(
    source: PromiseLike<T> | ((signal: AbortSignal) => PromiseLike<T>),
    onLate?: (value: T) => void,
  ) {
    super()
    this.#source = source
    this.#onLate = onLate
    this.#runner = running.runner
    // Outside of a run there is nobody to tell of a rejection: there the engine does, unless a task has it in time.
    if (this.#runner !== null) this.#listenEarly()
  }

  override [Symbol.iterator](): this {
    super[Symbol.iterator]()
    this.#listenEarly()
    return this
  }

  next(value?: unknown): IteratorResult<Suspension, T> {
    if (isProbe(value)) return answerProbe()
    const settled = this.#settled
    if (settled === null || !this.#begun) {
      if (this.#task !== null && this.#task !== running.task) return takenBy(this.#task, 'a promise')
      // Announced first: outside a task the promise must not be begun.
      const announced = announce(this)
      this.#begin()
      return announced
    }
    if ('error' in settled) throw settled.error
    return { done: true, value: settled.value }
  }

  /** A cancel leaves the wait here, whether or not it has begun. */
  override return(value?: unknown): IteratorResult<Suspension, T> {
    if (value !== RETURN_PROBE) this.drop()
    return super.return(value)
  }

  /** Also in a cancelled scope the promise is listened to: what comes of it is late then, and not unhandled. */
  #begin(): void {
    if (this.#begun) return
    this.#begun = true
    this.#runner = running.runner
    let promise = this.#source
    if (typeof promise === 'function') {
      // In a cancelled scope nothing is started: nobody would wait for it.
      const task = running.task!
      if (task.target !== null) return
      promise = this.#start(promise)
      // The function itself may cancel the scope: this wait is then never parked on.
      if ((task.target as Scope | null) !== null) this.unpark(task)
    }
    this.#listen(promise)
  }

  #start(source: (signal: AbortSignal) => PromiseLike<T>): PromiseLike<T> {
    this.#controller = newAbortController()
    try {
      const promise = source(this.#controller.signal)
      if (typeof (promise as Partial<PromiseLike<T>> | undefined)?.then !== 'function') {
        throw wrongArgument('until()', 'a function that returns a promise', promise, FOR_PROMISES_ONLY)
      }
      return promise
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #listenEarly(): void {
    if (!this.#listening && isEager(this.#source)) this.#listen(this.#source)
  }

  #listen(promise: PromiseLike<T>): void {
    if (this.#listening) return
    this.#listening = true
    // A thenable may call back at once; a promise never does.
    void Promise.resolve(promise).then(
      (value) => this.#settle({ value }),
      (error: unknown) => this.#settle({ error }),
    )
  }

  park(task: Task): void {
    if (this.#settled === null) this.#task = task
    else task.resume(undefined)
  }

  #settle(settled: Settled<Awaited<T>>): void {
    if (this.#over) {
      this.#late(settled)
      return
    }
    const task = this.#task
    this.#task = null
    this.#settled = settled
    if (task !== null) task.resume(undefined)
    else if ('error' in settled && !this.outcomeRead) this.#runner?.loop.noteFailure(this)
  }

  /** From the loop: it may come in the middle of the step that drops the wait. */
  #late(settled: Settled<Awaited<T>>): void {
    const given = this.#onLate
    const runner = this.#runner
    if (given === undefined || runner === null || 'error' in settled) return
    const onLate = (): void => given(settled.value)
    runner.loop.callSoonIn({ runner, context: null, captured: null }, onLate)
  }

  unpark(task: Task): void {
    this.#task = null
    this.#over = true
    const controller = this.#controller
    if (controller === null) return
    const reason = task.target?.reason
    task.runner.loop.callSoonIn({ runner: task.runner, context: null, captured: null }, () => {
      controller.abort(reason instanceof Error ? reason : cancelledError('the wait for a promise', reason))
    })
  }

  /** @internal Nobody will receive what comes of the promise: it is late. */
  drop(): void {
    this.#over = true
    this.#runner ??= running.runner
    const settled = this.#settled
    this.#settled = null
    if (settled !== null) this.#late(settled)
  }

  /** @internal Whoever holds it begins the wait later on, or drops it. */
  hold(): void {
    this.#held = true
  }

  /** @internal Somebody has it, and receives what comes of the promise. */
  get outcomeRead(): boolean {
    return this.claimed || this.#held
  }

  /** @internal */
  reportLost(): void {
    const { error } = this.#settled as { readonly error: unknown }
    this.#runner!.report({
      message: 'a promise that was given to until() was rejected, and nobody waits for it',
      error,
    })
  }

  describe(): WaitDescription {
    return { what: 'a promise' }
  }
}

/**
 * A promise as the engine makes them, of whatever realm: it has begun, and may be rejected unheard. False for what may
 * begin only when it is asked, as queries of some databases do.
 */
function isEager<T>(
  source: PromiseLike<T> | ((signal: AbortSignal) => PromiseLike<T>),
): source is Promise<T> {
  return (
    Object.prototype.toString.call(source) === '[object Promise]' && source.constructor.name === 'Promise'
  )
}

/**
 * Waits for a promise. Always suspends.
 *
 * What comes of a promise before the wait begins is kept for it, a rejection as well: it is thrown where the wait is. If
 * the wait is cancelled, a rejection is dropped. If it is made and then forgotten, neither begun nor given to a task, a
 * rejection is told to the exception handler.
 *
 * @param source a promise, or a function that is given an `AbortSignal` and returns one; the signal is aborted when
 *   the wait is cancelled
 * @param options.onLate is given the value if the promise settles after the wait was cancelled
 * @returns the value of the promise
 * @throws what the promise was rejected with; {MisuseError} at the call, if `source` is neither, or `onLate` is no plain
 *   function
 *
 * @example
 * import { run, until } from 'cede'
 *
 * await run(function* () {
 *   console.log(yield* until(Promise.resolve(42)))
 * })
 */
export function until<T>(
  source: PromiseLike<T> | ((signal: AbortSignal) => PromiseLike<T>),
  options?: UntilOptions<T>,
): Coroutine<Awaited<T>> {
  if (
    typeof source !== 'function' &&
    (typeof (source as Partial<PromiseLike<T>> | undefined)?.then !== 'function' ||
      (isLibraryOperation(source) && !isTask(source)))
  ) {
    throw wrongArgument('until()', 'a promise', source, FOR_PROMISES_ONLY)
  }
  const onLate = options?.onLate
  if (onLate !== undefined) checkedCallback('until()', onLate, 'onLate')
  return new Until<T>(source, onLate) as unknown as Coroutine<Awaited<T>>
}
