/**
 * Context variables: values that belong to a task and are inherited by what it starts.
 *
 * The loop steps every coroutine itself, so this needs nothing from the host and is exact: a task has a context, and
 * while the task is stepped that is the current one. A context is a holder of an immutable map; copying one copies a
 * pointer, and setting a variable copies the map, which is small. A task whose ancestors never set a variable has none.
 *
 * AsyncLocalStorage is the host's form of the same idea; `ContextBridge` is what core asks for to keep it.
 */
import { MisuseError } from './errors.ts'
import { running } from './running.ts'
import type { Task } from './task.ts'

type Values = ReadonlyMap<ContextVar<unknown>, unknown>

const NO_VALUES: Values = new Map()

/** The values of all context variables, as one task or callback sees them. */
export class Context {
  #values: Values
  /** @internal What those that run in it were started for, e.g. a connection; inherited as a value is, and shown to nobody. */
  origin: object | null = null

  constructor() {
    this.#values = NO_VALUES
  }

  /** A context with the same values; later changes in one are not seen in the other. */
  copy(): Context {
    const copy = new Context()
    copy.#values = this.#values
    copy.origin = this.origin
    return copy
  }

  /** Calls `fn` with this context as the current one, outside of the running task's own. */
  run<R>(fn: () => R): R {
    const before = entered
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- it becomes the current one
    entered = this
    try {
      return fn()
    } finally {
      entered = before
    }
  }

  has<T>(variable: ContextVar<T>): boolean {
    return this.#values.has(variable)
  }

  get<T>(variable: ContextVar<T>): T | undefined {
    return this.#values.get(variable) as T | undefined
  }

  get size(): number {
    return this.#values.size
  }

  [Symbol.iterator](): Iterator<[ContextVar<unknown>, unknown]> {
    return this.#values.entries()
  }

  /** @internal */
  static put(context: Context, variable: ContextVar<unknown>, value: unknown): void {
    const values = new Map(context.#values)
    values.set(variable, value)
    context.#values = values
  }

  /** @internal */
  static remove(context: Context, variable: ContextVar<unknown>): void {
    const values = new Map(context.#values)
    values.delete(variable)
    context.#values = values
  }
}

/** The context of `Context.run` while one is active; it goes before the task's own. */
let entered: Context | null = null

/** What callbacks run in, and code outside the loop. */
let callbackContext: Context | null = null

/** @internal The loop enters a callback's context, and afterwards what was there before. @returns what was there */
export function setCallbackContext(context: Context | null): Context | null {
  const before = callbackContext
  callbackContext = context
  return before
}

/** @internal An eager step sets the context of `Context.run` around it aside, and puts it back. @returns what was there */
export function setEnteredContext(context: Context | null): Context | null {
  const before = entered
  entered = context
  return before
}

/** @internal The current context if it has any values, else null. */
export function currentContextOrNull(): Context | null {
  if (entered !== null) return entered
  return running.task === null ? callbackContext : running.task.context
}

function currentContext(): Context {
  if (entered !== null) return entered
  const { task } = running
  if (task !== null) return (task.context ??= new Context())
  return (callbackContext ??= new Context())
}

/** @internal What something made now inherits: a copy of the current values, or null if there are none. */
export function inheritContext(): Context | null {
  const context = currentContextOrNull()
  return context === null || (context.size === 0 && context.origin === null) ? null : context.copy()
}

/** A copy of the current context. */
export function copyContext(): Context {
  return currentContextOrNull()?.copy() ?? new Context()
}

const UNSET: unique symbol = Symbol('unset')

/** What `ContextVar.set` returns, to undo it with `reset`. Works once. */
export class Token<T> {
  readonly variable: ContextVar<T>
  /** @internal */
  readonly before: T | typeof UNSET
  /** @internal */
  readonly context: Context
  /** @internal */
  used = false

  /** @internal */
  constructor(variable: ContextVar<T>, before: T | typeof UNSET, context: Context) {
    this.variable = variable
    this.before = before
    this.context = context
  }
}

/**
 * A variable whose value belongs to the current task: set it, and this task and what it starts from then on see the
 * value; the task's creator and its other children do not.
 *
 * @example
 * import { ContextVar, createTask, run } from 'cede'
 *
 * const user = new ContextVar('user', { default: 'nobody' })
 * function* greet() {
 *   return `hello ${user.get()}`
 * }
 * await run(function* () {
 *   user.set('ada')
 *   console.log(yield* createTask(greet()))
 * })
 */
export class ContextVar<T> {
  readonly name: string
  readonly #default: T | typeof UNSET

  /** @param options.default what `get` returns where the variable was not set */
  constructor(name: string, options?: { readonly default: T }) {
    this.name = name
    this.#default = options === undefined ? UNSET : options.default
  }

  /**
   * The value in the current context, else `fallback`, else the default.
   *
   * @throws {ReferenceError} if there is none of the three
   */
  get(fallback?: T): T {
    const context = currentContextOrNull()
    if (context?.has(this) === true) return context.get(this) as T
    if (arguments.length > 0) return fallback as T
    if (this.#default === UNSET) {
      throw new ReferenceError(`context variable ${this.name}: expected a value or a default, found neither`)
    }
    return this.#default
  }

  /** Sets the value in the current context. */
  set(value: T): Token<T> {
    const context = currentContext()
    const before = context.has(this) ? (context.get(this) as T) : UNSET
    Context.put(context, this, value)
    return new Token(this, before, context)
  }

  /**
   * Puts back what was there before the `set` that returned `token`.
   *
   * @throws {MisuseError} if the token was used, belongs to another variable or to another context
   */
  reset(token: Token<T>): void {
    const problem = token.used
      ? 'it was used before'
      : token.variable !== this
        ? `it belongs to ${token.variable.name}`
        : token.context !== currentContext()
          ? 'it was made in another context'
          : null
    if (problem !== null) {
      throw new MisuseError(
        `reset() of context variable ${this.name}: expected a fresh token of this context, but ${problem}`,
      )
    }
    token.used = true
    if (token.before === UNSET) Context.remove(token.context, this)
    else Context.put(token.context, this, token.before)
  }
}

/**
 * Keeps the host's own context (AsyncLocalStorage) per task. Core steps a task through it if there is one; the
 * implementation is in `interop/`.
 */
export interface ContextBridge {
  /** Captures the host's context for a new task or callback. */
  open(): object
  /** Steps `task` inside what was captured for it. */
  step(task: Task, step: (task: Task) => void): void
  /** Calls `callback` inside what was captured for it. @returns what it returned */
  call(captured: object, callback: () => void): unknown
  /** The task has ended, or the callback was called for the last time. */
  close(captured: object): void
}
