import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import {
  any,
  cancelAndWait,
  CancelledError,
  coroutine,
  createTask,
  gather,
  gatherSettled,
  MisuseError,
  race,
  run,
  sleep,
  taskGroup,
  TaskGroupError,
  timeout,
  timeoutOr,
  until,
  withScope,
  type ExceptionContext,
  type Suspension,
} from 'cede'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownBy, thrownOf } from '../../../../test/support/thrown-by.ts'

/** A value under a type it does not have, as in a program whose types are not checked. */
function untyped<T = never>(value: unknown): NoInfer<T> {
  return value as NoInfer<T>
}

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

// ---- a promise that settles before its wait has begun. An unhandled rejection would fail the test that it falls into.

/** Rejects at once, as an async function that throws. */
const broken = async (): Promise<never> => {
  throw new Error('mine')
}

test('a promise that is rejected before the task of its wait has begun fails that wait', () =>
  simulate(function* () {
    const seen: string[] = []
    const note = (name: string, error: unknown): void => void seen.push(`${name}: ${String(error)}`)
    note('gather', yield* thrownBy(gather([until(broken()), sleep(5)])))
    const [settled] = yield* gatherSettled([until(broken()), sleep(5)])
    note('gatherSettled', settled.status === 'failed' ? settled.error : settled.status)
    note('race', yield* thrownBy(race([until(broken()), sleep(5)])))
    assert.equal(yield* any([until(broken()), sleep(5, 'any')]), 'any')
    note('createTask', yield* thrownBy(createTask(until(broken()))))
    for (const limit of [1, Infinity]) {
      const body = taskGroup(
        function* (group) {
          group.createTask(sleep(5))
          group.createTask(until(broken()))
        },
        { limit },
      )
      note('taskGroup', (yield* thrownOf(TaskGroupError, body)).errors[0])
    }
    assert.deepEqual(
      seen,
      ['gather', 'gatherSettled', 'race', 'createTask', 'taskGroup', 'taskGroup'].map(
        (name) => `${name}: Error: mine`,
      ),
    )
  }))

test('a promise of a gather whose other operation has failed at once may be rejected later', () =>
  simulate(function* () {
    const fails = function* (): Generator<never, void> {
      throw new Error('at once')
    }
    const { promise, reject } = deferred<void>()
    assert.match(String(yield* thrownBy(gather([fails(), until(promise)]))), /at once/)
    yield* sleep(50)
    reject(new Error('late'))
    yield* sleep(1)
  }))

test('of a task that is cancelled before it has begun, a late rejection is dropped, and a late value told', () =>
  simulate(function* () {
    const late: string[] = []
    const cancelled = function* (promise: Promise<string>): Generator<Suspension, void> {
      const task = createTask(until(promise, { onLate: (value) => late.push(value) }))
      task.cancel()
      yield* task.join()
    }
    yield* cancelled(broken())
    yield* cancelled(Promise.resolve('at once'))
    const failing = deferred<string>()
    const lasting = deferred<string>()
    yield* cancelled(failing.promise)
    yield* cancelled(lasting.promise)
    yield* sleep(5)
    failing.reject(new Error('late'))
    lasting.resolve('later')
    yield* sleep(1)
    assert.deepEqual(late, ['at once', 'later'])
  }))

test('a value that was there before the task of its wait was cancelled is told once', () =>
  simulate(function* () {
    const late: string[] = []
    yield* withScope(function* (scope) {
      const wait = until(Promise.resolve('value'), { onLate: (value) => late.push(value) })
      yield* sleep(1)
      scope.cancel()
      yield* wait
    })
    yield* sleep(1)
    assert.deepEqual(late, ['value'])
  }))

test('a wait that begins long after its promise has settled gives what came of it, and suspends', () =>
  simulate(function* (sim) {
    const held = until(Promise.resolve('value'))
    yield* sleep(10)
    const { passes } = sim.loop
    assert.equal(yield* held, 'value')
    assert.ok(sim.loop.passes > passes)
  }))

test('a wait that is made and never begun: its rejection is reported, and debug mode names the place', async () => {
  for (const debug of [false, true]) {
    const reports: ExceptionContext[] = []
    await simulate(
      function* () {
        // eslint-disable-next-line @typescript-eslint/no-floating-promises -- what this test is about
        until(broken())
        yield* sleep(1)
      },
      { reports, debug },
    )
    assert.deepEqual(
      reports.map(({ message, error }) => `${message.replace(/;.*/, '')} ${String(error)}`).sort(),
      [
        'a promise that was given to until() was rejected, and nobody waits for it Error: mine',
        ...(debug ? ['an operation (a promise) was called by task main and never run undefined'] : []),
      ],
    )
  }
})

test('what is handed on in an operation that is never begun is reported, and does not end the process', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* () {
      const task = createTask(gather([until(broken())]))
      task.cancel()
      yield* task.join()
      yield* sleep(1)
    },
    { reports },
  )
  assert.match(String(reports.map(({ error }) => error)), /^Error: mine$/)
})

test('of a group with a limit: what waits for room is not reported, and is late if that is cancelled', () =>
  simulate(function* () {
    const late: string[] = []
    const onLate = (value: string): unknown => late.push(value)
    yield* thrownOf(
      TaskGroupError,
      taskGroup(
        function* (group) {
          group.createTask(sleep(50))
          group.createTask(until(broken()))
          group.createTask(until(Promise.resolve('waited'), { onLate }))
        },
        { limit: 1 },
      ),
    )
    yield* taskGroup(
      function* (group) {
        const task = group.createTask(until(Promise.resolve('never begun'), { onLate }))
        task.cancel()
      },
      { limit: 1 },
    )
    yield* sleep(1)
    assert.deepEqual(late, ['waited', 'never begun'])
  }))

test('a wait that is made outside of a run and handed to it', async () => {
  await assert.rejects(run(until(broken())), /mine/)
  await assert.rejects(run(gather([until(broken()), sleep(1)])), /mine/)

  const late: string[] = []
  const failing = deferred<string>()
  const lasting = deferred<string>()
  const waits = [failing, lasting].map(({ promise }) =>
    until(promise, { onLate: (value) => late.push(value) }),
  )
  await simulate(function* () {
    const tasks = waits.map((wait) => createTask(wait))
    for (const task of tasks) yield* cancelAndWait(task)
    failing.reject(new Error('late'))
    lasting.resolve('late')
    yield* sleep(1)
  })
  assert.deepEqual(late, ['late'])
})

test('a promise of another realm is one like any other', () =>
  simulate(function* () {
    const load = runInNewContext('async () => { throw new Error("mine") }') as () => Promise<never>
    assert.match(String(yield* thrownBy(gather([until(load()), sleep(5)]))), /mine/)
    const task = createTask(until(load()))
    task.cancel()
    yield* task.join()
    yield* sleep(1)
  }))

test('a promise-like object of somebody else is asked when the wait begins, not before', () =>
  simulate(function* () {
    let asked = 0
    class Query extends Promise<string> {
      override then<A, B>(
        onValue?: ((value: string) => A | PromiseLike<A>) | null,
        onError?: ((error: unknown) => B | PromiseLike<B>) | null,
      ): Promise<A | B> {
        asked++
        return super.then(onValue, onError)
      }
    }
    const query = new Query((resolve) => resolve('rows'))
    const wait = until(query)
    yield* sleep(1)
    assert.equal(asked, 0)
    assert.equal(yield* wait, 'rows')
    assert.equal(asked, 1)
  }))

test('an onLate that makes a coroutine, or is no function, is refused at the call', () => {
  const onLate = function* (): Generator<Suspension, void> {
    yield* sleep(1)
  }
  assert.throws(
    () => until(Promise.resolve(), { onLate: untyped(onLate) }),
    /until\(\): a function was expected as onLate, found a function \(onLate\) that makes a coroutine, which nobody would run/,
  )
  assert.throws(
    () => until(Promise.resolve(), { onLate: untyped(coroutine('closeLate', onLate)) }),
    /found a function \(closeLate\) that makes a coroutine/,
  )
  assert.throws(() => until(Promise.resolve(), { onLate: untyped(5) }), /found a number \(5\)/)
})

test('an onLate that returns a coroutine, or a promise that is rejected, is told to the exception handler', () =>
  simulate(
    function* (sim) {
      const { promise, resolve } = deferred<void>()
      for (const onLate of [() => sleep(1), broken]) {
        const task = createTask(until(promise, { onLate: untyped(onLate) }))
        yield* sleep(1)
        yield* cancelAndWait(task)
      }
      resolve()
      yield* sleep(1)
      assert.deepEqual(
        sim.reports.map(({ message }) => message),
        ['a callback (onLate) threw', 'a callback (onLate) threw'],
      )
      assert.match(
        String(sim.reports[0]!.error),
        /found one that returned an operation \(sleep of 1 ms\), which nobody would run/,
      )
      assert.match(String(sim.reports[1]!.error), /mine/)
    },
    { reports: [] },
  ))
