/**
 * The bytes a reader has received and not given out: a queue of blocks, searched and cut without joining them first.
 *
 * Two things are kept bounded besides the bytes themselves. A peer that sends one byte at a time must not make a block
 * of each: small chunks are copied into the spare room of the last block. And one kept line must not keep a large chunk
 * alive: where small pieces are taken from one, many at once are copied into a slab, and they are views of that. Bytes
 * that were given out are never written to again.
 */

import { Buffer } from 'node:buffer'
import { bufferView } from './buffer-view.ts'
import { newSlab, SLAB_BYTES } from './slab.ts'

/** Chunks up to this size are put into a block together with others. */
const SMALL_CHUNK = 2_048
const FIRST_BLOCK = 1_024
const LARGEST_BLOCK = 65_536
/** Pieces up to this size share a slab. */
const SMALL_PIECE = SLAB_BYTES / 4

/** Looked up once: up the prototypes of a buffer that takes as long as the search for a newline that is near. */
// eslint-disable-next-line @typescript-eslint/unbound-method -- called with its `this`
const indexOf: (this: Buffer, needle: number | Uint8Array, from: number) => number = (
  Buffer.prototype as Buffer
).indexOf

/** Shared by all queues that are empty: most are, most of the time. */
const EMPTY: Buffer[] = []

export class ByteQueue {
  #length = 0
  /** Of one or more bytes each. */
  #blocks: Buffer[] = EMPTY
  /** Bytes of the first block that were given out. */
  #start = 0
  /** The memory behind the last block if it was made here and has room behind `#used` bytes. */
  #spare: Buffer | null = null
  #used = 0

  // What is asked of the memory behind a block again and again, for the block that pieces were taken from last.
  #known: Buffer | null = null
  #memory: ArrayBufferLike | null = null
  #offset = 0
  /** A piece of fewer bytes is copied. */
  #leastView = 0
  /** The copy that small pieces are views of, and which bytes of the block it has. */
  #copied: ArrayBufferLike | null = null
  #copiedFrom = 0
  #copiedTo = 0

  /** How many bytes are in the queue. */
  get length(): number {
    return this.#length
  }

  /** Adds a chunk. It belongs to the queue from now on. */
  push(chunk: Buffer): void {
    const { length } = chunk
    if (length === 0) return
    const blocks = this.#blocks
    this.#length += length
    const spare = this.#spare
    if (spare !== null && spare.length - this.#used >= length) {
      spare.set(chunk, this.#used)
      this.#used += length
      blocks[blocks.length - 1] = spare.subarray(0, this.#used)
      return
    }
    if (blocks.length === 0) {
      this.#blocks = [chunk]
      return
    }
    if (length > SMALL_CHUNK) {
      this.#spare = null
      blocks.push(chunk)
      return
    }
    const size = spare === null ? FIRST_BLOCK : Math.min(LARGEST_BLOCK, spare.length * 2)
    const block = Buffer.allocUnsafeSlow(Math.max(size, length))
    block.set(chunk, 0)
    this.#spare = block
    this.#used = length
    blocks.push(block.subarray(0, length))
  }

  /** Takes the first `count` bytes, of which there must be as many. */
  take(count: number): Buffer {
    if (count === 0) return Buffer.alloc(0)
    const blocks = this.#blocks
    const first = blocks[0]!
    const end = this.#start + count
    this.#length -= count
    if (end < first.length) {
      const piece = this.#pieceOf(first, this.#start, count)
      this.#start = end
      return piece
    }
    if (end === first.length) {
      // A chunk as it was fed is given out as it came: what it keeps alive was for whoever fed it to decide.
      const whole = count === end && this.#spare === null
      const piece = whole ? first : this.#pieceOf(first, this.#start, count)
      this.#start = 0
      if (blocks.length > 1) {
        blocks.shift()
      } else {
        this.#forget()
      }
      return piece
    }
    return this.#join(count, Buffer.allocUnsafe(count))
  }

  /**
   * Whoever reads waits for more, maybe for long: what little there is must not keep the memory alive that it came in.
   * Does nothing for more than a few bytes, or if they have memory of their own already.
   */
  settle(): void {
    const length = this.#length
    if (length === 0 || length > SMALL_CHUNK || this.#spare !== null || this.#blocks.length > 1) return
    const block = this.#blocks[0]!
    if (length * 2 >= block.buffer.byteLength) return
    const copy = Buffer.allocUnsafeSlow(length)
    block.copy(copy, 0, this.#start)
    this.#forget()
    this.#blocks = [copy]
    this.#start = 0
  }

  /** The queue is empty: no memory is kept for it. */
  #forget(): void {
    this.#blocks = EMPTY
    this.#spare = null
    this.#known = null
    this.#memory = null
    this.#copied = null
  }

  /** A piece of a block: a view, of a copy if it would keep much more memory alive than it is. */
  #pieceOf(block: Buffer, start: number, count: number): Buffer {
    if (block !== this.#known) this.#know(block)
    if (count >= this.#leastView) {
      return count === block.length ? block : bufferView(this.#memory!, this.#offset + start, count)
    }
    if (count > SMALL_PIECE) {
      const copy = Buffer.allocUnsafeSlow(count)
      block.copy(copy, 0, start, start + count)
      return copy
    }
    if (start < this.#copiedFrom || start + count > this.#copiedTo) this.#copyFrom(block, start, count)
    return bufferView(this.#copied!, start - this.#copiedFrom, count)
  }

  #know(block: Buffer): void {
    this.#known = block
    this.#memory = block.buffer
    this.#offset = block.byteOffset
    const kept = block.buffer.byteLength
    this.#leastView = kept <= SLAB_BYTES ? 0 : kept / 2
    this.#copied = null
    this.#copiedFrom = this.#copiedTo = 0
  }

  /** The more small pieces are taken from a block, the more are copied with the next. */
  #copyFrom(block: Buffer, start: number, count: number): void {
    const wanted = Math.max(count, FIRST_BLOCK, Math.min(SLAB_BYTES, 2 * (this.#copiedTo - this.#copiedFrom)))
    const copy = newSlab(Math.min(wanted, block.length - start))
    block.copy(copy, 0, start, start + copy.length)
    this.#copied = copy.buffer
    this.#copiedFrom = start
    this.#copiedTo = start + copy.length
  }

  /** Throws the first `count` bytes away, of which there must be as many. */
  drop(count: number): void {
    const blocks = this.#blocks
    this.#length -= count
    let start = this.#start + count
    while (blocks.length > 0 && start >= blocks[0]!.length) start -= blocks.shift()!.length
    this.#start = start
    if (blocks.length === 0) this.#forget()
  }

  /** The first `count` bytes, of which there must be as many, in one piece and without taking them. */
  peek(count: number): Buffer {
    return count === 0 ? Buffer.alloc(0) : this.front(count).subarray(0, count)
  }

  /** The byte at a place, counted from the first in the queue, where there must be one. */
  at(index: number): number {
    let at = this.#start + index
    let i = 0
    for (; at >= this.#blocks[i]!.length; i++) at -= this.#blocks[i]!.length
    return this.#blocks[i]![at]!
  }

  /** The first `count` bytes, of which there must be as many, as text in UTF-8, made where they lie, without taking them. */
  text(count: number): string {
    if (count === 0) return ''
    if (this.#blocks[0]!.length - this.#start < count) this.#joinFront(count, false)
    return this.#blocks[0]!.toString('utf8', this.#start, this.#start + count)
  }

  /**
   * The bytes at the front in one piece, without taking them: `count` or more, of which there must be as many, and 1.
   * Blocks are joined in place, and only if the first one is too short.
   *
   * @param growing whoever asks will ask for more and more: if all there is must be joined, room is left behind it, so
   *   that what comes next need not be joined again
   */
  front(count: number, growing = false): Buffer {
    if (this.#blocks[0]!.length - this.#start < count) this.#joinFront(count, growing)
    const first = this.#blocks[0]!
    return this.#start === 0 ? first : first.subarray(this.#start)
  }

  #joinFront(count: number, growing: boolean): void {
    const leavesRoom = growing && count === this.#length
    const memory = leavesRoom
      ? Buffer.allocUnsafeSlow(Math.max(FIRST_BLOCK, Math.ceil(count * 1.5)))
      : Buffer.allocUnsafe(count)
    const joined = this.#join(count, memory).subarray(0, count)
    const blocks = this.#blocks
    if (leavesRoom) {
      this.#spare = memory
      this.#used = count
    } else if (this.#start > 0) {
      // The offset is that of the first block, which this one no longer is.
      if (blocks.length === 1) this.#spare = null
      blocks[0] = blocks[0]!.subarray(this.#start)
      this.#start = 0
    }
    this.#blocks = [joined, ...blocks]
  }

  /** Moves the first `count` bytes into `joined`. */
  #join(count: number, joined: Buffer): Buffer {
    const blocks = this.#blocks
    let filled = 0
    let whole = 0
    while (filled < count) {
      const block = blocks[whole]!
      const wanted = Math.min(count - filled, block.length - this.#start)
      block.copy(joined, filled, this.#start, this.#start + wanted)
      filled += wanted
      this.#start += wanted
      if (this.#start < block.length) break
      this.#start = 0
      whole++
    }
    blocks.splice(0, whole)
    if (blocks.length === 0) this.#forget()
    return joined
  }

  /**
   * The first place of `needle`, or -1.
   *
   * @param needle one byte, or several
   * @param from where to begin, counted from the first byte in the queue
   */
  indexOf(needle: number | Uint8Array, from: number): number {
    const blocks = this.#blocks
    /** Where the block begins, counted like `from`; below 0 in the first block by what was given out of it. */
    let offset = -this.#start
    for (let i = 0; i < blocks.length; i++) {
      const block = blocks[i]!
      const end = offset + block.length
      if (end > from) {
        const found = indexOf.call(block, needle, Math.max(from, 0, offset) - offset)
        if (found !== -1) return offset + found
      }
      if (typeof needle !== 'number' && needle.length > 1 && i + 1 < blocks.length) {
        const across = this.#acrossEnd(i, end, needle, Math.max(from, 0))
        if (across !== -1) return across
      }
      offset = end
    }
    return -1
  }

  /** The first place of `needle` that begins in block `index`, which ends at `end`, and ends in a later one. */
  #acrossEnd(index: number, end: number, needle: Uint8Array, from: number): number {
    const first = Math.max(from, end - needle.length + 1, end - this.#blocks[index]!.length)
    if (first >= end) return -1
    const window = this.#copy(index, end, first, first + (end - first) + needle.length - 1)
    const found = window.indexOf(needle)
    return found === -1 || first + found >= end ? -1 : first + found
  }

  /** Copies the bytes from `from` to `to` at most; block `index`, which ends at `end`, holds the first of them. */
  #copy(index: number, end: number, from: number, to: number): Buffer {
    const parts: Buffer[] = []
    let offset = end - this.#blocks[index]!.length
    for (let i = index; i < this.#blocks.length && offset < to; i++) {
      const block = this.#blocks[i]!
      parts.push(block.subarray(Math.max(0, from - offset), to - offset))
      offset += block.length
    }
    return Buffer.concat(parts)
  }
}

/** The same bytes, in memory of their own if they would keep much more alive than they are. */
export function compact(piece: Buffer): Buffer {
  const kept = piece.buffer.byteLength
  return kept <= SLAB_BYTES || piece.length * 2 >= kept ? piece : Buffer.from(piece)
}
