import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createTask,
  dumpTasks,
  getRunningLoop,
  InvalidStateError,
  MisuseError,
  sleep,
  timeoutOr,
  TokenBucket,
  type ExceptionContext,
  type Suspension,
} from 'cede'
import { Sim, simulate } from '../../../../../test/support/sim.ts'
import { thrownOf } from '../../../../../test/support/thrown-by.ts'

/** Takes, and notes who was granted when. */
function* note(log: string[], name: string, bucket: TokenBucket, count = 1): Generator<Suspension, void> {
  yield* bucket.take(count)
  log.push(`${name} at ${String(Math.round(getRunningLoop().time() * 100) / 100)}`)
}

test('a full bucket gives its burst at once, and then one token as each one comes', () =>
  simulate(function* (sim) {
    const bucket = new TokenBucket({ perSecond: 10, burst: 3 })
    const times: number[] = []
    for (let i = 0; i < 6; i++) {
      yield* bucket.take()
      times.push(Math.round(sim.now()))
    }
    assert.deepEqual(times, [0, 0, 0, 100, 200, 300])
    yield* sleep(10_000)
    assert.equal(bucket.available, 3)
  }))

test('nothing is gained or lost by rounding: a thousand odd amounts end when the rate says', () =>
  simulate(function* (sim) {
    const bucket = new TokenBucket({ perSecond: 7, burst: 1 })
    for (let i = 0; i < 1_000; i++) yield* bucket.take(0.7)
    assert.ok(Math.abs(sim.now() - (699 * 1_000) / 7) < 0.01, String(sim.now()))
  }))

test('many wait first come first served, those that want little behind one that wants much', () =>
  simulate(function* () {
    const bucket = new TokenBucket({ perSecond: 100, burst: 10 })
    const log: string[] = []
    yield* bucket.take(10)
    const tasks = [
      createTask(note(log, 'much', bucket, 9)),
      createTask(note(log, 'little', bucket, 1)),
      createTask(note(log, 'some', bucket, 5)),
    ]
    yield* sleep(80)
    assert.equal(bucket.waiting, 3)
    assert.equal(bucket.tryTake(1), false, 'there are tokens, but others wait for them')
    for (const task of tasks) yield* task
    assert.deepEqual(log, ['much at 90', 'little at 100', 'some at 150'])
  }))

test('more than burst is waited for as well, and gives no more than the rate does', () =>
  simulate(function* (sim) {
    const bucket = new TokenBucket({ perSecond: 100, burst: 10 })
    assert.equal(bucket.tryTake(11), false)
    yield* bucket.take(60)
    assert.equal(Math.round(sim.now()), 500)
    yield* bucket.take(1)
    assert.equal(Math.round(sim.now()), 510)
  }))

test('one that is cancelled has taken nothing, and those behind it move up at once', () =>
  simulate(function* (sim) {
    const bucket = new TokenBucket({ perSecond: 100, burst: 10 })
    const log: string[] = []
    yield* bucket.take(5)
    const first = createTask(note(log, 'first', bucket, 1_000))
    const second = createTask(note(log, 'second', bucket, 4))
    const third = createTask(note(log, 'third', bucket, 2))
    yield* sleep(1)
    first.cancel()
    yield* second
    yield* third
    assert.deepEqual(log, ['second at 1', 'third at 10'])
    assert.equal(sim.now() < 11, true)
    assert.equal(bucket.waiting, 0)
  }))

test('what had come for a cancelled wish above burst is gone: the bucket holds no more than burst', () =>
  simulate(function* () {
    const bucket = new TokenBucket({ perSecond: 1_000, burst: 10 })
    assert.equal(yield* timeoutOr(500, bucket.take(1_000), 'late'), 'late')
    assert.equal(bucket.available, 10)
  }))

test('a token that was granted is not lost by a cancel: the task goes on with it', () =>
  simulate(function* () {
    const bucket = new TokenBucket({ perSecond: 10, burst: 1 })
    yield* bucket.take()
    const log: string[] = []
    const task = createTask(
      (function* () {
        yield* bucket.take()
        log.push('granted')
        yield* sleep(0)
        log.push('not reached')
      })(),
    )
    yield* sleep(0)
    getRunningLoop().callAt(100, () => task.cancel())
    yield* task.join()
    assert.deepEqual(log, ['granted'])
  }))

test('a cancelled task takes nothing, even if tokens are there', () =>
  simulate(function* () {
    const bucket = new TokenBucket({ perSecond: 1, burst: 5 })
    const task = createTask(bucket.take(5))
    task.cancel()
    yield* task.join()
    assert.equal(bucket.available, 5)
  }))

test('a loop over tokens that are there is cancelled and gives way', () =>
  simulate(function* () {
    const bucket = new TokenBucket({ perSecond: 1, burst: 1e9 })
    const task = createTask(
      (function* () {
        for (;;) yield* bucket.take()
      })(),
    )
    yield* sleep(0)
    task.cancel()
    yield* task.join()
    assert.equal(task.status, 'cancelled')
  }))

test('tokens of a child come from its parent as well: children share what it gives, in turn', () =>
  simulate(function* (sim) {
    const total = new TokenBucket({ perSecond: 100, burst: 10 })
    const a = new TokenBucket({ perSecond: 80, burst: 10, parent: total })
    const b = new TokenBucket({ perSecond: 80, burst: 10, parent: total })
    let ofA = 0
    let ofB = 0
    const tasks = [
      createTask(
        (function* () {
          for (; sim.now() < 10_000; ofA++) yield* a.take()
        })(),
      ),
      createTask(
        (function* () {
          for (; sim.now() < 10_000; ofB++) yield* b.take()
        })(),
      ),
    ]
    for (const task of tasks) yield* task
    assert.ok(Math.abs(ofA + ofB - 1_010) <= 2, `${String(ofA)} and ${String(ofB)}`)
    assert.ok(Math.abs(ofA - ofB) <= 12, `${String(ofA)} and ${String(ofB)}`)
  }))

test('a child alone keeps to its own rate, and leaves the rest of the parent to others', () =>
  simulate(function* (sim) {
    const total = new TokenBucket({ perSecond: 100, burst: 10 })
    const child = new TokenBucket({ perSecond: 20, burst: 1, parent: total })
    for (let i = 0; i < 21; i++) yield* child.take()
    assert.equal(Math.round(sim.now()), 1_000)
    assert.equal(total.available, 9)
    assert.equal(child.available, 0)
  }))

test('one that waits for the parent and is cancelled has taken nothing of either', () =>
  simulate(function* () {
    const total = new TokenBucket({ perSecond: 1, burst: 10 })
    const child = new TokenBucket({ perSecond: 1, burst: 10, parent: total })
    yield* total.take(10)
    const task = createTask(child.take(5))
    const behind = createTask(child.take(2))
    yield* sleep(1)
    assert.equal(total.waiting, 1)
    task.cancel()
    yield* task.join()
    assert.equal(total.waiting, 1, 'the next one has moved up')
    yield* behind
    assert.ok(Math.abs(getRunningLoop().time() - 2_000) < 0.01)
    assert.equal(total.waiting, 0)
    assert.equal(child.available, 0)
    yield* sleep(3_000)
    assert.ok(Math.abs(child.available - 3) < 0.01)
  }))

test('a dump says what is waited for and until when', () =>
  simulate(function* () {
    const bucket = new TokenBucket({ perSecond: 10, burst: 1 })
    yield* bucket.take()
    const task = createTask(bucket.take(), { name: 'taker' })
    yield* sleep(1)
    assert.match(dumpTasks(), /1 tokens of a bucket \(10 per second, 1 waiting\)/)
    yield* task
  }))

test('a bucket outlives a run; in another loop time begins anew, and its queue is not shared', async () => {
  const bucket = new TokenBucket({ perSecond: 10, burst: 2 })
  await simulate(function* () {
    yield* bucket.take(2)
  })
  await simulate(
    function* (sim) {
      yield* bucket.take()
      assert.equal(Math.round(sim.now()), 5_100)
    },
    { startMs: 5_000 },
  )
  const one = new Sim()
  const other = new Sim()
  await one.run(function* () {
    createTask(bucket.take(2))
    yield* sleep(0)
  })
  await other.run(function* () {
    const error = yield* thrownOf(InvalidStateError, bucket.take())
    assert.match(error.message, /^a TokenBucket was expected to be used in one loop at a time, found/)
  })
  await one.end()
  await other.end()
})

test('bad arguments are told at the call', () => {
  for (const bad of [0, -1, NaN, Infinity, '5', undefined]) {
    assert.throws(() => new TokenBucket({ perSecond: bad as number, burst: 1 }), RangeError)
    assert.throws(() => new TokenBucket({ perSecond: 1, burst: bad as number }), RangeError)
  }
  assert.throws(() => new TokenBucket({ perSecond: 1, burst: 1, parent: 'x' as never }), MisuseError)
  const bucket = new TokenBucket({ perSecond: 1, burst: 1 })
  assert.throws(() => bucket.take(0), {
    name: 'RangeError',
    message: 'take(): count was expected to be a finite number above 0, found a number (0)',
  })
  assert.throws(() => bucket.tryTake(NaN), RangeError)
})

test('one that throws when it is granted holds up nobody behind it', async () => {
  for (const parent of [undefined, new TokenBucket({ perSecond: 100, burst: 1 })]) {
    const broken = new Error('broken')
    const reports: ExceptionContext[] = []
    const granted: string[] = []
    await simulate(
      function* (sim) {
        const bucket = new TokenBucket({ perSecond: 100, burst: 1, parent })
        bucket.claim(sim.loop, 2, () => {
          throw broken
        })
        bucket.claim(sim.loop, 2, () => granted.push('second'))
        yield* sleep(1_000)
      },
      { reports },
    )
    assert.deepEqual(granted, ['second'])
    assert.deepEqual(
      reports.map(({ error }) => error),
      [broken],
    )
  }
})
