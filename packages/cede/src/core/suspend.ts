/** The way for library authors to make an operation out of a `Wait` of their own. */
import { Leaf } from './leaf.ts'
import { answerProbe, isProbe } from './probe.ts'
import { announce, running } from './running.ts'
import { steppedByHand } from './misuse.ts'
import type { Coroutine, Suspension, Wait, WaitDescription } from './suspension.ts'
import { takenBy } from './taken.ts'
import type { Task } from './task.ts'

class Suspend<T> extends Leaf<T> {
  readonly #wait: Wait
  #task: Task | null = null

  constructor(wait: Wait) {
    super()
    this.#wait = wait
  }

  next(value?: unknown): IteratorResult<Suspension, T> {
    if (isProbe(value)) return answerProbe()
    if (this.#task === null) return announce(this)
    if (this.#task !== running.task) return takenBy(this.#task, this.describe().what)
    if (this.#task.status !== 'running') throw steppedByHand('a wait')
    return { done: true, value: value as T }
  }

  park(task: Task): void {
    this.#task = task
    this.#wait.park(task)
  }

  unpark(task: Task): void {
    this.#wait.unpark(task)
  }

  describe(): WaitDescription {
    return this.#wait.describe()
  }

  /** @internal */
  blocker(asking: Task): Task | null {
    return this.#wait.blocker?.(asking) ?? null
  }
}

/**
 * Suspends the task on `wait`, which must end it by exactly one `task.resume`, `task.fail` or `task.wake`.
 *
 * @returns the value given to `task.resume`
 * @throws the error given to `task.fail`
 *
 * Always suspends.
 */
export function suspend<T>(wait: Wait): Coroutine<T> {
  return new Suspend<T>(wait)
}
