/**
 * Debug mode: where tasks were made, coroutines that were called and never run, and steps that held the loop for long.
 *
 * The first two need a stack for every call, the third the clock for every step; production pays nothing for them. A
 * coroutine that the ending task made and nobody has begun is reported at that moment, with the place of the call: the
 * star was forgotten. A slow step is reported when it ends; nothing else could run meanwhile.
 */
import type { Call } from '../core/coroutine.ts'
import { running } from '../core/running.ts'
import type { Instrument } from '../core/instrument.ts'
import type { DebugHooks, ExceptionContext, Runner } from '../core/runner.ts'
import type { Task } from '../core/task.ts'
import { userLines } from './dump.ts'

/** Frames looked at to find the first one that is the user's. */
const STACK_LIMIT = 30

/** Frames whose lines are kept for an error on its way out. */
const MAX_OUTER_FRAMES = 20

export const DEFAULT_SLOW_STEP_MS = 100

export class DebugMode implements DebugHooks {
  readonly instrument: Instrument
  readonly #slowStepMs: number
  readonly #createdAt = new WeakMap<Task, string>()
  readonly #outerStacks = new WeakMap<object, readonly string[]>()
  readonly #unbegun = new Map<Task, Map<Call<unknown>, string>>()

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

  coroutineCalled(call: Call<unknown>): void {
    const { task } = running
    if (task === null) return
    let calls = this.#unbegun.get(task)
    if (calls === undefined) {
      calls = new Map()
      this.#unbegun.set(task, calls)
    }
    if (calls.size >= 1000) for (const known of calls.keys()) if (known.begun) calls.delete(known)
    calls.set(call, firstUserLine())
  }

  taskCreated(task: Task): void {
    this.#createdAt.set(task, firstUserLine())
  }

  taskEnded(task: Task): void {
    const calls = this.#unbegun.get(task)
    if (calls === undefined) return
    this.#unbegun.delete(task)
    for (const [call, place] of calls) {
      if (call.begun) continue
      const context: ExceptionContext = {
        message: `coroutine ${call.name}() was called by ${task.describeSelf()} and never run; was the star of \`yield*\` forgotten?`,
        task,
        stack: `    at ${place}`,
      }
      task.runner.report(context)
    }
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

function firstUserLine(): string {
  const first = userLines(stackOfNow()).split('\n')[0] ?? ''
  return first.trim().replace(/^at /, '')
}

function stackOfNow(): string {
  const limit = Error.stackTraceLimit
  Reflect.set(Error, 'stackTraceLimit', STACK_LIMIT)
  const stack = new Error('place').stack ?? ''
  Reflect.set(Error, 'stackTraceLimit', limit)
  return stack.slice(stack.indexOf('\n') + 1)
}
