/** Functions that act on whatever runs right now: the loop, its tasks, a new task. */
import { Loop } from './loop.ts'
import type { Operation } from './suspension.ts'
import type { Task, TaskOptions } from './task.ts'

/**
 * Starts a task in the background of the current run. It begins in the next pass; the run ends only when it has ended,
 * and cancels it if the main ends first. If it fails and nobody waits for it, the exception handler is told at the end
 * of the turn.
 *
 * Does not suspend.
 *
 * @param operation a coroutine or any other operation
 * @param options name, eager start, context variables
 * @returns the task: an operation that any number of tasks may wait for, and awaitable from async functions
 * @throws {MisuseError} if `operation` is none, or was used before
 * @throws {ClosedError} outside of coroutines and callbacks of the loop, also in a callback of the host while a run is going
 *   on: there, `group.createTask` of a task group works
 *
 * @example
 * import { createTask, run, sleep } from 'cede'
 *
 * await run(function* () {
 *   const task = createTask(sleep(10, 'done'))
 *   console.log(yield* task)
 * })
 */
export function createTask<T>(operation: Operation<T>, options?: TaskOptions): Task<T> {
  return Loop.currentRunner('createTask()').createTask(operation, options, 'createTask()')
}

/**
 * The loop of the running coroutine or callback.
 *
 * @throws {ClosedError} outside a running loop
 */
export function getRunningLoop(): Loop {
  return Loop.currentRunner('getRunningLoop()').loop
}

/**
 * The tasks of the running loop that have not ended, oldest first within each run.
 *
 * @throws {ClosedError} outside a running loop
 */
export function allTasks(): Task[] {
  return [...Loop.currentRunner('allTasks()').loop.tasks()]
}
