// What an operation has found when it was called counts, also if its task has to let others run first.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkpoint, createTask, Event, Queue, sleep, type Operation } from 'cede'
import { simulate } from '../support/sim.ts'

/** Does so many operations without a wait that its task gives way in the next one. */
function* afterManyOthers(operation: Operation<void>): Operation<string> {
  for (let i = 0; i < 128; i++) yield* checkpoint()
  yield* operation
  return 'went on'
}

test('a wait for an event that is set ends, though the event is cleared while the task gives way', () =>
  simulate(function* () {
    const event = new Event()
    event.set()
    const task = createTask(afterManyOthers(event.wait()))
    yield* sleep(0)
    assert.equal(task.done(), false)
    event.clear()
    assert.equal(yield* task, 'went on')
  }))

test('a join of a queue without work ends, though work comes in while the task gives way', () =>
  simulate(function* () {
    const queue = new Queue<number>(1)
    const task = createTask(afterManyOthers(queue.join()))
    yield* sleep(0)
    assert.equal(task.done(), false)
    queue.tryPut(1)
    assert.equal(yield* task, 'went on')
  }))
