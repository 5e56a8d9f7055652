// A failed task that nobody received is reported once, also if somebody asks for its outcome later.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTask, sleep, type ExceptionContext } from 'cede'
import { simulate } from '../support/sim.ts'

function* fails() {
  yield* sleep(0)
  throw new Error('broken')
}

test('one who asks for the outcome after the report brings on no second one', () => {
  const reports: ExceptionContext[] = []
  return simulate(
    function* () {
      const failing = createTask(fails())
      yield* sleep(5)
      assert.equal(reports.length, 1)
      failing.addDoneCallback(() => {})
      yield* sleep(5)
      assert.equal(reports.length, 1)
    },
    { reports },
  )
})
