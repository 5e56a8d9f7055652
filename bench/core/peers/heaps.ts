// The fastest heaps for any kind of item on npm, of those that are kept up. None of them keeps equal items in order.

import { Heap as HeapJs } from 'heap-js'
import { Heap as MnemonistHeap } from 'mnemonist'
import TinyQueue from 'tinyqueue'
import type { TimedCase } from '../../case.ts'
import { byPriority, heapCase, type Item } from '../heap-load.ts'

export const cases: Record<string, TimedCase> = {
  heapJs: heapCase(() => new HeapJs<Item>(byPriority)),
  mnemonist: heapCase(() => new MnemonistHeap<Item>(byPriority)),
  tinyQueue: heapCase(() => new TinyQueue<Item>([], byPriority)),
}
