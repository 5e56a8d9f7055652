// Found by generated programs: test/property/sync-explore.ts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTask, InvalidStateError, Queue, sleep } from 'cede'
import { simulate } from '../support/sim.ts'

test('a join() ends when a shutdown drops an item that was said to be done before it was taken', () =>
  simulate(function* () {
    const queue = new Queue<string>(2)
    yield* queue.put('one')
    yield* queue.put('two')
    queue.taskDone()
    const joined = createTask(queue.join())
    yield* sleep(0)
    assert.equal(joined.done(), false)
    assert.deepEqual(queue.shutdown({ immediate: true }), ['one', 'two'])
    yield* sleep(0)
    assert.equal(joined.done(), true)
    assert.equal(queue.unfinished, 0)
    assert.throws(() => queue.taskDone(), InvalidStateError)
  }))
