import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cancelAndWait, ClosedError, createTask, gather, sleep, ticker, timeoutOr } from 'cede'
import { simulate } from '../../../../test/support/sim.ts'

test('ticks come at whole intervals after the beginning', () =>
  simulate(function* (sim) {
    const ticks = ticker(100)
    yield* sleep(30)
    assert.deepEqual(yield* ticks.tick(), { number: 1, missed: 0, dueMs: 100 })
    yield* sleep(350)
    assert.deepEqual(yield* ticks.tick(), { number: 5, missed: 3, dueMs: 500 })
    assert.equal(sim.now(), 500)
    const { done, value } = yield* ticks.next()
    assert.deepEqual([done, value], [false, { number: 6, missed: 0, dueMs: 600 }])
  }))

test('a tick whose time is exactly now is not missed', () =>
  simulate(function* (sim) {
    const ticks = ticker(100)
    yield* sleep(100)
    assert.deepEqual(yield* ticks.tick(), { number: 1, missed: 0, dueMs: 100 })
    yield* sleep(200)
    assert.deepEqual(yield* ticks.tick(), { number: 3, missed: 1, dueMs: 300 })
    assert.equal(sim.now(), 300)
  }))

test('with immediate the first tick is at once, though the clock has moved on', () =>
  simulate(function* (sim) {
    const ticks = ticker(100, { immediate: true })
    sim.elapse(0.001)
    assert.deepEqual(yield* ticks.tick(), { number: 0, missed: 0, dueMs: 0 })
    assert.deepEqual(yield* ticks.tick(), { number: 1, missed: 0, dueMs: 100 })

    const late = ticker(100, { immediate: true })
    yield* sleep(350)
    assert.deepEqual(yield* late.tick(), { number: 0, missed: 0, dueMs: 100 })
    assert.deepEqual(yield* late.tick(), { number: 4, missed: 3, dueMs: 500 })
    assert.equal(sim.now(), 500)
  }))

test('tasks that wait at the same ticker get the same turn', () =>
  simulate(function* () {
    const ticks = ticker(100)
    const turns = yield* gather([ticks.tick(), ticks.tick()])
    assert.deepEqual(turns, [
      { number: 1, missed: 0, dueMs: 100 },
      { number: 1, missed: 0, dueMs: 100 },
    ])
    assert.deepEqual(yield* ticks.tick(), { number: 2, missed: 0, dueMs: 200 })
  }))

test('a cancelled wait takes no turn, and leaves no timer', () =>
  simulate(function* (sim) {
    const ticks = ticker(100)
    assert.equal(yield* timeoutOr(50, ticks.tick(), null), null)
    const task = createTask(ticks.tick())
    yield* sleep(0)
    assert.match(task.waitsFor()!.what, /turn 1 of a ticker of 100 ms/)
    assert.equal(task.waitsFor()!.deadlineMs, 100)
    yield* cancelAndWait(task)
    assert.equal((yield* ticks.tick()).number, 1)
    assert.equal(sim.now(), 100)
  }))

test('over a million intervals nothing drifts', () =>
  simulate(function* (sim) {
    const ticks = ticker(1 / 3)
    yield* ticks.tick()
    yield* sleep(333_333)
    const { number, dueMs } = yield* ticks.tick()
    assert.ok(Math.abs(dueMs - number / 3) < 1e-6)
    assert.ok(Math.abs(sim.now() - dueMs) <= 1 / 3)
  }))

test('bad intervals, and a ticker outside of a loop, are refused at the call', () => {
  for (const interval of [0, -1, NaN, Infinity]) assert.throws(() => ticker(interval), RangeError)
  assert.throws(() => ticker(10), ClosedError)
})
