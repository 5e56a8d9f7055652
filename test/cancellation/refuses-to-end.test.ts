// DESIGN.md "Cancellation" 7: a task that goes on waiting after 50 forced returns is failed, and never stepped again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  cancelAndWait,
  coroutine,
  createTask,
  Future,
  RefusedToEndError,
  run,
  sleep,
  sleepForever,
  timeout,
  timeoutOr,
  type Suspension,
} from 'cede'
import { SimDriver } from 'cede/lowlevel'
import { simulate } from '../support/sim.ts'
import { thrownBy } from '../support/thrown-by.ts'

interface Counter {
  rounds: number
}

/** Cannot be returned: its `finally` goes on with the loop. */
function* loopsForEver(counter: Counter): Generator<Suspension, never> {
  for (;;) {
    try {
      yield* sleepForever()
    } finally {
      counter.rounds++
      continue
    }
  }
}
const loopsForEverWrapped = coroutine(loopsForEver)

for (const [kind, loops] of [
  ['plain', loopsForEver],
  ['wrapped', loopsForEverWrapped],
] as const) {
  test(`finally { continue } is given up after 50 forced returns (${kind})`, () =>
    simulate(
      function* (sim) {
        const counter = { rounds: 0 }
        const task = createTask(loops(counter), { name: 'stubborn' })
        yield* sleep(0)
        const outcome = yield* cancelAndWait(task, { graceMs: 100 })
        assert.ok(outcome.status === 'failed' && outcome.error instanceof RefusedToEndError)
        assert.equal(outcome.error.code, 'CEDE_REFUSED_TO_END')
        assert.match(outcome.error.message, /task stubborn.* after 50 forced returns/)
        assert.match(outcome.error.message, /at loopsForEver .*refuses-to-end\.test\.ts/)
        assert.equal(counter.rounds, 51)
        assert.equal(sim.now(), 100)
        assert.equal(sim.reports.length, 1)

        yield* sleep(1_000_000)
        assert.equal(counter.rounds, 51)
      },
      { reports: [] },
    ))
}

test('a cleanup that waits again each time it is cut is given up as well', () =>
  simulate(
    function* () {
      let waits = 0
      function* neverEnds(): Generator<Suspension, void> {
        for (;;) {
          try {
            waits++
            yield* sleep(1_000)
          } finally {
            yield* inFinally()
          }
        }
      }
      function* inFinally(): Generator<Suspension, void> {
        try {
          waits++
          yield* sleep(1_000)
        } finally {
          yield* neverEnds()
        }
      }
      const task = createTask(neverEnds())
      yield* sleep(0)
      const outcome = yield* cancelAndWait(task, { graceMs: 100 })
      assert.ok(outcome.status === 'failed' && outcome.error instanceof RefusedToEndError, outcome.status)
      const before = waits
      yield* sleep(1_000_000)
      assert.equal(waits, before)
    },
    { reports: [] },
  ))

test('what would have woken it later finds nobody', () =>
  simulate(
    function* (sim) {
      const counter = { rounds: 0 }
      const future = new Future<string>()
      const other = createTask(
        (function* () {
          return yield* future
        })(),
      )
      function* onFuture(): Generator<Suspension, never> {
        for (;;) {
          try {
            yield* future
          } finally {
            counter.rounds++
            continue
          }
        }
      }
      const task = createTask(onFuture())
      yield* sleep(0)
      yield* cancelAndWait(task, { graceMs: 0 })
      assert.equal(task.status, 'failed')
      const { rounds } = counter
      future.setResult('value')
      assert.equal(yield* other, 'value')
      yield* sleep(10)
      assert.equal(counter.rounds, rounds)
      assert.equal(sim.reports.length, 1)
    },
    { reports: [] },
  ))

test('timers and scopes that it held are given back: its timeouts never expire', () =>
  simulate(
    function* () {
      const counter = { rounds: 0 }
      const task = createTask(timeout(5_000, () => timeoutOr(50_000, loopsForEver(counter), 'fallback')))
      yield* sleep(0)
      yield* cancelAndWait(task, { graceMs: 0 })
      const { rounds } = counter
      yield* sleep(100_000)
      assert.equal(counter.rounds, rounds)
      assert.equal(task.status, 'failed')
    },
    { reports: [] },
  ))

test('the task fails where it stands: no outer finally runs, and nobody inside can catch it', () =>
  simulate(
    function* () {
      const seen: string[] = []
      function* outer(): Generator<Suspension, void> {
        try {
          yield* timeout(5, loopsForEver({ rounds: 0 }))
        } catch {
          seen.push('caught')
        } finally {
          seen.push('cleaned up')
        }
      }
      const task = createTask(outer())
      const error = yield* thrownBy(task)
      assert.ok(error instanceof RefusedToEndError)
      assert.deepEqual(seen, [])
    },
    { reports: [], cleanupGraceMs: 10 },
  ))

test('a main that refuses to end makes run reject', async () => {
  const driver = new SimDriver()
  const outcome = run(timeout(5, loopsForEver({ rounds: 0 })), {
    driver,
    cleanupGraceMs: 10,
    exceptionHandler: () => {},
  })
  await assert.rejects(outcome, RefusedToEndError)
  assert.equal(driver.now(), 15)
})
