/** What is still held by somebody, for tests of what must be let go. */
import { setImmediate as afterImmediates } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const { Bun } = globalThis as { readonly Bun?: { gc(wait: boolean): void } }
const collect = Bun === undefined ? exposedByV8() : () => Bun.gc(true)

function exposedByV8(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

/** True if nothing but weak references leads to the object any more. */
export async function isCollected(ref: WeakRef<object>): Promise<boolean> {
  for (let round = 0; round < 5; round++) {
    // A weak reference that was read holds its object to the end of the job.
    await afterImmediates()
    collect()
    await afterImmediates()
    if (ref.deref() === undefined) return true
  }
  return false
}

/** Bytes of the heap that are in use, after what nobody holds was collected. */
export function usedHeap(): number {
  collect()
  return process.memoryUsage().heapUsed
}

/** The same and what buffers hold besides. Their memory is given back in the background, and is by the next collection. */
export function usedMemory(): number {
  collect()
  const heap = usedHeap()
  const { external } = process.memoryUsage()
  return heap + external
}
