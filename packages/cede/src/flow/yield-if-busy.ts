/** Long computations, and everybody else. */
import { awaited, nameOf } from '../core/misuse.ts'
import { answerProbe, answerReturn, PROBE } from '../core/probe.ts'
import type { Entry } from '../core/ready-queue.ts'
import { announce, cannotSuspend, NOTHING, running } from '../core/running.ts'
import type { Coroutine, Suspension, Wait, WaitDescription } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'

/**
 * Ends the turn of the loop, so that the host can tell what it has (sockets), and goes on only after a pass: due timers
 * act at the end of the next one.
 */
class TurnEnd implements Wait, Entry {
  #task: Task | null = null

  park(task: Task): void {
    this.#task = task
    const { loop } = task.runner
    loop.noteLongStep()
    loop.schedule(this)
  }

  unpark(): void {
    this.#task = null
  }

  run(): void {
    this.#task?.wake()
  }

  describe(): WaitDescription {
    return { what: 'its turn, in a long computation' }
  }
}

/**
 * Keeps nothing: a second look after it has given way finds that the step has just begun. So one object does for all
 * calls, and a call costs no more than a look at the clock.
 */
class YieldIfBusy implements Iterator<Suspension, void, unknown> {
  readonly #budgetMs: number

  constructor(budgetMs: number) {
    this.#budgetMs = budgetMs
  }

  [Symbol.iterator](): this {
    return this
  }

  next(value?: unknown): IteratorResult<Suspension, void> {
    if (value === PROBE) return answerProbe()
    if (running.announced !== NOTHING) throw cannotSuspend()
    const { loop } = running.runner!
    // Between clock readings of the loop lie less than a turn's time, so this is when the step began, nearly.
    const busy = loop.time() - loop.now() >= this.#budgetMs
    return busy || running.credit <= 0 ? announce(new TurnEnd()) : { done: true, value: undefined }
  }

  throw(error: unknown): IteratorResult<Suspension, void> {
    throw error
  }

  return(value?: unknown): IteratorResult<Suspension, void> {
    return answerReturn(value as undefined)
  }

  /** Real, so that `await` fails loudly where types were not checked. */
  then(_resolve: unknown, reject?: (reason: unknown) => unknown): never {
    reject?.(awaited('yieldIfBusy()'))
    return undefined as never
  }

  nameForMessages(): string {
    return 'yieldIfBusy()'
  }
}

const DEFAULT_BUDGET_MS = 5
const usual = new YieldIfBusy(DEFAULT_BUDGET_MS)

/**
 * For long computations: lets others run, tasks and the host's events, if the task has computed for `budgetMs` without a
 * wait, and else goes on at once. Also the place where such a task can be cancelled. Call it every so often; a call costs
 * about as much as reading the clock.
 *
 * Suspends only if the time is spent, or its scope is cancelled.
 *
 * @param budgetMs milliseconds; default: 5
 * @throws {RangeError} at the call, if `budgetMs` is negative or not a number
 *
 * @example
 * import { run, yieldIfBusy } from 'cede'
 *
 * await run(function* () {
 *   let sum = 0
 *   for (let i = 1; i <= 1_000_000; i++) {
 *     sum += i
 *     if (i % 1_000 === 0) yield* yieldIfBusy()
 *   }
 *   console.log(sum)
 * })
 */
export function yieldIfBusy(budgetMs: number = DEFAULT_BUDGET_MS): Coroutine<void> {
  if (budgetMs === DEFAULT_BUDGET_MS) return usual
  if (!(typeof budgetMs === 'number' && budgetMs >= 0)) {
    throw new RangeError(
      `yieldIfBusy(): budgetMs was expected to be 0 or more milliseconds, found ${nameOf(budgetMs)}`,
    )
  }
  return new YieldIfBusy(budgetMs)
}
