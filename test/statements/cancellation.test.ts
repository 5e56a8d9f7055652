/** S38-S51: cancellation. Ours is by unwinding (`finally` runs, `catch` does not) and level-triggered. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CancelledError,
  createTask,
  currentTask,
  Future,
  gather,
  getRunningLoop,
  sleep,
  sleepForever,
  TimeoutError,
  timeout,
  withScope,
  type ExceptionContext,
  type Operation,
  type Task,
} from 'cede'
import { WaitQueue } from 'cede/lowlevel'
import { Diary } from '../support/diary.ts'
import { simulate } from '../support/sim.ts'

/** Writes what happens to it; catches everything that can be caught. */
function* sleeper(diary: Diary) {
  try {
    diary.write('sleeps')
    yield* sleep(1_000)
    diary.write('slept')
  } catch (error) {
    diary.write(`caught ${String(error)}`)
  } finally {
    diary.write('cleans up')
  }
}

test('S38 (ours): cancel() returns false only for a task that has ended; there is no count', () =>
  simulate(function* () {
    const diary = new Diary()
    const task = createTask(sleeper(diary))
    yield* sleep(0)
    assert.deepEqual([task.cancel(), task.cancel(), task.cancel()], [true, true, true])
    yield* task.join()
    diary.expect('sleeps', 'cleans up')
    assert.equal(task.cancel(), false)
    const done = createTask(sleep(0, 'value'))
    yield* done
    assert.equal(done.cancel(), false)
    assert.equal(done.cancelled, false)
  }))

test('S39 (ours): cancel() is a request, known at once; the task has ended only after it has unwound', () =>
  simulate(function* () {
    const task = createTask(sleepForever())
    yield* sleep(0)
    assert.equal(task.cancelled, false)
    task.cancel()
    assert.equal(task.cancelled, true)
    assert.equal(task.done(), false)
    assert.equal(task.status, 'ready')
    yield* sleep(0)
    assert.equal(task.status, 'cancelled')
    assert.equal(task.done(), true)
  }))

test('S40 (ours): cancel() ends the wait at once and leaves alone what was waited for', () =>
  simulate(function* () {
    const future = new Future<string>()
    const [cancelled, other] = [createTask(future), createTask(future)]
    yield* sleep(0)
    assert.notEqual(cancelled.waitsFor(), null)
    cancelled.cancel()
    assert.equal(cancelled.waitsFor(), null)
    assert.equal(future.done(), false)
    future.setResult('value')
    assert.equal(yield* other, 'value')
    assert.equal((yield* cancelled.join()).status, 'cancelled')
  }))

test('S40 (ours): of a chain of tasks only the one that was cancelled ends; who waits for it is told', () =>
  simulate(function* () {
    const inner = createTask(sleep(100, 'inner value'))
    const middle = createTask(waitsFor(inner))
    const outer = createTask(waitsFor(middle))
    yield* sleep(0)
    middle.cancel()
    const outcome = yield* outer.join()
    assert.ok(outcome.status === 'failed' && outcome.error instanceof CancelledError)
    assert.equal(middle.status, 'cancelled')
    assert.equal(yield* inner, 'inner value')
  }))

function* waitsFor<T>(task: Task<T>) {
  return yield* task
}

test('S40: a task that gave way for one pass is cancelled at its next step', () =>
  simulate(function* () {
    const diary = new Diary()
    const task = createTask(givesWay(diary))
    yield* sleep(0)
    assert.equal(task.status, 'ready')
    task.cancel()
    yield* sleep(0)
    assert.equal(task.status, 'cancelled')
    diary.expect('before', 'cleans up')
  }))

function* givesWay(diary: Diary) {
  try {
    diary.write('before')
    yield* sleep(0)
    diary.write('after')
  } finally {
    diary.write('cleans up')
  }
}

test('S41: a task cancelled before its first step never runs, not even a finally; its reason is kept', () =>
  simulate(function* () {
    const diary = new Diary()
    const task = createTask(sleeper(diary))
    task.cancel({ reason: 'not needed' })
    const outcome = yield* task.join()
    assert.deepEqual(outcome, { status: 'cancelled', reason: 'not needed' })
    diary.expect()
  }))

test('S42 (ours): a task that is ready with a value gets it first, and unwinds at its next suspension', () =>
  simulate(function* () {
    const diary = new Diary()
    const future = new Future<string>()
    const task = createTask(takesThenSleeps(diary, future))
    yield* sleep(0)
    future.setResult('value')
    task.cancel()
    assert.equal((yield* task.join()).status, 'cancelled')
    diary.expect('took value', 'cleans up')
    assert.equal(future.result(), 'value')
  }))

test('S42 (ours): the same holds for what a wait queue hands over', () =>
  simulate(function* () {
    const diary = new Diary()
    const queue = new WaitQueue<string>()
    const task = createTask(takesThenSleeps(diary, queue.wait()))
    yield* sleep(0)
    queue.wakeOne('item')
    task.cancel()
    assert.equal((yield* task.join()).status, 'cancelled')
    diary.expect('took item', 'cleans up')
  }))

test('S42 (ours): an error that is ready is delivered first as well', () =>
  simulate(function* () {
    const diary = new Diary()
    const future = new Future<string>()
    const task = createTask(takesThenSleeps(diary, future))
    yield* sleep(0)
    future.setException(new Error('mine'))
    task.cancel()
    assert.equal((yield* task.join()).status, 'failed')
    diary.expect('cleans up')
  }))

function* takesThenSleeps(diary: Diary, source: Operation<string>) {
  try {
    diary.write(`took ${yield* source}`)
    yield* sleep(1_000)
    diary.write('slept')
  } finally {
    diary.write('cleans up')
  }
}

test('S44 (ours): after cancelling itself a task unwinds at its next suspension; what it waits for lives on', () =>
  simulate(function* () {
    const diary = new Diary()
    const other = createTask(sleep(500, 'other'))
    const task = createTask(cancelsItself(diary, other))
    yield* task.join()
    assert.equal(getRunningLoop().time(), 0, 'at once')
    diary.expect('goes on', 'cleans up')
    assert.equal(yield* other, 'other')
  }))

function* cancelsItself(diary: Diary, other: Task<string>) {
  try {
    currentTask()!.cancel()
    diary.write('goes on')
    yield* other
    diary.write('never')
  } finally {
    diary.write('cleans up')
  }
}

test('S44 (ours): the next suspension counts also if it could end at once', () =>
  simulate(function* () {
    const done = new Future<string>()
    done.setResult('ready')
    const diary = new Diary()
    const task = createTask(takesAfterSelfCancel(diary, done))
    assert.equal((yield* task.join()).status, 'cancelled')
    diary.expect('before')
  }))

function* takesAfterSelfCancel(diary: Diary, future: Future<string>) {
  currentTask()!.cancel()
  diary.write('before')
  diary.write(yield* future)
}

test('S45 (ours): a task that cancels itself and returns without waiting is done', () =>
  simulate(function* () {
    const task = createTask(cancelsAndReturns())
    assert.deepEqual(yield* task.join(), { status: 'done', value: 'value' })
    assert.equal(task.cancelled, true)
  }))

function* cancelsAndReturns() {
  yield* sleep(0)
  currentTask()!.cancel()
  return 'value'
}

test('S46 (ours): no catch sees a cancel, and what a finally returns is ignored', () =>
  simulate(function* () {
    const diary = new Diary()
    const task = createTask(triesToSwallow(diary))
    yield* sleep(0)
    task.cancel()
    assert.deepEqual(yield* task.join(), { status: 'cancelled', reason: undefined })
    diary.expect('finally')
  }))

function* triesToSwallow(diary: Diary) {
  try {
    yield* sleep(1_000)
  } catch {
    diary.write('catch')
  } finally {
    diary.write('finally')
    return 'swallowed'
  }
}

test('S47 (ours): a cancel stays; cleanup may wait, but nothing behind it runs', () =>
  simulate(function* () {
    const diary = new Diary()
    const task = createTask(outerOfPolite(diary))
    yield* sleep(0)
    task.cancel()
    yield* task.join()
    diary.expect('polite for 50 ms', 'outer cleans up at 50')
  }))

function* outerOfPolite(diary: Diary) {
  try {
    yield* polite(diary)
    diary.write('goes on behind the inner cleanup')
    yield* sleep(1)
  } finally {
    diary.write(`outer cleans up at ${getRunningLoop().time()}`)
  }
}

function* polite(diary: Diary) {
  try {
    yield* sleep(1_000)
  } finally {
    yield* sleep(50)
    diary.write('polite for 50 ms')
  }
}

test('S47 (ours): a second cancel changes nothing, and interrupts no cleanup', () =>
  simulate(function* () {
    const diary = new Diary()
    const task = createTask(polite(diary))
    yield* sleep(0)
    task.cancel({ reason: 'first' })
    yield* sleep(10)
    assert.equal(task.cancel({ reason: 'second' }), true)
    assert.deepEqual(yield* task.join(), { status: 'cancelled', reason: 'first' })
    diary.expect('polite for 50 ms')
    assert.equal(getRunningLoop().time(), 50)
  }))

test('S48 (ours): a task whose future someone else cancels gets an ordinary error', () =>
  simulate(function* () {
    const diary = new Diary()
    const future = new Future<string>()
    const [catching, passing] = [
      createTask(catchesCancelled(diary, future)),
      createTask(waitsForFuture(future)),
    ]
    yield* sleep(0)
    future.cancel('not today')
    const outcome = yield* passing.join()
    assert.ok(outcome.status === 'failed' && outcome.error instanceof CancelledError)
    assert.equal(passing.cancelled, false, 'nobody has cancelled the task itself')
    assert.deepEqual(yield* catching.join(), { status: 'done', value: 'went on' })
    diary.expect('caught: the future was cancelled (not today)')
  }))

function* catchesCancelled(diary: Diary, future: Future<string>) {
  try {
    return yield* future
  } catch (error) {
    assert.ok(error instanceof CancelledError)
    diary.write(`caught: ${error.message}`)
    yield* sleep(5)
    return 'went on'
  }
}

function* waitsForFuture(future: Future<string>) {
  return yield* future
}

test('S48 (ours): a task that is cancelled together with its future does not see the error', () =>
  simulate(function* () {
    const diary = new Diary()
    const future = new Future<string>()
    const task = createTask(catchesCancelled(diary, future))
    yield* sleep(0)
    task.cancel()
    future.cancel()
    assert.equal((yield* task.join()).status, 'cancelled')
    diary.expect()
  }))

test('S49: the reason reaches everyone who waits, through chains of tasks and through gather', () =>
  simulate(function* () {
    const reason = { code: 7 }
    const inner = createTask(sleepForever())
    const middle = createTask(waitsFor(inner))
    const outer = createTask(waitsFor(middle))
    const gathered = createTask(gather([sleep(1), inner]))
    yield* sleep(0)
    yield* sleep(0)
    inner.cancel({ reason })
    for (const waiting of [middle, outer, gathered]) {
      const outcome = yield* waiting.join()
      assert.ok(outcome.status === 'failed' && outcome.error instanceof CancelledError)
      assert.equal(outcome.error.reason, reason)
    }
    assert.deepEqual(yield* inner.join(), { status: 'cancelled', reason })
  }))

test('S49: a cancel without a reason gives an error without one; text stands in the message', () =>
  simulate(function* () {
    const [bare, told] = [new Future<void>(), new Future<void>()]
    bare.cancel()
    told.cancel('too late')
    assert.throws(
      () => bare.result(),
      (error) =>
        error instanceof CancelledError && error.reason === undefined && !error.message.includes('('),
    )
    assert.throws(() => told.result(), /was cancelled \(too late\)/)
    yield* sleep(0)
  }))

test('S50: an error thrown by cleanup makes the task failed, not cancelled', () =>
  simulate(function* () {
    const error = new Error('mine')
    const task = createTask(failsInCleanup(error))
    yield* sleep(0)
    task.cancel()
    const outcome = yield* task.join()
    assert.ok(outcome.status === 'failed' && outcome.error === error)
    assert.equal('cause' in error, false, 'errors of users are not altered')
  }))

function* failsInCleanup(error: Error) {
  try {
    yield* sleepForever()
  } finally {
    throwNow(error)
  }
}

function throwNow(error: Error): void {
  throw error
}

test('S50 (ours): no catch further out sees the error of a cleanup; a second one is reported', async () => {
  const reports: ExceptionContext[] = []
  const [first, second] = [new Error('first'), new Error('second')]
  const diary = new Diary()
  await simulate(
    function* () {
      const task = createTask(outerFailsToo(diary, first, second), { name: 'twice' })
      yield* sleep(0)
      task.cancel()
      const outcome = yield* task.join()
      assert.ok(outcome.status === 'failed' && outcome.error === first)
      assert.deepEqual(reports, [
        { message: 'a second error was thrown by the cleanup of task twice', error: second, task },
      ])
    },
    { reports },
  )
  diary.expect()
})

function* outerFailsToo(diary: Diary, first: Error, second: Error) {
  try {
    yield* failsInCleanup(first)
  } catch (error) {
    diary.write(`caught ${String(error)}`)
  } finally {
    throwNow(second)
  }
}

test('S50: an error made from a CancelledError of someone else keeps it as its cause', () =>
  simulate(function* () {
    const future = new Future<void>()
    future.cancel('gone')
    const outcome = yield* createTask(wrapsError(future)).join()
    assert.ok(outcome.status === 'failed' && outcome.error instanceof Error)
    const { cause } = outcome.error
    assert.ok(cause instanceof CancelledError && cause.reason === 'gone')
  }))

function* wrapsError(future: Future<void>) {
  try {
    yield* future
  } catch (cause) {
    throw new Error('could not do it', { cause })
  }
}

test('S51 (ours): who wants to stop a stretch of code opens a scope; only that stretch ends, and later waits work', () =>
  simulate(function* () {
    const diary = new Diary()
    const result = yield* withScope(function* (scope) {
      getRunningLoop().callLater(5, () => scope.cancel())
      yield* sleeper(diary)
      return 'value'
    })
    assert.equal(result, undefined)
    diary.expect('sleeps', 'cleans up')
    yield* sleep(10)
    assert.equal(getRunningLoop().time(), 15)
  }))

test('S51 (ours): a cancel of the task itself is never taken for that of a scope inside it', () =>
  simulate(function* () {
    const diary = new Diary()
    const task = createTask(catchesTimeout(diary))
    yield* sleep(10)
    // The deadline inside and the cancel from outside come in one pass.
    task.cancel({ reason: 'from outside' })
    assert.deepEqual(yield* task.join(), { status: 'cancelled', reason: 'from outside' })
    diary.expect('cleans up')
  }))

function* catchesTimeout(diary: Diary) {
  try {
    yield* timeout(10, sleep(1_000))
  } catch (error) {
    diary.write(`caught ${error instanceof TimeoutError ? 'TimeoutError' : String(error)}`)
  } finally {
    diary.write('cleans up')
  }
}
