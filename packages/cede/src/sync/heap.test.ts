import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Heap } from './heap.ts'

interface Item {
  readonly key: number
  readonly added: number
}

const byKey = (a: Item, b: Item): number => a.key - b.key

test('whatever is pushed and popped in whatever order: the least comes first, of equal ones the first', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 9 })), { maxLength: 200 }), (commands) => {
      const heap = new Heap<Item>(byKey)
      const model: Item[] = []
      let added = 0
      // Null takes, a number adds.
      for (const key of [...commands, ...commands.map(() => null)]) {
        if (key !== null) {
          const item = { key, added: added++ }
          heap.push(item)
          model.push(item)
          model.sort((a, b) => a.key - b.key || a.added - b.added)
        } else if (model.length > 0) {
          assert.equal(heap.pop(), model.shift())
        }
        assert.equal(heap.size, model.length)
      }
    }),
  )
})

test('a comparison that throws leaves everything as it was', () => {
  for (let failAt = 0; failAt < 12; failAt++) {
    for (const act of ['push', 'pop'] as const) {
      let left = Infinity
      const heap = new Heap<number>((a, b) => {
        if (left-- === 0) throw new Error('mine')
        return a - b
      })
      for (const item of [5, 3, 8, 1, 9, 2, 7, 4, 6, 0]) heap.push(item)
      left = failAt
      let taken: number[] = []
      try {
        if (act === 'push') heap.push(-1)
        else taken = [heap.pop()]
      } catch (error) {
        assert.equal((error as Error).message, 'mine')
      }
      const pushed = heap.size === 11
      left = Infinity
      while (heap.size > 0) taken.push(heap.pop())
      const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
      assert.deepEqual(taken, pushed ? [-1, ...all] : all)
    }
  }
})

test('clear takes all', () => {
  const heap = new Heap<number>((a, b) => a - b)
  for (const item of [3, 1, 2]) heap.push(item)
  assert.deepEqual(heap.clear().sort(), [1, 2, 3])
  assert.equal(heap.size, 0)
  heap.push(7)
  assert.equal(heap.pop(), 7)
})
