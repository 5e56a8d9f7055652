// One who is told of an outcome may at once cancel another who waits for the same outcome and is told later.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sleep, sleepForever, taskGroup, TaskGroupError } from 'cede'
import { simulate } from '../support/sim.ts'

const broken = new Error('broken')

function* fails() {
  yield* sleep(1)
  throw broken
}

test('a failing child whose group cancels a sibling that waits for it', () =>
  simulate(function* () {
    let caught: unknown = null
    try {
      yield* taskGroup(function* (group) {
        const failing = group.createTask(fails())
        group.createTask(failing)
        yield* sleepForever()
      })
    } catch (error) {
      caught = error
    }
    assert(caught instanceof TaskGroupError)
    assert.deepEqual(caught.errors, [broken])
  }))
