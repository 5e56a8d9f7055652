/**
 * Frames over a stream. A read of a frame is one more read of the stream's reader: it is asked with every chunk whether
 * it can end, asks the codec, and takes the frame's bytes in the step in which it returns. So all that is true of the
 * other reads is true of it, and the two can be mixed: what stands behind a frame is still in the reader.
 */
import { wrongArgument } from '../../core/misuse.ts'
import type { Coroutine } from '../../core/suspension.ts'
import { Read } from '../read.ts'
import { StreamReader } from '../stream-reader.ts'
import { StreamWriter } from '../stream-writer.ts'
import type { Decoded, FrameCodec } from './frame-codec.ts'
import { FrameSearch } from './frame-search.ts'

/** What `framed` makes of a stream and a codec. */
export class Framed<In, Out = In> {
  /** How frames are written. */
  readonly codec: FrameCodec<In, Out>
  readonly #reader: StreamReader | null
  readonly #writer: StreamWriter | null

  /** @internal */
  constructor(codec: FrameCodec<In, Out>, reader: StreamReader | null, writer: StreamWriter | null) {
    this.codec = codec
    this.#reader = reader
    this.#writer = writer
  }

  /**
   * The reader below. It goes on behind the last frame that was read.
   *
   * @throws {MisuseError} if none was given
   */
  get reader(): StreamReader {
    return this.#reader ?? missing('read()', 'a reader')
  }

  /**
   * The writer below.
   *
   * @throws {MisuseError} if none was given
   */
  get writer(): StreamWriter {
    return this.#writer ?? missing('write()', 'a writer')
  }

  /**
   * Reads one frame. Suspends until it is complete. A read that is cancelled has taken nothing.
   *
   * @returns the frame, or `null` at the end of the stream
   * @throws {IncompleteReadError} if the stream ended within a frame; its `partial` has what came
   * @throws {LimitError} if the frame is longer than the codec's limit; {ProtocolError} if what came is no frame.
   *   Nothing is thrown away: the next read throws it again; `reader.read(error.consumedBytes)` gets past it, which
   *   helps where the next frame can be found, as with lines
   * @throws {ConnectionLostError} if the connection broke before the frame was complete; what came stays readable
   * @throws {BusyError} if another read waits
   */
  read(): Coroutine<In | null> {
    const read: Coroutine<In | null> = new ReadFrame(this.reader, this.codec)
    return read
  }

  /**
   * Buffers a frame. Does not suspend: call `drain` now and then, or use `send`.
   *
   * @throws what the codec's `encode` throws, mostly {LimitError} and {MisuseError}; and what `write` of a writer throws.
   *   In either case nothing was written
   */
  write(frame: Out): void {
    this.writer.write(this.#encoded(frame))
  }

  /**
   * Waits until the peer keeps up, as `drain` of a writer.
   *
   * @throws {ConnectionLostError} if the connection broke; {ClosedError} if it was closed
   */
  drain(): Coroutine<void> {
    return this.writer.drain()
  }

  /**
   * `write` and `drain` in one. If it is cancelled while it waits, the frame is buffered and will be sent.
   *
   * @throws what `encode` throws, at the call; what `write` and `drain` throw
   */
  send(frame: Out): Coroutine<void> {
    return this.writer.send(this.#encoded(frame))
  }

  #encoded(frame: Out): string | Uint8Array {
    const bytes = this.codec.encode(frame)
    // In one piece, so that all of it is written or nothing.
    return Array.isArray(bytes) ? Buffer.concat(bytes) : (bytes as string | Uint8Array)
  }

  /** Sends what is buffered, then closes the connection. Does not suspend. */
  close(): void {
    this.writer.close()
  }

  /** `using frames = framed(...)` closes it. */
  [Symbol.dispose](): void {
    this.#writer?.close()
  }

  /**
   * The frames, for `for await` in async functions; each as `read` returns it.
   *
   * @throws {ClosedError} if the run that the reader belongs to has ended
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<In, void, undefined> {
    const { runner, peer } = this.reader
    if (runner === null) {
      throw wrongArgument(
        'for await',
        'a reader made inside a run',
        this.reader,
        'make it inside `run(main)`',
      )
    }
    for (;;) {
      const frame = await runner.createTask(
        this.read(),
        { name: `${this.codec.name} from ${peer}` },
        'for await',
      )
      if (frame === null) return
      yield frame
    }
  }
}

/**
 * Reads and writes a stream frame by frame.
 *
 * It keeps no bytes of its own: a stream may be given another codec between two frames, and read by other means.
 *
 * @param stream a reader and a writer, as `openConnection` gives and handlers get them; one of them is enough
 * @param codec how frames are written: `lines()`, `lengthPrefixed()`, `netstrings()`, `jsonLines()`, or your own
 * @throws {MisuseError} if `stream` has neither, or `codec` is none
 *
 * Does not suspend.
 *
 * @example
 * import { framed, jsonLines, openConnection, run, startServer, type StreamReader, type StreamWriter } from 'cede'
 *
 * function* double(reader: StreamReader, writer: StreamWriter) {
 *   const frames = framed({ reader, writer }, jsonLines())
 *   for (let value; (value = yield* frames.read()) !== null; ) yield* frames.send(Number(value) * 2)
 * }
 * await run(function* () {
 *   const server = yield* startServer(double, { host: '127.0.0.1', port: 0 })
 *   const frames = framed(yield* openConnection({ host: '127.0.0.1', port: server.port }), jsonLines())
 *   yield* frames.send(21)
 *   console.log(yield* frames.read()) // 42
 *   frames.close()
 *   yield* server.shutdown()
 * })
 */
export function framed<In, Out>(
  stream: { readonly reader: StreamReader; readonly writer: StreamWriter },
  codec: FrameCodec<In, Out>,
): Framed<In, Out>
export function framed<In>(
  stream: { readonly reader: StreamReader; readonly writer?: undefined },
  codec: FrameCodec<In, never>,
): Framed<In, never>
export function framed<Out>(
  stream: { readonly reader?: undefined; readonly writer: StreamWriter },
  codec: FrameCodec<unknown, Out>,
): Framed<never, Out>
export function framed<In, Out>(
  stream: { readonly reader?: StreamReader | undefined; readonly writer?: StreamWriter | undefined },
  codec: FrameCodec<In, Out>,
): Framed<In, Out> {
  const { reader, writer } = checkedStream(stream)
  if (typeof codec?.encode !== 'function' || typeof codec.decode !== 'function') {
    throw wrongArgument(
      'framed()',
      'a codec',
      codec,
      'write `framed(stream, lines())`, with the parentheses, or give an object with `name`, `encode` and `decode`',
    )
  }
  return new Framed(codec, reader ?? null, writer ?? null)
}

function checkedStream(stream: unknown): {
  readonly reader: StreamReader | undefined
  readonly writer: StreamWriter | undefined
} {
  const { reader, writer } = (stream ?? {}) as { reader?: unknown; writer?: unknown }
  if (
    (reader !== undefined || writer !== undefined) &&
    (reader === undefined || reader instanceof StreamReader) &&
    (writer === undefined || writer instanceof StreamWriter)
  ) {
    return { reader, writer }
  }
  throw wrongArgument(
    'framed()',
    'a stream with a reader, a writer, or both',
    stream,
    'write `framed({ reader, writer }, codec)`',
  )
}

function missing(act: string, what: string): never {
  throw wrongArgument(
    `${act} of a framed stream`,
    what,
    undefined,
    `give it to \`framed({ reader, writer }, codec)\``,
  )
}

class ReadFrame<In> extends Read<In | null> {
  readonly #name: string
  readonly #search: FrameSearch<In>
  #decoded: Decoded<In> | null = null
  /** What the codec threw, in a list, since it can be anything. */
  #failure: readonly [unknown] | null = null

  constructor(reader: StreamReader, codec: FrameCodec<In, never>) {
    super(reader)
    this.#name = codec.name
    this.#search = new FrameSearch(codec)
  }

  protected override get act(): string {
    return 'read()'
  }

  protected override get wanted(): string {
    return `a frame (${this.#name})`
  }

  override canEnd(): boolean {
    try {
      this.#find()
    } catch (error) {
      this.#failure = [error]
      return true
    }
    return this.#decoded !== null || this.reader.ended
  }

  protected override searchAgain(): void {
    this.#search.again()
    this.#failure = null
  }

  /** What a broken connection cuts off is no end: then the last line, say, may be half of one. */
  #find(): void {
    const { reader } = this
    this.#decoded = this.#search.find(reader.queue, reader.ended && reader.exception() === null)
  }

  protected override end(): In | null {
    const { reader } = this
    if (this.#failure !== null) {
      // Thrown again from here, so that the stack leads to the read and not to what brought the bytes.
      this.#search.again()
      this.#find()
      throw this.#failure[0]
    }
    if (this.#decoded !== null) {
      reader.drop(this.#decoded.consumedBytes)
      return this.#decoded.frame
    }
    if (reader.exception() !== null) throw this.lost()
    if (reader.queue.length === 0) return null
    throw this.incomplete(this.#search.expected)
  }
}
