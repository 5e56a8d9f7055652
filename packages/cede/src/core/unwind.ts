/**
 * Cancelling is unwinding: `generator.return()` runs through the frames of a cancelled scope, innermost first, so that
 * `finally` blocks run and `catch` blocks do not. Everything about that is in this file.
 *
 * Why native chains are split first. ECMAScript's `yield*` forgets a pending `return()` as soon as a `finally` below
 * it yields: the outer generator would simply go on afterwards. So before a frame is unwound, the plain generators
 * nested in its body are listed and become frames of their own; then each is returned by us, innermost first, and none
 * has to remember anything. The list comes from a return probe: for one synchronous moment
 * `%GeneratorPrototype%.return` is a recorder that calls through, the frame is sent RETURN_PROBE, the innermost library
 * iterator answers "not done", and every generator of the chain has been recorded without running user code. A frame
 * is split once before each forced return, and never before it has started.
 *
 * With frozen intrinsics there is no recorder. Then a frame is returned as a whole, and returned again at every later
 * suspension, until it ends.
 *
 * While a frame cleans up, an `Unwinding` stands in the scope chain right around it. It is a shield: no cancel from
 * outside reaches the cleanup. When the grace is spent the unwinding itself is cancelled, and so the cleanup is
 * unwound by the same rules; frames above the cleaning one are unwound by a nested unwinding first.
 */
import { RefusedToEndError } from './errors.ts'
import {
  CLEANING,
  Frame,
  INNER,
  LEFT,
  SPLIT,
  STACKED,
  THREW,
  UNSTARTED,
  UNWOUND,
  type FrameBody,
} from './frame.ts'
import { RETURN_PROBE, stayed } from './probe.ts'
import { Scope } from './scope.ts'
import type { Suspension } from './suspension.ts'
import type { Task } from './task.ts'
import type { TimerHandle } from './timer-handle.ts'

/** Forced returns after which a frame that keeps waiting is given up. */
export const MAX_FORCED_RETURNS = 50

export class Unwinding extends Scope {
  /** The unwinding whose cleaning frame this one lies above. */
  readonly enclosing: Unwinding | null
  /** The scope whose frames are unwound. */
  target: Scope
  /** The frame that cleans up right now. */
  frame: Frame | null = null
  /** How often that frame was returned again because its cleanup went on waiting after the grace. */
  forced = 0
  /** How many cleanups whose grace is spent this one lies in: each was cut and began the next. */
  readonly depth: number
  #held: { error: unknown } | null = null
  #graceTimer: TimerHandle | null = null
  #graceEndMs = Infinity

  constructor(task: Task, enclosing: Unwinding | null) {
    super(null)
    this.task = task
    this.enclosing = enclosing
    this.shielded = true
    this.depth = enclosing?.cancelled === true ? enclosing.depth + 1 : 0
    this.target = task.target!
    this.goOnTo(this.target)
  }

  /** The frames of `target` are unwound next: their cleanup has the grace that its cancel gave. */
  goOnTo(target: Scope): void {
    const { enclosing } = this
    const { runner } = this.task!
    const { graceMs } = target
    this.target = target
    this.#graceTimer?.cancel()
    this.#graceTimer = null
    // Inside a cleanup whose grace is spent there is no grace left.
    this.cancelled = enclosing?.cancelled ?? false
    const ownEndMs = runner.loop.now() + (graceMs >= 0 ? graceMs : runner.cleanupGraceMs)
    // What cleanup does inside a cleanup has to end with it.
    this.#graceEndMs = enclosing === null ? ownEndMs : Math.min(ownEndMs, enclosing.#graceEndMs)
  }

  /** Keeps the first error of cleanup for the scope that reports; later ones have nobody else to tell. */
  hold(error: unknown): void {
    if (this.#held === null) this.#held = { error }
    else reportLost(this.task!, error)
  }

  get held(): { error: unknown } | null {
    return this.#held
  }

  /** Called when a cleaning task parks: from now on the grace can run out. */
  startGrace(): void {
    if (this.#graceTimer !== null || this.cancelled || this.#graceEndMs === Infinity) return
    this.#graceTimer = this.task!.runner.loop.callAtSystem(this.#graceEndMs, () => this.#spendGrace())
  }

  /** A scope around the cleanup was cancelled (again) with a grace of its own: the shorter one counts. */
  limitGrace(by: Scope, graceMs: number): void {
    this.enclosing?.limitGrace(by, graceMs)
    if (!encloses(by, this)) return
    const endMs = this.task!.runner.loop.now() + graceMs
    if (endMs >= this.#graceEndMs) return
    this.#graceEndMs = endMs
    if (this.#graceTimer === null) return
    this.#graceTimer.cancel()
    this.#graceTimer = null
    this.startGrace()
  }

  end(): void {
    this.#graceTimer?.cancel()
    this.#graceTimer = null
    this.state = LEFT
    this.runHooks()
  }

  #spendGrace(): void {
    const task = this.task!
    this.#graceTimer = null
    this.cancelled = true
    // Otherwise the cleanup around this one has been reported, which has to end at the same time.
    if (this.enclosing?.cancelled !== true) {
      task.runner.report({
        message: `the cleanup of ${task.describeSelf()} was cut short: it was expected to end within its grace (graceMs of the cancel, or cleanupGraceMs of run), and still waits`,
        task,
        stack: task.stack(),
      })
    }
    this.runHooks()
    task.cancelArrived()
  }
}

function encloses(scope: Scope, unwinding: Unwinding): boolean {
  for (let outer = unwinding.outer; outer !== null; outer = outer.outer) if (outer === scope) return true
  return false
}

/**
 * Prepares the top frame of a cancelled task for its forced return, and puts the unwinding around it. Runs no user
 * code. Returns null if the frame has refused to end so often that the task was given up.
 */
export function engage(task: Task): Frame | null {
  const frame = task.top
  let unwinding = task.unwinding
  if (unwinding !== null && unwinding.frame === frame) {
    if (++unwinding.forced > MAX_FORCED_RETURNS) {
      giveUp(task)
      return null
    }
    return frame
  }
  if (unwinding === null || unwinding.frame !== null) {
    if (unwinding !== null && unwinding.depth >= MAX_FORCED_RETURNS) {
      giveUp(task)
      return null
    }
    unwinding = new Unwinding(task, unwinding)
    task.unwinding = unwinding
  }
  unwinding.forced = 0
  unwinding.frame = frame
  unwinding.outer = task.scope
  task.scope = unwinding
  frame.flags |= CLEANING
  task.refreshTarget()
  return frame
}

/** Says that the frame turned out to hold a chain of generators, which are frames now and come first. */
export const SPLIT_FIRST: IteratorYieldResult<Suspension> = {
  done: false,
  value: undefined as unknown as Suspension,
}

/** Forces the return of an engaged frame. Its cleanup runs in here; what it does is returned or thrown. */
export function returnFrame(task: Task, frame: Frame): IteratorResult<Suspension, unknown> {
  const body = frame.body!
  if (body.return === undefined) return { done: true, value: undefined }
  if ((frame.flags & (UNSTARTED | SPLIT)) !== 0 || body.return !== generatorReturn)
    return body.return(undefined)

  const chain: FrameBody[] = []
  const result = recordChain(body, chain)
  if (result === null) return body.return(undefined)
  // A foreign iterator at the end of the chain took the probe for a real return, and that is what it was then.
  if (!stayed(result)) return result
  frame.flags |= SPLIT
  if (chain.length === 1) return body.return(undefined)
  release(task, task.unwinding!)
  for (let i = 1; i < chain.length; i++) {
    const inner = new Frame(chain[i]!)
    inner.state = STACKED
    inner.flags = SPLIT | INNER
    inner.parent = task.top
    task.top = inner
  }
  return SPLIT_FIRST
}

/** Takes the unwinding off a frame whose inner generators come first, unless its cleanup had begun already. */
function release(task: Task, unwinding: Unwinding): void {
  if (unwinding.forced > 0) return
  unwinding.frame!.flags &= ~CLEANING
  unwinding.frame = null
  task.scope = unwinding.outer!
  task.refreshTarget()
}

/** How the task goes on after a cleaning frame has ended. */
export type AfterCleanup = 'unwind' | 'resume' | 'finished'

/** The cleaning frame has ended: takes it off the stack, and finds out whether more is to be unwound. */
export function disengage(task: Task, threw: boolean, error: unknown): AfterCleanup {
  const unwinding = task.unwinding!
  const frame = unwinding.frame!
  unwinding.frame = null
  frame.flags &= ~CLEANING
  task.scope = unwinding.outer!
  if (threw) unwinding.hold(error)

  if (frame === task) {
    endUnwinding(task, unwinding)
    if (unwinding.held !== null) task.finish('failed', unwinding.held.error)
    else task.finish('cancelled', undefined)
    return 'finished'
  }
  task.top = frame.parent!
  frame.state = LEFT
  frame.leave()
  task.refreshTarget()

  const { enclosing } = unwinding
  if (task.target !== null) {
    if (enclosing !== null && enclosing.frame === task.top) {
      // All that lay above a cleanup whose grace is spent is gone; the cleanup itself is returned next.
      endUnwinding(task, unwinding)
      if (unwinding.held !== null) reportLost(task, unwinding.held.error)
    } else if (frame === unwinding.target) {
      // A scope further out was cancelled meanwhile.
      unwinding.goOnTo(task.target)
    }
    return 'unwind'
  }
  // Nothing further out is cancelled: the frame just left was the outermost cancelled scope, and it reports.
  endUnwinding(task, unwinding)
  frame.flags |= UNWOUND
  if (unwinding.held !== null) {
    frame.state = THREW
    frame.outcome = unwinding.held.error
  } else {
    ;(frame as Scope).settleUnwound()
  }
  return 'resume'
}

function endUnwinding(task: Task, unwinding: Unwinding): void {
  task.unwinding = unwinding.enclosing
  unwinding.end()
}

/** The task is failed where it stands; its frames are dropped and never stepped again. */
function giveUp(task: Task): void {
  // It stands at a wait that the loop has not parked it on.
  task.status = 'waiting'
  const stack = task.stack()
  for (let unwinding = task.unwinding; unwinding !== null; unwinding = unwinding.enclosing) unwinding.end()
  task.unwinding = null
  for (let frame: Frame | null = task.top; frame !== null && frame !== task; frame = frame.parent) {
    frame.state = LEFT
    frame.leave()
  }
  task.finish(
    'failed',
    new RefusedToEndError(
      `${task.describeSelf()} was cancelled: it was expected to end, and went on waiting after ${String(MAX_FORCED_RETURNS)} ` +
        `forced returns (a \`finally\` that loops or yields for ever); it is abandoned at\n${stack}`,
    ),
  )
}

function reportLost(task: Task, error: unknown): void {
  task.runner.report({
    message: `a second error was thrown by the cleanup of ${task.describeSelf()}`,
    error,
    task,
  })
}

const GeneratorPrototype = (Object.getPrototypeOf(noop) as { prototype: Generator<unknown, unknown> })
  .prototype
// eslint-disable-next-line @typescript-eslint/unbound-method -- called with the generator as `this`
const generatorReturn = GeneratorPrototype.return

function* noop(): Generator<never, void> {}

let recorded: FrameBody[] | null = null

function recordingReturn(this: FrameBody, value: unknown): IteratorResult<unknown, unknown> {
  recorded!.push(this)
  return generatorReturn.call(this as Generator<unknown, unknown>, value)
}

/** Lists the generators of a suspended chain, outermost first; null where intrinsics are frozen. */
function recordChain(body: FrameBody, chain: FrameBody[]): IteratorResult<Suspension, unknown> | null {
  if (!canSplitChains) return null
  recorded = chain
  GeneratorPrototype.return = recordingReturn
  try {
    return body.return!(RETURN_PROBE)
  } finally {
    recorded = null
    GeneratorPrototype.return = generatorReturn
  }
}

/** False with frozen intrinsics (hardened JavaScript, `node --frozen-intrinsics`). */
export const canSplitChains: boolean = (() => {
  const descriptor = Reflect.getOwnPropertyDescriptor(GeneratorPrototype, 'return')
  return descriptor?.writable === true
})()
