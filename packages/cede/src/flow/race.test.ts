import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  any,
  cancelAndWait,
  CancelledError,
  createTask,
  Future,
  MisuseError,
  race,
  sleep,
  sleepForever,
  type Operation,
  type Suspension,
} from 'cede'
import { Diary } from '../../../../test/support/diary.ts'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownBy, thrownOf } from '../../../../test/support/thrown-by.ts'

function* loser(diary: Diary, cleanupMs = 10): Generator<Suspension, string> {
  try {
    return yield* sleep(1_000, 'too late')
  } finally {
    yield* sleep(cleanupMs)
    diary.timed('the loser has ended')
  }
}

function* fails(ms: number, error: unknown): Generator<Suspension, never> {
  yield* sleep(ms)
  throw error
}

test('race and any give the first value, after the losers were cancelled and have ended', async () => {
  const firsts: ((operations: readonly Operation<string>[]) => Operation<string>)[] = [race, any]
  for (const first of firsts) {
    await simulate(function* (sim) {
      const diary = new Diary()
      const task = createTask(loser(diary))
      assert.equal(yield* first([loser(diary), sleep(5, 'first'), task, sleep(6, 'second')]), 'first')
      assert.equal(sim.now(), 15)
      assert.equal(task.status, 'cancelled')
      diary.expect('15 the loser has ended', '15 the loser has ended')
    })
  }
})

test('race ends as the first that ends, a failure included; any goes on to the first success', () =>
  simulate(function* (sim) {
    const mine = new Error('mine')
    assert.equal(yield* thrownBy(race([sleep(10, 'value'), fails(5, mine)])), mine)
    assert.equal(sim.now(), 5)
    assert.equal(yield* any([sleep(10, 'value'), fails(5, mine)]), 'value')
    assert.equal(sim.now(), 15)
  }))

test('any throws all errors in the order they happened if none succeeds', () =>
  simulate(function* () {
    const [first, second] = [new Error('first'), new Error('second')]
    const cancelled = createTask(sleepForever())
    const racing = createTask(any([fails(10, second), fails(5, first), cancelled]))
    yield* sleep(20)
    cancelled.cancel()
    const error = yield* thrownOf(AggregateError, racing)
    assert.deepEqual(error.errors.slice(0, 2), [first, second])
    assert.ok(error.errors[2] instanceof CancelledError)
    assert.equal(error.errors.length, 3)
  }))

test('errors of losers, and errors while they clean up, are dropped', () =>
  simulate(function* () {
    function* failsInCleanup(): Generator<Suspension, void> {
      try {
        yield* sleepForever()
      } finally {
        throw new Error('of a loser')
      }
    }
    assert.equal(yield* race([failsInCleanup(), sleep(5, 'value')]), 'value')
    assert.equal(yield* any([failsInCleanup(), fails(1, new Error('early')), sleep(5, 'value')]), 'value')
  }))

test('what has ended before wins without a wait', () =>
  simulate(function* (sim) {
    const done = new Future<string>()
    done.setResult('done')
    assert.equal(yield* race([sleepForever(), done]), 'done')
    assert.equal(sim.now(), 0)
  }))

test('nobody to race: refused; any of nothing fails at once', () =>
  simulate(function* () {
    yield* thrownOf(MisuseError, race([]))
    const error = yield* thrownOf(AggregateError, any([]))
    assert.deepEqual(error.errors, [])
  }))

test('a cancelled race cancels all and waits for them', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const racing = createTask(race([loser(diary), loser(diary, 30)]))
    yield* sleep(5)
    assert.equal((yield* cancelAndWait(racing)).status, 'cancelled')
    diary.expect('15 the loser has ended', '35 the loser has ended')
    assert.equal(sim.now(), 35)
  }))
