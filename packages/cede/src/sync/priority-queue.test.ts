import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createTask, MisuseError, PriorityQueue, QueueShutDownError, sleep } from 'cede'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownOf } from '../../../../test/support/thrown-by.ts'

test('the least comes first, of equal ones that which was put first', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 5 })), (keys) =>
      simulate(function* () {
        const queue = new PriorityQueue<{ key: number; added: number }>(Infinity, (a, b) => a.key - b.key)
        const items = keys.map((key, added) => ({ key, added }))
        for (const item of items) yield* queue.put(item)
        const got = []
        while (queue.size > 0) got.push(yield* queue.get())
        assert.deepEqual(
          got,
          items.sort((a, b) => a.key - b.key || a.added - b.added),
        )
      }),
    ),
    { numRuns: 50 },
  )
})

test('numbers, strings, bigints and dates have an order of their own', () => {
  const numbers = new PriorityQueue<number>(9)
  for (const item of [3, -Infinity, 2.5]) numbers.tryPut(item)
  assert.deepEqual([numbers.tryGet(), numbers.tryGet()], [-Infinity, 2.5])
  const strings = new PriorityQueue<string>(9)
  for (const item of ['b', 'a']) strings.tryPut(item)
  assert.equal(strings.tryGet(), 'a')
  const bigints = new PriorityQueue<bigint>(9)
  for (const item of [2n, 1n]) bigints.tryPut(item)
  assert.equal(bigints.tryGet(), 1n)
  const dates = new PriorityQueue<Date>(9, undefined, { name: 'dates' })
  for (const item of [2, 1]) dates.tryPut(new Date(item))
  assert.equal(dates.tryGet()!.getTime(), 1)
  assert.equal(dates.name, 'dates')
})

test('what has no order is refused at the call, and never gets in', () => {
  const queue = new PriorityQueue<number>(9)
  for (const item of [NaN, {}, [1, 'a'], null, undefined, new Date(NaN)]) {
    assert.throws(() => queue.tryPut(item as number), MisuseError)
    assert.throws(() => queue.put(item as number), MisuseError)
  }
  const byBoolean = new PriorityQueue<number>(9, ((a: number, b: number) => a > b) as never)
  assert.throws(() => byBoolean.tryPut(1), /was expected to give 0, found a boolean/)
  assert.throws(() => new PriorityQueue<number>(9, 'key' as never), MisuseError)
  assert.throws(() => new PriorityQueue<number>(0), RangeError)
  assert.equal(queue.size, 0)
})

test('texts and numbers have no order among each other; numbers, bigints and dates have', () => {
  const queue = new PriorityQueue<number | string>(9)
  queue.tryPut(5)
  assert.throws(() => queue.tryPut('a'), /found a string \("a"\) and a number \(5\); for other items write/)
  assert.throws(() => queue.tryPut('10'), MisuseError)
  queue.tryPut(1)
  assert.deepEqual([queue.tryGet(), queue.tryGet(), queue.size, queue.unfinished], [1, 5, 0, 2])

  const numeric = new PriorityQueue<number | bigint | Date>(9)
  const items = [3, 2n, new Date(1)]
  for (const item of items) numeric.tryPut(item)
  assert.deepEqual([numeric.tryGet(), numeric.tryGet(), numeric.tryGet()], items.reverse())
})

test('a comparison that fails for a waiting item fails that put, and nobody else', () =>
  simulate(function* () {
    const mine = new Error('mine')
    const queue = new PriorityQueue<number>(2, (a, b) => {
      if (a !== b && (a === 13 || b === 13)) throw mine
      return a - b
    })
    yield* queue.put(1)
    yield* queue.put(2)
    const unlucky = createTask(queue.put(13))
    const next = createTask(queue.put(3))
    yield* sleep(0)
    assert.equal(yield* queue.get(), 1)
    assert.equal(yield* thrownOf(Error, unlucky), mine)
    yield* next
    assert.deepEqual([queue.tryGet(), queue.tryGet(), queue.tryGet()], [2, 3, undefined])
    assert.equal(queue.unfinished, 3)
  }))

test('shutting down leaves what is there to be taken, in order', () =>
  simulate(function* () {
    const queue = new PriorityQueue<number>(9)
    for (const item of [2, 3, 1]) queue.tryPut(item)
    queue.shutdown()
    const got: number[] = []
    yield* queue.forEach(function* (item) {
      got.push(item)
    } as (item: number) => Generator<never>)
    assert.deepEqual(got, [1, 2, 3])
    assert.throws(() => queue.get(), QueueShutDownError)
  }))
