import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTask, run, sleep, type Suspension } from 'cede'
import { SimDriver } from 'cede/lowlevel'

function* spin(): Generator<Suspension, never> {
  for (;;) yield* sleep(0)
}

test('on a clock that stands still, a task that is always ready does not keep a run from ending', async () => {
  const value = await run(
    function* () {
      createTask(spin())
      yield* sleep(0)
      return 'ended'
    },
    { driver: new SimDriver() },
  )
  assert.equal(value, 'ended')
})
