// assert.throws for operations.
import assert from 'node:assert/strict'
import type { Operation, Suspension } from 'cede'

/** What `operation` throws; fails if it returns. */
export function* thrownBy(operation: Operation<unknown>): Generator<Suspension, unknown> {
  let value: unknown
  try {
    value = yield* operation
  } catch (error) {
    return error
  }
  assert.fail(`an error was expected, found the value ${String(value)}`)
}

/** The error of class `kind` that `operation` throws; fails if it returns or throws another. */
export function* thrownOf<E>(
  kind: abstract new (...args: never) => E,
  operation: Operation<unknown>,
): Generator<Suspension, E> {
  const error = yield* thrownBy(operation)
  assert.ok(error instanceof kind, `${kind.name} was expected, found ${String(error)}`)
  return error
}
