/** The sentences for what people write by mistake: what was yielded or passed, and what to write instead. */
import { MisuseError } from './errors.ts'
import { forgetAnnounced, OUTSIDE, running } from './running.ts'

/** For a value that a coroutine yielded and that no operation announced. */
export function yieldedWithoutStar(value: unknown): MisuseError {
  if (value === undefined) {
    return new MisuseError(
      'a coroutine yielded nothing: it was expected to wait with `yield*` and an operation, and found a bare `yield`, ' +
        'or one of something that returned nothing; to let other tasks run write `yield* sleep(0)`',
    )
  }
  dropRejection(value)
  const found = isWaitable(value)
    ? '`yield` without the star (or `yield*` over a list)'
    : '`yield` of a value (or `yield*` over a list or a string)'
  return new MisuseError(
    `a coroutine yielded ${nameOf(value)}: it was expected to wait with \`yield*\` and an operation, and found ${found}; ` +
      `write ${insteadOfYielding(value)}`,
  )
}

/** For a value given where an operation belongs. `act` names the function, e.g. `createTask()`. */
export function notAnOperation(act: string, value: unknown): MisuseError {
  return wrongArgument(act, 'an operation', value, insteadOfPassing(value))
}

/** For a value given where something else belongs; `instead` says what to write. */
export function wrongArgument(act: string, expected: string, value: unknown, instead: string): MisuseError {
  dropRejection(value)
  return new MisuseError(`${act}: expected ${expected}, found ${nameOf(value)}; ${instead}`)
}

/** A promise that is refused is nobody's: the mistake is told, and a rejection that comes of it must not end the process. */
export function dropRejection(value: unknown): void {
  if (value instanceof Promise) value.catch(() => {})
}

/** For a wrong number: one that is out of range, or what is no number at all. */
export function wrongNumber(found: unknown, message: string): RangeError | MisuseError {
  return typeof found === 'number' ? new RangeError(message) : new MisuseError(message)
}

/** For `await operation`, which type checks nowhere but happens where types are not checked. */
export function awaited(what: string): MisuseError {
  return new MisuseError(
    `${what} was awaited: it was expected behind \`yield*\` inside a coroutine, and found behind \`await\` or \`then\`, ` +
      'or returned without the star; write `yield* operation`, or `await run(operation)` from outside',
  )
}

/** For a second `yield*` over an object that runs once. */
export function usedTwice(what: string): MisuseError {
  return new MisuseError(
    `${what} was used a second time: a coroutine object runs once, in one task; call the function again for another ` +
      'run, or make a task with `createTask` if several places wait for one result',
  )
}

/** For `next()` called by hand on something that is suspended in a task. */
export function steppedByHand(what: string): MisuseError {
  // What it had announced never reached the loop; the coroutine that made the slip can go on.
  if (running.announced !== OUTSIDE) forgetAnnounced()
  return new MisuseError(
    `${what} was stepped by someone who does not run it: it was expected behind one \`yield*\`, and found \`next()\`, ` +
      '`for...of`, spread or destructuring, or one generator behind two `yield*`; write `yield* operation` once ' +
      '(`const [first] = yield* operation` to take a result apart)',
  )
}

function insteadOfYielding(value: unknown): string {
  if (isWaitable(value)) {
    if (Array.isArray(value)) return '`yield* gather([...])` to wait for several operations'
    if (isPromiseLike(value)) return '`yield* until(promise)`'
    if (typeof value === 'function') return `\`yield* ${calling(value)}\`, calling the function`
    return isGeneratorLike(value) ? '`yield* f()`, with the star' : '`yield* operation`, with the star'
  }
  return '`return value` to end with a value, or `yield*` before an operation to wait'
}

function insteadOfPassing(value: unknown): string {
  if (isPromiseLike(value)) {
    return 'make the async function a `function*`, or pass `until(promise)`'
  }
  if (typeof value === 'function') return `call it: \`${calling(value)}\``
  if (Array.isArray(value)) return 'pass `gather([...])` to wait for several operations'
  return 'an operation is what a call of a `function*` or of a function of Cede returns'
}

function calling(fn: { readonly name: string }): string {
  return `${fn.name === '' ? 'f' : fn.name}()`
}

/** True for what someone may have meant to wait for. */
function isWaitable(value: unknown): boolean {
  return typeof value === 'function' || isThenable(value) || (typeof value === 'object' && isIterable(value))
}

/** A short name for a value in a message: its kind, and as much of it as helps to find it. */
export function nameOf(value: unknown): string {
  if (value === null) return 'null'
  switch (typeof value) {
    case 'undefined':
      return 'undefined'
    case 'string':
      return `a string (${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)})`
    case 'function':
      return value.name === '' ? 'a function' : `a function (${value.name})`
    case 'object':
      break
    default:
      return `a ${typeof value} (${(value as number | bigint | boolean | symbol).toString()})`
  }
  if (Array.isArray(value)) return 'an array'
  if (isGeneratorLike(value)) return 'a generator'
  if (value instanceof Promise) return 'a promise'
  const ours = nameOfOurs(value)
  if (ours !== null) return ours
  const name = (value.constructor as { name?: string } | undefined)?.name
  if (isPromiseLike(value)) return `a promise-like object (${name ?? 'no class'})`
  return name === undefined || name === '' || name === 'Object' ? 'an object' : `a ${name}`
}

/** What the library's own objects call themselves; the names of their classes are nobody's business. */
interface Ours {
  nameForMessages?(): string
  park?(): void
  describe?(): { readonly what: string }
}

function nameOfOurs(value: object): string | null {
  const ours = value as Ours
  if (typeof ours.nameForMessages === 'function') return ours.nameForMessages()
  if (typeof ours.park === 'function' && typeof ours.describe === 'function') {
    return `an operation (${ours.describe().what})`
  }
  return null
}

/** True for the library's own operations: coroutines, waits, scopes, tasks. */
export function isLibraryOperation(value: unknown): boolean {
  return typeof value === 'object' && value !== null && nameOfOurs(value) !== null
}

/** A promise; not a task or a future, which can be waited for in coroutines too. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return isThenable(value) && !isIterable(value)
}

function isThenable(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null)?.then === 'function'
}

function isIterable(value: unknown): boolean {
  return typeof (value as { [Symbol.iterator]?: unknown } | null)?.[Symbol.iterator] === 'function'
}

function isGeneratorLike(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object Generator]'
}
