import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { simulate } from '../../../../test/support/sim.ts'
import type { ExceptionContext } from '../core/runner.ts'
import { sleep } from '../core/sleep.ts'
import { BoundedSemaphore } from './bounded-semaphore.ts'

test('a release too many is an error that says how many there are', () =>
  simulate(function* () {
    const semaphore = new BoundedSemaphore(2, { name: 'slots' })
    assert.equal(semaphore.bound, 2)
    assert.equal(inspect(semaphore), 'BoundedSemaphore(slots: 2 free)')
    yield* semaphore.acquire()
    semaphore.release()
    assert.throws(() => semaphore.release(), {
      name: 'InvalidStateError',
      code: 'CEDE_INVALID_STATE',
      message:
        'release() of semaphore slots: a permit that was acquired was expected, found all 2 of them given back already',
    })
    assert.equal(semaphore.value, 2)
  }))

test('a permit that somebody else has given back inside with() is reported, and not given back twice', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* () {
      const semaphore = new BoundedSemaphore(1)
      yield* semaphore.with(function* () {
        semaphore.release()
        yield* sleep(0)
      })
      assert.equal(semaphore.value, 1)
    },
    { reports },
  )
  assert.match(reports[0]!.message, /a permit of a semaphore was expected to be held until the body ended/)
  assert.equal(reports.length, 1)
})
