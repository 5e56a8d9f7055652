// The names of asyncio's task groups and timeouts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CancelledError,
  getRunningLoop,
  sleep,
  sleepForever,
  taskGroup,
  timeout,
  timeoutAt,
  TimeoutError,
  type TimeoutScope,
} from 'cede'
import { simulate } from '../support/sim.ts'
import { thrownBy } from '../support/thrown-by.ts'

test('taskGroup, TaskGroup.createTask', () =>
  simulate(function* (sim) {
    const value = yield* taskGroup(function* (group) {
      group.createTask(sleep(20))
      group.createTask(sleep(10))
      assert.equal(group.tasks.length, 2)
      return yield* sleep(1, 'body')
    })
    assert.equal(value, 'body')
    assert.equal(sim.now(), 20)
  }))

test('TaskGroup.cancel', () =>
  simulate(function* (sim) {
    const value = yield* taskGroup(function* (group) {
      group.createTask(sleepForever())
      yield* sleep(1)
      group.cancel()
      return 'the body had ended'
    })
    assert.equal(value, 'the body had ended')
    assert.equal(sim.now(), 1)
    const error = yield* thrownBy(
      taskGroup(function* (group) {
        group.cancel()
        yield* sleep(1)
      }),
    )
    assert.ok(error instanceof CancelledError)
  }))

test('timeout, TimeoutScope: deadlineMs, reschedule, expired', () =>
  simulate(function* (sim) {
    let seen: TimeoutScope | undefined
    const error = yield* thrownBy(
      timeout(10, function* (scope) {
        seen = scope
        assert.equal(scope.deadlineMs, 10)
        yield* sleep(5)
        scope.reschedule(20)
        assert.equal(scope.deadlineMs, 25)
        scope.deadlineMs = 30
        assert.equal(scope.expired, false)
        yield* sleepForever()
      }),
    )
    assert.ok(error instanceof TimeoutError)
    assert.equal(sim.now(), 30)
    assert.equal(seen?.expired, true)
  }))

test('timeoutAt', () =>
  simulate(function* (sim) {
    yield* sleep(5)
    const error = yield* thrownBy(timeoutAt(getRunningLoop().time() + 7, sleepForever()))
    assert.ok(error instanceof TimeoutError)
    assert.equal(sim.now(), 12)
  }))
