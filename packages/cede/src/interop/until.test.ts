import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  cancelAndWait,
  CancelledError,
  createTask,
  MisuseError,
  sleep,
  timeout,
  timeoutOr,
  until,
  withScope,
} from 'cede'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownBy, thrownOf } from '../../../../test/support/thrown-by.ts'

/** A promise and its ends. */
function deferred<T>(): {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (error: unknown) => void
} {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue
    reject = onError
  })
  return { promise, resolve, reject }
}

test('gives the value of a promise, of a thenable, and of what a function makes', () =>
  simulate(function* () {
    assert.equal(yield* until(Promise.resolve('value')), 'value')
    const thenable: PromiseLike<number> = { then: (onValue) => Promise.resolve(42).then(onValue) }
    assert.equal(yield* until(thenable), 42)
    assert.equal(yield* until(() => Promise.resolve('made')), 'made')
    assert.equal(yield* until(async (signal) => signal.aborted), false)
  }))

test('always suspends, also for a promise that has settled', () =>
  simulate(function* (sim) {
    const settled = Promise.resolve()
    yield* until(settled)
    const { passes } = sim.loop
    yield* until(settled)
    assert.ok(sim.loop.passes > passes)
  }))

test('throws what the promise was rejected with, unaltered', () =>
  simulate(function* () {
    const mine = new Error('mine')
    assert.equal(yield* thrownBy(until(Promise.reject(mine))), mine)
    assert.equal(yield* thrownBy(until(() => Promise.reject(mine))), mine)
    // Anything can be thrown.
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
    assert.equal(yield* thrownBy(until(Promise.reject(undefined))), undefined)
  }))

test('throws what the function throws', () =>
  simulate(function* () {
    const mine = new Error('mine')
    const operation = until((): Promise<void> => {
      throw mine
    })
    assert.equal(yield* thrownBy(operation), mine)
  }))

test('the function is called when the wait begins, once', () =>
  simulate(function* () {
    let calls = 0
    const operation = until(async () => ++calls)
    yield* sleep(1)
    assert.equal(calls, 0)
    assert.equal(yield* operation, 1)
    yield* sleep(1)
    assert.equal(calls, 1)
  }))

test('outside a task it is refused, and the function is not called', () => {
  let calls = 0
  const operation = until(async () => ++calls)
  assert.throws(() => operation[Symbol.iterator]().next(), MisuseError)
  assert.equal(calls, 0)
})

test('what is no promise is refused: at the call, or where the function returns it', () =>
  simulate(function* () {
    for (const wrong of [undefined, null, 42, 'text', {}]) {
      assert.throws(() => until(wrong as Promise<void>), MisuseError)
    }
    const error = yield* thrownOf(MisuseError, until((() => 42) as unknown as () => Promise<number>))
    assert.match(error.message, /until\(\): expected a function that returns a promise/)
  }))

test('on cancel the signal is aborted from the loop, never inside cancel()', () =>
  simulate(function* () {
    const { promise, resolve } = deferred<void>()
    let signal: AbortSignal | undefined
    const task = createTask(
      until((given) => {
        signal = given
        return promise
      }),
    )
    yield* sleep(1)
    assert.equal(signal!.aborted, false)
    task.cancel({ reason: 'mine' })
    assert.equal(signal!.aborted, false)
    yield* task.join()
    yield* sleep(0)
    assert.equal(signal!.aborted, true)
    const reason: unknown = signal!.reason
    assert.ok(reason instanceof CancelledError)
    assert.equal(reason.reason, 'mine')
    resolve()
  }))

test('a reason that is an error is the reason of the signal: a timeout is told apart', () =>
  simulate(function* () {
    let signal: AbortSignal | undefined
    const error = yield* thrownBy(
      timeout(10, () =>
        until((given) => {
          signal = given
          return new Promise(() => {})
        }),
      ),
    )
    yield* sleep(0)
    assert.equal(signal!.reason, error)
  }))

test('after its end the signal is left alone', () =>
  simulate(function* () {
    let signal: AbortSignal | undefined
    const task = createTask(
      (function* () {
        yield* until(async (given) => {
          signal = given
        })
        yield* sleep(100)
      })(),
    )
    yield* sleep(50)
    yield* cancelAndWait(task)
    yield* sleep(1)
    assert.equal(signal!.aborted, false)
  }))

test('a value that comes after the cancel is given to onLate, once; without it, it is dropped', () =>
  simulate(function* () {
    const late: string[] = []
    const { promise, resolve } = deferred<string>()
    const task = createTask(until(promise, { onLate: (value) => late.push(value) }))
    const without = createTask(until(promise))
    yield* sleep(1)
    yield* cancelAndWait(task)
    yield* cancelAndWait(without)
    resolve('late')
    yield* sleep(1)
    assert.deepEqual(late, ['late'])
  }))

test('a value in time is not given to onLate', () =>
  simulate(function* () {
    const late: string[] = []
    assert.equal(yield* until(Promise.resolve('value'), { onLate: (value) => late.push(value) }), 'value')
    yield* sleep(1)
    assert.deepEqual(late, [])
  }))

test('a value that has arrived when the cancel comes is returned, and is not late', () =>
  simulate(function* () {
    const late: string[] = []
    const { promise, resolve } = deferred<string>()
    const task = createTask(until(promise, { onLate: (value) => late.push(value) }))
    yield* sleep(1)
    resolve('value')
    // The promise wakes the task in a microtask, before the next turn; the cancel comes in that one.
    yield* until(Promise.resolve().then(() => task.cancel()))
    assert.deepEqual(yield* task.join(), { status: 'done', value: 'value' })
    assert.deepEqual(late, [])
  }))

test('a rejection that comes after the cancel is dropped: no report, no unhandled rejection', () =>
  simulate(function* () {
    const late: string[] = []
    const { promise, reject } = deferred<string>()
    assert.equal(yield* timeoutOr(5, until(promise, { onLate: (value) => late.push(value) }), 'cut'), 'cut')
    reject(new Error('late'))
    yield* sleep(1)
    assert.deepEqual(late, [])
  }))

test('a function whose promise rejects because its signal was aborted is dropped as well', () =>
  simulate(function* () {
    const aborted = (signal: AbortSignal): Promise<void> =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error))
      })
    assert.equal(yield* timeoutOr(5, until(aborted), 'cut'), 'cut')
    yield* sleep(1)
  }))

test('in a cancelled scope the function is not called', () =>
  simulate(function* () {
    let calls = 0
    assert.equal(
      yield* timeoutOr(
        0,
        until(async () => ++calls),
        'cut',
      ),
      'cut',
    )
    yield* sleep(1)
    assert.equal(calls, 0)
  }))

test('in a cancelled scope a promise that was given is late: its value goes to onLate, its rejection is handled', () =>
  simulate(function* () {
    const late: string[] = []
    const onLate = (value: string): unknown => late.push(value)
    assert.equal(yield* timeoutOr(0, until(Promise.resolve('value'), { onLate }), 'cut'), 'cut')
    assert.equal(yield* timeoutOr(0, until(Promise.reject(new Error('mine'))), 'cut'), 'cut')
    yield* sleep(1)
    assert.deepEqual(late, ['value'])
  }))

test('a thenable that calls back at once is waited for like any other', () =>
  simulate(function* () {
    const thenable = {
      then(onValue: (value: string) => unknown) {
        onValue('at once')
      },
    }
    assert.equal(yield* until(thenable as unknown as PromiseLike<string>), 'at once')
  }))

test('an onLate that throws is told to the exception handler', () =>
  simulate(
    function* (sim) {
      const mine = new Error('mine')
      const { promise, resolve } = deferred<void>()
      const onLate = (): void => {
        throw mine
      }
      yield* timeoutOr(5, until(promise, { onLate }), undefined)
      resolve()
      yield* sleep(1)
      assert.deepEqual(
        sim.reports.map(({ error }) => error),
        [mine],
      )
    },
    { reports: [] },
  ))

test('a function that cancels its own scope: the signal is aborted, and what comes of the promise is late', () =>
  simulate(function* () {
    const { promise, resolve } = deferred<string>()
    const late: string[] = []
    const given: { signal?: AbortSignal } = {}
    yield* withScope((scope) =>
      until(
        (signal) => {
          given.signal = signal
          scope.cancel({ reason: 'enough' })
          assert.equal(signal.aborted, false)
          return promise
        },
        { onLate: (value) => late.push(value) },
      ),
    )
    yield* sleep(0)
    assert.equal(given.signal?.aborted, true)
    assert.ok(given.signal.reason instanceof CancelledError)
    resolve('late')
    yield* sleep(1)
    assert.deepEqual(late, ['late'])
  }))
