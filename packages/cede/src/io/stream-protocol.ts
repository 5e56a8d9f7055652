/** Turns what a transport tells into a reader and a writer. */
import type { Runner } from '../core/runner.ts'
import { checkSize, formatAddress } from './address.ts'
import { ConnectionLostError } from './errors.ts'
import { DEFAULT_HIGH_WATER_BYTES, DEFAULT_LOW_WATER_BYTES } from './node-net.ts'
import { StreamReader, type StreamReaderOptions } from './stream-reader.ts'
import { checkedMarks, StreamWriter, type StreamWriterOptions } from './stream-writer.ts'
import type { Protocol, Transport } from './transport.ts'

/** The sizes of a stream's buffers. */
export interface StreamOptions extends StreamReaderOptions, StreamWriterOptions {}

export class StreamProtocol implements Protocol {
  readonly reader: StreamReader
  writer!: StreamWriter
  /** Called when the connection is gone, after reader and writer know. */
  onLost: (() => void) | null = null
  readonly #options: StreamOptions

  constructor(options: StreamOptions, runner: Runner) {
    this.reader = new StreamReader(options, runner)
    this.#options = options
  }

  connectionMade(transport: Transport): void {
    this.writer = new StreamWriter(transport, this.#options)
    this.reader.attach(transport, formatAddress(transport.remoteAddress))
  }

  dataReceived(chunk: Buffer): void {
    this.reader.feedData(chunk)
  }

  eofReceived(): void {
    this.reader.feedEof()
  }

  pauseWriting(): void {
    this.writer.pauseWriting()
  }

  resumeWriting(): void {
    this.writer.resumeWriting()
  }

  connectionLost(error: Error | null): void {
    if (error === null) this.reader.feedEof()
    else
      this.reader.setException(new ConnectionLostError(`read from ${this.reader.peer}: expected more`, error))
    this.writer.connectionLost(error)
    this.onLost?.()
  }
}

/** @throws {RangeError} if a size is wrong */
export function checkStreamOptions(act: string, options: StreamOptions): void {
  checkSize(act, 'limitBytes', options.limitBytes)
  checkSize(act, 'hardLimitBytes', options.hardLimitBytes)
  checkedMarks(act, options, {
    highWaterBytes: DEFAULT_HIGH_WATER_BYTES,
    lowWaterBytes: DEFAULT_LOW_WATER_BYTES,
  })
}
