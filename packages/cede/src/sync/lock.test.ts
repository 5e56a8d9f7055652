import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import { simulate } from '../../../../test/support/sim.ts'
import { createTask } from '../core/current.ts'
import type { ExceptionContext } from '../core/runner.ts'
import { sleep } from '../core/sleep.ts'
import { currentTask } from '../core/task.ts'
import { Lock } from './lock.ts'

test('statistics name the holder and count those in line', () =>
  simulate(function* () {
    const lock = new Lock({ name: 'accounts' })
    assert.deepEqual(lock.statistics(), { locked: false, holder: null, tasksWaiting: 0 })
    const waiter = createTask(lock.with(sleep(0)), { name: 'waiter' })
    yield* lock.with(function* () {
      yield* sleep(0)
      assert.deepEqual(lock.statistics(), { locked: true, holder: currentTask(), tasksWaiting: 1 })
      assert.equal(inspect(lock), 'Lock(accounts: held by main, 1 waiting)')
    })
    assert.equal(lock.statistics().holder, waiter, 'handed over at once')
    yield* waiter
    assert.equal(inspect(lock), 'Lock(accounts: free)')
    assert.equal(inspect(new Lock()), 'Lock(free)')
  }))

test('any task may release it, and a callback', () =>
  simulate(function* (sim) {
    const lock = new Lock()
    yield* lock.acquire()
    yield* createTask(
      (function* () {
        lock.release()
      })(),
    )
    assert.equal(lock.locked(), false)
    yield* lock.acquire()
    sim.loop.callSoon(() => lock.release())
    yield* createTask(lock.with(sleep(0)))
    assert.equal(lock.locked(), false)
  }))

test('it can be taken outside of tasks, and dumps say so', () => {
  const lock = new Lock()
  assert.equal(lock.tryAcquire(), true)
  assert.equal(inspect(lock), 'Lock(taken outside of tasks)')
  return simulate(function* () {
    const waiter = createTask(lock.with(sleep(0)), { name: 'waiter' })
    yield* sleep(0)
    assert.deepEqual(waiter.waitsFor(), {
      what: 'a lock (taken outside of tasks; in line: waiter)',
      holders: [],
    })
    lock.release()
    yield* waiter
  })
})

test('a holder that has ended without a release is named', () =>
  simulate(function* () {
    const lock = new Lock({ name: 'db' })
    yield* createTask(lock.acquire(), { name: 'forgetful' })
    const waiter = createTask(lock.with(sleep(0)), { name: 'waiter' })
    yield* sleep(0)
    assert.equal(waiter.waitsFor()!.what, 'lock db (held by forgetful, which has ended; in line: waiter)')
    assert.deepEqual(waiter.waitsFor()!.holders, [])
    lock.release()
    yield* waiter
  }))

test('long lines are counted after five names', () =>
  simulate(function* () {
    const lock = new Lock()
    yield* lock.acquire()
    const tasks = Array.from({ length: 8 }, (_, i) => createTask(lock.with(sleep(0)), { name: `t${i}` }))
    yield* sleep(0)
    assert.equal(tasks[7]!.waitsFor()!.what, 'a lock (in line: t0, t1, t2, t3, t4 and 3 more)')
    lock.release()
    for (const task of tasks) yield* task
  }))

test('one that somebody else has released inside with() is reported, and not given back twice', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* () {
      const lock = new Lock({ name: 'db' })
      let taken = false
      yield* lock.with(function* () {
        lock.release()
        taken = lock.tryAcquire()
        lock.release()
        yield* sleep(0)
      })
      assert.equal(taken, true)
      // Another task holds it when the body ends, and goes on holding it.
      const victim = createTask(lock.with(sleep(5)), { name: 'victim' })
      yield* sleep(0)
      const thief = createTask(lock.with(sleep(20)), { name: 'thief' })
      yield* sleep(0)
      lock.release()
      yield* victim
      assert.equal(lock.statistics().holder, thief)
      yield* thief
      assert.equal(lock.locked(), false)
    },
    { reports },
  )
  assert.deepEqual(
    reports.map(({ message, task }) => [message, task?.name]),
    ['main', 'victim'].map((name) => [
      `with() in task ${name}: lock db was expected to be held until the body ended, and was released by somebody else ` +
        'before; nothing was given back a second time',
      name,
    ]),
  )
})
