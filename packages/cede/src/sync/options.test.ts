import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  Barrier,
  BoundedSemaphore,
  Broadcast,
  CapacityLimiter,
  channel,
  Condition,
  Event,
  LifoQueue,
  Lock,
  PriorityQueue,
  Queue,
  Semaphore,
} from 'cede'

const lock = new Lock({ name: 'mine' })
const asName = "write `{ name: 'x' }`"

/** Calls with something that is no options, and the whole message. */
const calls: readonly (readonly [call: (options: never) => unknown, options: unknown, message: string])[] = [
  [
    (o) => new Condition(o),
    lock,
    'new Condition(): options were expected, found lock mine; write `new Condition({ lock })`',
  ],
  [
    (o) => new Condition(o),
    new Condition(),
    'new Condition(): options were expected, found a condition; write `new Condition({ lock: condition.lock })`',
  ],
  [
    (o) => new Condition(o),
    'jobs',
    'new Condition(): options were expected, found a string ("jobs"); write `new Condition({ name: \'jobs\' })`',
  ],
  [(o) => new Lock(o), 'x', `new Lock(): options were expected, found a string ("x"); ${asName}`],
  [(o) => new Lock(o), null, `new Lock(): options were expected, found null; ${asName}`],
  [
    (o) => new Lock(o),
    new Condition({ name: 'c' }),
    `new Lock(): options were expected, found condition c; ${asName}`,
  ],
  [
    (o) => new Lock(o),
    new CapacityLimiter(1),
    `new Lock(): options were expected, found a capacity limiter; ${asName}`,
  ],
  [(o) => new Event(o), new Event(), `new Event(): options were expected, found an event; ${asName}`],
  [(o) => new Semaphore(1, o), lock, `new Semaphore(): options were expected, found lock mine; ${asName}`],
  [
    (o) => new BoundedSemaphore(1, o),
    lock,
    `new BoundedSemaphore(): options were expected, found lock mine; ${asName}`,
  ],
  [
    (o) => new CapacityLimiter(1, o),
    lock,
    `new CapacityLimiter(): options were expected, found lock mine; ${asName}`,
  ],
  [(o) => new Barrier(1, o), lock, `new Barrier(): options were expected, found lock mine; ${asName}`],
  [(o) => new Queue(3, o), 'x', `new Queue(): options were expected, found a string ("x"); ${asName}`],
  [(o) => new Queue(3, o), new Queue(1), `new Queue(): options were expected, found a queue; ${asName}`],
  [
    (o) => new LifoQueue(3, o),
    'x',
    `new LifoQueue(): options were expected, found a string ("x"); ${asName}`,
  ],
  [
    (o) => new PriorityQueue<number>(3, undefined, o),
    'x',
    `new PriorityQueue(): options were expected, found a string ("x"); ${asName}`,
  ],
  [(o) => new Broadcast(3, o), lock, `new Broadcast(): options were expected, found lock mine; ${asName}`],
  [(o) => channel(3, o), 'x', `channel(): options were expected, found a string ("x"); ${asName}`],
]

for (const [call, options, message] of calls) {
  test(`refused: ${message}`, () => {
    assert.throws(() => call(options as never), { name: 'TypeError', code: 'CEDE_MISUSE', message })
  })
}

test('options may be left out, be empty, and be of any class', () => {
  class Named {
    readonly name = 'mine'
  }
  assert.deepEqual([new Lock().name, new Lock({}).name, new Lock(new Named()).name], ['', '', 'mine'])
})

test('outside of tasks nobody holds a lock, and the message says so', () => {
  const condition = new Condition({ name: 'c' })
  assert.throws(() => condition.notify(), {
    code: 'CEDE_INVALID_STATE',
    message: 'notify(): a task that holds condition c was expected to call it, found a call outside of tasks',
  })
})
