/**
 * The one kind of object a coroutine may yield, and the types built on it.
 *
 * A coroutine is a generator that yields only suspensions, and only library code yields them: users write `yield*`
 * in front of an operation, and the operation's iterator yields for them. So everything that can wait is a `Wait`:
 * it is told once when a task parks on it, and promises exactly one later `resume` or `fail`; or it is told that the
 * task was cancelled and forgets it. Locks, timers, sockets and futures differ in nothing else.
 *
 * To users the yielded object is opaque (`Suspension` has a brand and nothing more), so that a bare `yield` of
 * anything else is a compile error in a generator whose return type is written down.
 */
import type { Task } from './task.ts'

/** Its name is what the compiler prints when a value is yielded without the star. */
declare const writeYieldStarInsteadOfYield: unique symbol

/** What a coroutine yields to the loop. Opaque: only operations of the library make one. */
export interface Suspension {
  readonly [writeYieldStarInsteadOfYield]: true
}

/**
 * Anything that `yield*` takes. Parameters use this type; plain generators, coroutines, tasks and futures all fit.
 *
 * Not called "Awaitable": in TypeScript that names something for `await`, and an operation must not be awaited.
 */
export interface Operation<out T> {
  [Symbol.iterator](): Iterator<Suspension, T, unknown>
}

/**
 * What library functions and wrapped functions return: an operation that type checker and linter recognise when its
 * star was forgotten. It runs once.
 */
export interface Coroutine<out T> extends Operation<T> {
  // Two callbacks, because the lint rule that finds floating promises looks for at least two.
  /** @deprecated not awaitable: write `yield*` */
  readonly then?: (writeYieldStar: () => never, orPassItToRun: () => never) => never
}

/** An iterator whose `next` is an operation, for sequences that must be waited for. */
export interface CoroutineIterator<T> {
  /** The next item, or `done` when there are no more. */
  next(): Coroutine<IteratorResult<T, undefined>>
  /** Ends the sequence early and gives back what it holds. */
  return?(): Coroutine<void>
}

/** An operation, or a function that makes one. Generator functions fit as they are. */
export type Body<T, A extends readonly unknown[] = []> = Operation<T> | ((...args: A) => Operation<T>)

/** What a parked task waits for, in words and facts, for dumps and deadlock reports. */
export interface WaitDescription {
  /** What is waited for, e.g. `sleep until 1500 ms`, `future`, `line from 10.0.0.1:4711`. */
  readonly what: string
  /** Who could end the wait: a task that is awaited, the holder of a lock. */
  readonly holders?: readonly Task[] | undefined
  /** Loop time in milliseconds at which the wait ends by itself. */
  readonly deadlineMs?: number | undefined
}

/**
 * The protocol between a suspension and the task that waits on it.
 *
 * Ownership: between `park` and the end of the wait the suspension may hold the task; it ends the wait by exactly one
 * `task.resume(value)`, `task.fail(error)` or `task.wake()`, unless `unpark` comes first.
 */
export interface Wait {
  /** Called once when the yield has reached the loop. */
  park(task: Task): void
  /** The task was cancelled while parked: forget it, at once, synchronously and without running user code. */
  unpark(task: Task): void
  describe(): WaitDescription
  /**
   * For finding cycles: the task that alone can end the wait, the holder of a lock or a task that is awaited; `asking` if
   * the wait is for several tasks of which that is one; else null.
   */
  blocker?(asking: Task): Task | null
}
