import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cancelAndWait, createTask, MisuseError, retry, sleep, type RetryOptions } from 'cede'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownBy } from '../../../../test/support/thrown-by.ts'

const mine = new Error('mine')

function* failsUntil(attempt: number, succeedsAt: number) {
  yield* sleep(1)
  if (attempt < succeedsAt) throw mine
  return `attempt ${attempt}`
}

test('it returns the value of the first attempt that succeeds', () =>
  simulate(function* () {
    assert.equal(yield* retry((attempt) => failsUntil(attempt, 1)), 'attempt 1')
    assert.equal(yield* retry((attempt) => failsUntil(attempt, 4)), 'attempt 4')
  }))

test('after the last attempt its error is thrown as it is', () =>
  simulate(function* () {
    let attempts = 0
    const failing = (options?: RetryOptions) =>
      retry(function* (attempt) {
        attempts = attempt
        yield* failsUntil(attempt, Infinity)
      }, options)
    assert.equal(yield* thrownBy(failing()), mine)
    assert.equal(attempts, 5)
    assert.equal(yield* thrownBy(failing({ attempts: 2 })), mine)
    assert.equal(attempts, 2)
    assert.equal(yield* thrownBy(failing({ attempts: 1 })), mine)
    assert.equal(attempts, 1)
  }))

test('delays are drawn between 0 and a bound that doubles up to the greatest', () =>
  simulate(function* () {
    for (let seed = 1; seed <= 50; seed++) {
      const delays: number[] = []
      yield* thrownBy(
        retry((attempt) => failsUntil(attempt, Infinity), {
          attempts: 6,
          delayMs: 100,
          maxDelayMs: 500,
          seed,
          onRetry: (error, attempt, delayMs) => {
            assert.equal(error, mine)
            assert.equal(attempt, delays.length + 1)
            delays.push(delayMs)
          },
        }),
      )
      for (const [index, bound] of [100, 200, 400, 500, 500].entries()) {
        assert.ok(delays[index]! >= 0 && delays[index]! < bound, `${delays[index]} within ${bound}`)
      }
      assert.equal(delays.length, 5)
      // Full jitter: not within a band around the bound, as seed by seed would show.
      assert.equal(new Set(delays).size, 5)
    }
  }))

test('after very many attempts a delay is still a delay', () =>
  simulate(function* () {
    let attempts = 0
    const failing = (): never => {
      attempts++
      throw mine
    }
    assert.equal(yield* thrownBy(retry(failing, { attempts: 1_100, delayMs: 0 })), mine)
    assert.equal(attempts, 1_100)
  }))

test('the same seed waits just as long', async () => {
  const took = (seed: number) =>
    simulate(function* (sim) {
      yield* thrownBy(retry((attempt) => failsUntil(attempt, Infinity), { seed }))
      return sim.now()
    })
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      assert.equal(await took(seed), await took(seed))
    }),
    { numRuns: 20 },
  )
  assert.notEqual(await took(1), await took(2))
})

test('only errors that retryIf names are tried again; by default all but misuse', () =>
  simulate(function* () {
    let attempts = 0
    const failWith = (error: Error, options?: RetryOptions) => {
      attempts = 0
      return thrownBy(
        retry(() => {
          attempts++
          throw error
        }, options),
      )
    }
    const retryIf = (error: unknown, attempt: number) => error instanceof RangeError && attempt < 3
    assert.equal(yield* failWith(mine, { retryIf }), mine)
    assert.equal(attempts, 1)
    yield* failWith(new RangeError('mine'), { retryIf })
    assert.equal(attempts, 3)
    yield* failWith(new MisuseError('mine'))
    assert.equal(attempts, 1)
  }))

test('no attempt begins after withinMs', () =>
  simulate(function* (sim) {
    let last = 0
    const failing = retry(
      function* () {
        last = sim.now()
        yield* sleep(30)
        throw mine
      },
      { withinMs: 1_000, attempts: Infinity, delayMs: 50, maxDelayMs: 50 },
    )
    assert.equal(yield* thrownBy(failing), mine)
    assert.ok(last > 800 && last <= 1_000, String(last))
    assert.equal(sim.now(), last + 30, 'it does not wait for a time at which it will not begin')
  }))

test('a cancel is no error that would be tried again', () =>
  simulate(function* () {
    let attempts = 0
    const task = createTask(
      retry(function* () {
        attempts++
        yield* sleep(100)
      }),
    )
    yield* sleep(10)
    assert.equal((yield* cancelAndWait(task)).status, 'cancelled')
    assert.equal(attempts, 1)
  }))

test('bad arguments are refused at the call', () => {
  assert.throws(() => retry(sleep(0) as never), MisuseError)
  for (const options of [
    { retryIf: true as never },
    { onRetry: 'log' as never },
    { withinMs: '5' as never },
    { attempts: '5' as never },
    {
      // Nobody would run it.
      *onRetry() {
        yield* sleep(0)
      },
    },
  ]) {
    assert.throws(() => retry(() => sleep(0), options as RetryOptions), MisuseError)
  }
  for (const options of [
    { attempts: 0 },
    { attempts: 1.5 },
    { delayMs: -1 },
    { delayMs: Infinity },
    { maxDelayMs: NaN },
  ]) {
    assert.throws(() => retry(() => sleep(0), options), RangeError)
  }
})
