// The star was forgotten: each statement so marked makes an operation that never runs.
import {
  coroutine,
  createTask,
  gather,
  run,
  sleep,
  taskGroup,
  timeout,
  type Coroutine,
  type Operation,
} from 'cede'

function* inferred() {
  yield* sleep(1)
  return 1
}
function* annotated(): Coroutine<number> {
  yield* sleep(1)
  return 1
}
function* neverWaits() {
  return 1
}
const wrapped = coroutine('wrapped', inferred)

export function* forgotten(flag: boolean): Coroutine<void> {
  sleep(1) // flagged: @typescript-eslint/no-floating-promises
  annotated() // flagged: @typescript-eslint/no-floating-promises
  inferred() // flagged: @typescript-eslint/no-floating-promises
  neverWaits() // flagged: @typescript-eslint/no-floating-promises
  wrapped() // flagged: @typescript-eslint/no-floating-promises
  gather([annotated()]) // flagged: @typescript-eslint/no-floating-promises
  timeout(1, inferred()) // flagged: @typescript-eslint/no-floating-promises
  flag ? sleep(1) : sleep(2) // flagged: @typescript-eslint/no-floating-promises, @typescript-eslint/no-unused-expressions
  if (flag) sleep(1) // flagged: @typescript-eslint/no-floating-promises
  run(inferred) // flagged: @typescript-eslint/no-floating-promises
}

export function* right(flag: boolean): Coroutine<void> {
  yield* sleep(1)
  yield* annotated()
  yield* inferred()
  yield* neverWaits()
  yield* wrapped()
  yield* gather([annotated(), inferred()])
  yield* timeout(1, inferred())
  yield* flag ? sleep(1) : sleep(2)
  void sleep(1)
  // A task is owned by the loop, which reports it if it fails: it may stand alone.
  createTask(inferred())
  yield* taskGroup(function* (group) {
    group.createTask(inferred())
    yield* sleep(1)
  })
}

class Connection {
  *close() {
    yield* sleep(1)
  }
}
export function* methods(connection: Connection, operation: Operation<void>): Coroutine<void> {
  connection.close() // flagged: @typescript-eslint/no-floating-promises
  yield* connection.close()
  yield* operation
}
