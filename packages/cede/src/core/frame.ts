/**
 * A frame: one iterator on a task's own stack.
 *
 * Native `yield*` makes every resume pass through every level of a call chain, and overflows the native stack at some
 * 5,000 levels. Frames cure both, and cost nothing until something suspends: a frame first runs its body directly, as
 * a plain call. Only if the body suspends does the frame announce itself for the task's stack (innermost first, since
 * that is the order in which the yields travel outwards), and from then on the loop resumes the innermost body
 * directly. When that body ends, its outcome is left in the frame and the parent's body is resumed; the parent stands
 * at its `yield* frame`, whose next `next()` finds the outcome here.
 *
 * After MAX_DIRECT_CALLS nested direct calls a call goes through the loop, so that the first descent of a deep
 * recursion does not overflow either.
 */
import { steppedByHand, usedTwice, yieldedWithoutStar, awaited } from './misuse.ts'
import { answerProbe, answerReturn, isProbe } from './probe.ts'
import { announce, cannotSuspend, forgetAnnounced, NOTHING, running, swallowed } from './running.ts'
import type { Suspension, Wait } from './suspension.ts'
import type { Task } from './task.ts'
import { Taken, takenBy } from './taken.ts'
import { throwInto } from './throw-into.ts'

export const MAX_DIRECT_CALLS = 100

/** Where a frame is in its life. Each state names who acts next. */
export type FrameState =
  | typeof FRESH
  | typeof CLAIMED
  | typeof DIRECT
  | typeof STACKED
  | typeof RETURNED
  | typeof THREW
  | typeof LEFT
/** Made; nobody has begun it. */
export const FRESH = 0
/** A `yield*` took its iterator; the first `next()` comes now. */
export const CLAIMED = 1
/** Its body runs on the native stack of its caller. */
export const DIRECT = 2
/** On a task's stack; the loop steps its body. */
export const STACKED = 3
/** Its body has returned; `outcome` waits to be fetched by the parent. */
export const RETURNED = 4
/** Its body has thrown; `outcome` waits to be fetched by the parent. */
export const THREW = 5
/** Its outcome was fetched, or it was unwound. Nothing happens here any more. */
export const LEFT = 6

/** Its body has not run yet: it came to the stack through the loop, or the task was not stepped yet. */
export const UNSTARTED = 1
/** Its body was forced to return and runs its cleanup. */
export const CLEANING = 2
/** The plain generators below its body are frames of their own (or there are none). See `unwind.ts`. */
export const SPLIT = 4
/** Its cleanup has suspended once; matters only where chains cannot be split. */
export const SUSPENDED_IN_CLEANUP = 8
/** Made by a split: a probe of the frame it was split from shows its lines already. */
export const INNER = 32
/** A scope that was cancelled and whose body did not end by itself. */
export const UNWOUND = 16

export type FrameBody = Iterator<Suspension, unknown, unknown>

export class Frame<T = unknown> {
  /** @internal What this frame runs; null until it is known (a scope makes its body when it is entered). */
  body: FrameBody | null
  /** @internal The next frame outwards; set when both are on the task's stack. */
  parent: Frame | null = null
  /** @internal */
  state: FrameState = FRESH
  /** @internal The bits below `FrameState`: UNSTARTED, CLEANING, SPLIT and their kin. */
  flags = 0
  /** @internal */
  outcome: unknown = undefined

  constructor(body: FrameBody | null) {
    this.body = body
  }

  /** @internal */
  [Symbol.iterator](): Iterator<Suspension, T, unknown> {
    if (this.state !== FRESH) throw usedTwice(this.nameForMessages())
    this.state = CLAIMED
    return this
  }

  /** @internal */
  next(value?: unknown): IteratorResult<Suspension, T> {
    switch (this.state) {
      case CLAIMED:
        return this.enter()
      case RETURNED:
        this.state = LEFT
        return { done: true, value: this.outcome as T }
      case THREW:
        this.state = LEFT
        running.runner?.debug?.errorPassed(this.outcome)
        throw this.outcome
      case STACKED:
        if (isProbe(value)) return answerProbe()
        if (this.parent !== null) return takenBy(taskOf(this.parent), this.nameForMessages())
    }
    throw steppedByHand(this.nameForMessages())
  }

  /** @internal */
  throw(error: unknown): IteratorResult<Suspension, T> {
    throw error
  }

  /** @internal */
  return(value?: unknown): IteratorResult<Suspension, T> {
    if (this.state === FRESH || this.state === CLAIMED) this.state = LEFT
    return answerReturn(value as T)
  }

  /** @internal Real, so that `await coroutine` fails loudly where types were not checked. */
  then(_resolve: unknown, reject?: (reason: unknown) => unknown): unknown {
    reject?.(awaited(this.nameForMessages()))
    return undefined
  }

  /** @internal Runs the body as a direct call; puts the frame on the task's stack only if it suspends. */
  enter(): IteratorResult<Suspension, T> {
    if (running.announced !== NOTHING) throw cannotSuspend()
    const { depth } = running
    if (depth >= MAX_DIRECT_CALLS) return callThroughLoop(this)
    running.depth = depth + 1
    this.state = DIRECT
    const result = this.body!.next()
    running.depth = depth
    if (result.done === true) {
      if (running.announced !== NOTHING) throw swallowed()
      this.state = LEFT
      return result as IteratorReturnResult<T>
    }
    return suspendedBelow(this, result)
  }

  /** @internal For frames that know their body only when they are entered; see `enterAndLeave`. */
  makeBody(): void {}

  /** @internal Left for good, by its end or by unwinding. Scopes give back here what they hold. */
  leave(): void {
    this.body = null
  }

  /** @internal False until a `yield*`, a task or a scope has begun it. */
  get begun(): boolean {
    return this.state !== FRESH
  }

  /** @internal */
  nameForMessages(): string {
    return 'a coroutine'
  }
}

/**
 * `enter` of a frame that holds something by now and gives it back in `leave`: makes the body, runs it as a direct call,
 * and leaves, unless the body suspends.
 */
export function enterAndLeave<T>(frame: Frame<T>): IteratorResult<Suspension, T> {
  const { depth } = running
  try {
    frame.makeBody()
    if (depth >= MAX_DIRECT_CALLS) return callThroughLoop(frame)
    running.depth = depth + 1
    frame.state = DIRECT
    const result = frame.body!.next()
    running.depth = depth
    if (result.done !== true) {
      const suspended = suspendedBelow(frame, result)
      if (suspended.done === true) frame.leave()
      return suspended
    }
    if (running.announced !== NOTHING) throw swallowed()
    frame.state = LEFT
    frame.leave()
    return result as IteratorReturnResult<T>
  } catch (error) {
    frame.state = LEFT
    frame.leave()
    throw error
  }
}

/** The body of `frame`, run directly, yielded: checks the handshake and announces the frame for the task's stack. */
export function suspendedBelow<T>(
  frame: Frame<T>,
  result: IteratorResult<Suspension, unknown>,
): IteratorResult<Suspension, T> {
  while (result.value !== running.announced) {
    result = refuse(frame.body!, result.value)
    if (result.done === true) {
      frame.state = LEFT
      return result as IteratorReturnResult<T>
    }
  }
  frame.state = STACKED
  announceFrame(frame)
  return result as IteratorYieldResult<Suspension>
}

/** What a call yields when it wants to be entered by the loop, on an empty native stack. Never parked on. */
export const CALL_THROUGH_LOOP: Wait = {
  park() {
    throw new Error('cede: a call that goes through the loop was parked on')
  },
  unpark() {},
  describe: () => ({ what: 'a call' }),
}

export function callThroughLoop(frame: Frame): IteratorYieldResult<Suspension> {
  frame.state = STACKED
  frame.flags |= UNSTARTED
  const result = announce(CALL_THROUGH_LOOP)
  announceFrame(frame)
  return result
}

/** The task on whose stack a frame is: the outermost one. */
function taskOf(frame: Frame): Task {
  let outermost = frame
  while (outermost.parent !== null) outermost = outermost.parent
  return outermost as Task
}

function announceFrame(frame: Frame): void {
  if (running.outermost === null) running.innermost = frame
  else running.outermost.parent = frame
  running.outermost = frame
}

/**
 * Throws a `MisuseError` into the body that yielded `value` without an operation behind it, at the place of the yield.
 *
 * Built-in iterators (`yield* [1, 2]`) have no `throw`, and the engine's own complaint about that would hide ours, so
 * they have one for this moment.
 */
export function refuse(body: FrameBody, value: unknown): IteratorResult<Suspension, unknown> {
  forgetAnnounced()
  const taken = value instanceof Taken ? value : null
  const error = taken === null ? yieldedWithoutStar(value) : taken.error()
  if (body.throw === undefined) throw error
  const lent = Reflect.defineProperty(IteratorPrototype, 'throw', {
    configurable: true,
    value: (thrown: unknown) => {
      throw thrown
    },
  })
  try {
    return throwInto(body, error, taken === null ? null : taken.generators())
  } finally {
    if (lent) Reflect.deleteProperty(IteratorPrototype, 'throw')
  }
}

const IteratorPrototype = Object.getPrototypeOf(
  Object.getPrototypeOf([][Symbol.iterator]()) as object,
) as Partial<Iterator<unknown>>
