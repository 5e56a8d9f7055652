/**
 * What was written and waits until the system has room for it.
 *
 * The memory that it keeps alive, and the number of its pieces, stay in proportion to the bytes that are counted. A line
 * is often a view of a slab that many lines share, and a peer that does not read can make many of them wait, of as many
 * slabs. So small pieces, and those that are a small part of their memory, are copied into blocks of our own. Large ones
 * that are most of their memory stay as they are.
 */
import { bufferView } from './buffer-view.ts'

/** Pieces up to this size are copied. */
const SMALL_PIECE = 2_048
const FIRST_BLOCK = 1_024
const LARGEST_BLOCK = 65_536
/** So many pieces that were sent are taken off the list at a time. */
const MANY_SENT = 64
const EMPTY = Buffer.alloc(0)

export class SendQueue {
  /** How many bytes wait. */
  bytes = 0
  /** For the system: begins at index `first`, `start` bytes behind the beginning of that piece. */
  readonly pieces: Uint8Array[] = []
  first = 0
  start = 0
  /** What is copied goes there, behind `#used` bytes. */
  #block: Buffer | null = null
  #used = 0
  /** The last piece is in the block and may become longer. It begins at `#from`, and ends at `#shown`. */
  #open = false
  #from = 0
  #shown = 0

  /**
   * Adds what was written.
   *
   * @param sent so many bytes at the beginning are not added; 0 if something waits already
   * @param bytes how many there were when they were written
   * @returns false if there are more or fewer by now: their memory was given away, or has another size
   */
  add(chunks: readonly Uint8Array[], sent: number, bytes: number): boolean {
    let found = 0
    let skipped = sent
    for (const chunk of chunks) {
      const { length } = chunk
      found += length
      if (skipped >= length) {
        skipped -= length
        continue
      }
      if (length - skipped > SMALL_PIECE && isMostOfItsMemory(chunk)) this.#keep(chunk, skipped)
      else this.#copy(chunk, skipped)
      skipped = 0
    }
    this.#show()
    this.bytes += bytes - sent
    return found === bytes
  }

  /**
   * The system has taken the first `bytes`.
   *
   * @returns false if it was not given all that was counted: memory was given away
   */
  drop(bytes: number): boolean {
    const { pieces } = this
    this.bytes -= bytes
    let left = this.start + bytes
    let first = this.first
    let whole = true
    while (first < pieces.length && left >= pieces[first]!.length) {
      const { length } = pieces[first]!
      if (length === 0) whole = false
      left -= length
      // What was sent is given free.
      pieces[first++] = EMPTY
    }
    this.start = left
    this.first = first
    if (first >= MANY_SENT && first * 2 >= pieces.length) {
      pieces.splice(0, first)
      this.first = 0
    }
    return whole
  }

  /** The first of all may begin behind its beginning. */
  #keep(chunk: Uint8Array, start: number): void {
    this.#show()
    this.#open = false
    if (start > 0) this.start = start
    this.pieces.push(chunk)
  }

  #copy(chunk: Uint8Array, start: number): void {
    const { length } = chunk
    for (let at = start; at < length;) {
      let block = this.#block
      if (block === null || this.#used === block.length) block = this.#newBlock(length - at)
      const count = Math.min(length - at, block.length - this.#used)
      const part = count === length ? chunk : bufferView(chunk.buffer, chunk.byteOffset + at, count)
      block.set(part, this.#used)
      this.#used += count
      at += count
    }
  }

  #newBlock(bytes: number): Buffer {
    this.#show()
    this.#open = false
    const size = this.#block === null ? FIRST_BLOCK : Math.min(LARGEST_BLOCK, this.#block.length * 2)
    this.#used = this.#shown = 0
    return (this.#block = Buffer.allocUnsafeSlow(Math.max(size, bytes)))
  }

  /** What was copied is seen by the system. */
  #show(): void {
    const { pieces } = this
    const used = this.#used
    if (used === this.#shown) return
    if (!this.#open) {
      this.#open = true
      this.#from = this.#shown
      pieces.push(EMPTY)
    }
    this.#shown = used
    pieces[pieces.length - 1] = bufferView(this.#block!.buffer, this.#from, used - this.#from)
  }
}

/** And stays that: memory of a changing size is copied. */
function isMostOfItsMemory(chunk: Uint8Array): boolean {
  const memory = chunk.buffer as ArrayBufferLike & { resizable?: boolean; growable?: boolean }
  return chunk.length * 2 >= memory.byteLength && memory.resizable !== true && memory.growable !== true
}
