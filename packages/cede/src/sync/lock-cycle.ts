/**
 * Finds cycles of locks: tasks each of which waits for a lock that the next one holds, or for the next one to end.
 *
 * Looked for when a task parks on a lock, since that is when a cycle of locks can close; so each cycle is told once.
 * Every wait that one task alone can end has a `blocker`, and the walk follows those, which in a healthy program ends
 * after a step or two: whoever holds a lock is running, ready or waits for the outside world. A wait for all members of a
 * group is asked only whether the task is one of them; several cycles may lie in it, and the first is told.
 *
 * It is a report and no error, because any task may still release one of the locks, and a timeout may end one of the
 * waits.
 *
 * Left out: waits that any of several tasks can end (permits, items), and cycles that lead out of a group by way of
 * another member.
 */
import type { Wait } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'

/** Tells the exception handler if `task`, which has just parked, waits for itself by way of others. */
export function reportLockCycle(task: Task): void {
  // Brent's way of noticing that the walk has come into a circle that `task` is no part of.
  let met: Task | null = null
  let steps = 0
  let limit = 1
  for (let other = blockerOf(task, task); other !== null; other = blockerOf(other, task)) {
    if (other === task) {
      report(task)
      return
    }
    if (other === met) return
    if (++steps === limit) {
      met = other
      limit *= 2
      steps = 0
    }
  }
}

/** Waits of somebody else's making must not break the lock of a third. */
function blockerOf(task: Task, asking: Task): Task | null {
  try {
    return task.waiting?.blocker?.(asking) ?? null
  } catch {
    return null
  }
}

/** Waits that a report has told of, and whom they were for then. */
const told = new WeakMap<Wait, Task>()

function report(task: Task): void {
  const circle = [task]
  for (let other = blockerOf(task, task)!; other !== task; other = blockerOf(other, task)!) circle.push(other)
  const known = circle.some(wasTold)
  const nextOf = (index: number): Task => circle[index + 1] ?? task
  circle.forEach((member, index) => told.set(member.waiting!, nextOf(index)))
  if (known) return
  const links = circle.map((member, index) => link(member, nextOf(index)))
  task.runner.report({
    message:
      `a cycle of locks: ${links.join('; ')}; none of them goes on until somebody else releases a lock, or a cancel or ` +
      'timeout ends one of the waits',
    task,
    stack: circle.map((member) => `${member.describeSelf()}:\n${member.stack()}`).join('\n'),
  })
}

/** A report has told of its wait, which is still for the same task: the one who came into the circle is new there. */
function wasTold(member: Task): boolean {
  const before = told.get(member.waiting!)
  return before !== undefined && blockerOf(member, before) === before
}

function link(task: Task, next: Task): string {
  const { what, holders = [] } = task.waitsFor()!
  const waits = `${task.describeSelf()} waits for ${what}`
  if (what === next.describeSelf()) return waits
  return `${waits}, ${holders.length > 1 ? 'among them' : 'held by'} ${next.describeSelf()}`
}
