/** What the contracts of streams share: tests that are given both ends of a connection, and tasks that wait. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTask, type Connection, type Operation, type Suspension, type Task } from 'cede'
import { untilTrue, withStreams, type Kind, type StreamPairOptions } from './kinds.ts'

/** A test whose main is given both ends of a connection: the client's and the server's. */
export type PairTest = (
  title: string,
  use: (ours: Connection, theirs: Connection) => Operation<unknown>,
  sizes?: StreamPairOptions,
) => void

export function pairTestOf(kind: Kind): PairTest {
  const { name, skip } = kind
  return (title, use, sizes = {}) => {
    void test(`${title} (${name})`, { skip }, async () => {
      await kind.run(() => withStreams(kind, use, sizes))
    })
  }
}

/** A task that has begun to wait. */
export function* waiting<T>(operation: Operation<T>): Generator<Suspension, Task<T>> {
  const task = createTask(
    (function* () {
      return yield* operation
    })(),
  )
  yield* untilTrue(() => task.status === 'waiting')
  return task
}

export function* cancelled(task: Task): Generator<Suspension, void> {
  task.cancel()
  assert.equal((yield* task.join()).status, 'cancelled')
}
