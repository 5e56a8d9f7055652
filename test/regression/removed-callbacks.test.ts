// A callback that was taken back is let go of, however long the task lives.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTask, sleepForever, until } from 'cede'
import { isCollected } from '../support/garbage.ts'
import { simulate } from '../support/sim.ts'
import type { Task } from 'cede'

function addedAndRemoved(task: Task): WeakRef<object> {
  const callback = (): void => assert.fail('it was taken back')
  task.addDoneCallback(callback)
  task.addDoneCallback(callback)
  assert.equal(task.removeDoneCallback(callback), 2)
  assert.equal(task.removeDoneCallback(callback), 0)
  return new WeakRef(callback)
}

test('a task keeps nothing of a done callback that was taken back', () =>
  simulate(function* () {
    const task = createTask(sleepForever())
    const removed = addedAndRemoved(task)
    assert.equal(yield* until(isCollected(removed)), true)
    task.cancel()
  }))
