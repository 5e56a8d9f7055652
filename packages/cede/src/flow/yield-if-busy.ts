/** Long computations, and everybody else. */
import { Leaf } from '../core/leaf.ts'
import { nameOf, steppedByHand, wrongNumber } from '../core/misuse.ts'
import { answerProbe, isProbe } from '../core/probe.ts'
import type { Entry } from '../core/ready-queue.ts'
import { announce, cannotSuspend, NOTHING, running } from '../core/running.ts'
import type { Coroutine, Suspension, WaitDescription } from '../core/suspension.ts'
import { takenBy } from '../core/taken.ts'
import type { Task } from '../core/task.ts'

/**
 * Ends the turn of the loop, so that the host can tell what it has (sockets), and goes on only after a pass: due timers
 * act at the end of the next one.
 *
 * It gives way once and then goes on, whatever the clock says: in a crowd of long steps the last reading is always old.
 */
class YieldIfBusy extends Leaf<void> implements Entry {
  readonly #budgetMs: number
  #task: Task | null = null

  constructor(budgetMs: number) {
    super()
    this.#budgetMs = budgetMs
  }

  next(value?: unknown): IteratorResult<Suspension, void> {
    if (isProbe(value)) return answerProbe()
    const task = this.#task
    if (task === null) {
      if (running.announced !== NOTHING) throw cannotSuspend()
      const { loop } = running.runner!
      // The loop reads its clock every few steps, so this is when the step began, or one that ran shortly before.
      const busy = loop.time() - loop.now() >= this.#budgetMs
      if (busy || running.credit <= 0) return announce(this)
    } else {
      if (task !== running.task) return takenBy(task, this.describe().what)
      if (task.status !== 'running' || task.waiting !== null) throw steppedByHand('yieldIfBusy()')
      // What others have spent since the last reading is not counted as this step's at the next call.
      task.runner.loop.noteLongStep()
    }
    return { done: true, value: undefined }
  }

  park(task: Task): void {
    this.#task = task
    const { loop } = task.runner
    loop.noteLongStep()
    loop.schedule(this)
  }

  unpark(): void {}

  run(): void {
    const task = this.#task!
    // Else it was cancelled meanwhile.
    if (task.waiting === this) task.wake()
  }

  describe(): WaitDescription {
    return { what: 'its turn, in a long computation' }
  }

  override nameForMessages(): string {
    return 'yieldIfBusy()'
  }
}

const DEFAULT_BUDGET_MS = 5

/**
 * For long computations: lets others run, tasks and the host's events, if the task has computed for `budgetMs` without a
 * wait, and else goes on at once. Also the place where such a task can be cancelled. Call it every so often; a call costs
 * about as much as reading the clock.
 *
 * Suspends only if the time is spent, once, or its scope is cancelled. The time begins with the task's step, or shortly
 * before: others' steps of that moment may be counted in.
 *
 * @param budgetMs milliseconds; 0: it always gives way; default: 5
 * @throws at the call {RangeError} if `budgetMs` is negative or NaN, {MisuseError} if it is no number
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
  if (!(typeof budgetMs === 'number' && budgetMs >= 0)) {
    throw wrongNumber(
      budgetMs,
      `yieldIfBusy(): budgetMs was expected to be 0 or more milliseconds, found ${nameOf(budgetMs)}`,
    )
  }
  return new YieldIfBusy(budgetMs)
}
