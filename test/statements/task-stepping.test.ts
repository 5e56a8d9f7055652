/** S28-S37: how tasks begin, what they may yield, whose context they run in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  allTasks,
  ClosedError,
  Context,
  ContextVar,
  createTask,
  currentTask,
  Future,
  getRunningLoop,
  MisuseError,
  run,
  sleep,
  until,
  type Task,
} from 'cede'
import { SimDriver } from 'cede/lowlevel'
import { Diary } from '../support/diary.ts'
import { simulate } from '../support/sim.ts'

test('S28: a new task does not run inside createTask; its first step stands in line with other callbacks', () =>
  simulate(function* () {
    const diary = new Diary()
    const loop = getRunningLoop()
    loop.callSoon(diary.writer('callback 1'))
    createTask(noting(diary, 'task 1'))
    loop.callSoon(diary.writer('callback 2'))
    createTask(noting(diary, 'task 2'))
    diary.expect()
    yield* sleep(0)
    diary.expect('callback 1', 'task 1', 'callback 2', 'task 2')
  }))

function* noting(diary: Diary, entry: string) {
  diary.write(entry)
  yield* sleep(0)
}

test('S29: sleep(0) costs exactly one pass and gives its value', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const { passes } = sim.loop
    sim.loop.callSoon(diary.writer('queued before'))
    assert.equal(yield* sleep(0, 'value'), 'value')
    diary.expect('queued before')
    assert.equal(sim.loop.passes, passes + 1)
    yield* sleep(-5)
    assert.equal(sim.loop.passes, passes + 2)
    assert.equal(sim.now(), 0)
  }))

test('S29: the timer of a sleeping task is cancelled with it', () =>
  simulate(function* (sim) {
    const task = createTask(sleep(1_000))
    yield* sleep(0)
    yield* sleep(0)
    assert.equal([...sim.loop.timers].length, 1)
    task.cancel()
    assert.equal([...sim.loop.timers].length, 0)
    yield* task.join()
    assert.equal(sim.now(), 0)
  }))

const wrongYields: readonly (readonly [string, () => unknown, RegExp])[] = [
  ['nothing', () => undefined, /yielded nothing.*bare `yield`/],
  ['a future', () => new Future(), /yielded a Future.*with the star/],
  ['a task', () => createTask(sleep(0)), /yielded task Task-\d+.*with the star/],
  ['a generator', () => noting(new Diary(), ''), /yielded a generator.*with the star/],
  ['an operation of ours', () => sleep(0), /yielded .*with the star/],
  ['a promise', () => Promise.resolve(1), /yielded a promise.*yield\* until\(promise\)/],
  ['a number', () => 5, /yielded a number \(5\)/],
  ['null', () => null, /yielded null/],
]
for (const [name, make, message] of wrongYields) {
  test(`S30 (ours): yielding ${name} throws into the coroutine at the yield, and the loop goes on`, () =>
    simulate(function* (sim) {
      const { passes } = sim.loop
      try {
        yield make() as never
        assert.fail('must throw')
      } catch (error) {
        assert.ok(error instanceof TypeError, String(error))
        assert.match(error.message, message)
      }
      assert.equal(sim.loop.passes, passes, 'in the same step')
      yield* sleep(10)
      assert.equal(sim.now(), 10)
    }))
}

test('S30: the error of a wrong yield that nobody catches fails the task', () =>
  simulate(function* () {
    const outcome = yield* createTask(yieldsFive()).join()
    assert.ok(outcome.status === 'failed' && outcome.error instanceof MisuseError)
  }))

function* yieldsFive() {
  yield* sleep(0)
  yield 5 as never
}

test('S31: a task that waits for itself gets an error', () =>
  simulate(function* () {
    const itself: { task: Task | null } = { task: null }
    itself.task = createTask(waitFor(itself))
    const outcome = yield* itself.task.join()
    assert.ok(outcome.status === 'failed' && outcome.error instanceof MisuseError)
    assert.match(outcome.error.message, /waits for itself/)
  }))

function* waitFor(waited: { task: Task | null }) {
  yield* waited.task!
}

test('S31 (ours): a future of another loop of this thread may be waited for', () =>
  simulate(function* () {
    const future = new Future<string>()
    // `run` is for outside of coroutines; this is a promise callback.
    const other = Promise.resolve().then(() => run(future, { driver: new SimDriver() }))
    yield* sleep(1)
    future.setResult('from here')
    assert.equal(yield* until(other), 'from here')
  }))

test('S32 (ours): a task has no way to be settled from outside', () =>
  simulate(function* () {
    const task = createTask(sleep(1, 'value'))
    assert.equal('setResult' in task, false)
    assert.equal('setException' in task, false)
    assert.equal(yield* task, 'value')
  }))

test('S32: tasks are named Task-N by default; any name becomes a string', () =>
  simulate(function* () {
    const [first, second] = [createTask(sleep(0)), createTask(sleep(0))]
    assert.match(first.name, /^Task-\d+$/)
    assert.equal(Number(second.name.slice(5)), Number(first.name.slice(5)) + 1)
    const named = createTask(sleep(0), { name: 7 as never })
    assert.equal(named.name, '7')
    named.name = { toString: () => 'an object' } as never
    assert.equal(named.name, 'an object')
    yield* sleep(1)
  }))

test('S33: currentTask() is null outside a step', async () => {
  assert.equal(currentTask(), null)
  const diary = new Diary()
  const noteTask = (where: string) => () => diary.write(`${where}: ${currentTask()?.name ?? 'none'}`)
  await simulate(function* (sim) {
    noteTask('main')()
    sim.loop.callSoon(noteTask('callback'))
    sim.loop.callLater(5, noteTask('timer'))
    queueMicrotask(noteTask('microtask'))
    const other = createTask(noteFrom(noteTask('other')), { name: 'other' })
    yield* other
    noteTask('main again')()
    yield* sleep(10)
  })
  assert.equal(currentTask(), null)
  diary.expect(
    'main: main',
    'callback: none',
    'other: other',
    'main again: main',
    'microtask: none',
    'timer: none',
  )
})

function* noteFrom(note: () => void) {
  note()
}

const user = new ContextVar('user', { default: 'nobody' })

test('S34: a task copies the context in which it is made', () =>
  simulate(function* () {
    user.set('creator')
    const task = createTask(readAndSetUser('child'))
    user.set('changed after')
    assert.deepEqual(yield* task, ['creator', 'child'])
    assert.equal(user.get(), 'changed after')
  }))

test('S34: a context that is given is used as it is', () =>
  simulate(function* () {
    const context = new Context()
    context.run(() => user.set('given'))
    const task = createTask(readAndSetUser('written by the task'), { context })
    assert.deepEqual(yield* task, ['given', 'written by the task'])
    assert.equal(context.get(user), 'written by the task')
    assert.equal(user.get(), 'nobody')
  }))

function* readAndSetUser(name: string) {
  yield* sleep(0)
  const before = user.get()
  user.set(name)
  yield* sleep(0)
  return [before, user.get()]
}

test('S36: an eager task runs inside the call to its first suspension, and then is an ordinary one', () =>
  simulate(function* () {
    const diary = new Diary()
    getRunningLoop().callSoon(diary.writer('callback'))
    const task = createTask(twoSteps(diary), { eager: true })
    diary.expect('first')
    assert.equal(yield* task, 'value')
    diary.expect('callback', 'second')
  }))

function* twoSteps(diary: Diary) {
  diary.write('first')
  yield* sleep(0)
  diary.write('second')
  return 'value'
}

test('S36: an eager task that does not suspend is done after the call and costs no step', () =>
  simulate(function* (sim) {
    const steps: string[] = []
    const takeOff = sim.loop.addInstrument({ stepBegins: (task) => void steps.push(task.name) })
    const task = createTask(readName(), { eager: true, name: 'eager' })
    assert.equal(task.status, 'done')
    assert.equal(task.result(), 'eager')
    yield* sleep(0)
    takeOff()
    assert.deepEqual(steps, ['eager', 'main'])
  }))

function* readName() {
  return currentTask()!.name
}

test('S36: an eager task runs in its own context', () =>
  simulate(function* () {
    user.set('creator')
    const task = createTask(setUserAtOnce(), { eager: true })
    assert.equal(user.get(), 'creator')
    assert.equal(yield* task, 'eager')
  }))

function* setUserAtOnce() {
  assert.equal(user.get(), 'creator')
  user.set('eager')
  yield* sleep(0)
  return user.get()
}

test('S36: during the eager step the new task is current and among all tasks; then the creator is current again', () =>
  simulate(function* () {
    const main = currentTask()
    const seen: { current: Task | null; all: Task[] } = { current: null, all: [] }
    const task = createTask(
      (function* () {
        seen.current = currentTask()
        seen.all = allTasks()
      })(),
      { eager: true },
    )
    assert.equal(seen.current, task)
    assert.deepEqual(seen.all, [main, task])
    assert.equal(currentTask(), main)
    assert.deepEqual(allTasks(), [main])
    yield* sleep(0)
  }))

test('S36: an error of the eager step is the outcome of the task, not of the call', () =>
  simulate(function* () {
    const task = createTask(failsAtOnce(), { eager: true })
    assert.equal(task.status, 'failed')
    assert.match(String(task.exception()), /mine/)
    yield* sleep(0)
  }))

function* failsAtOnce(): Generator<never, void> {
  throw new Error('mine')
}

test('S37 (ours): eager is a choice of each task; without it a task begins in the next pass', () =>
  simulate(function* () {
    const diary = new Diary()
    createTask(noting(diary, 'by default'))
    createTask(noting(diary, 'false'), { eager: false })
    createTask(noting(diary, 'undefined'), { eager: undefined })
    diary.expect()
    createTask(noting(diary, 'true'), { eager: true })
    diary.expect('true')
    yield* sleep(0)
    diary.expect('by default', 'false', 'undefined')
  }))

test('S37: an eager task needs a running loop', () => {
  const diary = new Diary()
  assert.throws(() => createTask(noting(diary, 'ran'), { eager: true }), ClosedError)
  diary.expect()
})
