import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Ring } from './ring.ts'

test('whatever is pushed and popped: first in, first out', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 300 }), (pushes) => {
      const ring = new Ring<number>()
      const model: number[] = []
      for (const [index, push] of pushes.entries()) {
        if (push) {
          ring.push(index)
          model.push(index)
        } else if (model.length > 0) {
          assert.equal(ring.pop(), model.shift())
        }
        assert.equal(ring.size, model.length)
      }
      assert.deepEqual(ring.clear(), model)
      assert.equal(ring.size, 0)
    }),
  )
})
