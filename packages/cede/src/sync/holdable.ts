/** What tasks take and give back: a lock, a permit, a token. `Acquire` and `Holding` do for all of them what is alike. */
import type { Task } from '../core/task.ts'
import type { Waiting } from '../core/wait-queue.ts'

export interface Holdable {
  /** @internal Takes it for `task` if that is possible at once. */
  takeFor(task: Task): boolean
  /** @internal A place in the line of those who wait for it: whoever is woken there holds it. */
  place(): Waiting<void>
  /** @internal Takes it back from a body that ends. Must not throw: a body may end by being cancelled. */
  giveBack(task: Task): void
}
