import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../../../../test/support/sim.ts'
import { TimeoutError } from '../core/errors.ts'
import { sleep } from '../core/sleep.ts'
import { timeout } from './timeout.ts'

test('a deadline that is no number is refused, and the old one stays', () =>
  simulate(function* (sim) {
    try {
      yield* timeout(50, function* (scope) {
        assert.throws(() => (scope.deadlineMs = NaN), /deadlineMs: a time was expected/)
        assert.throws(() => (scope.deadlineMs = '20' as never), RangeError)
        assert.throws(() => scope.reschedule(NaN), /reschedule\(\): a duration was expected/)
        assert.equal(scope.deadlineMs, 50)
        yield* sleep(1_000)
      })
      assert.fail('must be cut')
    } catch (error) {
      assert.ok(error instanceof TimeoutError)
      assert.equal(sim.now(), 50)
    }
  }))
