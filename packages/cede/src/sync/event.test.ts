import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import { simulate } from '../../../../test/support/sim.ts'
import { createTask } from '../core/current.ts'
import { sleep } from '../core/sleep.ts'
import { withScope } from '../flow/with-scope.ts'
import { Event } from './event.ts'

test('set, isSet, clear; wait returns at once while it is set', () =>
  simulate(function* () {
    const event = new Event({ name: 'ready' })
    assert.equal(event.isSet(), false)
    event.set()
    event.set()
    assert.equal(event.isSet(), true)
    yield* event.wait()
    assert.deepEqual(event.statistics(), { isSet: true, tasksWaiting: 0 })
    assert.equal(inspect(event), 'Event(ready: set)')
    event.clear()
    assert.equal(event.isSet(), false)
    assert.equal(inspect(event), 'Event(ready: not set)')
  }))

test('set wakes everyone in order; one that is cancelled leaves', () =>
  simulate(function* () {
    const event = new Event()
    const woken: string[] = []
    function* waiter(name: string) {
      yield* event.wait()
      woken.push(name)
    }
    const tasks = ['a', 'b', 'c'].map((name) => createTask(waiter(name), { name }))
    yield* sleep(0)
    assert.equal(tasks[0]!.waitsFor()!.what, 'an event (in line: a, b, c)')
    tasks[1]!.cancel()
    assert.equal(event.statistics().tasksWaiting, 2)
    event.set()
    // Woken is told, though it is cancelled.
    tasks[2]!.cancel()
    yield* sleep(0)
    assert.deepEqual(woken, ['a', 'c'])
  }))

test('wait is a checkpoint, though the event is set', () =>
  simulate(function* () {
    const event = new Event()
    event.set()
    let others = false
    createTask(
      (function* () {
        others = true
      })(),
    )
    for (let i = 0; i < 200; i++) yield* event.wait()
    assert.equal(others, true)
    const reached = yield* withScope(function* (scope) {
      scope.cancel()
      yield* event.wait()
      return 'reached'
    })
    assert.equal(reached, undefined)
  }))
