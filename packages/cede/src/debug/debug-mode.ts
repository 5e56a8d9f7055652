/**
 * Debug mode: where tasks were made, and coroutines that were called and never run.
 *
 * Both need a stack for every call, which costs microseconds; production pays nothing for it. A coroutine that the
 * ending task made and nobody has begun is reported at that moment, with the place of the call: the star was forgotten.
 */
import type { Call } from '../core/coroutine.ts'
import { running } from '../core/running.ts'
import type { DebugHooks, ExceptionContext } from '../core/runner.ts'
import type { Task } from '../core/task.ts'
import { userLines } from './dump.ts'

/** Frames looked at to find the first one that is the user's. */
const STACK_LIMIT = 30

export class DebugMode implements DebugHooks {
  readonly #createdAt = new WeakMap<Task, string>()
  readonly #unbegun = new Map<Task, Map<Call<unknown>, string>>()

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

  createdAt(task: Task): string | undefined {
    return this.#createdAt.get(task)
  }
}

function firstUserLine(): string {
  const limit = Error.stackTraceLimit
  Reflect.set(Error, 'stackTraceLimit', STACK_LIMIT)
  const stack = new Error('place').stack ?? ''
  Reflect.set(Error, 'stackTraceLimit', limit)
  const first = userLines(stack.slice(stack.indexOf('\n') + 1)).split('\n')[0] ?? ''
  return first.trim().replace(/^at /, '')
}
