/** `acquire()` of a lock or of a permit: takes it, or waits in line. One that is woken holds it already. */
import { GIVE_WAY } from '../core/leaf.ts'
import { announce, mayFinishNow, running } from '../core/running.ts'
import type { Suspension } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import { Waiting, type WaitQueue } from '../core/wait-queue.ts'
import type { Holdable } from './holdable.ts'
import { reportLockCycle } from './lock-cycle.ts'

export const DONE: IteratorReturnResult<void> = Object.freeze({ done: true, value: undefined })

export class Acquire extends Waiting<void> {
  readonly #from: Pick<Holdable, 'takeFor'>

  constructor(from: Pick<Holdable, 'takeFor'>, line: WaitQueue) {
    super(line)
    this.#from = from
  }

  override begin(): IteratorResult<Suspension, void> {
    // A cancelled task takes nothing.
    if (!mayFinishNow()) return announce(GIVE_WAY)
    return this.#from.takeFor(running.task!) ? DONE : announce(this)
  }

  override park(task: Task): void {
    super.park(task)
    reportLockCycle(task)
  }
}
