/**
 * `coroutine(fn)`: a generator function whose calls are frames of the task, with a name, that can be as deep as memory
 * allows and resume in constant time. Plain generator functions work everywhere too; see `frame.ts` for what is gained.
 */
import { Frame, LEFT, type FrameBody } from './frame.ts'
import { printsAs } from './inspect.ts'
import { notAnOperation, wrongArgument } from './misuse.ts'
import { noteMade } from './running.ts'
import type { Coroutine, Operation } from './suspension.ts'

/** One call of a wrapped function. */
export class Call<T> extends Frame<T> {
  static {
    printsAs(
      this.prototype as Call<unknown>,
      (call) => `Coroutine(${call.name}${call.begun ? '' : ', not begun'})`,
    )
  }

  readonly #wrapper: { readonly name: string }

  constructor(body: FrameBody, wrapper: { readonly name: string }) {
    super(body)
    this.#wrapper = wrapper
    noteMade(this)
  }

  /** The name of the wrapped function. */
  get name(): string {
    return this.#wrapper.name
  }

  override nameForMessages(): string {
    return this.name === '' ? 'a coroutine' : `coroutine ${this.name}()`
  }
}

/**
 * Wraps a generator function, so that its calls have a name, resume in constant time at any depth and can recurse as
 * deep as memory allows. Recursion must go through the wrapped constant.
 *
 * @param fn the generator function; `this` and arguments pass through
 * @returns a function that makes a coroutine; what it returns runs once, behind one `yield*`
 * @throws {MisuseError} if `fn` is no function, or an async one; when called, if `fn` did not return an operation
 *
 * Does not suspend by itself.
 *
 * @example
 * import { coroutine, run, sleep } from 'cede'
 *
 * const countDown = coroutine(function* countDown(n: number): Generator<never, number> {
 *   return n
 * })
 * console.log(await run(countDown(3)))
 */
export function coroutine<This, A extends readonly unknown[], T>(
  fn: (this: This, ...args: A) => Operation<T>,
): (this: This, ...args: A) => Coroutine<T>
export function coroutine<This, A extends readonly unknown[], T>(
  name: string,
  fn: (this: This, ...args: A) => Operation<T>,
): (this: This, ...args: A) => Coroutine<T>
export function coroutine<This, A extends readonly unknown[], T>(
  nameOrFn: string | ((this: This, ...args: A) => Operation<T>),
  maybeFn?: (this: This, ...args: A) => Operation<T>,
): (this: This, ...args: A) => Coroutine<T> {
  const fn = typeof nameOrFn === 'string' ? maybeFn : nameOrFn
  if (typeof fn !== 'function' || isAsync(fn)) throw notAGeneratorFunction(fn)
  const wrapper = function (this: This, ...args: A): Coroutine<T> {
    const body = iteratorOf(fn.call(this, ...args), wrapper)
    return new Call<T>(body, wrapper) as unknown as Coroutine<T>
  }
  Object.defineProperty(wrapper, 'name', {
    value: typeof nameOrFn === 'string' ? nameOrFn : fn.name,
    configurable: true,
  })
  Object.defineProperty(wrapper, 'length', { value: fn.length, configurable: true })
  Object.defineProperty(wrapper, WRAPPER, { value: true })
  return wrapper
}

function iteratorOf(operation: Operation<unknown>, caller: { readonly name: string }): FrameBody {
  if (typeof (operation as Partial<Operation<unknown>> | undefined)?.[Symbol.iterator] !== 'function') {
    throw notAnOperation(caller.name === '' ? 'a wrapped coroutine' : `coroutine ${caller.name}()`, operation)
  }
  return operation[Symbol.iterator]()
}

/** Marks what `coroutine` returns; cheaper to look up than a set, and callbacks are checked one by one. */
const WRAPPER: unique symbol = Symbol('cede.wrapper')
const GeneratorFunctionPrototype: unknown = Object.getPrototypeOf(function* () {})

/** True for what `coroutine` returns and for generator functions: calling one runs nothing yet. */
export function makesCoroutines(fn: object): boolean {
  return (
    (fn as { [WRAPPER]?: true })[WRAPPER] === true || Object.getPrototypeOf(fn) === GeneratorFunctionPrototype
  )
}

function isAsync(fn: object): boolean {
  return /Async(Generator)?Function\]$/.test(Object.prototype.toString.call(fn))
}

function notAGeneratorFunction(found: unknown): Error {
  const instead =
    typeof found === 'function'
      ? 'write `function*` instead of `async function`, and `yield*` instead of `await`'
      : 'write `coroutine(function* () { ... })`'
  const expected =
    typeof found === 'function' ? 'a generator function, not an async one' : 'a generator function'
  return wrongArgument('coroutine()', expected, found, instead)
}

/**
 * The iterator that a task or scope runs for `operation`; checks it first. The body of a fresh wrapped call is taken
 * out of its frame, since the task or scope is a frame already.
 */
export function bodyOf(act: string, operation: Operation<unknown>): FrameBody {
  if (operation instanceof Call) {
    operation[Symbol.iterator]()
    operation.state = LEFT
    return operation.body!
  }
  return operationFrom(act, operation)[Symbol.iterator]()
}

/** Checks what somebody gave for an operation, or what a callback returned. */
export function operationFrom<T>(act: string, operation: Operation<T>): Operation<T> {
  const iterates =
    typeof (operation as Partial<Operation<T>> | null | undefined)?.[Symbol.iterator] === 'function'
  if (!iterates || typeof operation === 'string' || Array.isArray(operation))
    throw notAnOperation(act, operation)
  return operation
}

/** The name of what is run, for dumps: of a wrapped function, else empty. */
export function labelOf(operation: unknown): string {
  return operation instanceof Call ? operation.name : ''
}
