/** Turns what a transport tells into a reader and a writer. */
import { MisuseError } from '../core/errors.ts'
import type { Runner } from '../core/runner.ts'
import { checkDuration, checkSize } from './address.ts'
import { ConnectionLostError } from './errors.ts'
import { Protocol, type AnyProtocol } from './protocol.ts'
import { StreamReader, type StreamReaderOptions } from './stream-reader.ts'
import { checkedMarks, StreamWriter, type StreamWriterOptions } from './stream-writer.ts'
import {
  DEFAULT_HIGH_WATER_BYTES,
  DEFAULT_LOW_WATER_BYTES,
  type ConnectionEnd,
  type InnerTransport,
} from './transport.ts'

/** The sizes of a stream's buffers. */
export interface StreamOptions extends StreamReaderOptions, StreamWriterOptions {}

/** What `transport.protocol` shows of a stream. */
const STREAM = new Protocol()

export class StreamProtocol implements ConnectionEnd {
  readonly reader: StreamReader
  /** There from `connectionMade` on. */
  writer!: StreamWriter
  onLost: (() => void) | null = null
  readonly #options: StreamOptions
  #lostBy: Error | null = null

  constructor(options: StreamOptions, runner: Runner) {
    this.reader = new StreamReader(options, runner)
    this.#options = options
  }

  get protocol(): AnyProtocol {
    return STREAM
  }

  set protocol(_protocol: AnyProtocol) {
    throw new MisuseError(
      `transport.protocol: a transport of a protocol was expected, found that of a stream (${this.reader.peer}), which reads its bytes`,
    )
  }

  connectionMade(transport: InnerTransport): void {
    this.writer = new StreamWriter(transport, this.#options)
    this.reader.attach(transport)
  }

  dataReceived(chunk: Buffer): void {
    this.reader.feedData(chunk)
  }

  /** Keeps the other direction open, whatever it is: a peer that has said all may still listen. */
  eofReceived(): boolean {
    this.reader.feedEof()
    return true
  }

  pauseWriting(): void {
    this.writer.pauseWriting()
  }

  resumeWriting(): void {
    this.writer.resumeWriting()
  }

  connectionLost(error: Error | null): void {
    this.#lostBy = error
    if (error === null) this.reader.feedEof()
    else
      this.reader.setException(new ConnectionLostError(`read from ${this.reader.peer}: expected more`, error))
    // A policy that throws in `connectionMade` keeps it from being made.
    ;(this.writer as StreamWriter | undefined)?.connectionLost(error)
    this.onLost?.()
  }

  /** Why the connection is gone; null: it is not, or was closed in good order. */
  get lostBy(): Error | null {
    return this.#lostBy
  }

  /** True for what reads and writes throw because this very connection was lost. */
  isOwnLoss(error: unknown): error is ConnectionLostError {
    return error instanceof ConnectionLostError && this.#lostBy !== null && error.cause === this.#lostBy
  }

  close(): void {
    ;(this.writer as StreamWriter | undefined)?.close()
  }

  abort(): void {
    ;(this.writer as StreamWriter | undefined)?.abort()
  }
}

/** @throws {RangeError} if a size is wrong */
export function checkStreamOptions(act: string, options: StreamOptions): void {
  checkSize(act, 'limitBytes', options.limitBytes)
  checkSize(act, 'hardLimitBytes', options.hardLimitBytes)
  checkDuration(act, 'flushMs', options.flushMs)
  checkedMarks(act, options, {
    highWaterBytes: DEFAULT_HIGH_WATER_BYTES,
    lowWaterBytes: DEFAULT_LOW_WATER_BYTES,
  })
}
