// What every priority queue is given: 100,000 items in no order, all put in, then all taken out. Time is per item.

import { check, now, type TimedCase } from '../case.ts'

export interface Item {
  readonly priority: number
  readonly name: string
}

export const byPriority = (a: Item, b: Item): number => a.priority - b.priority

export interface AnyHeap {
  push(item: Item): void
  pop(): Item | undefined
}

const COUNT = 100_000

/** Always the same, for all of them. */
function madeItems(): Item[] {
  let state = 1
  return Array.from({ length: COUNT }, (_, index) => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223
    return { priority: state >>> 8, name: `item ${index}` }
  })
}

export function heapCase(make: () => AnyHeap): TimedCase {
  const items = madeItems()
  return {
    batch: COUNT,
    sample(iterations) {
      let took = 0
      for (let left = iterations; left > 0; left -= COUNT) took += inAndOut(make(), items)
      return Promise.resolve(took)
    },
  }
}

function inAndOut(heap: AnyHeap, items: readonly Item[]): number {
  let inOrder = 0
  let last = -1
  const start = now()
  for (let i = 0; i < items.length; i++) heap.push(items[i]!)
  for (let i = 0; i < items.length; i++) {
    const { priority } = heap.pop()!
    if (priority >= last) inOrder++
    last = priority
  }
  const took = now() - start
  check(inOrder === items.length, 'items came out of order')
  return took
}
