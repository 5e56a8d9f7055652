import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  allTasks,
  cancelAndWait,
  createTask,
  mapLimit,
  MisuseError,
  sleep,
  sleepForever,
  type Operation,
  type Suspension,
} from 'cede'
import { Diary } from '../../../../test/support/diary.ts'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownBy } from '../../../../test/support/thrown-by.ts'

test('results come in the order of the items, with the index given', () =>
  simulate(function* () {
    const results = yield* mapLimit([30, 10, 20], 2, (ms, index) => sleep(ms, `${index}: ${ms}`))
    assert.deepEqual(results, ['0: 30', '1: 10', '2: 20'])
    assert.deepEqual(yield* mapLimit([], 2, () => sleep(0)), [])
    assert.deepEqual(yield* mapLimit(new Set(['a', 'b']), 5, (item) => sleep(0, item)), ['a', 'b'])
  }))

test('at most `limit` run at once, and a free place is taken at once', () =>
  simulate(function* (sim) {
    let running = 0
    let most = 0
    const work = function* (ms: number): Generator<Suspension, void> {
      most = Math.max(most, ++running)
      yield* sleep(ms)
      running--
    }
    yield* mapLimit([10, 40, 10, 10, 10], 2, work)
    assert.equal(most, 2)
    assert.equal(sim.now(), 40)
    most = 0
    yield* mapLimit([10, 10, 10], Infinity, work)
    assert.equal(most, 3)
    assert.equal(sim.now(), 50)
  }))

test('items are taken one by one, so that an endless source is no harm', () =>
  simulate(function* () {
    let taken = 0
    let closed = false
    function* endless(): Generator<number, void> {
      try {
        for (;;) yield ++taken
      } finally {
        closed = true
      }
    }
    const mine = new Error('mine')
    const error = yield* thrownBy(
      mapLimit(endless(), 3, function* (item) {
        yield* sleep(1)
        if (item === 7) throw mine
      }),
    )
    assert.equal(error, mine)
    assert.ok(taken >= 7 && taken <= 10, String(taken))
    assert.equal(closed, true)
  }))

test('the first failure cancels the others and waits for them, before it is thrown', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const mine = new Error('mine')
    const error = yield* thrownBy(
      mapLimit(['a', 'fails', 'c', 'd'], 3, function* (item) {
        if (item === 'fails') {
          yield* sleep(5)
          throw mine
        }
        try {
          yield* sleepForever()
        } finally {
          yield* sleep(10)
          diary.timed(item)
        }
      }),
    )
    assert.equal(error, mine)
    diary.expect('15 a', '15 c')
    assert.equal(sim.now(), 15)
  }))

test('a function that throws before it returns an operation fails in the same way', () =>
  simulate(function* () {
    const mine = new Error('mine')
    for (const limit of [1, Infinity]) {
      const throws = (): Generator<Suspension, void> => {
        throw mine
      }
      assert.equal(yield* thrownBy(mapLimit([1, 2], limit, throws)), mine)
    }
  }))

test('cancelled, it cancels what runs and begins nothing more', () =>
  simulate(function* () {
    const diary = new Diary()
    const task = createTask(
      mapLimit(['a', 'b', 'c'], 1, function* (item) {
        diary.write(item)
        yield* sleep(10)
      }),
    )
    yield* sleep(15)
    assert.equal((yield* cancelAndWait(task)).status, 'cancelled')
    diary.expect('a', 'b')
  }))

test('a limit that is no whole number above 0 is refused at the call', () => {
  for (const limit of [0, -1, 1.5, NaN, '2' as unknown as number]) {
    assert.throws(
      () => mapLimit([1], limit, () => sleep(0)),
      typeof limit === 'number' ? RangeError : MisuseError,
    )
  }
})

test('no more workers are begun than there are items, whatever the limit', () =>
  simulate(function* () {
    function* two(): Generator<string, void> {
      yield 'a'
      yield 'b'
    }
    let most = 0
    yield* mapLimit(two(), 1_000, function* () {
      most = Math.max(most, allTasks().length)
      yield* sleep(1)
    })
    assert.equal(most, 3)
  }))

test('a source is closed if it has more, and left alone if it has ended or thrown', () =>
  simulate(function* () {
    const mine = new Error('mine')
    const asked: string[] = []
    const source = (items: number, failure?: Error): Iterable<number> => {
      let taken = 0
      const iterator: Iterator<number> = {
        next() {
          asked.push('next')
          if (taken < items) return { done: false, value: taken++ }
          if (failure !== undefined) throw failure
          return { done: true, value: undefined }
        },
        return() {
          asked.push('return')
          return { done: true, value: undefined }
        },
      }
      return { [Symbol.iterator]: () => iterator }
    }
    const work = (item: number): Operation<number> => sleep(1, item)
    for (const limit of [2, Infinity]) {
      asked.length = 0
      assert.deepEqual(yield* mapLimit(source(3), limit, work), [0, 1, 2])
      assert.deepEqual(asked, ['next', 'next', 'next', 'next'])
      asked.length = 0
      assert.equal(yield* thrownBy(mapLimit(source(1, mine), limit, work)), mine)
      assert.deepEqual(asked, ['next', 'next'])
    }
    asked.length = 0
    const fails = (): Operation<number> => {
      throw mine
    }
    assert.equal(yield* thrownBy(mapLimit(source(3), 1, fails)), mine)
    assert.deepEqual(asked, ['next', 'return'])
  }))

test('items that are no iterable are refused at the call', () => {
  for (const items of [5, null, undefined, {}, sleep(1)]) {
    assert.throws(() => mapLimit(items as number[], 1, () => sleep(0)), {
      code: 'CEDE_MISUSE',
      message: /^mapLimit\(\): expected an iterable of items, found /,
    })
  }
})
