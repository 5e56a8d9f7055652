/**
 * Plain functions that the loop calls: what is looked at when they are given, and what they return. One that makes a
 * coroutine would be called and do nothing; one that is async would end the process if it is rejected.
 */
import { makesCoroutines } from './coroutine.ts'
import { MisuseError } from './errors.ts'
import { dropRejection, isLibraryOperation, isPromiseLike, nameOf } from './misuse.ts'

const NOTHING_EXPECTED = 'a function that returns nothing'
/** For callbacks whose answer counts. */
export const ANSWER_EXPECTED = 'a function that answers at once'

const NOBODY_RUNS = 'which nobody would run; write `createTask(operation)`'

/** @throws {MisuseError} if `callback` is no function, or one that makes coroutines; `as` names its option */
export function checkedCallback<F extends (...args: never[]) => unknown>(
  act: string,
  callback: F,
  as?: string,
): F {
  if (typeof callback === 'function' && !makesCoroutines(callback)) return callback
  const expected = `a function was expected${as === undefined ? '' : ` as ${as}`}`
  const found =
    typeof callback === 'function'
      ? `${nameOf(callback)} that makes a coroutine, ${NOBODY_RUNS}`
      : nameOf(callback)
  throw new MisuseError(`${act}: ${expected}, found ${found}`)
}

/**
 * Looks at what a callback has returned, if that is not undefined. A promise may be returned: `failed` is told if it is
 * rejected.
 *
 * @throws {MisuseError} if it is a coroutine that nobody has begun
 */
export function checkReturned(act: string, returned: unknown, failed: (error: unknown) => void): void {
  if (typeof returned !== 'object' || returned === null) return
  if (isUnbegun(returned)) throw returnedCoroutine(act, returned, NOTHING_EXPECTED)
  if (isPromiseLike(returned)) void returned.then(undefined, failed)
}

/**
 * The same where nothing may come later: what a callback of a connection does has to be done when it returns.
 *
 * @param expected what was expected, in words
 * @throws {MisuseError} if it is a coroutine that nobody has begun, or a promise, whose rejection is dropped
 */
export function refuseReturned(act: string, returned: unknown, expected: string = NOTHING_EXPECTED): void {
  if (typeof returned !== 'object' || returned === null) return
  if (isUnbegun(returned)) throw returnedCoroutine(act, returned, expected)
  if (!isPromiseLike(returned)) return
  dropRejection(returned)
  throw new MisuseError(
    `${act}: ${expected} was expected, found one that returned ${nameOf(returned)}, which nobody would wait for; ` +
      'make it a plain function, and write `createTask(operation)` for what takes time',
  )
}

function returnedCoroutine(act: string, returned: object, expected: string): MisuseError {
  return new MisuseError(
    `${act}: ${expected} was expected, found one that returned ${nameOf(returned)}, ${NOBODY_RUNS}`,
  )
}

/** A generator, or an operation of the library; a task runs by itself. */
function isUnbegun(value: object): boolean {
  if (isLibraryOperation(value)) return (value as { readonly begun?: boolean }).begun === false
  return /Generator\]$/.test(Object.prototype.toString.call(value))
}
