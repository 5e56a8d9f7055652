import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownOf } from '../../../../test/support/thrown-by.ts'
import { createTask } from '../core/current.ts'
import { InvalidStateError, MisuseError } from '../core/errors.ts'
import type { ExceptionContext } from '../core/runner.ts'
import { sleep } from '../core/sleep.ts'
import { currentTask } from '../core/task.ts'
import { CapacityLimiter } from './capacity-limiter.ts'

test('borrowed, available, total; statistics name the borrowers', () =>
  simulate(function* () {
    const limiter = new CapacityLimiter(2, { name: 'disk' })
    assert.deepEqual([limiter.total, limiter.borrowed, limiter.available, limiter.locked()], [2, 0, 2, false])
    yield* limiter.acquire()
    yield* limiter.acquireOnBehalfOf('a thread')
    assert.deepEqual([limiter.borrowed, limiter.available, limiter.locked()], [2, 0, true])
    const waiter = createTask(limiter.with(sleep(0)), { name: 'waiter' })
    yield* sleep(0)
    assert.deepEqual(limiter.statistics(), {
      borrowed: 2,
      total: 2,
      borrowers: [currentTask(), 'a thread'],
      tasksWaiting: 1,
    })
    assert.equal(inspect(limiter), 'CapacityLimiter(disk: 2 of 2 borrowed, 1 waiting)')
    assert.deepEqual(waiter.waitsFor(), {
      what: 'a token of limiter disk (2 of 2 borrowed; in line: waiter)',
      holders: [currentTask()],
    })
    limiter.releaseOnBehalfOf('a thread')
    yield* waiter
    limiter.release()
    assert.equal(limiter.available, 2)
  }))

test('one token for a borrower: a second one is refused, also while it waits for the first', () =>
  simulate(function* () {
    const limiter = new CapacityLimiter(1, { name: 'disk' })
    const connection = { name: 'a connection' }
    yield* limiter.acquire()
    for (const [act, again] of [
      ['acquire()', limiter.acquire()],
      ['with()', limiter.with(sleep(0))],
    ] as const) {
      assert.equal(
        (yield* thrownOf(InvalidStateError, again)).message,
        act +
          ' of limiter disk: a borrower without a token was expected, found that task main has one already',
      )
    }
    assert.throws(() => limiter.tryAcquire(), InvalidStateError)
    assert.equal(limiter.tryAcquireOnBehalfOf(connection), false)
    const waiter = createTask(limiter.acquireOnBehalfOf(connection))
    yield* sleep(0)
    assert.throws(
      () => limiter.tryAcquireOnBehalfOf(connection),
      /found that an object waits for one already$/,
    )
    // One that was cancelled waits no more, and may come again.
    waiter.cancel()
    assert.equal(limiter.tryAcquireOnBehalfOf(connection), false)
    limiter.release()
    assert.equal(limiter.tryAcquireOnBehalfOf(connection), true)
    limiter.releaseOnBehalfOf(connection)
  }))

test('only the borrower gives back: the error says who has one', () =>
  simulate(function* () {
    const limiter = new CapacityLimiter(1)
    assert.throws(() => limiter.release(), {
      code: 'CEDE_INVALID_STATE',
      message:
        'release() of a limiter: a borrower with a token was expected, found that task main has none; nobody has one',
    })
    const holder = createTask(limiter.with(sleep(5)), { name: 'holder' })
    yield* sleep(0)
    assert.throws(() => limiter.release(), /task main has none; held by task holder$/)
    assert.throws(
      () => limiter.releaseOnBehalfOf('x'),
      /releaseOnBehalfOf\(\) .*a string \("x"\) has none; held by/,
    )
    yield* holder
    assert.equal(limiter.borrowed, 0)
  }))

test('outside of tasks there is no borrower but one that is given', () => {
  const limiter = new CapacityLimiter(1)
  assert.throws(() => limiter.tryAcquire(), MisuseError)
  assert.throws(() => limiter.release(), MisuseError)
  assert.equal(limiter.tryAcquireOnBehalfOf('somebody'), true)
  assert.equal(limiter.tryAcquireOnBehalfOf('other'), false)
  limiter.releaseOnBehalfOf('somebody')
})

test('the total can be raised and lowered at any time', () =>
  simulate(function* () {
    const limiter = new CapacityLimiter(1)
    const order: number[] = []
    function* visit(i: number) {
      yield* limiter.with(function* () {
        order.push(i)
        yield* sleep(10)
      })
    }
    const tasks = Array.from({ length: 6 }, (_, i) => createTask(visit(i)))
    yield* sleep(0)
    assert.equal(limiter.borrowed, 1)
    limiter.total = 3
    assert.equal(limiter.borrowed, 3, 'those who wait are let in at once')
    limiter.total = 1
    assert.deepEqual([limiter.borrowed, limiter.available, limiter.locked()], [3, 0, true])
    yield* sleep(11)
    assert.deepEqual(order, [0, 1, 2, 3])
    assert.equal(limiter.borrowed, 1, 'three came back, one was given')
    limiter.total = Infinity
    assert.equal(limiter.available, Infinity)
    assert.equal(limiter.statistics().tasksWaiting, 0)
    for (const task of tasks) yield* task
    assert.deepEqual(order, [0, 1, 2, 3, 4, 5])
    for (const wrong of [0, -1, 1.5, Number.NaN, '2' as never]) {
      assert.throws(() => (limiter.total = wrong), {
        name: typeof wrong === 'number' ? 'RangeError' : 'TypeError',
        message: /^total: a whole number of 1 or more tokens, or Infinity/,
      })
      assert.throws(() => new CapacityLimiter(wrong), typeof wrong === 'number' ? RangeError : MisuseError)
    }
    assert.equal(limiter.total, Infinity)
  }))

test('a dump names ten holders at most, and a task once', () =>
  simulate(function* () {
    const limiter = new CapacityLimiter(20)
    const holders = Array.from({ length: 18 }, (_, i) =>
      createTask(limiter.with(sleep(5)), { name: `h${i}` }),
    )
    yield* limiter.acquireOnBehalfOf('one')
    yield* limiter.acquireOnBehalfOf('two')
    const waiter = createTask(limiter.with(sleep(0)))
    yield* sleep(0)
    const named = waiter.waitsFor()!.holders!.map((task) => task.name)
    assert.equal(named.length, 10)
    assert.equal(new Set(named).size, 10)
    assert.throws(() => limiter.release(), /held by .* and 10 more$/)
    limiter.releaseOnBehalfOf('one')
    limiter.releaseOnBehalfOf('two')
    for (const task of [...holders, waiter]) yield* task
  }))

test('a token that was given back inside with() is reported', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* () {
      const limiter = new CapacityLimiter(1, { name: 'disk' })
      yield* limiter.with(function* () {
        limiter.release()
      })
      assert.equal(limiter.borrowed, 0)
    },
    { reports },
  )
  assert.match(reports[0]!.message, /a token of limiter disk was expected to be held until the body ended/)
})
