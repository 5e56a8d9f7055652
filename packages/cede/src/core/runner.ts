/**
 * A runner: what one `run` owns. Its tasks, where its errors go, how long its cleanup may take.
 *
 * Several runners share a loop; each ends only when all its tasks have ended. `run.ts` builds on this what needs the
 * host: drivers, signals, reports.
 */
import { checkedCallback, checkReturned } from './checked-callback.ts'
import { Context, inheritContext, setEnteredContext, type ContextBridge } from './context.ts'
import { cancelledError, ClosedError, DeadlockError, MisuseError, withoutStack } from './errors.ts'
import type { Future } from './future.ts'
import { printsAs } from './inspect.ts'
import type { Instrument } from './instrument.ts'
import type { Loop } from './loop.ts'
import { running, type Startable } from './running.ts'
import type { Body, Operation } from './suspension.ts'
import { Task, type TaskOptions } from './task.ts'

/** What the exception handler is told: an error that no coroutine can receive, and where it comes from. */
export interface ExceptionContext {
  readonly message: string
  readonly error?: unknown
  readonly task?: Task | undefined
  readonly future?: Future<unknown> | undefined
  /** The error is no bug of the program but came from outside, a peer that is gone: one line tells all there is. */
  readonly fromOutside?: boolean | undefined
  /** A stack that belongs to the report, if it is not that of the error. */
  readonly stack?: string | undefined
  /** In debug mode: where the task was made. */
  readonly createdAt?: string | undefined
  /** In debug mode: the coroutines that the error passed through after the ones in its stack, innermost line first. */
  readonly outerStack?: string | undefined
}

export type ExceptionHandler = (context: ExceptionContext) => void

/** What debug mode watches; core calls it if it is there. */
export interface DebugHooks {
  /** Put onto the loop while the runner has work. */
  readonly instrument: Instrument
  /** A callback of this runner has run for `tookMs` milliseconds. */
  callbackRan(runner: RunnerCore, callback: () => void, tookMs: number): void
  operationMade(operation: Startable): void
  taskCreated(task: Task): void
  taskEnded(task: Task): void
  /** Where the task was made, or undefined if that is not known. */
  createdAt(task: Task): string | undefined
  /** An error leaves a frame for the one around it; called with that one on the native stack. */
  errorPassed(error: unknown): void
  /** The lines of the frames that an error has passed through, or undefined if there are none. */
  outerStack(error: unknown): string | undefined
}

export interface RunnerParts {
  readonly loop: Loop
  readonly exceptionHandler?: ExceptionHandler | undefined
  /** Told where no `exceptionHandler` is set, or where that one throws. */
  readonly defaultExceptionHandler: ExceptionHandler
  /** How long the cleanup of a cancelled scope may take, in milliseconds. Default: 10,000. */
  readonly cleanupGraceMs?: number | undefined
  readonly bridge?: ContextBridge | null | undefined
  readonly debug?: DebugHooks | null | undefined
  /** Describes all tasks, for deadlock reports. */
  readonly describeTasks: (tasks: Iterable<Task>) => string
}

export const DEFAULT_CLEANUP_GRACE_MS = 10_000

export class RunnerCore {
  static {
    printsAs(this.prototype, (runner) => `Runner(${String([...runner.tasks()].length)} tasks)`)
  }

  readonly loop: Loop
  /** @internal */
  readonly bridge: ContextBridge | null
  /** @internal */
  readonly debug: DebugHooks | null
  /** How long the cleanup of a cancelled scope may take, in milliseconds. */
  readonly cleanupGraceMs: number
  /** Context variables of the mains: at first a copy of those here; they persist from one `run` to the next. */
  readonly context: Context = inheritContext() ?? new Context()
  #exceptionHandler: ExceptionHandler | null = null
  readonly #defaultExceptionHandler: ExceptionHandler
  readonly #describeTasks: (tasks: Iterable<Task>) => string
  #oldest: Task | null = null
  #newest: Task | null = null
  #taskCount = 0
  /** The tasks that `close` has cancelled and waits for. */
  #closing: Set<Task> | null = null
  #whenEnded: (() => void) | null = null
  /** Mains and a `close` in progress: while there is one the loop holds this runner. */
  #activities = 0
  #state: 'open' | 'closing' | 'closed' = 'open'
  #deadlock: DeadlockError | null = null
  #unwatch: (() => void) | null = null
  readonly #owned = new Set<() => void>()

  constructor(parts: RunnerParts) {
    const graceMs = parts.cleanupGraceMs ?? DEFAULT_CLEANUP_GRACE_MS
    if (!(typeof graceMs === 'number' && graceMs >= 0)) {
      throw new RangeError(
        `run(): cleanupGraceMs was expected to be 0 or more milliseconds, found ${String(graceMs)}`,
      )
    }
    this.loop = parts.loop
    this.bridge = parts.bridge ?? null
    this.debug = parts.debug ?? null
    this.cleanupGraceMs = graceMs
    this.exceptionHandler = parts.exceptionHandler ?? null
    this.#defaultExceptionHandler = parts.defaultExceptionHandler
    this.#describeTasks = parts.describeTasks
  }

  /**
   * Told what no coroutine can receive. May be replaced at any time; null: the default, which prints.
   *
   * @throws {MisuseError} when it is set to what is no plain function
   */
  get exceptionHandler(): ExceptionHandler | null {
    return this.#exceptionHandler
  }

  set exceptionHandler(handler: ExceptionHandler | null) {
    this.#exceptionHandler = handler === null ? null : checkedCallback('run()', handler, 'exceptionHandler')
  }

  // ------------------------------------------------------------------ mains

  /** @internal Starts a main task and returns it with a promise of its outcome. */
  start<T>(
    main: Body<T>,
    options?: { readonly context?: Context | undefined },
  ): { task: Task<T>; outcome: Promise<T> } {
    this.refuseInsideStep('run()')
    if (this.#state !== 'open')
      throw new ClosedError('run(): an open runner was expected, found one that was closed')
    const operation = typeof main === 'function' ? main() : main
    const task = this.createTask(
      operation,
      { context: options?.context ?? this.context, name: 'main' },
      'run()',
    )
    this.#begin()
    const outcome = new Promise<T>((resolve, reject) => {
      task.asFuture().addWaiter({
        settled: () => {
          this.#finish()
          this.#deadlock = null
          if (task.reason instanceof DeadlockError) reject(task.reason)
          else if (task.status === 'done') resolve(task.outcome as T)
          else if (task.status === 'failed') reject(task.outcome)
          else reject(cancelledError('run()', task.reason))
          task.asFuture().outcomeRead = true
        },
      })
    })
    return { task, outcome }
  }

  /**
   * Cancels all tasks and waits until they have ended. Their errors go to the exception handler. Closing twice is
   * allowed; a closed runner takes no more mains.
   *
   * @param reason what the tasks find as the reason of their cancellation
   */
  async close(reason: unknown = 'the runner was closed'): Promise<void> {
    this.refuseInsideStep('close()')
    this.#closed ??= this.#endAll(reason)
    await this.#closed
  }
  #closed: Promise<void> | null = null

  async #endAll(reason: unknown): Promise<void> {
    this.#state = 'closing'
    this.#begin()
    try {
      // Cleanup may make tasks of its own; those that are left when the first ones have ended are cancelled as well.
      while (this.#taskCount > 0) {
        this.#closing = new Set(this.tasks())
        const ended = new Promise<void>((resolve) => (this.#whenEnded = resolve))
        for (const task of this.#closing) task.cancel({ reason })
        await ended
      }
      for (const close of [...this.#owned]) close()
      await this.loop.failuresReported()
    } finally {
      this.#finish()
      this.#state = 'closed'
    }
  }

  /**
   * @internal Something of the host must not outlive this runner: `close` is called when all tasks have ended.
   *
   * @returns how to take it back, once it is closed
   */
  own(close: () => void): () => void {
    this.#owned.add(close)
    return () => void this.#owned.delete(close)
  }

  /** @internal */
  refuseInsideStep(act: string): void {
    if (running.task === null) return
    throw new MisuseError(
      `${act} was called inside ${running.task.describeSelf()}: it was expected outside of coroutines; ` +
        'inside one write `yield* operation`, or `createTask(operation)`',
    )
  }

  #begin(): void {
    if (this.#activities++ > 0) return
    this.loop.addRunner(this)
    if (this.debug !== null) this.#unwatch = this.loop.addInstrument(this.debug.instrument)
  }

  #finish(): void {
    if (--this.#activities > 0) return
    this.loop.removeRunner(this)
    this.#unwatch?.()
    this.#unwatch = null
  }

  // ------------------------------------------------------------------ tasks

  /** @internal */
  createTask<T>(operation: Operation<T>, options: TaskOptions | undefined, act: string): Task<T> {
    if (this.#state === 'closed')
      throw new ClosedError(`${act}: an open runner was expected, found one that was closed`)
    const task = new Task<T>(this, operation, options, act)
    const newest = this.#newest
    if (newest === null) this.#oldest = task
    else newest.nextTask = task
    task.previousTask = newest
    this.#newest = task
    this.#taskCount++
    if (this.bridge !== null) task.captured = this.bridge.open()
    if (this.debug !== null) this.debug.taskCreated(task)
    const { instrument } = this.loop
    if (instrument !== null) instrument.taskCreated(task)
    if (options?.eager === true) stepEagerly(task)
    else this.loop.schedule(task)
    return task
  }

  /** @internal */
  taskEnded(task: Task): void {
    const { previousTask, nextTask } = task
    if (previousTask === null) this.#oldest = nextTask
    else previousTask.nextTask = nextTask
    if (nextTask === null) this.#newest = previousTask
    else nextTask.previousTask = previousTask
    task.previousTask = null
    task.nextTask = null
    if (this.debug !== null) this.debug.taskEnded(task)
    const { instrument } = this.loop
    if (instrument !== null) instrument.taskDone(task)
    this.#taskCount--
    if (this.#closing?.delete(task) === true && this.#closing.size === 0) this.#whenEnded!()
  }

  /** All tasks that have not ended, oldest first. */
  *tasks(): Generator<Task> {
    for (let task = this.#oldest; task !== null;) {
      const next: Task | null = task.nextTask
      yield task
      task = next
    }
  }

  // ------------------------------------------------------------------ what nobody receives

  /**
   * Tells the exception handler, in the context of the task that it is about; if the handler throws, the default one is
   * told of both.
   */
  report(context: ExceptionContext): void {
    const { task } = context
    if (task === undefined) this.#tellHandler(context)
    else (task.context ?? new Context()).run(() => this.#tellHandler(this.#withPlaces(context, task)))
  }

  #withPlaces(context: ExceptionContext, task: Task): ExceptionContext {
    const createdAt = this.debug?.createdAt(task)
    const outerStack = context.error === undefined ? undefined : this.debug?.outerStack(context.error)
    return {
      ...context,
      ...(createdAt === undefined ? {} : { createdAt }),
      ...(outerStack === undefined ? {} : { outerStack }),
    }
  }

  #tellHandler(context: ExceptionContext): void {
    const handler: ((context: ExceptionContext) => unknown) | null = this.#exceptionHandler
    if (handler === null) {
      this.#reportToDefault(context)
      return
    }
    const failed = (error: unknown): void => {
      this.#reportToDefault({ message: 'the exception handler threw', error })
      this.#reportToDefault(context)
    }
    try {
      const returned = handler(context)
      if (returned !== undefined) checkReturned('the exception handler', returned, failed)
    } catch (error) {
      failed(error)
    }
  }

  #reportToDefault(context: ExceptionContext): void {
    try {
      this.#defaultExceptionHandler(context)
    } catch (error) {
      console.error('cede: the default exception handler threw', error, context.message, context.error)
    }
  }

  /** @internal Nothing can wake the tasks of this runner any more. */
  stalled(): void {
    const tasks = [...this.tasks()]
    if (tasks.length === 0) return
    const deadlock = this.#deadlock
    if (deadlock !== null) {
      // Cleanup itself waits for ever, and has no grace that could end it; or a shield holds the cancel back.
      for (const task of tasks) {
        if (task.status !== 'waiting') continue
        task.waiting?.unpark(task)
        task.finish('failed', deadlock)
      }
      return
    }
    const report = this.#describeTasks(tasks)
    this.#deadlock = withoutStack(() => new DeadlockError(report))
    for (const task of tasks) task.cancel({ reason: this.#deadlock })
  }
}

export type Runner = RunnerCore

/** Steps a new task inside the step or callback that makes it, and puts everything back. */
function stepEagerly(task: Task): void {
  const before = { ...running }
  running.innermost = null
  running.outermost = null
  const entered = setEnteredContext(null)
  try {
    task.run()
  } finally {
    setEnteredContext(entered)
    Object.assign(running, before)
    if (before.task !== null && before.task.target !== null) running.credit = 0
  }
}
