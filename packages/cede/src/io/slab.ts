/** Memory that holds what many may keep a piece of: lines of one connection, or bytes of several. */
import { Buffer } from 'node:buffer'
import { markAsUntransferable } from 'node:worker_threads'

/**
 * What a piece may keep alive whatever its size, so the most that small pieces share. Node's own pool of small buffers has
 * 8 KiB, since Node 24 64.
 */
export const SLAB_BYTES = 16_384

/** Its bytes are those of others too: it must not be given away with a piece. */
export function newSlab(bytes: number): Buffer {
  const made = Buffer.allocUnsafeSlow(bytes)
  markAsUntransferable(made.buffer)
  return made
}
