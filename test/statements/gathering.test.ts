// gather, wait, asCompleted, shield: S66 to S76, and what DESIGN.md "Tasks, groups and errors" and "Cancellation" 9
// say instead.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  asCompleted,
  cancelAndWait,
  CancelledError,
  createTask,
  currentTask,
  Future,
  gather,
  gatherSettled,
  MisuseError,
  shield,
  sleep,
  sleepForever,
  TimeoutError,
  wait,
  withScope,
  type ExceptionContext,
  type Operation,
  type Suspension,
  type Task,
} from 'cede'
import { Diary } from '../support/diary.ts'
import { simulate } from '../support/sim.ts'
import { thrownBy, thrownOf } from '../support/thrown-by.ts'

function* failsAfter(ms: number, error: unknown): Generator<Suspension, never> {
  yield* sleep(ms)
  throw error
}

/** Waits for ever, and takes 10 ms to clean up. */
function* worker(diary: Diary, name: string): Generator<Suspension, void> {
  try {
    yield* sleepForever()
  } finally {
    yield* sleep(10)
    diary.timed(`${name} has ended`)
  }
}

const namesOf = (tasks: Iterable<Task | Future<unknown>>): string[] =>
  [...tasks].map((task) => (task instanceof Future ? 'a future' : task.name))

test('S66: gather keeps the order of its arguments, whatever the order of the ends', () =>
  simulate(function* (sim) {
    assert.deepEqual(yield* gather([sleep(30, 'a'), sleep(10, 'b'), sleep(20, 'c')]), ['a', 'b', 'c'])
    assert.equal(sim.now(), 30)
    assert.deepEqual(yield* gather({ x: sleep(5, 1), y: createTask(sleep(1, 2)) }), { x: 1, y: 2 })
  }))

test('S66: the same coroutine or task given twice runs once and fills both places', () =>
  simulate(function* () {
    const diary = new Diary()
    const once = (function* (): Generator<Suspension, string> {
      diary.write('run')
      yield* sleep(1)
      return 'value'
    })()
    const task = createTask(sleep(1, 'of the task'))
    assert.deepEqual(yield* gather([once, task, once, task]), [
      'value',
      'of the task',
      'value',
      'of the task',
    ])
    diary.expect('run')
  }))

test('S66: no arguments give an empty result, without a wait', () =>
  simulate(function* (sim) {
    const { passes } = sim.loop
    assert.deepEqual(yield* gather([]), [])
    assert.deepEqual(yield* gather({}), {})
    assert.deepEqual(yield* gatherSettled([]), [])
    assert.equal(sim.loop.passes, passes)
  }))

test('S67 (ours): the first failure cancels the others, waits for them, and is then thrown unaltered', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const mine = new Error('mine')
    const sibling = createTask(worker(diary, 'a task given'))
    const error = yield* thrownBy(gather([worker(diary, 'a coroutine'), failsAfter(5, mine), sibling]))
    assert.equal(error, mine)
    assert.equal(sim.now(), 15)
    assert.equal(sibling.status, 'cancelled')
    diary.expect('15 a coroutine has ended', '15 a task given has ended')
  }))

test('S67 (ours): of several failures the first is thrown, and the others are reported to nobody', () =>
  simulate(function* () {
    const first = new Error('first')
    const failsInCleanup = function* (): Generator<Suspension, void> {
      try {
        yield* sleepForever()
      } finally {
        throw new Error('second')
      }
    }
    assert.equal(yield* thrownBy(gather([failsInCleanup(), failsAfter(5, first)])), first)
  }))

test('S68: a cancelled child counts as failed with CancelledError; who gathers is not cancelled', () =>
  simulate(function* () {
    const child = createTask(sleepForever(), { name: 'child' })
    const gathering = createTask(
      (function* () {
        const error = yield* thrownOf(CancelledError, gather([child, sleepForever()]))
        yield* sleep(0)
        return error.reason
      })(),
    )
    yield* sleep(1)
    child.cancel({ reason: 'by somebody' })
    assert.equal(yield* gathering, 'by somebody')
  }))

test('S69: gatherSettled turns errors and cancellations into items', () =>
  simulate(function* (sim) {
    const mine = new Error('mine')
    const cancelled = createTask(sleepForever())
    sim.loop.callLater(3, () => cancelled.cancel({ reason: 'no longer needed' }))
    assert.deepEqual(yield* gatherSettled([sleep(20, 'slept'), failsAfter(5, mine), cancelled]), [
      { status: 'done', value: 'slept' },
      { status: 'failed', error: mine },
      { status: 'cancelled', reason: 'no longer needed' },
    ])
    assert.equal(sim.now(), 20)
  }))

test('S69 (ours): a cancelled gather or gatherSettled is left only when all its children have ended', async () => {
  const gathers: ((operations: readonly Operation<void>[]) => Operation<unknown>)[] = [gather, gatherSettled]
  for (const together of gathers) {
    await simulate(function* (sim) {
      const diary = new Diary()
      const gathering = createTask(together([worker(diary, 'one'), worker(diary, 'two'), sleep(1)]))
      yield* sleep(5)
      const outcome = yield* cancelAndWait(gathering, { reason: 'enough' })
      assert.deepEqual(outcome, { status: 'cancelled', reason: 'enough' })
      assert.equal(sim.now(), 15)
      diary.expect('15 one has ended', '15 two has ended')
    })
  }
})

test('S70: cancelling a gather cancels all unfinished children, tasks and futures that were given included', () =>
  simulate(function* () {
    const task = createTask(sleepForever())
    const done = createTask(sleep(1, 'done'))
    const future = new Future<void>()
    const gathering = createTask(gather([task, future, done]))
    yield* sleep(5)
    yield* cancelAndWait(gathering)
    assert.deepEqual([task.status, future.status, done.status], ['cancelled', 'cancelled', 'done'])
  }))

test('S70 (ours): when none is left to cancel, the results stand', () =>
  simulate(function* () {
    const future = new Future<string>()
    const gathering = createTask(gather([sleep(1, 'slept'), future]))
    yield* sleep(5)
    future.setResult('value')
    gathering.cancel()
    assert.deepEqual(yield* gathering.join(), { status: 'done', value: ['slept', 'value'] })
  }))

test('S71: wait neither throws on its timeout nor cancels', () =>
  simulate(function* (sim) {
    const slow = createTask(sleep(100, 'slow'), { name: 'slow' })
    const fast = createTask(sleep(5, 'fast'), { name: 'fast' })
    const { done, pending } = yield* wait([slow, fast], { timeoutMs: 50 })
    assert.deepEqual([namesOf(done), namesOf(pending)], [['fast'], ['slow']])
    assert.equal(sim.now(), 50)
    assert.equal(slow.cancelled, false)
    assert.equal(yield* slow, 'slow')

    const again = yield* wait([slow, fast], { timeoutMs: 0 })
    assert.deepEqual([again.done.size, again.pending.size], [2, 0])
  }))

test('S71: a cancelled wait leaves its tasks running', () =>
  simulate(function* () {
    const task = createTask(sleep(100, 'value'))
    const waiting = createTask(wait([task]))
    yield* sleep(5)
    assert.equal((yield* cancelAndWait(waiting)).status, 'cancelled')
    assert.equal(task.cancelled, false)
    assert.equal(yield* task, 'value')
  }))

test('S72: wait sorts by state at wake-up: what ended in the same pass is done', () =>
  simulate(function* () {
    const ends = new Future<void>()
    const tasks = ['one', 'two'].map((name) => createTask(follows(ends), { name }))
    const late = createTask(sleep(50), { name: 'late' })
    createTask(
      (function* () {
        yield* sleep(1)
        ends.setResult()
      })(),
    )
    const { done, pending } = yield* wait([...tasks, late], { returnWhen: 'first-completed' })
    assert.deepEqual([namesOf(done), namesOf(pending)], [['one', 'two'], ['late']])
  }))

function* follows(future: Future<void>): Generator<Suspension, void> {
  yield* future
}

test('S73: first-exception wakes on an error, not on a cancelled task nor on a value', () =>
  simulate(function* (sim) {
    const mine = new Error('mine')
    const cancelled = createTask(sleepForever(), { name: 'cancelled' })
    sim.loop.callLater(5, () => cancelled.cancel())
    const value = createTask(sleep(10), { name: 'value' })
    const failing = createTask(failsAfter(20, mine), { name: 'failing' })
    const slow = createTask(sleep(100), { name: 'slow' })
    const { done, pending } = yield* wait([cancelled, value, failing, slow], {
      returnWhen: 'first-exception',
    })
    assert.equal(sim.now(), 20)
    assert.deepEqual([namesOf(done), namesOf(pending)], [['cancelled', 'value', 'failing'], ['slow']])
    assert.equal(failing.exception(), mine)

    const rest = yield* wait([slow], { returnWhen: 'first-exception' })
    assert.deepEqual([rest.done.size, sim.now()], [1, 100])
  }))

test('S73: an empty list, an unknown returnWhen and operations are refused at the call', () =>
  simulate(function* () {
    const task = createTask(sleep(0))
    assert.throws(() => wait([]), MisuseError)
    assert.throws(() => wait([task], { returnWhen: 'ALL_COMPLETED' as 'all-completed' }), MisuseError)
    assert.throws(() => wait([sleep(0) as unknown as Task]), /a task or a future was expected/)
    yield* task
  }))

test('S73 (ours): a failure that wait has told of and nobody looks at is reported', () => {
  const reports: ExceptionContext[] = []
  const mine = new Error('mine')
  return simulate(
    function* () {
      yield* wait([createTask(failsAfter(1, mine))])
      yield* sleep(1)
      assert.equal(reports.length, 1)
      assert.equal(reports[0]!.error, mine)
    },
    { reports },
  )
})

test('S74: asCompleted gives tasks in finishing order, and the very tasks that were passed in', () =>
  simulate(function* () {
    const slow = createTask(sleep(30, 'slow'))
    const fast = createTask(sleep(10, 'fast'))
    const ended = asCompleted<string>([slow, sleep(20, 'an operation'), fast])
    const first = yield* ended.next()
    assert.equal(first.value, fast)
    assert.equal((yield* ended.next()).value?.result(), 'an operation')
    assert.equal((yield* ended.next()).value, slow)
    assert.deepEqual(yield* ended.next(), { done: true, value: undefined })
    assert.deepEqual(yield* ended.next(), { done: true, value: undefined })
  }))

test('S74: it can be resumed after a break, and what is left runs on', () =>
  simulate(function* (sim) {
    const ended = asCompleted([sleep(10, 'a'), sleep(20, 'b'), sleep(30, 'c')])
    for (let item = yield* ended.next(); item.done !== true; item = yield* ended.next()) {
      if (item.value.result() === 'a') break
    }
    yield* sleep(100)
    const rest: string[] = []
    for (let item = yield* ended.next(); item.done !== true; item = yield* ended.next()) {
      rest.push(item.value.result())
    }
    assert.deepEqual(rest, ['b', 'c'])
    assert.equal(sim.now(), 110)
  }))

test('S74: a cancelled next loses nothing', () =>
  simulate(function* () {
    const ended = asCompleted([sleep(10, 'a'), sleep(20, 'b')])
    const cut = createTask(ended.next())
    yield* sleep(5)
    yield* cancelAndWait(cut)
    const values: string[] = []
    for (let item = yield* ended.next(); item.done !== true; item = yield* ended.next()) {
      values.push(item.value.result())
    }
    assert.deepEqual(values, ['a', 'b'])
  }))

test('S74 (ours): a next that is cancelled in the pass in which a task ended gives that task', () =>
  simulate(function* () {
    const future = new Future<string>()
    const ended = asCompleted([future])
    const cut = createTask(ended.next())
    yield* sleep(5)
    future.setResult('value')
    cut.cancel()
    assert.deepEqual(yield* cut.join(), { status: 'done', value: { done: false, value: future } })
  }))

test('S74: its timeout throws TimeoutError for what is left and cancels nothing', () =>
  simulate(function* (sim) {
    const slow = createTask(sleep(100, 'slow'))
    const ended = asCompleted<string>([sleep(10, 'fast'), slow], { timeoutMs: 50 })
    assert.equal((yield* ended.next()).value?.result(), 'fast')
    yield* thrownOf(TimeoutError, ended.next())
    assert.equal(sim.now(), 50)
    assert.equal(slow.cancelled, false)
    assert.equal(yield* slow, 'slow')
    assert.equal((yield* ended.next()).value, slow)
  }))

test('S75 (ours): a cancel from outside waits until the shielded body has ended, then cuts the next wait', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const task = createTask(
      (function* () {
        diary.write(yield* shield(sleep(50, 'inner value')))
        assert.equal(currentTask()!.cancelled, true)
        yield* sleep(0)
        diary.write('went on')
      })(),
    )
    yield* sleep(10)
    assert.equal((yield* cancelAndWait(task)).status, 'cancelled')
    assert.equal(sim.now(), 50)
    diary.expect('inner value')
  }))

test('S75: a shielded task that is cancelled itself throws CancelledError', () =>
  simulate(function* () {
    const inner = createTask(sleepForever())
    const outer = createTask(shield(inner))
    yield* sleep(1)
    inner.cancel({ reason: 'directly' })
    const outcome = yield* outer.join()
    assert.ok(outcome.status === 'failed' && outcome.error instanceof CancelledError)
    assert.equal(outcome.error.reason, 'directly')
  }))

test('S75: what has ended is returned as it is; results and errors pass', () =>
  simulate(function* (sim) {
    const mine = new Error('mine')
    const done = new Future<string>()
    done.setResult('value')
    const { passes } = sim.loop
    assert.equal(yield* shield(done), 'value')
    assert.equal(sim.loop.passes, passes)
    assert.equal(yield* shield(sleep(1, 'slept')), 'slept')
    assert.equal(yield* thrownBy(shield(failsAfter(1, mine))), mine)
    assert.equal(
      yield* shield(function* () {
        return 'from a function'
      }),
      'from a function',
    )
  }))

test('S76 (ours): an error of a shielded body after the outer cancel is thrown in the same task, so that nothing is lost', () =>
  simulate(function* () {
    const mine = new Error('mine')
    const diary = new Diary()
    const catches = createTask(
      (function* () {
        try {
          yield* shield(failsAfter(10, mine))
        } catch (error) {
          diary.write(String(error))
        }
        yield* sleep(0)
      })(),
    )
    const fails = createTask(shield(failsAfter(10, mine)))
    yield* sleep(1)
    catches.cancel()
    fails.cancel()
    assert.equal((yield* catches.join()).status, 'cancelled')
    assert.deepEqual(yield* fails.join(), { status: 'failed', error: mine })
    diary.expect('Error: mine')
  }))

test('S76 (ours): a scope that is cancelled around a shield is left after it', () =>
  simulate(function* (sim) {
    const value = yield* withScope(function* (scope) {
      sim.loop.callLater(5, () => scope.cancel())
      yield* shield(sleep(20))
      yield* sleep(1_000)
      return 'not reached'
    })
    assert.equal(value, undefined)
    assert.equal(sim.now(), 20)
  }))
