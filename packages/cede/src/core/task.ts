/**
 * A task: a coroutine that the loop runs. It is the bottom frame of its own stack and the outermost of its scopes.
 *
 * One object for the three, since a server has a task per connection and every byte counts: what a task keeps is what
 * frames and scopes keep, plus who it belongs to, what it waits for, and how it ended. The future that others wait on
 * is made when the first one asks.
 */
import { checkedCallback } from './checked-callback.ts'
import { bodyOf, labelOf } from './coroutine.ts'
import { inheritContext, type Context } from './context.ts'
import { CLAIMED, type Frame, INNER, LEFT, UNSTARTED } from './frame.ts'
import { Future, type FutureStatus } from './future.ts'
import { InvalidStateError, MisuseError } from './errors.ts'
import { printsAs } from './inspect.ts'
import { nameOf } from './misuse.ts'
import { probeStack } from './probe.ts'
import type { Runner } from './runner.ts'
import { running } from './running.ts'
import { Scope, type CancelOptions, type CancelScope } from './scope.ts'
import { FAIL, RESUME, stepTask, UNWIND, WAKE, type ResumeMode } from './step.ts'
import type { Operation, Suspension, Wait, WaitDescription } from './suspension.ts'
import type { Unwinding } from './unwind.ts'

/** `ready`: will be stepped; `running`: is being stepped; `waiting`: parked; the rest: how it ended. */
export type TaskStatus = 'ready' | 'running' | 'waiting' | 'done' | 'failed' | 'cancelled'

/** How a task ended, as `join` returns it. */
export type Outcome<T> =
  | { readonly status: 'done'; readonly value: T }
  | { readonly status: 'failed'; readonly error: unknown }
  | { readonly status: 'cancelled'; readonly reason: unknown }

export interface TaskOptions {
  /** For dumps and messages. Default: `Task-1`, `Task-2`, ... */
  readonly name?: string | undefined
  /** Runs the body up to its first suspension inside the call. Default: false, it begins in the next pass. */
  readonly eager?: boolean | undefined
  /** @internal Stands for the name of the wrapped function where that is wrapped once more. */
  readonly label?: string | undefined
  /** Context variables to run in, as they are and not as a copy. Default: a copy of the creator's. */
  readonly context?: Context | undefined
}

let tasksMade = 0

/** Done callbacks by task, to take them back; few tasks have any, so they are not kept in the task. */
const doneCallbacks = new WeakMap<Task, { callback: (task: never) => void; wrapped: () => unknown }[]>()

/** Whoever is responsible for what becomes of a task. */
export interface TaskOwner {
  /** Called once, in the step in which it ends; must not run user code. */
  taskEnded(task: Task): void
}

export class Task<T = unknown> extends Scope<T> implements Operation<T>, CancelScope {
  static {
    printsAs(this.prototype as Task, (task) => {
      const wait = task.waitsFor()
      return `Task(${task.name}: ${task.status}${wait === null ? '' : `, waits for ${wait.what}`})`
    })
  }

  /** @internal */
  readonly runner: Runner
  /** Counts the tasks of this thread. */
  readonly id: number
  /** The name of the wrapped function it runs, or an empty string. */
  readonly label: string
  /** The id of the task that made it; 0 for a main. */
  readonly creatorId: number
  #name: string | undefined
  /** `ready`, `running`, `waiting`, or how it ended. */
  status: TaskStatus = 'ready'
  /** @internal The innermost frame. */
  top: Frame = this
  /** @internal The innermost open scope. */
  scope: Scope = this
  /** @internal The outermost scope that is cancelled and not held back by a shield or a cleanup; null: none. */
  target: Scope | null = null
  /** @internal The innermost unwinding in progress. */
  unwinding: Unwinding | null = null
  /** @internal What it is parked on. */
  waiting: Wait | null = null
  /** @internal How the next step goes on; with what is in `outcome`, which has no other use while the task lives. */
  mode: ResumeMode = WAKE
  /** @internal */
  context: Context | null
  /** @internal What the context bridge captured for this task. */
  captured: object | null = null
  /** @internal Loop time in whole milliseconds when it parked last. */
  sinceMs = 0
  /** @internal Receives the outcome instead of whoever waits: cheaper than a future where there are many tasks. */
  owner: TaskOwner | null = null
  /** @internal Made when somebody first asks for the outcome. */
  future: Future<T> | null = null
  /** @internal Links of the runner's list. */
  previousTask: Task | null = null
  /** @internal */
  nextTask: Task | null = null

  /** @internal */
  constructor(runner: Runner, operation: Operation<T>, options: TaskOptions | undefined, act: string) {
    super(bodyOf(act, operation))
    this.state = CLAIMED
    this.flags = UNSTARTED
    this.task = this
    this.runner = runner
    this.id = ++tasksMade
    this.label = options?.label ?? labelOf(operation)
    this.creatorId = running.task === null ? 0 : running.task.id
    this.#name = undefined
    if (options?.name !== undefined) this.name = options.name
    this.context = options?.context === undefined ? inheritContext() : options.context
  }

  // ------------------------------------------------------------------ for everyone

  /** For dumps and messages; anything it is set to becomes a string. */
  get name(): string {
    return this.#name ?? `Task-${String(this.id)}`
  }
  set name(name: string) {
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-conversion -- where types are not checked
    this.#name = String(name)
  }

  /** True if it has ended in any way. */
  done(): boolean {
    return this.state >= LEFT
  }

  /**
   * The value.
   *
   * @throws the error it failed with; {CancelledError} if it was cancelled; {InvalidStateError} if it has not ended
   */
  result(): T {
    return this.asFuture().result()
  }

  /**
   * The error it failed with, or null if it has a value.
   *
   * @throws {CancelledError} if it was cancelled; {InvalidStateError} if it has not ended
   */
  exception(): unknown {
    return this.asFuture().exception()
  }

  /** Waits for the task and returns how it ended; never throws its outcome. Suspends until it has ended. */
  join(): Operation<Outcome<T>> {
    return joined(this)
  }

  /**
   * Cancels the task: its waits end now, `finally` blocks run, `catch` blocks do not. A value it was already given
   * reaches it first. One that has not begun never runs.
   *
   * @returns false if it had ended already
   * @throws {RangeError} if `graceMs` is negative or not a number
   */
  override cancel(options?: CancelOptions): boolean {
    if (this.done() && this.future !== null) this.future.outcomeRead = true
    return super.cancel(options)
  }

  /**
   * Calls `callback(this)` from the loop once the task has ended.
   *
   * @throws {MisuseError} if `callback` is no plain function
   */
  addDoneCallback(callback: (task: this) => void): void {
    checkedCallback('addDoneCallback()', callback)
    const future = this.asFuture()
    const wrapped = (): unknown => callback(this)
    let registered = doneCallbacks.get(this)
    if (registered === undefined) doneCallbacks.set(this, (registered = []))
    registered.push({ callback: callback, wrapped })
    future.addDoneCallback(wrapped)
  }

  /** Takes back every registration of `callback`. @returns how many there were */
  removeDoneCallback(callback: (task: this) => void): number {
    const registered = doneCallbacks.get(this)
    if (registered === undefined) return 0
    let removed = 0
    const left = registered.filter((one) => {
      if (one.callback !== callback) return true
      removed += this.asFuture().removeDoneCallback(one.wrapped)
      return false
    })
    doneCallbacks.set(this, left)
    return removed
  }

  /** Waits for the outcome; a checkpoint. Any number of tasks may wait, any number of times. */
  override [Symbol.iterator](): Iterator<Suspension, T, unknown> {
    return this.asFuture()[Symbol.iterator]()
  }

  /** Makes the task awaitable from async functions. */
  override then<R = T, E = never>(
    onValue?: ((value: T) => R | PromiseLike<R>) | null,
    onError?: ((error: unknown) => E | PromiseLike<E>) | null,
  ): Promise<R | E> {
    return this.asFuture().then(onValue, onError)
  }

  /** What the task waits for right now, or null. */
  waitsFor(): WaitDescription | null {
    try {
      return this.waiting === null ? null : this.waiting.describe()
    } catch (error) {
      // Dumps and expiring timeouts ask as well, and must not fail for a wait of somebody's own that cannot tell.
      return { what: `something whose describe() threw ${nameOf(error)}` }
    }
  }

  /** How many milliseconds it has been waiting, or 0. */
  waitingMs(): number {
    return this.status === 'waiting' ? Math.max(0, this.runner.loop.now() - this.sinceMs) : 0
  }

  /**
   * Its stack, innermost line first: of a waiting task by probe, without running any of its code; of the running task
   * the current one; empty if it has not begun or has ended.
   */
  stack(): string {
    if (this.status !== 'running') return this.#stackFrom(this.top)
    return [linesOf(new Error('running').stack), this.callers()].filter((part) => part !== '').join('\n')
  }

  /** @internal Of the running task: the stacks of the frames that wait for the innermost one, which are on no native stack. */
  callers(): string {
    return this.#stackFrom(this.top.parent)
  }

  #stackFrom(innermost: Frame | null): string {
    const parts: string[] = []
    for (let frame = innermost; frame !== null; frame = frame.parent) {
      if (frame.body === null || (frame.flags & (UNSTARTED | INNER)) !== 0) continue
      const stack = probeStack(frame.body)
      parts.push(stack === null ? '    at (a foreign iterator)' : linesOf(stack))
    }
    return parts.filter((part) => part !== '').join('\n')
  }

  // ------------------------------------------------------------------ for suspensions

  /**
   * Ends the wait of a parked task with a value, which it gets even if it is cancelled before its next step.
   *
   * @throws {InvalidStateError} if it is not parked
   */
  resume(value: unknown): void {
    this.#ready('resume()', RESUME, value)
  }

  /** Ends the wait of a parked task with an error. @throws {InvalidStateError} if it is not parked */
  fail(error: unknown): void {
    this.#ready('fail()', FAIL, error)
  }

  /** Ends a wait that has no value: a cancel that comes before the next step still counts. */
  wake(): void {
    this.#ready('wake()', WAKE, undefined)
  }

  #ready(act: string, mode: ResumeMode, value: unknown): void {
    const { waiting } = this
    if (waiting === null) {
      throw new InvalidStateError(
        `${act}: ${this.describeSelf()} was expected to be parked, and is ${this.status}`,
      )
    }
    this.waiting = null
    this.mode = mode
    this.outcome = value
    this.status = 'ready'
    const { loop } = this.runner
    if (loop.instrument !== null) loop.instrument.resumed(this, waiting)
    loop.schedule(this)
  }

  // ------------------------------------------------------------------ for the scheduler

  /** @internal One step; called by the loop in the task's place in the queue. */
  run(): void {
    if (this.captured === null) stepTask(this)
    else this.runner.bridge!.step(this, stepTask)
  }

  /** @internal The step has reached a suspension that counts. */
  park(wait: Wait): void {
    this.status = 'waiting'
    this.waiting = wait
    const { loop } = this.runner
    this.sinceMs = Math.trunc(loop.now())
    if (loop.instrument !== null) loop.instrument.parked(this, wait)
    wait.park(this)
  }

  /** @internal A scope of this task was cancelled, or a cleanup has no grace left. */
  cancelArrived(): void {
    this.refreshTarget()
    const { waiting } = this
    if (this.target === null || waiting === null) return
    this.waiting = null
    try {
      waiting.unpark(this)
    } catch (error) {
      // Whoever cancels has others to cancel, and this task has to end all the same.
      this.runner.report({
        message: `a wait of ${this.describeSelf()} threw while it was unparked`,
        error,
        task: this,
      })
    }
    this.mode = UNWIND
    this.status = 'ready'
    const { loop } = this.runner
    if (loop.instrument !== null) loop.instrument.unparked(this, waiting)
    loop.schedule(this)
  }

  /** @internal Finds out anew which scope is to be unwound; called when scopes open, close or are cancelled. */
  refreshTarget(): void {
    let target: Scope | null = null
    for (let scope: Scope | null = this.scope; scope !== null; scope = scope.outer) {
      if (scope.cancelled) target = scope
      if (scope.shielded) break
    }
    this.target = target
    if (running.task === (this as Task))
      running.credit = target === null ? this.runner.loop.operationsPerStep : 0
  }

  /** @internal */
  finish(status: Exclude<FutureStatus, 'pending'>, outcome: unknown): void {
    this.status = status
    this.state = LEFT
    this.outcome = status === 'cancelled' ? this.reason : outcome
    this.body = null
    this.top = this
    this.scope = this
    this.target = null
    this.waiting = null
    if (this.hooks !== null) this.runHooks()
    const { runner } = this
    if (this.captured !== null) {
      runner.bridge!.close(this.captured)
      this.captured = null
    }
    runner.taskEnded(this)
    const { owner, future } = this
    if (future !== null) {
      if (owner !== null) future.outcomeRead = true
      future.settle(status, this.outcome)
    } else if (status === 'failed' && owner === null) {
      runner.loop.noteFailure(this)
    }
    if (owner !== null) owner.taskEnded(this)
  }

  /** @internal The scope of a task never leaves its task. */
  override leave(): void {}

  /** @internal */
  asFuture(): Future<T> {
    if (this.future !== null) return this.future
    const future = new Future<T>(this)
    this.future = future
    if (this.state === LEFT) future.settle(this.status as Exclude<FutureStatus, 'pending'>, this.outcome)
    return future
  }

  /** @internal */
  get outcomeRead(): boolean {
    return this.future?.outcomeRead === true
  }

  /** @internal */
  reportLost(): void {
    if (this.outcomeRead) return
    // Made if need be, so that one who asks for the outcome later does not bring on a second report.
    this.asFuture().outcomeRead = true
    this.runner.report({
      message: `${this.describeSelf()} failed and nobody waits for it`,
      error: this.outcome,
      task: this,
    })
  }

  /** @internal */
  describeSelf(): string {
    return `task ${this.name}${this.label === '' ? '' : ` (${this.label})`}`
  }

  /** @internal */
  override nameForMessages(): string {
    return this.describeSelf()
  }
}

function linesOf(stack: string | undefined): string {
  if (stack === undefined) return ''
  const start = stack.indexOf('\n    at ')
  return start === -1 ? '' : stack.slice(start + 1)
}

function* joined<T>(task: Task<T>): Generator<Suspension, Outcome<T>, unknown> {
  const future = task.asFuture()
  try {
    const value = yield* future
    return { status: 'done', value }
  } catch (error) {
    future.outcomeRead = true
    if (task.status === 'cancelled') return { status: 'cancelled', reason: task.reason }
    return { status: 'failed', error }
  }
}

/** The task that is being stepped, or null in callbacks and outside the loop. */
export function currentTask(): Task | null {
  return running.task
}

/** True for a task. */
export function isTask(value: unknown): value is Task {
  return value instanceof Task
}

/** True for a `Future` or a `Task`. */
export function isFuture(value: unknown): value is Future<unknown> | Task {
  return value instanceof Future || value instanceof Task
}

/** For code that must run inside a task. */
export function requireTask(act: string): Task {
  if (running.task !== null) return running.task
  throw new MisuseError(
    `${act}: expected to be called inside a coroutine that the loop runs, found no running task`,
  )
}
