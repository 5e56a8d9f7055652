/** The race of addresses, with operations on the virtual clock in place of sockets. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTask, sleep, sleepForever, timeout, TimeoutError, type Suspension } from 'cede'
import { Diary } from '../../../../test/support/diary.ts'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownOf } from '../../../../test/support/thrown-by.ts'
import { interleaved, raceAttempts } from './happy-eyeballs.ts'
import type { ResolvedAddress } from './resolver.ts'

function addresses(kinds: string): readonly ResolvedAddress[] {
  return Array.from(kinds).map((kind, i) => ({ address: `${kind}${i}`, family: kind === '6' ? 6 : 4 }))
}

/** Attempts as a table: after so many milliseconds each succeeds or fails; `Infinity` never answers. */
function attempts(
  diary: Diary,
  table: Readonly<Record<string, readonly [afterMs: number, fails?: 'fails']>>,
) {
  return function* attempt(place: string): Generator<Suspension, void> {
    const [afterMs, fails] = table[place]!
    diary.timed(`${place} begins`)
    let ended = false
    try {
      if (afterMs === Infinity) yield* sleepForever()
      else yield* sleep(afterMs)
      ended = true
      if (fails !== undefined) {
        diary.timed(`${place} fails`)
        throw new Error(place)
      }
      diary.timed(`${place} answers`)
    } finally {
      if (!ended) diary.timed(`${place} is given up`)
    }
  }
}

test('S140: families are interleaved, beginning with that of the first, each in its own order', () => {
  for (const [given, expected] of [
    ['', []],
    ['4', ['40']],
    ['664', ['60', '42', '61']],
    ['46', ['40', '61']],
    ['444466', ['40', '64', '41', '65', '42', '43']],
    ['64646', ['60', '41', '62', '43', '64']],
  ] as const) {
    assert.deepEqual(
      interleaved(addresses(given)).map(({ address }) => address),
      expected,
    )
  }
})

test('S140: the first that answers is taken; no other is begun', () =>
  simulate(function* () {
    const diary = new Diary()
    assert.equal(yield* raceAttempts(['a', 'b'], attempts(diary, { a: [249], b: [1] }), 250), null)
    diary.expect('0 a begins', '249 a answers')
  }))

test('S140: a black hole: the next begins after the delay, its success ends the first', () =>
  simulate(function* () {
    const diary = new Diary()
    const table = { a: [Infinity], b: [10], c: [0] } as const
    assert.equal(yield* raceAttempts(['a', 'b', 'c'], attempts(diary, table), 250), null)
    diary.expect('0 a begins', '250 b begins', '260 b answers', '260 a is given up')
  }))

test('S140: the first may still win after the second was begun', () =>
  simulate(function* () {
    const diary = new Diary()
    assert.equal(yield* raceAttempts(['a', 'b'], attempts(diary, { a: [300], b: [Infinity] }), 250), null)
    diary.expect('0 a begins', '250 b begins', '300 a answers', '300 b is given up')
  }))

test('S140: a failure starts the next at once', () =>
  simulate(function* () {
    const diary = new Diary()
    const table = { a: [10, 'fails'], b: [20, 'fails'], c: [5] } as const
    assert.equal(yield* raceAttempts(['a', 'b', 'c'], attempts(diary, table), 250), null)
    diary.expect('0 a begins', '10 a fails', '10 b begins', '30 b fails', '30 c begins', '35 c answers')
  }))

test('S140: an early attempt that fails late does not hurry the ones after it', () =>
  simulate(function* () {
    const diary = new Diary()
    const table = { a: [300, 'fails'], b: [Infinity], c: [1] } as const
    assert.equal(yield* raceAttempts(['a', 'b', 'c'], attempts(diary, table), 250), null)
    diary.expect(
      '0 a begins',
      '250 b begins',
      '300 a fails',
      '500 c begins',
      '501 c answers',
      '501 b is given up',
    )
  }))

test('S140: when all fail, the errors come in the order the attempts ended', () =>
  simulate(function* () {
    const diary = new Diary()
    const table = { a: [600, 'fails'], b: [10, 'fails'], c: [20, 'fails'] } as const
    const errors = yield* raceAttempts(['a', 'b', 'c'], attempts(diary, table), 250)
    assert.deepEqual(
      errors?.map(({ message }) => message),
      ['b', 'c', 'a'],
    )
    diary.expect('0 a begins', '250 b begins', '260 b fails', '260 c begins', '280 c fails', '600 a fails')
  }))

test('S140: an error of the same moment as a success is no error', () =>
  simulate(function* () {
    const diary = new Diary()
    const table = { a: [260, 'fails'], b: [10] } as const
    assert.equal(yield* raceAttempts(['a', 'b'], attempts(diary, table), 250), null)
  }))

test('S140: an outside cancel reaches all attempts', () =>
  simulate(function* () {
    const diary = new Diary()
    const table = { a: [Infinity], b: [Infinity], c: [Infinity] } as const
    const task = createTask(raceAttempts(['a', 'b', 'c'], attempts(diary, table), 250))
    yield* sleep(300)
    task.cancel()
    assert.equal((yield* task.join()).status, 'cancelled')
    diary.expect('0 a begins', '250 b begins', '300 a is given up', '300 b is given up')
  }))

test('S140: a timeout around it reaches all attempts', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const race = raceAttempts(['a', 'b'], attempts(diary, { a: [Infinity], b: [Infinity] }), 250)
    yield* thrownOf(TimeoutError, timeout(400, race))
    assert.equal(sim.now(), 400)
    diary.expect('0 a begins', '250 b begins', '400 a is given up', '400 b is given up')
  }))

test('S140: it waits until the losers have ended', () =>
  simulate(function* (sim) {
    function* attempt(place: string): Generator<Suspension, void> {
      if (place === 'b') return
      try {
        yield* sleepForever()
      } finally {
        yield* sleep(7)
      }
    }
    assert.equal(yield* raceAttempts(['a', 'b'], attempt, 250), null)
    assert.equal(sim.now(), 257)
  }))
