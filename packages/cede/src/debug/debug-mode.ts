/**
 * Debug mode: where tasks were made, operations that were called and never run, and steps that held the loop for long.
 *
 * The first two need a stack for every call, the third the clock for every step; production pays nothing for them. An
 * operation (of the library, or a wrapped coroutine) that a task has called and nobody has begun when the task ends, or
 * has called a thousand more, is reported with the place of the call, each place once: the star was forgotten. A slow
 * step is reported when it ends; nothing else could run meanwhile.
 */
import { running, type Startable } from '../core/running.ts'
import type { Instrument } from '../core/instrument.ts'
import type { DebugHooks, ExceptionContext, Runner } from '../core/runner.ts'
import type { Task } from '../core/task.ts'
import { userLines } from './dump.ts'

/** Frames looked at to find the first one that is the user's. */
const STACK_LIMIT = 30

/** Frames whose lines are kept for an error on its way out. */
const MAX_OUTER_FRAMES = 20

export const DEFAULT_SLOW_STEP_MS = 100

/** So many operations of a task that lives on are remembered before those not begun are told. */
const UNBEGUN_KEPT = 1000
/** The youngest of them may be about to begin. */
const UNBEGUN_YOUNG = 100

export class DebugMode implements DebugHooks {
  readonly instrument: Instrument
  readonly #slowStepMs: number
  readonly #createdAt = new WeakMap<Task, string>()
  readonly #outerStacks = new WeakMap<object, readonly string[]>()
  /** What a live task has made, with an error whose stack is formatted only if it is needed. */
  readonly #unbegun = new Map<Task, Map<Startable, Error>>()
  /** Each place is told once. */
  readonly #toldPlaces = new Set<string>()

  /** @param slowStepMs steps and callbacks that take longer are reported */
  constructor(slowStepMs: number = DEFAULT_SLOW_STEP_MS) {
    this.#slowStepMs = slowStepMs
    // Steps nest: an eager task is stepped inside the step that makes it.
    const startedMs: number[] = []
    this.instrument = {
      stepBegins: (task) => {
        startedMs.push(task.runner.loop.time())
      },
      stepEnds: (task) => {
        const began = startedMs.pop()
        if (began !== undefined && task.runner.debug === this)
          this.#ran(task.runner, task.describeSelf(), task.runner.loop.time() - began, task)
      },
    }
  }

  callbackRan(runner: Runner, callback: () => void, tookMs: number): void {
    this.#ran(runner, `a callback (${callback.name === '' ? 'anonymous' : callback.name})`, tookMs, undefined)
  }

  #ran(runner: Runner, who: string, tookMs: number, task: Task | undefined): void {
    if (tookMs < this.#slowStepMs) return
    const context: ExceptionContext = {
      message:
        `${who} held the loop for ${tookMs.toFixed(0)} ms without a wait; nothing else could run meanwhile ` +
        `(reported from ${String(this.#slowStepMs)} ms, see slowStepMs)`,
      ...(task === undefined ? {} : { task, stack: task.stack() }),
    }
    runner.report(context)
  }

  operationMade(operation: Startable): void {
    const { task } = running
    if (task === null) return
    let made = this.#unbegun.get(task)
    if (made === undefined) {
      made = new Map()
      this.#unbegun.set(task, made)
    }
    made.set(operation, placeOfNow())
    if (made.size >= UNBEGUN_KEPT) this.#tellUnbegun(task, made, UNBEGUN_YOUNG)
  }

  /** Tells of the operations that nobody has begun by now, and forgets them, but for the `kept` youngest. */
  #tellUnbegun(task: Task, made: Map<Startable, Error>, kept: number): void {
    let left = made.size - kept
    for (const [operation, at] of made) {
      if (left-- <= 0) return
      made.delete(operation)
      if (operation.begun) continue
      const place = firstUserLine(at)
      if (this.#toldPlaces.has(place)) continue
      this.#toldPlaces.add(place)
      task.runner.report({
        message:
          `${operation.nameForMessages()} was called by ${task.describeSelf()} and never run; ` +
          'was the star of `yield*` forgotten?',
        task,
        stack: `    at ${place}`,
      })
    }
  }

  taskCreated(task: Task): void {
    // Made by the library on its own, such as the handler of a connection, it has no place in the user's code.
    const place = firstUserLine(placeOfNow())
    if (place !== '') this.#createdAt.set(task, place)
  }

  taskEnded(task: Task): void {
    const made = this.#unbegun.get(task)
    if (made === undefined) return
    this.#unbegun.delete(task)
    this.#tellUnbegun(task, made, 0)
  }

  errorPassed(error: unknown): void {
    if (typeof error !== 'object' || error === null) return
    const lines = userLines(stackOfNow())
    const known = this.#outerStacks.get(error) ?? []
    if (lines !== '' && known.length < MAX_OUTER_FRAMES) this.#outerStacks.set(error, [...known, lines])
  }

  outerStack(error: unknown): string | undefined {
    if (typeof error !== 'object' || error === null) return undefined
    return this.#outerStacks.get(error)?.join('\n')
  }

  createdAt(task: Task): string | undefined {
    return this.#createdAt.get(task)
  }
}

function firstUserLine(at: Error): string {
  const first = userLines(linesOf(at)).split('\n')[0] ?? ''
  return first.trim().replace(/^at /, '')
}

function stackOfNow(): string {
  return linesOf(placeOfNow())
}

function placeOfNow(): Error {
  const limit = Error.stackTraceLimit
  Reflect.set(Error, 'stackTraceLimit', STACK_LIMIT)
  const place = new Error('place')
  Reflect.set(Error, 'stackTraceLimit', limit)
  return place
}

function linesOf(error: Error): string {
  const stack = error.stack ?? ''
  return stack.slice(stack.indexOf('\n') + 1)
}
