/**
 * Buffers over memory that is there already. `buffer.subarray()` costs three times as much as making the view from the
 * memory itself, and lines are such views; so the class behind Node's buffers is used directly, where the host shows it.
 */

type BufferClass = new (memory: ArrayBufferLike, start: number, length: number) => Buffer

const made = (Buffer as unknown as Partial<Record<symbol, BufferClass>>)[Symbol.species]

const View: BufferClass | null = isBufferClass(made) ? made : null

function isBufferClass(candidate: BufferClass | undefined): candidate is BufferClass {
  if (candidate === undefined || (candidate as unknown) === Buffer) return false
  try {
    const memory = new ArrayBuffer(4)
    const view = new candidate(memory, 1, 2)
    return Buffer.isBuffer(view) && view.buffer === memory && view.byteOffset === 1 && view.length === 2
  } catch {
    return false
  }
}

/** The `length` bytes from `start` of `memory`, as a buffer. */
export function bufferView(memory: ArrayBufferLike, start: number, length: number): Buffer {
  return View === null ? Buffer.from(memory as ArrayBuffer, start, length) : new View(memory, start, length)
}
