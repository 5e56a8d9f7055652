/**
 * A scope: a stretch of a task that can be cancelled as one. Timeouts, groups, shields and tasks are scopes.
 *
 * A scope is a frame, so that its boundary lies between frames: cancelling it unwinds every frame above the boundary
 * and its own body, and nothing below. It is cancelled once and stays so: every later wait inside it unwinds as well.
 */
import { bodyOf } from './coroutine.ts'
import { enterAndLeave, Frame, FRESH, RETURNED, UNWOUND } from './frame.ts'
import { printsAs } from './inspect.ts'
import { cannotSuspend, NOTHING, noteMade, running } from './running.ts'
import type { Body, Suspension } from './suspension.ts'
import type { Task } from './task.ts'

export interface CancelOptions {
  /** Why; readable as `scope.reason`, on signals, and in the `CancelledError` of those who wait for a cancelled task. */
  readonly reason?: unknown
  /** How long cleanup may take, in milliseconds. Default: the runner's `cleanupGraceMs`. */
  readonly graceMs?: number | undefined
}

/** What users hold of a scope. */
export interface CancelScope {
  /**
   * Cancels everything inside: waits end now, `finally` blocks run, `catch` blocks do not. Cancelling again changes
   * nothing but the grace, which can be shortened.
   *
   * @returns false if the scope had ended already
   * @throws {RangeError} if `graceMs` is negative or not a number
   */
  cancel(options?: CancelOptions): boolean
  /** True from the moment of `cancel`, also after the scope has ended. */
  readonly cancelled: boolean
  /** What was given to `cancel`. */
  readonly reason: unknown
}

export class Scope<T = unknown> extends Frame<T> implements CancelScope {
  static {
    printsAs(
      this.prototype as Scope,
      (scope) => `Scope(${scope.cancelled ? 'cancelled' : scope.ended ? 'ended' : 'open'})`,
    )
  }

  /** @internal The task it belongs to; null until it is entered. */
  task: Task | null = null
  /** @internal The scope around it in the same task. */
  outer: Scope | null = null
  /** True from the moment of `cancel`, also after the scope has ended. */
  cancelled = false
  /** What was given to `cancel`. */
  reason: unknown = undefined
  /** @internal Cancellation of outer scopes does not reach inside. */
  shielded = false
  /** @internal Grace for cleanup given to `cancel`, in milliseconds; -1: the runner's. */
  graceMs = -1
  /** @internal Called from the loop when the scope is cancelled or has ended; each once. */
  hooks: Set<() => void> | null = null

  cancel(options?: CancelOptions): boolean {
    const graceMs = options?.graceMs
    if (graceMs !== undefined && !(typeof graceMs === 'number' && graceMs >= 0)) {
      throw new RangeError(
        `cancel(): graceMs was expected to be 0 or more milliseconds, found ${String(graceMs)}`,
      )
    }
    if (this.ended) return false
    const first = !this.cancelled
    if (first) {
      this.cancelled = true
      this.reason = options?.reason
    }
    if (graceMs !== undefined && (this.graceMs < 0 || graceMs < this.graceMs)) {
      this.graceMs = graceMs
      this.task?.unwinding?.limitGrace(this, graceMs)
    }
    if (first) {
      this.runHooks()
      this.task?.cancelArrived()
    }
    return true
  }

  /** @internal */
  get ended(): boolean {
    return this.state >= RETURNED
  }

  /** @internal */
  override enter(): IteratorResult<Suspension, T> {
    if (running.announced !== NOTHING) throw cannotSuspend()
    const task = running.task!
    this.task = task
    this.outer = task.scope
    task.scope = this
    if (this.cancelled || this.shielded) task.refreshTarget()
    return enterAndLeave(this)
  }

  /** @internal */
  override leave(): void {
    const task = this.task!
    this.body = null
    task.scope = this.outer!
    if (this.hooks !== null) this.runHooks()
    if (task.target !== null || this.shielded) task.refreshTarget()
  }

  /** @internal True if it was cancelled and its body did not end by itself. */
  get unwound(): boolean {
    return (this.flags & UNWOUND) !== 0
  }

  /** @internal What the parent finds after this scope was cancelled and has unwound: by default `undefined`. */
  settleUnwound(): void {
    this.state = RETURNED
    this.outcome = undefined
  }

  /** @internal Calls `hook` from the loop once the scope is cancelled or has ended. Returns how to take that back. */
  addHook(hook: () => void): () => void {
    this.hooks ??= new Set()
    this.hooks.add(hook)
    return () => this.hooks?.delete(hook)
  }

  /** @internal */
  runHooks(): void {
    const { hooks } = this
    if (hooks === null) return
    this.hooks = null
    const runner = this.task?.runner ?? running.runner!
    const scope = { runner, context: null, captured: null }
    for (const hook of hooks) runner.loop.callSoonIn(scope, hook)
  }

  /** @internal */
  override nameForMessages(): string {
    return this.state === FRESH ? 'a scope' : 'an operation with a scope'
  }
}

/** A scope around a body that may be given as an operation or as a function of the scope. */
export abstract class BodyScope<T, S> extends Scope<T> {
  /** @internal Not `#given`: private names are slow in V8 where a base class has many subclasses. */
  given: Body<T, [scope: S]> | null

  constructor(body: Body<T, [scope: S]>) {
    super(null)
    this.given = body
    noteMade(this)
  }

  /** @internal The function's name, for messages about a body that is no operation. */
  protected abstract act(): string

  /** @internal */
  override nameForMessages(): string {
    return this.act()
  }

  /** @internal */
  override makeBody(): void {
    const given = this.given!
    this.given = null
    this.body = bodyOf(this.act(), typeof given === 'function' ? given(this as unknown as S) : given)
  }
}
