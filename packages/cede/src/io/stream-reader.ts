/**
 * A reader: the bytes of a stream as coroutines want them, by line, by count, up to a separator.
 *
 * Bytes come in from outside (`feedData`) and wait in a queue. A read looks at the queue; if what it wants is there it
 * takes it and never suspends. Otherwise it becomes the reader's one waiting read, and with every chunk that comes it
 * is asked again whether it can end. So a task is woken once per read, not once per chunk, and bytes leave the queue
 * only in the step in which the read returns them: a read that is cancelled has taken nothing.
 *
 * When the stream ends or breaks, what came before is still given out. Only a read that needs more than that is told.
 *
 * Reading from the socket pauses when more than twice the limit is waiting, and goes on when no more than the limit is,
 * or when a read waits that needs more.
 */
import { Buffer } from 'node:buffer'
import { printsAs } from '../core/inspect.ts'
import { nameOf, wrongArgument } from '../core/misuse.ts'
import type { Runner } from '../core/runner.ts'
import { running } from '../core/running.ts'
import type { Coroutine, CoroutineIterator, Operation } from '../core/suspension.ts'
import { checkSize, formatAddress } from './address.ts'
import { ByteQueue } from './byte-queue.ts'
import { ReadLine, ReadTextLine } from './line-reads.ts'
import { eachLine, Items } from './read-items.ts'
import type { Read } from './read.ts'
import { Peek, ReadAll, ReadExactly, ReadSome, ReadUntil } from './reads.ts'
import { LONGEST_CHARACTER, ReadAllText, ReadSomeText } from './text-reads.ts'
import type { Transport } from './transport.ts'

export const DEFAULT_LIMIT_BYTES = 65_536

export interface StreamReaderOptions {
  /** How long a line, or what stands before a separator, may be, in bytes. Default: 65,536. */
  readonly limitBytes?: number | undefined
}

/** A separator for `readUntil`: a string (as UTF-8) or bytes. */
export type Separator = string | Uint8Array

/** Where the bytes come from: paused when too many wait. */
export type ByteSource = Pick<Transport, 'pauseReading' | 'resumeReading' | 'remoteAddress'>

/**
 * The receiving half of a stream. One read at a time; a second one is refused while the first waits.
 *
 * @example
 * import { openConnection, run, startServer, type StreamReader, type StreamWriter } from 'cede'
 *
 * function* greet(reader: StreamReader, writer: StreamWriter) {
 *   const name = yield* reader.readLine()
 *   yield* writer.send(`hello ${name?.toString().trimEnd() ?? 'nobody'}\n`)
 * }
 * await run(function* () {
 *   const server = yield* startServer(greet, { host: '127.0.0.1', port: 0 })
 *   const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
 *   yield* writer.send('ada\n')
 *   console.log((yield* reader.readLine())?.toString())
 *   writer.close()
 *   yield* server.shutdown()
 * })
 */
export class StreamReader {
  static {
    printsAs(this.prototype, (reader) => {
      const end = reader.ended ? (reader.exception() === null ? ', ended' : ', lost') : ''
      return `StreamReader(${reader.peer}, ${String(reader.bufferedBytes)} bytes to read${end})`
    })
  }

  /** How long a line, or what stands before a separator, may be, in bytes. */
  readonly limitBytes: number
  /** @internal */
  readonly queue: ByteQueue = new ByteQueue()
  /** @internal The read that waits, or that was woken and has not been stepped. */
  pending: Read<unknown> | null = null
  /** @internal A read of a line that has ended and can be given out again: a loop over lines makes one object. */
  spareLine: ReadLine | null = null
  /** @internal */
  spareTextLine: ReadTextLine | null = null
  #source: ByteSource | null = null
  /** Reading goes on at so many waiting bytes, and pauses above twice as many. Lines without a limit still wait. */
  readonly #goOnBytes: number
  #paused = false
  #eof = false
  #error: Error | null = null
  readonly #runner: Runner | null

  /**
   * A reader that is fed by hand; those of connections come with them.
   *
   * @throws {RangeError} if `limitBytes` is not a whole number above 0
   */
  constructor(options?: StreamReaderOptions)
  /** @internal */
  constructor(options?: StreamReaderOptions, runner?: Runner)
  constructor(options: StreamReaderOptions = {}, runner: Runner | null = running.runner) {
    checkSize('StreamReader', 'limitBytes', options.limitBytes)
    this.limitBytes = options.limitBytes ?? DEFAULT_LIMIT_BYTES
    this.#goOnBytes = Number.isFinite(this.limitBytes) ? this.limitBytes : DEFAULT_LIMIT_BYTES
    this.#runner = runner
  }

  // ------------------------------------------------------------------ for coroutines

  /**
   * Reads what is there, at least 1 byte and at most `size`; without `size`, everything up to the end of the stream.
   *
   * Suspends if nothing is there (without `size`: until the end). The limit does not apply: without `size`, everything
   * that comes is kept in memory.
   *
   * @param size bytes; 0 reads nothing
   * @returns the bytes, or `null` at the end of the stream
   * @throws {ConnectionLostError} if the connection broke and nothing is left (without `size`: in any case; what came
   *   can then be read with a size)
   * @throws {BusyError} if another read waits; {RangeError} at the call, if `size` is not a whole number
   */
  read(size?: number): Coroutine<Buffer | null> {
    if (size === undefined) return operation(new ReadAll(this))
    return operation(new ReadSome(this, checkCount('read()', size)))
  }

  /**
   * Reads exactly `size` bytes. Suspends until they are there. The limit does not apply.
   *
   * @param size bytes
   * @throws {IncompleteReadError} if the stream ended before; its `partial` has what came
   * @throws {ConnectionLostError} if the connection broke before; what came stays readable
   * @throws {BusyError} if another read waits; {RangeError} at the call, if `size` is not a whole number
   */
  readExactly(size: number): Coroutine<Buffer> {
    return operation(new ReadExactly(this, checkCount('readExactly()', size)))
  }

  /**
   * Reads one line, with its newline (`\n`). Suspends until it is there.
   *
   * @returns the line; at the end of the stream what is left without a newline, and then `null`
   * @throws {LimitError} if the line is longer than `limitBytes`, the newline not counted. Nothing is thrown away:
   *   `read(error.consumedBytes)` gets the bytes
   * @throws {ConnectionLostError} if the connection broke before the end of the line; what came stays readable
   * @throws {BusyError} if another read waits
   */
  readLine(): Coroutine<Buffer | null> {
    const spare = this.spareLine
    if (spare === null) return operation(new ReadLine(this))
    this.spareLine = null
    spare.claimed = false
    return operation(spare)
  }

  /**
   * Reads one line as text (UTF-8), without its ending, `\n` or `\r\n`. Bytes that are no UTF-8 become U+FFFD. Suspends
   * until it is there.
   *
   * @returns the line; at the end of the stream what is left without a newline, and then `null`
   * @throws what `readLine` throws
   */
  readTextLine(): Coroutine<string | null> {
    const spare = this.spareTextLine
    if (spare === null) return operation(new ReadTextLine(this))
    this.spareTextLine = null
    spare.claimed = false
    return operation(spare)
  }

  /**
   * Reads as text (UTF-8): without `size`, everything up to the end of the stream; with it, what is there, but at most
   * `size` bytes, and never half a character: the bytes of one that has not come whole stay. Bytes that are no UTF-8
   * become U+FFFD. Suspends until something is there.
   *
   * @param size bytes, 4 or more
   * @returns the text, or `null` at the end of the stream
   * @throws what `read` throws; {RangeError} at the call, if `size` is less than 4
   */
  readText(size?: number): Coroutine<string | null> {
    if (size === undefined) return operation(new ReadAllText(this))
    if (Number.isInteger(size) && size >= LONGEST_CHARACTER) return operation(new ReadSomeText(this, size))
    throw new RangeError(
      `readText(): a whole number of bytes was expected, ${String(LONGEST_CHARACTER)} or more (a character may have as many), found ${nameOf(size)}`,
    )
  }

  /**
   * Looks at the next bytes and leaves them where they are. Suspends until there are `size` of them, or the stream ends.
   * The limit does not apply.
   *
   * @param size bytes, 1 or more
   * @returns `size` bytes, or fewer if the stream ended or broke before; `null` at its end. They must not be changed
   * @throws {ConnectionLostError} if the connection broke and nothing is left
   * @throws {BusyError} if another read waits; {RangeError} at the call, if `size` is not a whole number above 0
   */
  peek(size: number): Coroutine<Buffer | null> {
    if (size === 0) checkSize('peek()', 'size', size)
    return operation(new Peek(this, checkCount('peek()', size)))
  }

  /**
   * The lines, one by one, each as `readLine` returns it: for a loop in a generator.
   *
   * @example
   * import { run, StreamReader } from 'cede'
   *
   * await run(function* () {
   *   const reader = new StreamReader()
   *   reader.feedData(Buffer.from('one\ntwo\n'))
   *   reader.feedEof()
   *   const lines = reader.lines()
   *   for (let line = yield* lines.next(); !line.done; line = yield* lines.next()) {
   *     console.log(line.value.toString().trimEnd())
   *   }
   * })
   */
  lines(): CoroutineIterator<Buffer> {
    return new Items('lines()', () => new ReadLine(this))
  }

  /** As `lines`, each as `readTextLine` returns it. */
  textLines(): CoroutineIterator<string> {
    return new Items('textLines()', () => new ReadTextLine(this))
  }

  /** The chunks as they come, at most `size` bytes each (default: 65,536): for a loop in a generator. */
  chunks(size = 65_536): CoroutineIterator<Buffer> {
    checkSize('chunks()', 'size', size)
    return new Items('chunks()', () => new ReadSome(this, size))
  }

  /**
   * Calls a coroutine function with each line, as `readTextLine` returns it: a string without its ending. Until the stream
   * ends or `body` returns `false`. Suspends as reads do, and where the body does.
   *
   * @throws what `readTextLine` and the body throw
   */
  forEachLine(body: (line: string) => Operation<unknown>): Coroutine<void> {
    if (typeof body !== 'function') {
      throw wrongArgument(
        'forEachLine()',
        'a coroutine function',
        body,
        'write `forEachLine(function* (line) { ... })`',
      )
    }
    return eachLine(this, body)
  }

  /** How many bytes were received and not read. */
  get bufferedBytes(): number {
    return this.queue.length
  }

  /**
   * Reads through the first separator. Of several, the one that ends first counts. Suspends until it is there.
   *
   * @param separators one, or several that any of may come: strings (as UTF-8) or bytes
   * @returns the bytes with the separator
   * @throws {LimitError} if more than `limitBytes` stand before it. Nothing is thrown away: `read(error.consumedBytes)`
   *   gets the bytes
   * @throws {IncompleteReadError} if the stream ended before; its `partial` has what came
   * @throws {ConnectionLostError} if the connection broke before; what came stays readable
   * @throws {BusyError} if another read waits; {MisuseError} at the call, if a separator is empty, or there is none
   */
  readUntil(separators: Separator | readonly Separator[]): Coroutine<Buffer> {
    return operation(new ReadUntil(this, separatorsOf(separators)))
  }

  /** True if the stream has ended and everything was read. */
  atEof(): boolean {
    return this.#eof && this.queue.length === 0
  }

  /** Why no more bytes will come, if the connection broke; else null. */
  exception(): Error | null {
    return this.#error
  }

  /**
   * The lines, for `for await` in async functions; each as `readLine` returns it.
   *
   * @throws {ClosedError} if the run that the reader belongs to has ended
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    const runner = this.#runner
    if (runner === null) {
      throw wrongArgument('for await', 'a reader made inside a run', this, 'make it inside `run(main)`')
    }
    for (;;) {
      const line = await runner.createTask(this.readLine(), { name: `lines from ${this.peer}` }, 'for await')
      if (line === null) return
      yield line
    }
  }

  // ------------------------------------------------------------------ for what feeds it

  /** Adds bytes that were received; they belong to the reader from now on. Ignored after the end. */
  feedData(chunk: Uint8Array): void {
    if (this.#eof || this.#error !== null) return
    this.queue.push(
      Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length),
    )
    this.#changed()
    if (!this.#paused && this.queue.length > 2 * this.#goOnBytes && !this.#needsMore()) this.#pause()
  }

  /** No more bytes will come. */
  feedEof(): void {
    if (this.#eof || this.#error !== null) return
    this.#eof = true
    this.#changed()
  }

  /**
   * No more bytes will come, because of an error. Bytes that are there can still be read; a read that needs more
   * throws the error.
   */
  setException(error: Error): void {
    if (this.#eof || this.#error !== null) return
    this.#error = error
    this.#changed()
  }

  /** @internal */
  attach(source: ByteSource): void {
    this.#source = source
  }

  /** @internal Whose bytes these are, for messages: `127.0.0.1:4312`. */
  get peer(): string {
    return this.#source === null ? 'a stream' : formatAddress(this.#source.remoteAddress)
  }

  // ------------------------------------------------------------------ for reads

  /** @internal */
  get ended(): boolean {
    return this.#eof || this.#error !== null
  }

  /** @internal A read parks: what it needs must be able to come. */
  wait(read: Read<unknown>): void {
    this.pending = read
    this.queue.settle()
    if (this.#paused) this.#resume()
  }

  /** @internal */
  take(count: number): Buffer {
    const taken = this.queue.take(count)
    this.#resumeIfLow()
    return taken
  }

  /** @internal Takes what was looked at already. */
  drop(count: number): void {
    this.queue.drop(count)
    this.#resumeIfLow()
  }

  /** @internal */
  get debugged(): boolean {
    return this.#runner !== null && this.#runner.debug !== null
  }

  /** @internal The runner that it was made in. */
  get runner(): Runner | null {
    return this.#runner
  }

  #changed(): void {
    const { pending } = this
    if (pending === null || pending.woken) return
    if (pending.canEnd()) pending.wake()
    else this.queue.settle()
  }

  #needsMore(): boolean {
    return this.pending !== null && !this.pending.woken
  }

  #resumeIfLow(): void {
    if (this.#paused && this.queue.length <= this.#goOnBytes) this.#resume()
  }

  #pause(): void {
    this.#paused = true
    this.#source?.pauseReading()
  }

  #resume(): void {
    this.#paused = false
    this.#source?.resumeReading()
  }
}

function operation<T>(read: Read<T>): Coroutine<T> {
  return read
}

function checkCount(act: string, size: number): number {
  if (Number.isInteger(size) && size >= 0) return size
  throw new RangeError(`${act}: a whole number of bytes was expected, found ${nameOf(size)}`)
}

function separatorsOf(given: Separator | readonly Separator[]): readonly Uint8Array[] {
  const list = typeof given === 'string' || given instanceof Uint8Array ? [given] : given
  const separators: readonly unknown[] = Array.isArray(list) ? list : []
  const bad = separators.findIndex(
    (one) => !(typeof one === 'string' || one instanceof Uint8Array) || one.length === 0,
  )
  if (separators.length > 0 && bad === -1) {
    return (separators as readonly Separator[]).map((one) =>
      typeof one === 'string' ? Buffer.from(one) : one,
    )
  }
  throw wrongArgument(
    'readUntil()',
    'a separator of 1 byte or more, or several',
    bad === -1 ? given : separators[bad],
    'write `readUntil("\\r\\n")`, or `readUntil(["\\r\\n", "\\n"])`',
  )
}
