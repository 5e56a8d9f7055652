import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { createTask, LifoQueue, Queue, sleep } from 'cede'
import { simulate } from '../../../../test/support/sim.ts'

test('what was put last comes first', () =>
  simulate(function* () {
    const queue = new LifoQueue<number>(3, { name: 'plates' })
    for (let i = 1; i <= 3; i++) yield* queue.put(i)
    assert.ok(queue instanceof Queue)
    assert.equal(inspect(queue), 'LifoQueue(plates: 3 of 3 items)')
    const waiting = createTask(queue.put(4))
    yield* sleep(0)
    const got = []
    while (queue.size > 0) got.push(yield* queue.get())
    assert.deepEqual(got, [3, 4, 2, 1])
    yield* waiting
    yield* queue.put(1)
    yield* queue.put(2)
    assert.deepEqual(queue.shutdown({ immediate: true }), [2, 1])
  }))
