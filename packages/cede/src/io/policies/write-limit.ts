/**
 * Passes written bytes on as fast as a bucket has tokens for them. To the one above it looks like a transport whose
 * system takes bytes slowly: what waits here is counted, paused for and closed behind.
 */
import type { Runner } from '../../core/runner.ts'
import { checkWriteMarks, writtenAfterEof } from '../base-transport.ts'
import { TransportLayer } from '../transport-layer.ts'
import {
  DEFAULT_HIGH_WATER_BYTES,
  DEFAULT_LOW_WATER_BYTES,
  type InnerTransport,
  type TransportEvents,
  type WriteMarks,
} from '../transport.ts'
import { Throttle } from './throttle.ts'
import type { TokenBucket } from './token-bucket.ts'

export class WriteLimit extends TransportLayer {
  readonly #runner: Runner
  readonly #throttle: Throttle
  #marks: WriteMarks = { highWaterBytes: DEFAULT_HIGH_WATER_BYTES, lowWaterBytes: DEFAULT_LOW_WATER_BYTES }
  /** The one above was told to pause. */
  #paused = false
  /**
   * Inside `write`, which resumes nobody: whoever writes when resumed would come here again and again. Nothing ends there
   * either, before it is written.
   */
  #writing = false
  #eofWanted = false
  #closing = false
  /** Something came after `close`. */
  #dropped = false
  #disown: (() => void) | null = null

  constructor(above: TransportEvents, runner: Runner, bucket: TokenBucket) {
    super(above)
    this.#runner = runner
    this.#throttle = new Throttle(
      runner.loop,
      bucket,
      (bytes) => this.#passOn(bytes),
      () => this.#endIfWanted(),
    )
  }

  override connectionMade(transport: InnerTransport): void {
    this.#marks = transport.writeMarks
    this.#setMarksBelow(transport)
    // What is delayed when the run ends is handed to the system at once: nobody is there to wait for it.
    this.#disown = this.#runner.own(() => this.#throttle.flush())
    super.connectionMade(transport)
  }

  override connectionLost(error: Error | null): void {
    this.#throttle.clear()
    this.#disown?.()
    this.above.connectionLost(error)
  }

  // ------------------------------------------------------------------ flow control over both buffers

  override get bufferedBytes(): number {
    return this.#throttle.length + this.below.bufferedBytes
  }

  override get leftBytes(): number {
    return this.#throttle.length + this.below.leftBytes
  }

  override get writeMarks(): WriteMarks {
    return this.#marks
  }

  override set writeMarks(marks: WriteMarks) {
    checkWriteMarks(marks)
    this.#marks = marks
    this.#setMarksBelow(this.below)
    this.#checkHigh(0)
    this.#checkLow()
  }

  /** The transport tells when it falls to the low mark: the last moment at which writing can be resumed. */
  #setMarksBelow(transport: InnerTransport): void {
    const { lowWaterBytes } = this.#marks
    transport.writeMarks = { highWaterBytes: lowWaterBytes, lowWaterBytes }
  }

  /** The peer is slower than the rate; then it takes no tokens from others. */
  override pauseWriting(): void {
    if (!this.#closing) this.#throttle.stop()
  }

  override resumeWriting(): void {
    this.#checkLow()
    this.#throttle.go()
  }

  /** @param more bytes that are about to be written */
  #checkHigh(more: number): void {
    if (this.#paused || this.bufferedBytes + more <= this.#marks.highWaterBytes) return
    this.#paused = true
    this.above.pauseWriting()
  }

  #checkLow(): void {
    if (!this.#paused || this.#writing || this.bufferedBytes > this.#marks.lowWaterBytes) return
    this.#paused = false
    this.above.resumeWriting()
  }

  // ------------------------------------------------------------------ writing

  override write(data: Uint8Array): void {
    if (this.#closing && !this.below.closing) return
    if (this.below.closing) {
      this.below.write(data)
      return
    }
    if (this.#eofWanted) throw writtenAfterEof(this.remoteAddress)
    if (data.length === 0) return
    this.#writing = true
    try {
      this.#checkHigh(data.length)
      // One who closes when told to pause has written these before; one who aborts wants nothing sent.
      if (!this.below.closing) {
        this.#throttle.push(Buffer.from(data.buffer, data.byteOffset, data.length))
      }
    } finally {
      this.#writing = false
    }
    this.#endIfNothingWaits()
  }

  #passOn(bytes: Buffer): void {
    this.below.write(bytes)
    this.#checkLow()
  }

  // ------------------------------------------------------------------ ending

  override get closing(): boolean {
    return this.#closing || this.below.closing
  }

  override get reading(): boolean {
    return !this.#closing && this.below.reading
  }

  override resumeReading(): void {
    if (!this.#closing) this.below.resumeReading()
  }

  override dataReceived(chunk: Buffer): void {
    if (this.#closing) this.#dropped = true
    else this.above.dataReceived(chunk)
  }

  override eofReceived(): boolean {
    if (this.#closing || this.above.eofReceived()) return true
    this.close()
    return true
  }

  override writeEof(): void {
    if (this.#eofWanted || this.closing) return
    this.#eofWanted = true
    this.#endIfNothingWaits()
  }

  override close(): void {
    if (this.closing) return
    this.#closing = true
    this.#throttle.go()
    this.#endIfNothingWaits()
  }

  #endIfNothingWaits(): void {
    if (this.#throttle.length === 0 && !this.#writing) this.#endIfWanted()
  }

  #endIfWanted(): void {
    if (this.#closing) {
      // The transport must know that input may be on its way, or it would reset the connection.
      if (this.#dropped) this.below.pauseReading()
      this.below.close()
    } else if (this.#eofWanted) this.below.writeEof()
  }

  override abort(): void {
    this.#closing = true
    this.#throttle.clear()
    this.below.abort()
  }

  override fail(error: Error): void {
    this.#closing = true
    this.#throttle.clear()
    this.below.fail(error)
  }
}
