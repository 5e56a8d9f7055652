import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from './random.ts'
import { ReadyQueue, type Entry } from './ready-queue.ts'

interface Numbered extends Entry {
  readonly number: number
}

function entry(number: number): Numbered {
  return { number, run() {} }
}

function filled(count: number): ReadyQueue {
  const queue = new ReadyQueue()
  for (let i = 0; i < count; i++) queue.push(entry(i))
  return queue
}

function take(queue: ReadyQueue): number {
  return (queue.shift() as Numbered).number
}

function drain(queue: ReadyQueue): number[] {
  const numbers: number[] = []
  while (queue.length > 0) numbers.push(take(queue))
  return numbers
}

test('first in, first out, also when it grows while its contents wrap around', () => {
  const queue = filled(60)
  for (let i = 0; i < 50; i++) assert.equal(take(queue), i)
  for (let i = 60; i < 300; i++) queue.push(entry(i))
  assert.equal(queue.length, 250)
  assert.deepEqual(
    drain(queue),
    Array.from({ length: 250 }, (_, i) => i + 50),
  )
})

test('after a peak it is small again, and no entry is lost on the way', () => {
  const queue = filled(100_000)
  assert.equal(queue.capacity, 131_072)
  for (let i = 0; i < 100_000; i++) {
    assert.equal(take(queue), i)
    assert.ok(queue.capacity <= Math.max(4_096, 16 * queue.length))
  }
  assert.equal(queue.capacity, 4_096)
})

test('any sequence of pushes and shifts does what an array does', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -80, max: 80 }), { maxLength: 60 }), (bursts) => {
      const queue = new ReadyQueue()
      const model: number[] = []
      let made = 0
      for (const burst of bursts) {
        for (let i = 0; i < burst; i++) {
          queue.push(entry(made))
          model.push(made++)
        }
        for (let i = 0; i < -burst && model.length > 0; i++) assert.equal(take(queue), model.shift())
        assert.equal(queue.length, model.length)
      }
      assert.deepEqual(drain(queue), model)
    }),
  )
})

test('shuffle changes the order of the oldest entries only', () => {
  const queue = filled(20)
  queue.shuffle(10, seededRandom(1))
  const order = drain(queue)
  assert.notDeepEqual(order.slice(0, 10), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  assert.deepEqual(
    order.slice(0, 10).sort((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  )
  assert.deepEqual(order.slice(10), [10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
})

test('shuffle works where the contents wrap around', () => {
  const queue = filled(60)
  for (let i = 0; i < 60; i++) queue.shift()
  for (let i = 0; i < 20; i++) queue.push(entry(i))
  queue.shuffle(20, seededRandom(7))
  assert.deepEqual(
    drain(queue).sort((a, b) => a - b),
    Array.from({ length: 20 }, (_, i) => i),
  )
})

test('the same seed gives the same order; all orders come up', () => {
  const orderOf = (seed: number): string => {
    const queue = filled(3)
    queue.shuffle(3, seededRandom(seed))
    return drain(queue).join()
  }
  const seen = new Set<string>()
  for (let seed = 0; seed < 100; seed++) {
    assert.equal(orderOf(seed), orderOf(seed))
    seen.add(orderOf(seed))
  }
  assert.equal(seen.size, 6)
})
