/** Work that is tried again when it fails. */
import { ANSWER_EXPECTED, checkedCallback, refuseReturned } from '../core/checked-callback.ts'
import { coroutine, operationFrom } from '../core/coroutine.ts'
import { MisuseError } from '../core/errors.ts'
import { Loop } from '../core/loop.ts'
import { nameOf, wrongArgument, wrongNumber } from '../core/misuse.ts'
import { seededRandom } from '../core/random.ts'
import { sleep } from '../core/sleep.ts'
import type { Coroutine, Operation, Suspension } from '../core/suspension.ts'

export interface RetryOptions {
  /** How often it is tried, the first time included. `Infinity`: until `withinMs` have passed, or for ever. Default: 5. */
  readonly attempts?: number | undefined
  /** The longest delay before the second attempt, in milliseconds; it doubles with each attempt. Default: 100. */
  readonly delayMs?: number | undefined
  /** What no delay exceeds, in milliseconds. Default: 10,000. */
  readonly maxDelayMs?: number | undefined
  /**
   * How long after the first attempt began another may begin, in milliseconds. An attempt that runs is not cut: for that
   * put a `timeout` into the body, or around all of it. Default: any time.
   */
  readonly withinMs?: number | undefined
  /** Which errors to try again after. Default: all but `MisuseError`, which no attempt can mend. */
  readonly retryIf?: ((error: unknown, attempt: number) => boolean) | undefined
  /** Told before each delay, for logs; `attempt` has just failed. */
  readonly onRetry?: ((error: unknown, attempt: number, delayMs: number) => void) | undefined
  /** Draws the delays from this seed, for tests. Default: `Math.random`. */
  readonly seed?: number | undefined
}

interface Checked {
  readonly attempts: number
  readonly delayMs: number
  readonly maxDelayMs: number
  readonly withinMs: number
  readonly retryIf: (error: unknown, attempt: number) => boolean
  readonly onRetry: RetryOptions['onRetry']
  readonly random: () => number
}

/**
 * Calls `body` until it succeeds, with a growing delay in between.
 *
 * The delay is drawn anew each time, evenly between 0 and a bound that doubles with each attempt ("full jitter"), so that
 * many who failed together do not come back together.
 *
 * @param body is given the number of the attempt, from 1, and returns an operation
 * @param options how often, how long, after which errors
 * @returns the value of the first attempt that succeeds
 * @throws the error of the last attempt, as it is, or what `retryIf` or `onRetry` throws; at the call {RangeError} if a
 *   number is out of range, {MisuseError} if it is no number, `body` no function, or `retryIf` or `onRetry` no plain one
 *
 * Suspends where the body does, and between attempts.
 *
 * @example
 * import { retry, run } from 'cede'
 *
 * await run(function* () {
 *   const answer = yield* retry(
 *     function* (attempt) {
 *       if (attempt < 3) throw new Error('not yet')
 *       return `attempt ${attempt} succeeded`
 *     },
 *     { delayMs: 10, attempts: 5 },
 *   )
 *   console.log(answer)
 * })
 */
export function retry<T>(body: (attempt: number) => Operation<T>, options?: RetryOptions): Coroutine<T> {
  if (typeof body !== 'function') {
    throw wrongArgument(
      'retry()',
      'a function that is called for each attempt',
      body,
      'pass a `function* () {}`',
    )
  }
  return tried(body, checked(options)) as Coroutine<T>
}

const tried = coroutine(
  'retry',
  function* (
    body: (attempt: number) => Operation<unknown>,
    options: Checked,
  ): Generator<Suspension, unknown> {
    const { loop } = Loop.currentRunner('retry()')
    const endMs = loop.time() + options.withinMs
    let boundMs = Math.min(options.maxDelayMs, options.delayMs)
    for (let attempt = 1; ; attempt++) {
      let failure: unknown
      try {
        return yield* operationFrom('retry(): what the function returned', body(attempt))
      } catch (error) {
        if (attempt >= options.attempts || !mayTryAgain(options, error, attempt)) throw error
        failure = error
      }
      const delayMs = options.random() * boundMs
      if (loop.time() + delayMs > endMs) throw failure
      const returned: unknown = options.onRetry?.(failure, attempt, delayMs)
      if (returned !== undefined) refuseReturned('onRetry of retry()', returned)
      yield* sleep(delayMs)
      boundMs = Math.min(options.maxDelayMs, 2 * boundMs)
    }
  },
)

function checked(options: RetryOptions = {}): Checked {
  const { attempts = 5, delayMs = 100, maxDelayMs = 10_000, withinMs = Infinity, seed } = options
  if (attempts !== Infinity && !(Number.isInteger(attempts) && attempts >= 1)) {
    throw wrongNumber(attempts, `retry(): attempts was expected to be 1 or more, found ${nameOf(attempts)}`)
  }
  for (const [name, ms] of Object.entries({ delayMs, maxDelayMs, withinMs })) {
    if (typeof ms === 'number' && ms >= 0) continue
    throw wrongNumber(ms, `retry(): ${name} was expected to be 0 or more milliseconds, found ${nameOf(ms)}`)
  }
  if (delayMs === Infinity) {
    throw new RangeError(
      'retry(): delayMs was expected to be a finite number of milliseconds, found Infinity',
    )
  }
  for (const [name, callback] of Object.entries({ retryIf: options.retryIf, onRetry: options.onRetry })) {
    if (callback !== undefined) checkedCallback('retry()', callback, name)
  }
  return {
    attempts,
    delayMs,
    maxDelayMs,
    withinMs,
    retryIf: options.retryIf ?? mayMend,
    onRetry: options.onRetry,
    random: seed === undefined ? Math.random : seededRandom(seed),
  }
}

function mayTryAgain({ retryIf }: Checked, error: unknown, attempt: number): boolean {
  const answer: unknown = retryIf(error, attempt)
  refuseReturned('retryIf of retry()', answer, ANSWER_EXPECTED)
  return Boolean(answer)
}

function mayMend(error: unknown): boolean {
  return !(error instanceof MisuseError)
}
