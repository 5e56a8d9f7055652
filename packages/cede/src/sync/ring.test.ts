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

test('after a peak it is small again, and no item is lost on the way', () => {
  const ring = new Ring<number>()
  for (let i = 0; i < 100_000; i++) ring.push(i)
  assert.equal(ring.places, 131_072)
  for (let i = 0; i < 100_000; i++) {
    assert.equal(ring.pop(), i)
    assert.ok(ring.places <= Math.max(1_024, 16 * ring.size), `${ring.places} places for ${ring.size} items`)
  }
  assert.equal(ring.places, 1_024)
  // Up and down between two sizes it stays as it is.
  for (let i = 0; i < 1_024; i++) ring.push(i)
  for (let i = 0; i < 10; i++) {
    for (let n = 0; n < 1_000; n++) ring.pop()
    for (let n = 0; n < 1_000; n++) ring.push(n)
    assert.equal(ring.places, 1_024)
  }
})
