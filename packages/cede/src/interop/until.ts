/** Promises in coroutines: waiting for one, and stopping what makes it when the wait is cancelled. */
import { cancelledError } from '../core/errors.ts'
import { Leaf } from '../core/leaf.ts'
import { isLibraryOperation, wrongArgument } from '../core/misuse.ts'
import { answerProbe, PROBE } from '../core/probe.ts'
import type { Runner } from '../core/runner.ts'
import { announce, running } from '../core/running.ts'
import type { Scope } from '../core/scope.ts'
import type { Coroutine, Suspension, WaitDescription } from '../core/suspension.ts'
import { takenBy } from '../core/taken.ts'
import { isTask, type Task } from '../core/task.ts'

export interface UntilOptions<T> {
  /**
   * Given the value of a promise that settles after the wait was cancelled, so that a socket or file that comes late
   * can be closed. Without it the value is dropped. A late rejection is dropped in any case.
   */
  readonly onLate?: ((value: T) => void) | undefined
}

const FOR_PROMISES_ONLY = '`until` is for promises: write `yield* operation` for an operation'

class Until<T> extends Leaf<T> {
  readonly #source: PromiseLike<T> | ((signal: AbortSignal) => PromiseLike<T>)
  readonly #onLate: ((value: T) => void) | undefined
  #controller: AbortController | null = null
  /** Set while parked; a promise that settles later finds null. */
  #task: Task | null = null
  #settled: { value: T } | { error: unknown } | null = null
  #begun = false
  #runner: Runner | null = null

  constructor(
    source: PromiseLike<T> | ((signal: AbortSignal) => PromiseLike<T>),
    onLate?: (value: T) => void,
  ) {
    super()
    this.#source = source
    this.#onLate = onLate
  }

  next(value?: unknown): IteratorResult<Suspension, T> {
    if (value === PROBE) return answerProbe()
    const settled = this.#settled
    if (settled === null) {
      if (this.#task !== null && this.#task !== running.task) return takenBy(this.#task, 'a promise')
      // Announced first: outside a task the promise must not be begun.
      const announced = announce(this)
      this.#begin()
      return announced
    }
    if ('error' in settled) throw settled.error
    return { done: true, value: settled.value }
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
    // A thenable may call back at once; a promise never does.
    void Promise.resolve(promise).then(
      (value) => this.#settle({ value }),
      (error: unknown) => this.#settle({ error }),
    )
  }

  #start(source: (signal: AbortSignal) => PromiseLike<T>): PromiseLike<T> {
    this.#controller = new AbortController()
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

  park(task: Task): void {
    this.#task = task
  }

  #settle(settled: { value: Awaited<T> } | { error: unknown }): void {
    const task = this.#task
    this.#task = null
    if (task !== null) {
      this.#settled = settled
      task.resume(undefined)
    } else if ('value' in settled) {
      this.#late(settled.value)
    }
  }

  #late(value: Awaited<T>): void {
    try {
      this.#onLate?.(value)
    } catch (error) {
      this.#runner?.report({ message: 'onLate of until() threw', error })
    }
  }

  unpark(task: Task): void {
    this.#task = null
    const controller = this.#controller
    if (controller === null) return
    const reason = task.target?.reason
    task.runner.loop.callSoonIn({ runner: task.runner, context: null, captured: null }, () => {
      controller.abort(reason instanceof Error ? reason : cancelledError('the wait for a promise', reason))
    })
  }

  describe(): WaitDescription {
    return { what: 'a promise' }
  }
}

/**
 * Waits for a promise. Always suspends.
 *
 * @param source a promise, or a function that is given an `AbortSignal` and returns one; the signal is aborted when
 *   the wait is cancelled
 * @param options.onLate is given the value if the promise settles after the wait was cancelled
 * @returns the value of the promise
 * @throws what the promise was rejected with; {MisuseError} at the call, if `source` is neither
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
  return new Until<T>(source, options?.onLate) as unknown as Coroutine<Awaited<T>>
}
