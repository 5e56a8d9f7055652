/**
 * Timeouts: a scope with a deadline. The body runs in the caller's own task; when the deadline comes it is unwound, and
 * only then the caller gets its `TimeoutError`. A value that the body has produced is never thrown away for a deadline.
 */
import { InvalidStateError, TimeoutError, cancelledError, withoutStack } from '../core/errors.ts'
import { RETURNED, THREW } from '../core/frame.ts'
import { MisuseError } from '../core/errors.ts'
import { requireNumber } from '../core/loop.ts'
import { nameOf } from '../core/misuse.ts'
import type { Entry } from '../core/ready-queue.ts'
import { BodyScope, type CancelScope } from '../core/scope.ts'
import type { Body, Coroutine, Suspension } from '../core/suspension.ts'
import { Timer } from '../core/timers.ts'

/** What the body of a timeout is given: its deadline, to read, move and disable. */
export interface TimeoutScope extends CancelScope {
  /** Loop time in milliseconds when the body will be cut; `Infinity`: never. Settable while the body runs. */
  deadlineMs: number
  /**
   * Moves the deadline to `ms` milliseconds from now; `Infinity` disables it.
   *
   * @throws {InvalidStateError} if the body has ended or was cut
   */
  reschedule(ms: number): void
  /** True once the deadline has cut the body. */
  readonly expired: boolean
}

class Deadline extends Timer implements Entry {
  readonly #scope: Timeout<unknown>

  constructor(scope: Timeout<unknown>) {
    super()
    this.#scope = scope
  }

  due(): void {
    this.#scope.task!.runner.loop.ready.push(this)
  }

  run(): void {
    this.#scope.expire(this)
  }
}

class Timeout<T> extends BodyScope<T, TimeoutScope> implements TimeoutScope {
  /** NaN if the deadline was given as a time. */
  readonly #ms: number
  readonly #whenMs: number
  #deadline: Deadline | null = null
  expired = false

  constructor(ms: number, whenMs: number, body: Body<T, [scope: TimeoutScope]>) {
    super(body)
    this.#ms = ms
    this.#whenMs = whenMs
  }

  protected override act(): string {
    return 'timeout()'
  }

  override makeBody(): void {
    const { loop } = this.task!.runner
    const ms = this.#ms
    if (ms <= 0 || this.#whenMs <= loop.now()) {
      this.expire(null)
    } else if (ms !== Infinity && this.#whenMs !== Infinity) {
      const deadline = new Deadline(this)
      this.#deadline = deadline
      if (Number.isNaN(ms)) loop.armAt(deadline, this.#whenMs, 'timeoutAt()')
      else loop.arm(deadline, ms, 'timeout()')
    }
    super.makeBody()
  }

  override leave(): void {
    this.#disarm()
    super.leave()
  }

  #disarm(): void {
    const deadline = this.#deadline
    if (deadline === null) return
    this.#deadline = null
    this.task!.runner.loop.timers.disarm(deadline)
  }

  get deadlineMs(): number {
    return this.#deadline?.deadlineMs ?? (this.expired ? this.#expiredAtMs : Infinity)
  }
  #expiredAtMs = Infinity

  set deadlineMs(whenMs: number) {
    this.#requireOpen('deadlineMs')
    requireNumber(whenMs, 'a time', 'deadlineMs')
    this.#disarm()
    const { loop } = this.task!.runner
    this.#deadline = new Deadline(this)
    loop.armAt(this.#deadline, whenMs, 'deadlineMs')
  }

  reschedule(ms: number): void {
    this.#requireOpen('reschedule()')
    requireNumber(ms, 'a duration', 'reschedule()')
    this.#disarm()
    const { loop } = this.task!.runner
    this.#deadline = new Deadline(this)
    loop.arm(this.#deadline, ms, 'reschedule()')
  }

  #requireOpen(act: string): void {
    const found = this.task === null ? 'not begun' : this.expired ? 'expired' : this.ended ? 'ended' : null
    if (found !== null)
      throw new InvalidStateError(`${act}: an open timeout was expected, found one that has ${found}`)
  }

  /** The deadline has come. One that was moved while it stood in the ready queue is not the one that counts. */
  expire(deadline: Deadline | null): void {
    if (deadline !== this.#deadline || this.ended || this.cancelled) return
    this.#deadline = null
    this.#expiredAtMs = deadline?.deadlineMs ?? this.task!.runner.loop.now()
    this.expired = true
    this.cancel({ reason: this.#error() })
  }

  #error(): TimeoutError {
    const within = Number.isNaN(this.#ms) ? 'by its deadline' : `within ${String(this.#ms)} ms`
    const waited = this.task!.waitsFor()
    const found = waited === null ? 'was not done' : `still waited for ${waited.what}`
    return withoutStack(
      () =>
        new TimeoutError(
          `timeout: the body was expected to end ${within}, and ${found}`,
          Number.isNaN(this.#ms) ? undefined : this.#ms,
        ),
    )
  }

  override settleUnwound(): void {
    this.state = THREW
    this.outcome = this.expired ? this.reason : cancelledError('a timeout scope', this.reason)
  }

  override next(value?: unknown): IteratorResult<Suspension, T> {
    // The parent fetches the outcome below its own `yield*`, so the stack that is captured here is the parent's.
    if (this.state === THREW && this.expired && this.outcome === this.reason) {
      // eslint-disable-next-line @typescript-eslint/unbound-method -- names the frame to leave out, is not called
      Error.captureStackTrace?.(this.outcome as Error, Timeout.prototype.next)
    }
    return super.next(value)
  }
}

/**
 * Runs `body` and returns its value, but not for longer than `ms` milliseconds: then it is unwound, and a
 * `TimeoutError` thrown. If several nested timeouts expire together, the outermost reports.
 *
 * Runs in the caller's task; suspends only where the body does.
 *
 * @param ms milliseconds; 0 or less cuts the body at its first wait; `Infinity`: never
 * @param body an operation, or a function that is given the scope and returns one
 * @returns the value of the body
 * @throws {TimeoutError} after the body has unwound
 * @throws {CancelledError} if the body was cut by `scope.cancel()`: there is no value, and the time was not up (a
 *   `withScope` that is cancelled returns `undefined`)
 * @throws {MisuseError} at the call, if `ms` is not a number
 *
 * @example
 * import { run, sleep, timeout, TimeoutError } from 'cede'
 *
 * await run(function* () {
 *   try {
 *     yield* timeout(10, sleep(1_000))
 *   } catch (error) {
 *     console.log(error instanceof TimeoutError)
 *   }
 * })
 */
export function timeout<T>(ms: number, body: Body<T, [scope: TimeoutScope]>): Coroutine<T> {
  return new Timeout<T>(checkedMs('timeout()', ms), NaN, body) as unknown as Coroutine<T>
}

/**
 * `timeout` with an absolute deadline.
 *
 * @param whenMs a time of the loop's clock in milliseconds, as `loop.time()` gives it
 * @param body an operation, or a function that is given the scope and returns one
 * @throws {TimeoutError} after the body has unwound
 * @throws {CancelledError} if the body was cut by `scope.cancel()`
 * @throws {MisuseError} at the call, if `whenMs` is not a number
 */
export function timeoutAt<T>(whenMs: number, body: Body<T, [scope: TimeoutScope]>): Coroutine<T> {
  return new Timeout<T>(NaN, checkedMs('timeoutAt()', whenMs), body) as unknown as Coroutine<T>
}

class TimeoutOr<T, F> extends Timeout<T> {
  readonly #fallback: F

  constructor(ms: number, body: Body<T, [scope: TimeoutScope]>, fallback: F) {
    super(ms, NaN, body)
    this.#fallback = fallback
  }

  override settleUnwound(): void {
    if (!this.expired) {
      super.settleUnwound()
      return
    }
    this.state = RETURNED
    this.outcome = this.#fallback
  }
}

/**
 * `timeout` that returns `fallback` instead of throwing.
 *
 * @param ms milliseconds; 0 or less cuts the body at its first wait
 * @param body an operation, or a function that is given the scope and returns one
 * @param fallback what is returned if the deadline has cut the body
 * @throws {CancelledError} if the body was cut by `scope.cancel()`
 * @throws {MisuseError} at the call, if `ms` is not a number
 *
 * @example
 * import { run, sleep, timeoutOr } from 'cede'
 *
 * await run(function* () {
 *   console.log(yield* timeoutOr(10, sleep(1_000, 'slept'), 'gave up'))
 * })
 */
export function timeoutOr<T, F>(
  ms: number,
  body: Body<T, [scope: TimeoutScope]>,
  fallback: F,
): Coroutine<T | F> {
  return new TimeoutOr<T, F>(checkedMs('timeoutOr()', ms), body, fallback) as unknown as Coroutine<T | F>
}

function checkedMs(act: string, ms: unknown): number {
  if (typeof ms === 'number' && !Number.isNaN(ms)) return ms
  throw new MisuseError(`${act}: a number of milliseconds was expected, found ${nameOf(ms)}`)
}
