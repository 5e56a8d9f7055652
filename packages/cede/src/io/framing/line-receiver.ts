/** Lines in callbacks, with bodies of bytes between them. */
import type { ByteQueue } from '../byte-queue.ts'
import { LimitError } from '../errors.ts'
import { expectNothing } from '../protocol.ts'
import { FrameReceiver } from './frame-receiver.ts'
import { lines, type LinesOptions } from './lines.ts'

const DEFAULT_LIMIT_BYTES = 16_384

export interface LineReceiverOptions extends Omit<LinesOptions, 'encoding'> {
  /** How long a line may be, in bytes, without its ending. Default: 16,384. */
  readonly limitBytes?: number | undefined
}

/**
 * A protocol that is told of lines, as text; and, in raw mode, of bytes as they come. It may change between the two at
 * any time, also in the middle of a chunk.
 *
 * @example
 * import { openConnection, run } from 'cede'
 * import { createServer, LineReceiver } from 'cede/lowlevel'
 *
 * // `5`, a newline, five bytes; answered with the bytes backwards.
 * class Reverse extends LineReceiver {
 *   #missing = 0
 *   override lineReceived(line: string) {
 *     this.#missing = Number(line)
 *     this.setRawMode()
 *   }
 *   override rawDataReceived(bytes: Buffer) {
 *     const body = bytes.subarray(0, this.#missing)
 *     this.transport.write(Buffer.from(body).reverse())
 *     this.#missing -= body.length
 *     if (this.#missing === 0) this.setLineMode(bytes.subarray(body.length))
 *   }
 * }
 * await run(function* () {
 *   const server = yield* createServer(() => new Reverse(), { host: '127.0.0.1', port: 0 })
 *   const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
 *   yield* writer.send('5\nhello')
 *   console.log((yield* reader.readExactly(5)).toString()) // olleh
 *   writer.close()
 *   server.close()
 *   yield* server.waitClosed()
 * })
 */
export abstract class LineReceiver extends FrameReceiver<string> {
  #raw = false

  /** @throws what `lines()` throws */
  constructor(options: LineReceiverOptions = {}) {
    super(lines({ ...options, limitBytes: options.limitBytes ?? DEFAULT_LIMIT_BYTES, encoding: 'utf8' }))
  }

  /** A line came. */
  abstract lineReceived(line: string): void | undefined

  /** Bytes came in raw mode. Does nothing here. */
  rawDataReceived(_bytes: Buffer): void | undefined {}

  /** A line is too long. As `framingFailed`: if it has not closed the connection, that is aborted. */
  lineLimitExceeded(_error: LimitError): void | undefined {}

  /** From here on `rawDataReceived` is called, with what stands behind the current line first. */
  setRawMode(): void {
    this.#raw = true
    this.giveOut()
  }

  /**
   * From here on `lineReceived` is called.
   *
   * @param rest the end of what `rawDataReceived` was given, if that is no longer raw data: it is looked at again, and
   *   must not be changed afterwards
   */
  setLineMode(rest: Uint8Array = new Uint8Array()): void {
    this.#raw = false
    this.putBack(rest)
    this.giveOut()
  }

  override frameReceived(line: string): void {
    expectNothing(this, 'lineReceived', this.lineReceived(line))
  }

  override framingFailed(error: Error): void {
    if (error instanceof LimitError) expectNothing(this, 'lineLimitExceeded', this.lineLimitExceeded(error))
  }

  /** @internal */
  protected override giveOne(queue: ByteQueue, ended: boolean): boolean {
    if (!this.#raw) return super.giveOne(queue, ended)
    if (queue.length === 0) return false
    expectNothing(this, 'rawDataReceived', this.rawDataReceived(queue.take(queue.length)))
    return true
  }
}
