/**
 * Token buckets under everything that can happen to those who wait: any wishes at any times, any cancels, with and
 * without a parent. Never is more given than the rate allows, nobody is overtaken, and a cancel loses nothing.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createTask, sleep, TokenBucket } from 'cede'
import { simulate } from '../support/sim.ts'

interface Wish {
  readonly startMs: number
  readonly count: number
  /** Of the children. */
  readonly child: number
  /** So long it waits; then it is cancelled. */
  readonly patienceMs: number
}

interface Granted {
  readonly atMs: number
  readonly wish: Wish
  readonly number: number
}

/** Tokens of this many milliseconds are given early, so that rounding cannot hold anybody up. */
const SOON_MS = 0.001

const wish = fc.record({
  startMs: fc.integer({ min: 0, max: 2_000 }),
  count: fc.integer({ min: 1, max: 30 }),
  child: fc.integer({ min: 0, max: 2 }),
  patienceMs: fc.oneof(fc.constant(Infinity), fc.integer({ min: 0, max: 1_500 })),
})
const rate = fc.record({
  perSecond: fc.double({ min: 5, max: 5_000, noNaN: true }),
  burst: fc.integer({ min: 30, max: 60 }),
})

/** Lets all wishes come true or be cancelled. @returns the grants, in their order */
async function play(wishes: readonly Wish[], buckets: readonly TokenBucket[]): Promise<Granted[]> {
  const granted: Granted[] = []
  await simulate(function* (sim) {
    const tasks = [...wishes]
      .sort((a, b) => a.startMs - b.startMs)
      .map((one, number) =>
        createTask(
          (function* () {
            yield* sleep(one.startMs)
            const bucket = buckets[one.child % buckets.length]!
            const task = createTask(
              (function* () {
                yield* bucket.take(one.count)
                granted.push({ atMs: sim.now(), wish: one, number })
              })(),
            )
            sim.loop.callLater(one.patienceMs, () => task.cancel())
            yield* task.join()
          })(),
        ),
      )
    for (const task of tasks) yield* task
    for (const bucket of buckets) for (const one of bucket.chain) assert.equal(one.waiting, 0)
    // All that came meanwhile is there, whoever was cancelled: when it is full, everybody can have a burst.
    yield* sleep(15_000)
    for (const bucket of buckets) assert.ok(bucket.available >= 30 - 0.001, String(bucket.available))
  })
  return granted
}

function assertRate(granted: readonly Granted[], perSecond: number, burst: number): void {
  for (let from = 0; from < granted.length; from++) {
    let given = 0
    for (let to = from; to < granted.length; to++) {
      given += granted[to]!.wish.count
      const passedMs = granted[to]!.atMs - granted[from]!.atMs + SOON_MS
      const allowed = burst + (passedMs * perSecond) / 1_000 + 1e-6
      assert.ok(given <= allowed, `${String(given)} tokens were given, ${String(allowed)} were allowed`)
    }
  }
}

/** When everybody would be served who never gives up, by arithmetic. */
function expected(wishes: readonly Wish[], perSecond: number, burst: number): number[] {
  const perMs = perSecond / 1_000
  let tokens = burst
  let nowMs = 0
  return [...wishes]
    .sort((a, b) => a.startMs - b.startMs)
    .map(({ startMs, count }) => {
      if (startMs > nowMs) {
        tokens = Math.min(burst, tokens + (startMs - nowMs) * perMs)
        nowMs = startMs
      }
      const waitMs = Math.max(0, (count - tokens) / perMs)
      tokens += waitMs * perMs - count
      nowMs += waitMs
      return nowMs
    })
}

test('one bucket: no more than its rate, in order, whoever is cancelled', () =>
  fc.assert(
    fc.asyncProperty(fc.array(wish, { maxLength: 25 }), rate, async (wishes, { perSecond, burst }) => {
      const granted = await play(wishes, [new TokenBucket({ perSecond, burst })])
      assertRate(granted, perSecond, burst)
      const numbers = granted.map(({ number }) => number)
      assert.deepEqual(
        numbers,
        [...numbers].sort((a, b) => a - b),
        'nobody is overtaken',
      )
      for (const one of wishes) {
        if (one.patienceMs === Infinity) assert.ok(granted.some(({ wish: other }) => other === one))
      }
    }),
    { numRuns: 60 },
  ))

test('one bucket: everybody is served as soon as the rate allows', () =>
  fc.assert(
    fc.asyncProperty(fc.array(wish, { maxLength: 25 }), rate, async (wishes, { perSecond, burst }) => {
      // Some want more than the bucket holds.
      const patient = wishes.map((one) => ({ ...one, count: one.count * 3, patienceMs: Infinity }))
      const granted = await play(patient, [new TokenBucket({ perSecond, burst })])
      const times = expected(patient, perSecond, burst)
      assert.equal(granted.length, times.length)
      for (const [i, { atMs }] of granted.entries()) {
        assert.ok(Math.abs(atMs - times[i]!) < 0.01, `${String(atMs)} was expected at ${String(times[i])}`)
      }
    }),
    { numRuns: 60 },
  ))

test('children of one parent: each keeps to its rate, all together to that of the parent, each in its order', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(wish, { maxLength: 25 }),
      fc.array(rate, { minLength: 3, maxLength: 3 }),
      rate,
      async (wishes, own, total) => {
        const parent = new TokenBucket(total)
        const granted = await play(
          wishes,
          own.map((options) => new TokenBucket({ ...options, parent })),
        )
        assertRate(granted, total.perSecond, total.burst)
        for (const [i, { perSecond, burst }] of own.entries()) {
          const ofChild = granted.filter(({ wish: { child } }) => child === i)
          assertRate(ofChild, perSecond, burst)
          const numbers = ofChild.map(({ number }) => number)
          assert.deepEqual(
            numbers,
            [...numbers].sort((a, b) => a - b),
            'nobody is overtaken',
          )
        }
        for (const one of wishes) {
          if (one.patienceMs === Infinity) assert.ok(granted.some(({ wish: other }) => other === one))
        }
      },
    ),
    { numRuns: 60 },
  ))
