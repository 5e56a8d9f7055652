/**
 * Bytes that pass as fast as a bucket has tokens for them, one each, and wait here until then.
 *
 * They pass in pieces: all that there are tokens for, or, when those are spent, as many as come in a short time. Small
 * pieces let connections that share a bucket take turns.
 */
import type { Loop } from '../../core/loop.ts'
import { ByteQueue } from '../byte-queue.ts'
import type { Claim, TokenBucket } from './token-bucket.ts'

/** Who waits for tokens waits for as many as come in this part of a second, but no more than a page. */
const PIECES_PER_SECOND = 50
const LARGEST_PIECE = 4_096

export class Throttle {
  readonly #loop: Loop
  readonly #bucket: TokenBucket
  readonly #pass: (bytes: Buffer) => void
  readonly #emptied: () => void
  readonly #pieceBytes: number
  #waiting = new ByteQueue()
  #claim: Claim | null = null
  #stopped = false
  #passing = false

  /**
   * @param pass gets the bytes, in order
   * @param emptied called when something has waited and all of it has passed
   */
  constructor(loop: Loop, bucket: TokenBucket, pass: (bytes: Buffer) => void, emptied: () => void) {
    this.#loop = loop
    this.#bucket = bucket
    this.#pass = pass
    this.#emptied = emptied
    this.#pieceBytes = pieceOf(bucket)
  }

  /** How many bytes wait. */
  get length(): number {
    return this.#waiting.length
  }

  /** Passes `data`, now or later. It belongs to the throttle from now on. */
  push(data: Buffer): void {
    const atOnce = this.length === 0 && !this.#stopped && !this.#passing
    if (atOnce && this.#bucket.takeNow(this.#loop, data.length)) {
      this.#pass(data)
      return
    }
    this.#waiting.push(data)
    this.#pump()
  }

  /** Nothing passes until `go`. */
  stop(): void {
    this.#stopped = true
    this.#withdraw()
  }

  go(): void {
    this.#stopped = false
    this.#pump()
  }

  /** Drops what waits. */
  clear(): void {
    this.#withdraw()
    if (this.length > 0) this.#waiting = new ByteQueue()
  }

  /** Passes all that waits, tokens or not. */
  flush(): void {
    this.#withdraw()
    if (this.length > 0 && !this.#passing) this.#passOn(this.length)
  }

  #withdraw(): void {
    if (this.#claim === null) return
    this.#bucket.withdraw(this.#claim)
    this.#claim = null
  }

  #pump(): void {
    while (this.length > 0 && !this.#stopped && !this.#passing && this.#claim === null) {
      const least = Math.min(this.length, this.#pieceBytes)
      const count = this.#bucket.takeUpTo(this.#loop, this.length, least)
      if (count > 0) {
        this.#passOn(count)
      } else {
        this.#claim = this.#bucket.claim(this.#loop, least, () => {
          this.#claim = null
          this.#passOn(least)
          this.#pump()
        })
      }
    }
  }

  #passOn(count: number): void {
    this.#passing = true
    try {
      this.#pass(this.#waiting.take(count))
    } finally {
      this.#passing = false
    }
    if (this.length === 0) this.#emptied()
  }
}

function pieceOf(bucket: TokenBucket): number {
  const most = bucket.chain.map(({ perSecond, burst }) => Math.min(burst, perSecond / PIECES_PER_SECOND))
  return Math.max(1, Math.floor(Math.min(LARGEST_PIECE, ...most)))
}
