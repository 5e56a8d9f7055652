/** S20-S27: futures, their callbacks, and failures that nobody reads. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  allTasks,
  CancelledError,
  ContextVar,
  copyContext,
  createTask,
  currentTask,
  Future,
  gather,
  getRunningLoop,
  InvalidStateError,
  sleep,
  sleepForever,
  until,
  type ExceptionContext,
} from 'cede'
import { Diary } from '../support/diary.ts'
import { isCollected } from '../support/garbage.ts'
import { Sim, simulate } from '../support/sim.ts'

test('S20: a future settles once; settling it again is an error', () =>
  simulate(function* () {
    const error = new Error('mine')
    const settle = [
      (future: Future<number>) => future.setResult(1),
      (future: Future<number>) => future.setException(error),
      (future: Future<number>) => void future.cancel(),
    ]
    for (const settled of settle) {
      const future = new Future<number>()
      settled(future)
      assert.equal(future.done(), true)
      assert.throws(() => future.setResult(2), InvalidStateError)
      assert.throws(() => future.setException(error), InvalidStateError)
      assert.equal(future.cancel(), false)
    }
    yield* sleep(0)
  }))

test('S20: a future keeps its first outcome', () =>
  simulate(function* () {
    const error = new Error('mine')
    const [done, failed, cancelled] = [new Future<number>(), new Future<number>(), new Future<number>()]
    done.setResult(1)
    failed.setException(error)
    assert.equal(cancelled.cancel('a reason'), true)
    assert.throws(
      () => done.setResult(2),
      /setResult\(\): a pending future was expected, found one that is done/,
    )

    assert.deepEqual([done.result(), done.exception(), done.cancelled()], [1, null, false])
    assert.equal(failed.exception(), error)
    assert.throws(
      () => failed.result(),
      (found) => found === error,
    )
    assert.equal(cancelled.cancelled(), true)
    for (const read of [() => cancelled.result(), () => cancelled.exception()]) {
      assert.throws(read, (found) => found instanceof CancelledError && found.reason === 'a reason')
    }
    yield* sleep(0)
  }))

test('S20: reading a pending future is an error', () =>
  simulate(function* () {
    const future = new Future<number>()
    assert.equal(future.done(), false)
    assert.equal(future.cancelled(), false)
    assert.throws(() => future.result(), InvalidStateError)
    assert.throws(() => future.exception(), /exception\(\): a settled future was expected/)
    yield* sleep(0)
  }))

test('S21: done callbacks run in the order of registration, never inline, with the future as argument', () =>
  simulate(function* () {
    const diary = new Diary()
    const future = new Future<number>()
    for (const name of ['a', 'b', 'c']) {
      future.addDoneCallback((settled) => {
        assert.equal(settled, future)
        assert.equal(currentTask(), null)
        diary.write(`${name} ${settled.result()}`)
      })
    }
    future.setResult(7)
    diary.expect()
    yield* sleep(0)
    yield* sleep(0)
    diary.expect('a 7', 'b 7', 'c 7')
  }))

test('S21: a callback added to a done future stands behind what is already queued', () =>
  simulate(function* () {
    const diary = new Diary()
    const future = new Future<number>()
    future.setResult(7)
    getRunningLoop().callSoon(diary.writer('queued before'))
    future.addDoneCallback(diary.writer('callback'))
    getRunningLoop().callSoon(diary.writer('queued after'))
    diary.expect()
    yield* sleep(0)
    diary.expect('queued before', 'callback', 'queued after')
  }))

const user = new ContextVar('user', { default: 'nobody' })

test('S21: a done callback keeps the context of its registration, not that of the settler', () =>
  simulate(function* () {
    const seen: string[] = []
    const future = new Future<number>()
    user.set('registered')
    future.addDoneCallback(() => void seen.push(user.get()))
    const given = copyContext()
    given.run(() => {
      user.set('given')
      future.addDoneCallback(() => void seen.push(user.get()))
    })
    user.set('changed later')
    createTask(settleAs('settler', future))
    yield* sleep(1)
    assert.deepEqual(seen, ['registered', 'given'])
  }))

function* settleAs(name: string, future: Future<number>) {
  user.set(name)
  future.setResult(1)
  yield* sleep(0)
}

test('S21: a done callback belongs to the run it was registered in, also if the outside world settles the future', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const future = new Future<number>()
    future.addDoneCallback(() => {
      assert.equal(getRunningLoop(), sim.loop)
      createTask(diaryTask(diary), { name: 'from the callback' })
    })
    queueMicrotask(() => future.setResult(1))
    yield* sleep(1)
    diary.expect('from the callback ran')
  }))

function* diaryTask(diary: Diary) {
  yield* sleep(0)
  diary.write(`${currentTask()!.name} ran`)
}

test('S22: a callback added twice runs twice; removal drops both and says how many', () =>
  simulate(function* () {
    let calls = 0
    const callback = (): number => calls++
    const [kept, removed] = [new Future<void>(), new Future<void>()]
    for (const future of [kept, removed]) {
      future.addDoneCallback(callback)
      future.addDoneCallback(callback)
    }
    removed.addDoneCallback(() => void (calls += 100))
    assert.equal(removed.removeDoneCallback(callback), 2)
    assert.equal(removed.removeDoneCallback(callback), 0)
    kept.setResult()
    removed.setResult()
    yield* sleep(0)
    yield* sleep(0)
    assert.equal(calls, 102)
  }))

test('S22: the same holds for the callbacks of a task', () =>
  simulate(function* () {
    let calls = 0
    const callback = (): number => calls++
    const [kept, removed] = [createTask(sleep(1)), createTask(sleep(1))]
    for (const task of [kept, removed]) {
      task.addDoneCallback(callback)
      task.addDoneCallback(callback)
    }
    removed.addDoneCallback((task) => {
      assert.equal(task, removed)
      calls += 100
    })
    assert.equal(removed.removeDoneCallback(callback), 2)
    assert.equal(removed.removeDoneCallback(callback), 0)
    yield* sleep(2)
    assert.equal(calls, 102)
  }))

test('S23: callbacks may change the list of callbacks; what was there when it settled runs', () =>
  simulate(function* () {
    const diary = new Diary()
    const future = new Future<void>()
    const second = diary.writer('second')
    future.addDoneCallback(() => {
      diary.write('first')
      assert.equal(future.removeDoneCallback(second), 0)
      future.addDoneCallback(diary.writer('added by the first'))
    })
    future.addDoneCallback(second)
    future.addDoneCallback(diary.writer('third'))
    future.setResult()
    yield* sleep(1)
    diary.expect('first', 'second', 'third', 'added by the first')
  }))

test('S23: the list may be changed while the future settles', () =>
  simulate(function* () {
    const diary = new Diary()
    const future = new Future<void>()
    const second = diary.writer('second')
    // What is told synchronously is another part of the library, as groups and `gather` are; it may cancel who waits.
    const waiting = createTask(future)
    yield* sleep(0)
    future.addWaiter({
      settled: () => {
        assert.equal(future.removeDoneCallback(second), 1)
        future.addDoneCallback(diary.writer('added while settling'))
        parked.cancel()
      },
    })
    const parked = createTask(future)
    future.addDoneCallback(second)
    future.addDoneCallback(diary.writer('third'))
    yield* sleep(0)
    future.setResult()
    assert.equal((yield* parked.join()).status, 'cancelled')
    assert.equal((yield* waiting.join()).status, 'done')
    diary.expect('added while settling', 'third')
  }))

test('S24: waiting for a done future spends no pass', () =>
  simulate(
    function* (sim) {
      const [value, failed] = [new Future<number>(), new Future<number>()]
      value.setResult(5)
      failed.setException(new Error('mine'))
      yield* sleep(1)
      const { passes } = sim.loop
      assert.equal(yield* value, 5)
      assert.equal(yield* value, 5)
      try {
        yield* failed
        assert.fail('must throw')
      } catch (error) {
        assert.match(String(error), /mine/)
      }
      const task = createTask(sleep(0, 6))
      yield* sleep(1)
      const later = sim.loop.passes
      assert.equal(yield* task, 6)
      assert.equal(sim.loop.passes, later)
      assert.ok(later > passes)
    },
    { reports: [] },
  ))

test('S25 (ours): a failed future that nobody reads is reported once, at the end of the turn', async () => {
  const reports: ExceptionContext[] = []
  const error = new Error('mine')
  await simulate(
    function* () {
      const future = new Future<number>()
      future.setException(error)
      assert.equal(reports.length, 0)
      yield* sleep(1)
      assert.deepEqual(reports, [{ message: 'a future failed and nobody waits for it', error, future }])
      yield* sleep(100)
    },
    { reports },
  )
  assert.equal(reports.length, 1)
})

test('S25 (ours): a failed task that nobody waits for is reported once, with its name', async () => {
  const reports: ExceptionContext[] = []
  const error = new Error('mine')
  await simulate(
    function* () {
      const task = createTask(failing(error), { name: 'background' })
      yield* sleep(2)
      assert.equal(reports.length, 1)
      assert.equal(reports[0]!.task, task)
      assert.equal(reports[0]!.error, error)
      assert.match(reports[0]!.message, /task background failed and nobody waits for it/)
      // Waiting for it later still throws.
      assert.equal((yield* task.join()).status, 'failed')
    },
    { reports },
  )
  assert.equal(reports.length, 1)
})

function* failing(error: unknown) {
  yield* sleep(0)
  throw error
}

const readings: Readonly<Record<string, (future: Future<number>) => unknown>> = {
  'result()': (future) => assert.throws(() => future.result(), /mine/),
  'exception()': (future) => assert.match(String(future.exception()), /mine/),
  'cancel()': (future) => assert.equal(future.cancel(), false),
  'then()': (future) => void future.then(undefined, () => {}),
}
for (const [name, read] of Object.entries(readings)) {
  test(`S25: ${name} of a failed future silences the report`, () =>
    simulate(function* () {
      const future = new Future<number>()
      future.setException(new Error('mine'))
      read(future)
      yield* sleep(1)
    }))
}

test('S25: waiting for a failed future or task silences the report', () =>
  simulate(function* () {
    const future = new Future<number>()
    const waiters = [createTask(future), createTask(future)]
    yield* sleep(0)
    future.setException(new Error('mine'))
    for (const waiter of waiters) assert.equal((yield* waiter.join()).status, 'failed')
    const failed = createTask(failing(new Error('mine')))
    try {
      yield* failed
    } catch (error) {
      assert.match(String(error), /mine/)
    }
    yield* sleep(1)
  }))

test('S25: cancel() of a failed task silences the report', () =>
  simulate(function* () {
    const task = createTask(failing(new Error('mine')))
    let refused = false
    task.addDoneCallback(() => (refused = !task.cancel()))
    yield* sleep(1)
    assert.equal(task.status, 'failed')
    assert.equal(refused, true)
  }))

test('S25 (ours): a done callback that does not read the outcome silences no report', async () => {
  const reports: ExceptionContext[] = []
  const error = new Error('mine')
  await simulate(
    function* () {
      const open = new Set<unknown>()
      const [task, future] = [createTask(failing(error), { name: 'background' }), new Future<void>()]
      for (const member of [task, future]) {
        open.add(member)
        // What programs do to keep track of what is under way.
        member.addDoneCallback((ended) => open.delete(ended))
        member.addDoneCallback((ended) => open.delete(ended))
      }
      future.setException(error)
      yield* sleep(1)
      assert.equal(open.size, 0)
      // One that is added later finds it reported already.
      future.addDoneCallback(() => {})
      yield* sleep(1)
    },
    { reports },
  )
  assert.deepEqual(
    reports.map(({ message }) => message),
    ['a future failed and nobody waits for it', 'task background failed and nobody waits for it'],
  )
})

test('S25: a failure that a task waits for is not reported because of a done callback, in whatever order', () =>
  simulate(function* () {
    for (const early of [true, false]) {
      const task = createTask(failing(new Error('mine')))
      if (early) task.addDoneCallback(() => {})
      const waiting = createTask(task.join())
      yield* sleep(0)
      if (!early) task.addDoneCallback(() => {})
      yield* waiting
      yield* sleep(1)
    }
  }))

test('S25: a failure that a task waits for is not reported, also if the turn ends before that task is stepped', () =>
  simulate(function* (sim) {
    const future = new Future<void>()
    // So much work stands before the waiting task that the turn is cut in between.
    for (let i = 0; i < 100; i++) future.addDoneCallback(() => sim.elapse(1))
    const waiting = createTask(future)
    yield* sleep(0)
    future.setException(new Error('mine'))
    assert.equal((yield* waiting.join()).status, 'failed')
    yield* sleep(1)
  }))

test('S25: a pending future that is dropped reports nothing', () =>
  simulate(function* () {
    const ref = new WeakRef(new Future<number>())
    yield* sleep(1)
    assert.equal(yield* until(isCollected(ref)), true)
  }))

test("S25: failures of gather's operations after the first are read", () =>
  simulate(function* () {
    const first = new Error('first')
    const futures = [new Future<void>(), new Future<void>(), new Future<void>()]
    const gathered = createTask(gather(futures))
    yield* sleep(0)
    futures[1]!.setException(first)
    // The others are cancelled with the first failure; a task may still fail in its cleanup.
    const outcome = yield* gathered.join()
    assert.ok(outcome.status === 'failed' && outcome.error === first)
    const both = createTask(gather([failing(first), failingInCleanup(new Error('second'))]))
    const bothOutcome = yield* both.join()
    assert.ok(bothOutcome.status === 'failed' && bothOutcome.error === first)
    yield* sleep(1)
  }))

function* failingInCleanup(error: Error) {
  try {
    yield* sleepForever()
  } finally {
    failWith(error)
  }
}

function failWith(error: Error): void {
  throw error
}

test('S26 (ours): the loop owns its tasks; a waiting task without a reference lives and is cancelled at the end', async () => {
  const diary = new Diary()
  const sim = new Sim()
  await sim.run(function* () {
    createTask(waitsForNothing(diary), { name: 'unreferenced' })
    yield* sleep(0)
    assert.equal(yield* until(isCollected(new WeakRef({}))), true)
    assert.deepEqual(
      allTasks().map((task) => task.name),
      ['main', 'unreferenced'],
    )
    diary.expect()
  })
  await sim.end()
  diary.expect('cleaned up')
})

function* waitsForNothing(diary: Diary) {
  try {
    yield* new Future<void>()
  } finally {
    diary.write('cleaned up')
  }
}

test('S27 (ours): cancelling the wait for a promise aborts what makes it; a late value is dropped silently', () =>
  simulate(function* () {
    let settle: (value: string) => void = () => {}
    let signal: AbortSignal | null = null
    const late: string[] = []
    const task = createTask(
      until(
        (given) => {
          signal = given
          return new Promise<string>((resolve) => (settle = resolve))
        },
        { onLate: (value) => void late.push(value) },
      ),
    )
    yield* sleep(0)
    yield* sleep(0)
    assert.equal(signal!.aborted, false)
    task.cancel()
    assert.equal((yield* task.join()).status, 'cancelled')
    yield* sleep(0)
    assert.equal(signal!.aborted, true)
    settle('late')
    yield* sleep(1)
    assert.deepEqual(late, ['late'])
  }))

test('S27 (ours): a promise that settles after the runner was closed disturbs nobody', async () => {
  const settle: (() => void)[] = []
  const sim = new Sim()
  await sim.run(function* () {
    createTask(until(new Promise<void>((resolve) => settle.push(resolve))))
    createTask(until(new Promise<void>((_, reject) => settle.push(() => reject(new Error('late'))))))
    yield* sleep(1)
  })
  await sim.runner.close()
  for (const now of settle) now()
  await sim.end()
  assert.equal(settle.length, 2)
})
