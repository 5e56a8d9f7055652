/** Work that comes again at fixed times. */
import { coroutine, operationFrom } from '../core/coroutine.ts'
import { wrongArgument } from '../core/misuse.ts'
import type { Coroutine, Operation, Suspension } from '../core/suspension.ts'
import { requireInterval, ticker, type TickerOptions, type Turn } from './ticker.ts'

/**
 * Calls `body` every `intervalMs` milliseconds, one call after the other, until it returns `false` or the task is
 * cancelled. It keeps its phase: turns have their times, counted from the beginning, and a body that takes long does not
 * move them. Turns that pass while it still runs are missed; the next is told how many.
 *
 * An error of the body ends it. To go on, catch it in the body.
 *
 * @param intervalMs milliseconds, above 0
 * @param body is given the turn, and returns an operation
 * @param options whether the first turn is at once; by default it is after an interval
 * @throws what the body throws; at the call {RangeError} if `intervalMs` is no finite number above 0, {MisuseError} if
 *   `body` is no function
 *
 * Suspends until the turns come, and where the body does.
 *
 * @example
 * import { every, run, sleep } from 'cede'
 *
 * await run(function* () {
 *   yield* every(20, function* ({ number, missed }) {
 *     console.log(`turn ${number}, ${missed} missed`)
 *     if (number === 1) yield* sleep(50)
 *     return number < 5
 *   })
 * })
 */
export function every(
  intervalMs: number,
  body: (turn: Turn) => Operation<unknown>,
  options?: TickerOptions,
): Coroutine<void> {
  requireInterval('every()', intervalMs)
  if (typeof body !== 'function') {
    throw wrongArgument('every()', 'a function that is called each time', body, 'pass a `function* () {}`')
  }
  return repeat(intervalMs, body, options)
}

const repeat = coroutine(
  'every',
  function* (
    intervalMs: number,
    body: (turn: Turn) => Operation<unknown>,
    options: TickerOptions | undefined,
  ): Generator<Suspension, void> {
    const ticks = ticker(intervalMs, options)
    for (;;) {
      const turn = yield* ticks.tick()
      if ((yield* operationFrom('every(): what the function returned', body(turn))) === false) return
    }
  },
)
