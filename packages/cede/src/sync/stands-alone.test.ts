import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  Barrier,
  BoundedSemaphore,
  Broadcast,
  CapacityLimiter,
  channel,
  LifoQueue,
  PriorityQueue,
  Queue,
  Semaphore,
} from 'cede'

const size = 'was expected to be a whole number above 0, or Infinity, found'
const alone = 'the number stands alone, before any options: write'

/** Calls that a habit from elsewhere suggests, given a value of any type, with the whole message. */
const calls: readonly (readonly [make: (value: never) => unknown, value: unknown, message: string])[] = [
  [(v) => new Queue(v), { maxSize: 7 }, `new Queue(): maxSize ${size} an object; ${alone} \`new Queue(7)\``],
  [
    (v) => new Queue(v),
    { name: 'jobs' },
    `new Queue(): maxSize ${size} an object; ${alone} \`new Queue(10)\``,
  ],
  [
    (v) => new PriorityQueue<number>(v),
    { maxSize: 7 },
    `new PriorityQueue(): maxSize ${size} an object; ${alone} \`new PriorityQueue(7)\``,
  ],
  [
    (v) => new LifoQueue(v),
    { maxSize: 7 },
    `new LifoQueue(): maxSize ${size} an object; ${alone} \`new LifoQueue(7)\``,
  ],
  [(v) => channel(v), { capacity: 7 }, `channel(): capacity ${size} an object; ${alone} \`channel(7)\``],
  [
    (v) => new Broadcast(v),
    { capacity: 7, slowReaders: 'close' },
    `new Broadcast(): capacity ${size} an object; ${alone} \`new Broadcast(7)\``,
  ],
  [
    (v) => new Semaphore(v),
    { value: 7 },
    `new Semaphore(): a whole number of 0 or more permits was expected, found an object; ${alone} \`new Semaphore(7)\``,
  ],
  [
    (v) => new BoundedSemaphore(v),
    { value: 7 },
    `new BoundedSemaphore(): a whole number of 1 or more permits was expected, found an object; ${alone} \`new BoundedSemaphore(7)\``,
  ],
  [
    (v) => new CapacityLimiter(v),
    { total: 7 },
    `new CapacityLimiter(): a whole number of 1 or more tokens, or Infinity, was expected, found an object; ${alone} \`new CapacityLimiter(7)\``,
  ],
  [
    (v) => new Barrier(v),
    { parties: 7 },
    `new Barrier(): a whole number of 1 or more parties was expected, found an object; ${alone} \`new Barrier(7)\``,
  ],
  [
    (v) => new Queue(v),
    undefined,
    `new Queue(): maxSize ${size} undefined; for no bound write \`new Queue(Infinity)\``,
  ],
  [
    (v) => new LifoQueue(v),
    0,
    `new LifoQueue(): maxSize ${size} a number (0); for no bound write \`new LifoQueue(Infinity)\``,
  ],
  [
    (v) => channel(v),
    0,
    `channel(): capacity ${size} a number (0); for no bound write \`channel(Infinity)\``,
  ],
  [(v) => new Queue(v), -1, `new Queue(): maxSize ${size} a number (-1)`],
  [(v) => new Queue(v), null, `new Queue(): maxSize ${size} null`],
]

for (const [make, value, message] of calls) {
  test(`a message says what to write: ${message}`, () => {
    assert.throws(() => make(value as never), { message })
  })
}

test('a limiter whose total is set to an object says what was expected, and no call', () => {
  const limiter = new CapacityLimiter(1)
  assert.throws(() => (limiter.total = { total: 7 } as never), {
    message: 'total: a whole number of 1 or more tokens, or Infinity, was expected, found an object',
  })
})
