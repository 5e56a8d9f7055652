/**
 * One step of a task: resume its innermost frame, and go on from frame to frame until something waits or all is done.
 *
 * The loop of `drive` is the heart of the scheduler. In each round the innermost body is resumed, failed or forced to
 * return, and did one of three things: it suspended (the frames below it are put onto the stack, and the task parks),
 * it ended (its outcome is left in the frame, and the parent is resumed), or it was cleaning up and ended (see
 * `unwind.ts`). Nothing here runs user code but the calls inside the `try`.
 */
import {
  CLEANING,
  RETURNED,
  SPLIT,
  SUSPENDED_IN_CLEANUP,
  THREW,
  UNSTARTED,
  refuse,
  CALL_THROUGH_LOOP,
  type Frame,
  type FrameBody,
} from './frame.ts'
import { NOTHING, running, swallowed } from './running.ts'
import type { Suspension } from './suspension.ts'
import type { Task } from './task.ts'
import { canSplitChains, disengage, engage, returnFrame, SPLIT_FIRST } from './unwind.ts'

/** How a task goes on in its next step. */
export type ResumeMode = typeof WAKE | typeof RESUME | typeof FAIL | typeof UNWIND
/** Without a value: begins, or ends a wait that a cancel may still overtake. */
export const WAKE = 0
/** With a value, which it gets before any cancel. */
export const RESUME = 1
/** With an error. */
export const FAIL = 2
/** By unwinding its outermost cancelled scope. */
export const UNWIND = 3
/** Inside a step only: the last yield was no suspension of ours. */
const REFUSE = 4

export function stepTask(task: Task): void {
  const { loop } = task.runner
  running.task = task
  running.runner = task.runner
  running.announced = NOTHING
  running.depth = 0
  running.credit = task.target === null ? loop.operationsPerStep : 0
  const value = task.outcome
  const mode = task.mode === WAKE ? (task.target === null ? RESUME : UNWIND) : task.mode
  task.status = 'running'
  task.outcome = undefined
  if (loop.instrument === null) {
    drive(task, mode, value)
  } else {
    loop.instrument.stepBegins(task)
    drive(task, mode, value)
    loop.instrument?.stepEnds(task)
  }
}

function drive(task: Task, mode: ResumeMode | typeof REFUSE, value: unknown): void {
  let frame: Frame = task.top
  for (;;) {
    let result: IteratorResult<Suspension, unknown> | null
    try {
      if (mode === RESUME) {
        if (frame.flags !== 0) frame.flags &= ~UNSTARTED
        result = frame.body!.next(value)
      } else if (mode === UNWIND) {
        const engaged = engage(task)
        if (engaged === null) return
        frame = engaged
        result = returnFrame(task, frame)
        if (result === SPLIT_FIRST) continue
      } else if (mode === FAIL) {
        result = failInto(frame.body!, value)
      } else {
        result = refuse(frame.body!, value)
      }
    } catch (error) {
      result = null
      value = error
    }

    if (result !== null && result.done !== true) {
      if ((result.value as unknown) !== running.announced) {
        mode = REFUSE
        value = result.value
        continue
      }
      const wait = running.announced
      running.announced = NOTHING
      const returnAgain = (frame.flags & CLEANING) !== 0 && suspendedInCleanup(frame)
      if (running.outermost !== null) {
        running.outermost.parent = frame
        task.top = running.innermost!
        running.innermost = null
        running.outermost = null
      }
      if (wait === CALL_THROUGH_LOOP) {
        running.depth = 0
        frame = task.top
        mode = RESUME
        value = undefined
        continue
      }
      if (task.target !== null || returnAgain) {
        mode = UNWIND
        continue
      }
      if (task.unwinding !== null) task.unwinding.startGrace()
      try {
        task.park(wait)
        return
      } catch (error) {
        if (task.waiting === null) {
          // It had ended the wait already, and the task is ready: the error has nobody else to tell.
          task.runner.report({
            message: `a wait of ${task.describeSelf()} threw while it was parked on`,
            error,
            task,
          })
          return
        }
        if (task.runner.loop.instrument !== null) task.runner.loop.instrument.unparked(task, wait)
        task.waiting = null
        task.status = 'running'
        frame = task.top
        mode = FAIL
        value = error
        continue
      }
    }

    // The frame has ended: returned if there is a result, else thrown `value`.
    let threw = result === null
    if (result !== null) value = result.value
    if (running.announced !== NOTHING) {
      threw = true
      value = swallowed()
    }
    if ((frame.flags & CLEANING) !== 0) {
      const after = disengage(task, threw, value)
      if (after === 'finished') return
      mode = after === 'unwind' ? UNWIND : RESUME
      frame = task.top
      value = undefined
      continue
    }
    if (frame === (task as Frame)) {
      task.finish(threw ? 'failed' : 'done', value)
      return
    }
    const parent: Frame = frame.parent!
    task.top = parent
    frame.state = threw ? THREW : RETURNED
    frame.outcome = value
    frame.leave()
    frame = parent
    mode = RESUME
    value = undefined
  }
}

function failInto(body: FrameBody, error: unknown): IteratorResult<Suspension, unknown> {
  if (body.throw === undefined) throw error
  return body.throw(error)
}

/**
 * The cleanup of `frame` itself suspended. It may hold a new native chain by now, to be split if it is forced once
 * more. Where chains cannot be split at all, the frame is returned again at every suspension after the first.
 */
function suspendedInCleanup(frame: Frame): boolean {
  frame.flags &= ~SPLIT
  if (canSplitChains) return false
  const again = (frame.flags & SUSPENDED_IN_CLEANUP) !== 0
  frame.flags |= SUSPENDED_IN_CLEANUP
  return again
}
