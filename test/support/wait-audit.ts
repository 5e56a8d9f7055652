/** Watches a loop: every park must end by exactly one resume or unpark, and every task must come to its end. */
import type { Task } from 'cede'
import type { Instrument, Wait } from 'cede/lowlevel'

export class WaitAudit implements Instrument {
  /** What was wrong so far. */
  readonly problems: string[] = []
  readonly #parked = new Map<Task, Wait>()
  readonly #alive = new Set<Task>()
  readonly #mayAbandon: boolean

  constructor(mayAbandonTasks: boolean) {
    this.#mayAbandon = mayAbandonTasks
  }

  taskCreated(task: Task): void {
    this.#alive.add(task)
  }

  stepBegins(task: Task): void {
    const wait = this.#parked.get(task)
    if (wait !== undefined)
      this.problems.push(`task ${task.name} was stepped while parked on ${wait.describe().what}`)
    if (!this.#alive.has(task)) this.problems.push(`task ${task.name} was stepped after its end`)
  }

  parked(task: Task, wait: Wait): void {
    const before = this.#parked.get(task)
    if (before !== undefined) {
      this.problems.push(
        `task ${task.name} parked on ${wait.describe().what} while parked on ${before.describe().what}`,
      )
    }
    this.#parked.set(task, wait)
  }

  resumed(task: Task, wait: Wait): void {
    this.#ended('resumed', task, wait)
  }

  unparked(task: Task, wait: Wait): void {
    this.#ended('unparked', task, wait)
  }

  taskDone(task: Task): void {
    this.#alive.delete(task)
    const wait = this.#parked.get(task)
    if (wait === undefined) return
    this.#parked.delete(task)
    if (!this.#mayAbandon) {
      this.problems.push(`task ${task.name} ended while parked on ${wait.describe().what}`)
    }
  }

  /** What is still under way, as sentences. */
  unended(): string[] {
    return [
      ...[...this.#parked].map(
        ([task, wait]) => `task ${task.name} is still parked on ${wait.describe().what}`,
      ),
      ...[...this.#alive].map((task) => `task ${task.name} has not ended (${task.status})`),
    ]
  }

  #ended(how: string, task: Task, wait: Wait): void {
    const parkedOn = this.#parked.get(task)
    if (parkedOn !== wait) {
      const on = parkedOn === undefined ? 'nothing' : parkedOn.describe().what
      this.problems.push(`task ${task.name} was ${how} from ${wait.describe().what} while parked on ${on}`)
    }
    this.#parked.delete(task)
  }
}
