import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WaitQueue } from '../core/wait-queue.ts'
import { inLine } from './in-line.ts'

test('an empty line is said to be one', () => {
  assert.equal(inLine(new WaitQueue()), 'nobody in line')
})
