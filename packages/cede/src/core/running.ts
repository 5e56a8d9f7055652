/**
 * What the one step that is running right now keeps, and the handshake that tells a suspension from anything else.
 *
 * JavaScript has one thread here and a step runs to its end, so this is one plain object and no lookup. The loop sets
 * it up before it steps a task; frames and operations read and write it while the step runs.
 *
 * The handshake: a yielded value counts only if a library iterator announced that very value in this very step. A bare
 * `yield`, a generator or promise yielded without the star, an operation walked by hand with `next()`, `for...of` or
 * spread never passes it, and costs the good case one comparison.
 */
import { MisuseError } from './errors.ts'
import type { Frame } from './frame.ts'
import type { Runner } from './runner.ts'
import type { Suspension, Wait } from './suspension.ts'
import type { Task } from './task.ts'

/** Stands for "nothing was announced in this step". An object of our own, since users can yield null. */
export const NOTHING: Wait = marker('nothing')

/** Stands for "no step is running", so that `announce` needs one comparison for both mistakes. */
export const OUTSIDE: Wait = marker('outside')

/** Operations that end without a suspension before a task gives way once, if they are quick. */
export const OPERATIONS_PER_STEP = 128

export interface Running {
  /** The task being stepped; null in callbacks and outside the loop. */
  task: Task | null
  /** Whose task or callback it is; null outside the loop. */
  runner: Runner | null
  /** The suspension on its way to the loop, NOTHING, or OUTSIDE. */
  announced: Wait
  /** Frames that must go onto the task's stack because something below them suspended, innermost first. */
  innermost: Frame | null
  outermost: Frame | null
  /** How many wrapped calls are nested on the native stack. */
  depth: number
  /** Operations that may still end without suspending; 0 when the task is to be unwound at its next suspension. */
  credit: number
}

export const running: Running = {
  task: null,
  runner: null,
  announced: OUTSIDE,
  innermost: null,
  outermost: null,
  depth: 0,
  credit: 0,
}

/** Hands a suspension to the loop; an operation's iterator returns the result from `next()`. */
export function announce(wait: Wait): IteratorYieldResult<Suspension> {
  if (running.announced !== NOTHING) throw cannotSuspend()
  running.announced = wait
  return { done: false, value: wait as unknown as Suspension }
}

/** Something that runs only behind a `yield*`, and does nothing if that is forgotten. */
export interface Startable {
  /** False until a `yield*`, a task or a scope has begun it. */
  readonly begun: boolean
  nameForMessages(): string
}

/** For debug mode, which tells of those that are never begun. */
export function noteMade(operation: Startable): void {
  const debug = running.runner?.debug
  if (debug != null) debug.operationMade(operation)
}

/**
 * True if an operation that has what it needs may finish at once. False if it must suspend first, before it takes
 * anything: its scope is cancelled, or the task has not given way for a long time.
 */
export function mayFinishNow(): boolean {
  return running.credit-- > 0
}

/** For the misuse that `announce` and frames find: either no task runs, or an earlier suspension was swallowed. */
export function cannotSuspend(): MisuseError {
  if (running.announced === OUTSIDE) {
    return new MisuseError(
      'an operation was stepped outside a task: it was expected behind `yield*` in a coroutine that the loop runs ' +
        '(`run`, `createTask`), and was walked by hand (`next()`, `for...of`, spread) or after its task had ended',
    )
  }
  return swallowed()
}

/** An operation announced a suspension that never reached the loop. Clears it, so that the coroutine can go on. */
export function swallowed(): MisuseError {
  const what = running.announced.describe().what
  forgetAnnounced()
  return new MisuseError(
    `an operation (${what}) was walked by hand: it was expected behind \`yield*\`, and its suspension was taken by ` +
      '`next()`, `for...of`, spread or destructuring, so that the loop never saw it; write `yield* operation`',
  )
}

export function forgetAnnounced(): void {
  running.announced = NOTHING
  running.innermost = null
  running.outermost = null
}

/** No step is running any more: what is asked of operations from here on is refused. */
export function leaveStep(): void {
  running.task = null
  running.announced = OUTSIDE
}

function marker(what: string): Wait {
  return {
    park() {
      throw new Error(`cede: ${what} was parked on`)
    },
    unpark() {},
    describe: () => ({ what }),
  }
}
