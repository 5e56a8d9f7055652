/**
 * Passes received bytes on as fast as a bucket has tokens for them. While some wait here nothing more is read, so that
 * the peer is held up by its own system; never more than one chunk waits.
 */
import type { Loop } from '../../core/loop.ts'
import { TransportLayer } from '../transport-layer.ts'
import type { TransportEvents } from '../transport.ts'
import { Throttle } from './throttle.ts'
import type { TokenBucket } from './token-bucket.ts'

export class ReadLimit extends TransportLayer {
  readonly #throttle: Throttle
  /** By the one above. */
  #paused = false
  /** The end of the stream came, and waits behind the bytes. */
  #endHeld = false
  /** It was told. */
  #ended = false

  constructor(above: TransportEvents, loop: Loop, bucket: TokenBucket) {
    super(above)
    this.#throttle = new Throttle(
      loop,
      bucket,
      (bytes) => this.above.dataReceived(bytes),
      () => this.#caughtUp(),
    )
  }

  override dataReceived(chunk: Buffer): void {
    this.#throttle.push(chunk)
    if (this.#throttle.length > 0) this.below.pauseReading()
  }

  /** All bytes were passed on. */
  #caughtUp(): void {
    if (this.#paused || this.closing) return
    if (!this.#endHeld) {
      this.below.resumeReading()
      return
    }
    this.#endHeld = false
    if (!this.#tellEnd()) this.close()
  }

  override eofReceived(): boolean {
    if (this.#throttle.length === 0 && !this.#paused) return this.#tellEnd()
    this.#endHeld = true
    return true
  }

  #tellEnd(): boolean {
    this.#ended = true
    return this.above.eofReceived()
  }

  override get reading(): boolean {
    return !this.#paused && !this.#ended && !this.closing
  }

  override pauseReading(): void {
    if (this.#paused) return
    this.#paused = true
    this.#throttle.stop()
    this.below.pauseReading()
  }

  override resumeReading(): void {
    if (!this.#paused) return
    this.#paused = false
    const nothingWaits = this.#throttle.length === 0
    this.#throttle.go()
    if (nothingWaits) this.#caughtUp()
  }

  override close(): void {
    this.#throttle.clear()
    this.below.close()
  }

  override abort(): void {
    this.#throttle.clear()
    this.below.abort()
  }

  override fail(error: Error): void {
    this.#throttle.clear()
    this.below.fail(error)
  }

  override connectionLost(error: Error | null): void {
    this.#throttle.clear()
    this.above.connectionLost(error)
  }
}
