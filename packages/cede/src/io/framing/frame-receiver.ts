/**
 * Frames in callbacks: a protocol that is told of frames instead of bytes.
 *
 * What was received waits in a queue, and one loop gives it out, frame by frame. It stops when the user pauses or
 * closes in the middle of a chunk, and is entered again when the user resumes; never from inside itself.
 */
import { nameOf, wrongArgument } from '../../core/misuse.ts'
import { formatAddress } from '../address.ts'
import { ByteQueue } from '../byte-queue.ts'
import { IncompleteReadError } from '../errors.ts'
import { expectNothing, Protocol } from '../protocol.ts'
import type { InnerTransport, Transport } from '../transport.ts'
import type { FrameCodec } from './frame-codec.ts'
import { FrameSearch } from './frame-search.ts'

/**
 * A protocol that is told of frames. A subclass has `frameReceived`; a subclass with a `connectionMade` of its own calls
 * that of this class first.
 *
 * @example
 * import { framed, netstrings, openConnection, run } from 'cede'
 * import { createServer, FrameReceiver } from 'cede/lowlevel'
 *
 * class Shout extends FrameReceiver<Buffer, string | Uint8Array> {
 *   constructor() {
 *     super(netstrings({ limitBytes: 1_000 }))
 *   }
 *   override frameReceived(frame: Buffer) {
 *     this.send(frame.toString().toUpperCase())
 *   }
 * }
 * await run(function* () {
 *   const server = yield* createServer(() => new Shout(), { host: '127.0.0.1', port: 0 })
 *   const frames = framed(yield* openConnection({ host: '127.0.0.1', port: server.port }), netstrings())
 *   yield* frames.send('hello')
 *   console.log((yield* frames.read())?.toString()) // HELLO
 *   frames.close()
 *   server.close()
 *   yield* server.waitClosed()
 * })
 */
export abstract class FrameReceiver<In, Out = In> extends Protocol {
  /** How frames are written. */
  readonly codec: FrameCodec<In, Out>
  readonly #search: FrameSearch<In>
  readonly #queue = new ByteQueue()
  #transport: Transport | null = null
  #paused = false
  /** The loop that gives out is running. */
  #giving = false
  /** Nothing is given out any more. */
  #failed = false
  /** The peer sends nothing more. */
  #ended = false
  /** `framesEnded` was called. */
  #toldEnd = false

  /** @throws {MisuseError} if `codec` is none */
  constructor(codec: FrameCodec<In, Out>) {
    super()
    if (typeof codec?.encode !== 'function' || typeof codec.decode !== 'function') {
      throw wrongArgument('FrameReceiver', 'a codec', codec, 'write `super(netstrings())`, say')
    }
    this.codec = codec
    this.#search = new FrameSearch(codec)
  }

  // ------------------------------------------------------------------ what a subclass has

  /** A frame came. */
  abstract frameReceived(frame: In): void | undefined

  /**
   * What came is no frame, or too long, or the peer ended in the middle of one. Nothing more is given out. If it returns
   * and has not closed the connection, that is aborted. Does nothing here; a subclass may send last words and `close()`.
   *
   * @param _error what the codec threw, mostly {LimitError} or {ProtocolError}; {IncompleteReadError}. `connectionLost`
   *   is given the same if the connection is aborted
   */
  framingFailed(_error: Error): void | undefined {}

  /**
   * The peer sends nothing more, and all frames were given out.
   *
   * @returns true to keep the other direction open; otherwise the connection is closed, after sending its buffer
   */
  framesEnded(): boolean | void {}

  // ------------------------------------------------------------------ what a subclass calls

  /**
   * The connection.
   *
   * @throws {MisuseError} before `connectionMade`
   */
  get transport(): Transport {
    if (this.#transport !== null) return this.#transport
    throw wrongArgument(
      'transport of a FrameReceiver',
      'a connection',
      undefined,
      'call `super.connectionMade(transport)` first in a `connectionMade` of your own',
    )
  }

  /**
   * Buffers a frame. Does not wait.
   *
   * @throws what the codec's `encode` throws; {ClosedError} after `transport.writeEof()`
   */
  send(frame: Out): void {
    const bytes = this.codec.encode(frame)
    if (typeof bytes === 'string') this.transport.write(Buffer.from(bytes))
    else if (bytes instanceof Uint8Array) this.transport.write(bytes)
    else this.transport.writeLines(bytes)
  }

  /**
   * No more frames until `resumeReceiving`, also none of those that came already. (`transport.pauseReading` only keeps
   * more from coming.) What was not given out when the connection is gone is dropped. Idempotent, as is that.
   */
  pauseReceiving(): void {
    this.#paused = true
    this.transport.pauseReading()
  }

  /** Gives out what came meanwhile, before it returns unless called by a frame; then reads on. */
  resumeReceiving(): void {
    if (!this.#paused) return
    this.#paused = false
    this.giveOut()
    if (!this.#paused) this.transport.resumeReading()
  }

  /** Sends what is buffered, then closes. No more frames are given out. */
  close(): void {
    this.transport.close()
  }

  // ------------------------------------------------------------------ told by the transport

  override connectionMade(transport: Transport): void {
    this.#transport = transport
  }

  override dataReceived(chunk: Buffer): void {
    if (this.#failed) return
    this.#queue.push(chunk)
    this.giveOut()
  }

  override eofReceived(): boolean {
    this.#ended = true
    this.giveOut()
    // Frames that a pause holds back are given out later, and may be answered.
    return !this.transport.closing
  }

  // ------------------------------------------------------------------ giving out

  /** @internal Gives out what there is, until the user pauses or closes. */
  protected giveOut(): void {
    if (this.#giving) return
    this.#giving = true
    try {
      while (this.#mayGive()) if (!this.giveOne(this.#queue, this.#ended)) break
      if (this.#ended && this.#mayGive()) this.#end()
    } finally {
      this.#giving = false
    }
  }

  #mayGive(): boolean {
    return !this.#paused && !this.#failed && !this.transport.closing
  }

  /** @internal Gives out one frame, if it is there. */
  protected giveOne(queue: ByteQueue, ended: boolean): boolean {
    let frame: In
    try {
      const found = this.#search.find(queue, ended)
      if (found === null) return false
      queue.drop(found.consumedBytes)
      this.#search.again()
      ;({ frame } = found)
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(nameOf(error), { cause: error }))
      return false
    }
    expectNothing(this, 'frameReceived', this.frameReceived(frame))
    return true
  }

  #end(): void {
    if (this.#queue.length > 0) {
      const partial = this.#queue.take(this.#queue.length)
      const peer = formatAddress(this.transport.remoteAddress)
      this.#fail(
        new IncompleteReadError(
          `receive from ${peer}: expected a frame (${this.codec.name}), found the end of the stream after ${String(partial.length)} bytes`,
          partial,
          this.#search.expected,
        ),
      )
      return
    }
    if (this.#toldEnd) return
    this.#toldEnd = true
    const returned = this.framesEnded()
    if (returned === true) return
    expectNothing(this, 'framesEnded', returned)
    this.close()
  }

  #fail(error: Error): void {
    this.#failed = true
    this.#queue.drop(this.#queue.length)
    expectNothing(this, 'framingFailed', this.framingFailed(error))
    const { transport } = this
    if (transport.closing) return
    // All of this library's can; what somebody else wrote may not.
    if ('fail' in transport) (transport as InnerTransport).fail(error)
    else transport.abort()
  }

  /** @internal Puts bytes before those that wait; the search begins anew. */
  protected putBack(bytes: Uint8Array): void {
    const queue = this.#queue
    const behind = queue.take(queue.length)
    queue.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
    queue.push(behind)
    this.#search.again()
  }
}
