// The names of asyncio's tasks.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  allTasks,
  asCompleted,
  CancelledError,
  createTask,
  currentTask,
  gather,
  gatherSettled,
  InvalidStateError,
  isTask,
  shield,
  sleep,
  type Task,
  timeout,
  until,
  wait,
} from 'cede'
import { simulate } from '../support/sim.ts'

function* failing() {
  yield* sleep(1)
  throw new RangeError('no')
}

test('createTask: name, eager, Task.name', () =>
  simulate(function* () {
    const order: string[] = []
    function* note(what: string) {
      order.push(what)
      yield* sleep(0)
    }
    const lazy = createTask(note('lazy'), { name: 'first' })
    const eager = createTask(note('eager'), { eager: true })
    order.push('creator')
    assert.ok(isTask(lazy))
    assert.equal(lazy.name, 'first')
    assert.match(eager.name, /^Task-\d+$/)
    lazy.name = 'renamed'
    assert.equal(lazy.name, 'renamed')
    yield* gather([lazy, eager])
    assert.deepEqual(order, ['eager', 'creator', 'lazy'])
  }))

test('Task: done, result, exception, status', () =>
  simulate(function* () {
    const good = createTask(sleep(2, 'value'))
    const bad = createTask(failing())
    assert.equal(good.done(), false)
    assert.throws(() => good.result(), InvalidStateError)
    assert.throws(() => good.exception(), InvalidStateError)
    yield* wait([good, bad])
    assert.equal(good.done(), true)
    assert.equal(good.result(), 'value')
    assert.equal(good.exception(), null)
    assert.equal(good.status, 'done')
    assert.throws(() => bad.result(), RangeError)
    assert.ok(bad.exception() instanceof RangeError)
    assert.equal(bad.status, 'failed')
  }))

test('Task: addDoneCallback, removeDoneCallback', () =>
  simulate(function* () {
    const told: unknown[] = []
    const tell = (task: unknown): void => void told.push(task)
    const task = createTask(sleep(1))
    task.addDoneCallback(tell)
    task.addDoneCallback(tell)
    assert.equal(task.removeDoneCallback(tell), 2)
    task.addDoneCallback(tell)
    yield* task
    yield* sleep(0)
    assert.deepEqual(told, [task])
  }))

test('Task: cancel, cancelled, status', () =>
  simulate(function* () {
    const task = createTask(sleep(100))
    yield* sleep(0)
    assert.equal(task.cancelled, false)
    assert.equal(task.cancel({ reason: 'enough' }), true)
    assert.equal(task.cancelled, true)
    assert.equal(task.status, 'ready')
    assert.deepEqual(yield* task.join(), { status: 'cancelled', reason: 'enough' })
    assert.equal(task.status, 'cancelled')
    assert.equal(task.cancel(), false)
    assert.throws(() => task.result(), CancelledError)
  }))

test('Task: stack shows where it waits', () =>
  simulate(function* () {
    function* waitsHere() {
      yield* sleep(10)
    }
    const task = createTask(waitsHere())
    yield* sleep(0)
    assert.match(task.stack(), /waitsHere .*tasks\.test\.ts/)
    yield* task
  }))

test('Task: yield* and await', () =>
  simulate(function* () {
    const task: Task<string> = createTask(sleep(1, 'value'))
    assert.equal(yield* task, 'value')
    assert.equal(yield* task, 'value')
    assert.equal(yield* until(task.then((value) => value.toUpperCase())), 'VALUE')
  }))

test('currentTask, allTasks', () =>
  simulate(function* () {
    const task = createTask(sleep(1))
    assert.equal(currentTask()?.name, 'main')
    assert.deepEqual(allTasks(), [currentTask(), task])
    yield* task
    assert.deepEqual(allTasks(), [currentTask()])
  }))

test('sleep: milliseconds, a value, and one pass for 0', () =>
  simulate(function* (sim) {
    assert.equal(yield* sleep(1_500, 'woken'), 'woken')
    assert.equal(sim.now(), 1_500)
    yield* sleep(0)
    assert.equal(sim.now(), 1_500)
  }))

test('gather, gatherSettled', () =>
  simulate(function* () {
    assert.deepEqual(yield* gather([sleep(2, 'a'), sleep(1, 'b')]), ['a', 'b'])
    const outcomes = yield* gatherSettled([sleep(1, 'a'), failing()])
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['done', 'failed'],
    )
  }))

test('wait: timeoutMs and returnWhen', () =>
  simulate(function* () {
    const slow = createTask(sleep(50))
    const fast = createTask(sleep(5))
    const first = yield* wait([slow, fast], { returnWhen: 'first-completed' })
    assert.deepEqual([[...first.done], [...first.pending]], [[fast], [slow]])
    const short = yield* wait([slow], { timeoutMs: 5 })
    assert.equal(short.done.size, 0)
    const bad = createTask(failing())
    const failed = yield* wait([slow, bad], { returnWhen: 'first-exception' })
    assert.deepEqual([...failed.done], [bad])
    assert.ok(bad.exception() instanceof RangeError)
    const all = yield* wait([slow, fast], { returnWhen: 'all-completed' })
    assert.equal(all.pending.size, 0)
  }))

test('timeout in place of wait_for', () =>
  simulate(function* () {
    assert.equal(yield* timeout(10, sleep(1, 'in time')), 'in time')
  }))

test('asCompleted', () =>
  simulate(function* () {
    const order: string[] = []
    const ended = asCompleted([sleep(2, 'slow'), sleep(1, 'fast')], { timeoutMs: 100 })
    for (let item = yield* ended.next(); item.done !== true; item = yield* ended.next()) {
      order.push(item.value.result())
    }
    assert.deepEqual(order, ['fast', 'slow'])
  }))

test('shield', () =>
  simulate(function* (sim) {
    const saved: number[] = []
    function* save() {
      yield* sleep(20)
      saved.push(sim.now())
    }
    const task = createTask(shield(save()))
    yield* sleep(5)
    task.cancel()
    yield* task.join()
    assert.deepEqual(saved, [20])
  }))
