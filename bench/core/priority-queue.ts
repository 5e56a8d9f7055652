// A PriorityQueue by itself, without tasks that wait.

import { PriorityQueue } from 'cede'
import type { TimedCase } from '../case.ts'
import { byPriority, heapCase, type Item } from './heap-load.ts'

export const cases: Record<string, TimedCase> = {
  inAndOut: heapCase(() => {
    const queue = new PriorityQueue<Item>(Infinity, byPriority)
    return {
      push: (item) => void queue.tryPut(item),
      pop: () => queue.tryGet(),
    }
  }),
}
