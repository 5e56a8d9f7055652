/**
 * A writer: the sending half of a stream.
 *
 * `write` never waits: it hands the bytes to the transport, which collects what is written in one pass and sends it in
 * one go. So that a fast writer cannot fill the memory for a slow reader, `drain` waits while more than the high-water
 * mark is buffered, and whoever writes without ever draining meets the hard limit.
 *
 * Bytes that can no longer be sent are never dropped in silence: what was closed by you, or broken by the peer, throws
 * at the next `write` or `drain`; and a connection that broke before everything was sent throws at `waitClosed`.
 */
import { Buffer } from 'node:buffer'
import { ClosedError, MisuseError } from '../core/errors.ts'
import { coroutine } from '../core/coroutine.ts'
import { printsAs } from '../core/inspect.ts'
import { GIVE_WAY, Leaf } from '../core/leaf.ts'
import { wrongArgument } from '../core/misuse.ts'
import { answerProbe, isProbe } from '../core/probe.ts'
import { announce, mayFinishNow, running } from '../core/running.ts'
import { checkpoint } from '../core/sleep.ts'
import type { Coroutine, Suspension, WaitDescription } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import { WaitQueue } from '../core/wait-queue.ts'
import { withCallers } from '../core/with-callers.ts'
import { checkSize, formatAddress, type SocketAddress } from './address.ts'
import { ConnectionLostError, LimitError } from './errors.ts'
import type { Transport } from './transport.ts'

export const DEFAULT_HARD_LIMIT_BYTES = 16_777_216

export interface StreamWriterOptions {
  /** `drain` waits while more bytes than this are buffered. Default: 65,536, or 4 times `lowWaterBytes`. */
  readonly highWaterBytes?: number | undefined
  /** A `drain` that waits goes on when no more than this is left. Default: a quarter of `highWaterBytes`. */
  readonly lowWaterBytes?: number | undefined
  /**
   * The most that may be buffered, in bytes: a `write` beyond it throws. Default: 16,777,216. One single write into an
   * empty buffer may be larger.
   */
  readonly hardLimitBytes?: number | undefined
  /**
   * After `close`, or the end of a server's handler: if the peer takes nothing of what is buffered for so many
   * milliseconds, the connection is cut. Each byte it takes starts the time anew. Default: 60,000; `Infinity`: no limit.
   */
  readonly flushMs?: number | undefined
}

/** How a writer stands. Each state is final but the first two. */
type State =
  | 'open'
  /** `writeEof` was called. */
  | 'ended'
  /** `close` or `abort` was called. */
  | 'closing'
  /** The transport is gone, because it was closed. */
  | 'closed'
  /** The transport is gone, because of an error. */
  | 'lost'

/**
 * The sending half of a stream.
 *
 * @example
 * import { openConnection, run, startServer, type StreamReader, type StreamWriter } from 'cede'
 *
 * function* count(_reader: StreamReader, writer: StreamWriter) {
 *   for (let i = 1; i <= 10_000; i++) {
 *     writer.write(`${i}\n`)
 *     yield* writer.drain() // waits only if the peer does not keep up
 *   }
 * }
 * await run(function* () {
 *   const server = yield* startServer(count, { host: '127.0.0.1', port: 0 })
 *   const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
 *   console.log((yield* reader.read())?.length)
 *   writer.close()
 *   yield* server.shutdown()
 * })
 */
export class StreamWriter {
  static {
    printsAs(
      this.prototype,
      (writer) =>
        `StreamWriter(${writer.peer}, ${String(writer.bufferedBytes)} bytes to send, ${writer.#state})`,
    )
  }

  /** What carries the bytes. */
  readonly transport: Transport
  readonly #hardLimitBytes: number
  #state: State = 'open'
  #error: Error | null = null
  /** More than the high-water mark is buffered. */
  #full = false
  /** @internal A drain that has ended without waiting. */
  spareDrain: Drain | null = null
  // These two are made when somebody waits: most connections never have them.
  #drains: Set<Drain> | null = null
  #ending: WaitQueue | null = null

  /** @internal */
  constructor(transport: Transport, options: StreamWriterOptions = {}) {
    this.transport = transport
    this.#hardLimitBytes = options.hardLimitBytes ?? DEFAULT_HARD_LIMIT_BYTES
    if (options.flushMs !== undefined) transport.flushMs = options.flushMs
    const { highWaterBytes, lowWaterBytes } = options
    if (highWaterBytes !== undefined || lowWaterBytes !== undefined) this.setWaterMarks(options)
  }

  /** The other end. */
  get remoteAddress(): SocketAddress {
    return this.transport.remoteAddress
  }

  /** This end. */
  get localAddress(): SocketAddress {
    return this.transport.localAddress
  }

  /** The other end as text: `127.0.0.1:4312`. */
  get peer(): string {
    return formatAddress(this.transport.remoteAddress)
  }

  /** How many bytes were written and not yet taken by the system. */
  get bufferedBytes(): number {
    return this.transport.bufferedBytes
  }

  /** True if `writeEof` can end one direction without the other. */
  get canWriteEof(): boolean {
    return this.transport.canWriteEof
  }

  /** True from `close` or `abort` on, and when the connection is gone. */
  get closing(): boolean {
    return this.#state !== 'open' && this.#state !== 'ended'
  }

  // ------------------------------------------------------------------ writing

  /**
   * Buffers `data`. Does not suspend: call `drain` now and then, or use `send`.
   *
   * @param data a string (as UTF-8) or bytes, which must not be changed afterwards
   * @throws {ConnectionLostError} if the connection broke
   * @throws {ClosedError} after `close`, `abort` or `writeEof`
   * @throws {LimitError} if more than `hardLimitBytes` would be buffered; nothing of `data` was written
   * @throws {MisuseError} if `data` is neither string nor bytes
   */
  write(data: string | Uint8Array): void {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data
    if (!(bytes instanceof Uint8Array)) throw notData('write()', data)
    if (this.#state !== 'open') throw this.#unusable('write()')
    // Unless it is full, no more than the high-water mark is buffered: what is must not be counted for each write.
    if (this.#full || bytes.length > this.#hardLimitBytes - this.transport.writeMarks.highWaterBytes)
      this.#checkHardLimit(bytes.length)
    this.transport.write(bytes)
  }

  #checkHardLimit(more: number): void {
    const buffered = this.bufferedBytes
    if (buffered === 0 || buffered + more <= this.#hardLimitBytes) return
    throw new LimitError(
      `write() to ${this.peer}: expected no more than ${String(this.#hardLimitBytes)} bytes to be buffered (option ` +
        `hardLimitBytes), found ${String(buffered)} and ${String(more)} more; write \`yield* writer.drain()\` after writing`,
      this.#hardLimitBytes,
      0,
    )
  }

  /**
   * Buffers several. Does not suspend.
   *
   * @param list strings (as UTF-8) or bytes, as they are: no newline is added
   * @throws what `write` throws; what stands before the one that could not be written is written
   */
  writeLines(list: Iterable<string | Uint8Array>): void {
    for (const data of list) this.write(data)
  }

  /**
   * Waits until the peer keeps up. Suspends only if more than the high-water mark is buffered, until no more than the
   * low-water mark is left.
   *
   * @throws {ConnectionLostError} if the connection broke
   * @throws {ClosedError} if it was closed
   */
  drain(): Coroutine<void> {
    const spare = this.spareDrain
    if (spare === null) return new Drain(this)
    this.spareDrain = null
    spare.claimed = false
    return spare
  }

  /**
   * `write` and `drain` in one. If it is cancelled while it waits, `data` is buffered and will be sent.
   *
   * @param data a string (as UTF-8) or bytes, which must not be changed afterwards
   * @throws {MisuseError} at the call, for other data; otherwise what `write` and `drain` throw
   */
  send(data: string | Uint8Array): Coroutine<void> {
    if (typeof data !== 'string' && !(data instanceof Uint8Array)) throw notData('send()', data)
    return new Send(this, data)
  }

  /**
   * Moves the marks between which `drain` waits; checked at once. One alone sets the other: low is a quarter of high.
   *
   * @throws {RangeError} if one is no whole number above 0, or low is above high
   */
  setWaterMarks(marks: Pick<StreamWriterOptions, 'highWaterBytes' | 'lowWaterBytes'>): void {
    this.transport.writeMarks = checkedMarks('setWaterMarks()', marks, this.transport.writeMarks)
  }

  // ------------------------------------------------------------------ ending

  /**
   * Says that nothing more will be written, when the buffer is sent; reading goes on. Again, or after `close`, it does
   * nothing. Does not suspend.
   *
   * @throws {MisuseError} if the connection cannot end one direction alone (`canWriteEof`)
   */
  writeEof(): void {
    if (this.#state !== 'open') return
    if (!this.canWriteEof) {
      throw new MisuseError(
        `writeEof() to ${this.peer}: a connection was expected whose directions end apart, found one that can only be closed`,
      )
    }
    this.#state = 'ended'
    this.transport.writeEof()
  }

  /** Sends what is buffered, then closes the connection; nothing more is read. Does not suspend. */
  close(): void {
    if (this.closing) return
    this.#state = 'closing'
    this.transport.close()
  }

  /** Closes the connection at once with a reset; what is buffered is dropped. Does not suspend. */
  abort(): void {
    if (this.#state === 'closed' || this.#state === 'lost') return
    this.#state = 'closing'
    this.transport.abort()
  }

  /**
   * Waits until the connection is closed. Suspends until then.
   *
   * @throws {ConnectionLostError} if it broke, so that what was buffered may not have arrived
   */
  waitClosed(): Coroutine<void> {
    return closed(this)
  }

  /** @internal */
  *untilClosed(): Generator<Suspension, void> {
    if (this.#state === 'closed' || this.#state === 'lost') yield* checkpoint()
    else yield* this.#untilGone().wait()
    if (this.#error !== null) throw this.#unusable('waitClosed()')
  }

  #untilGone(): WaitQueue {
    return (this.#ending ??= new WaitQueue(() => ({
      what: `the end of the connection to ${this.peer}, ${String(this.bufferedBytes)} bytes to send`,
    })))
  }

  /** `using writer = ...` closes it. */
  [Symbol.dispose](): void {
    this.close()
  }

  // ------------------------------------------------------------------ told by the protocol

  /** @internal */
  pauseWriting(): void {
    this.#full = true
  }

  /** @internal */
  resumeWriting(): void {
    this.#full = false
    if (this.#drains === null) return
    for (const drain of this.#drains) drain.wake()
    this.#drains.clear()
  }

  /** @internal */
  connectionLost(error: Error | null): void {
    this.#state = error === null ? 'closed' : 'lost'
    this.#error = error
    this.resumeWriting()
    this.#ending?.wakeAll()
  }

  // ------------------------------------------------------------------ for drains

  /** @internal False while a drain has to wait. @throws why it would wait for ever */
  drained(): boolean {
    if (this.#state === 'closed' || this.#state === 'lost') throw this.#unusable('drain()')
    return !this.#full
  }

  /** @internal */
  addDrain(drain: Drain): void {
    this.#drains ??= new Set()
    this.#drains.add(drain)
  }

  /** @internal */
  removeDrain(drain: Drain): void {
    this.#drains?.delete(drain)
  }

  #unusable(act: string): Error {
    const attempted = `${act} to ${this.peer}: expected an open connection`
    if (this.#error !== null) return withCallers(new ConnectionLostError(attempted, this.#error))
    const found = this.#state === 'ended' ? 'writeEof() was called' : 'it was closed'
    return withCallers(new ClosedError(`${attempted}, found that ${found}`))
  }
}

const closed = coroutine('waitClosed', function* (writer: StreamWriter): Generator<Suspension, void> {
  yield* writer.untilClosed()
})

const DONE: IteratorReturnResult<void> = Object.freeze({ done: true, value: undefined })

class Drain extends Leaf<void> {
  protected readonly writer: StreamWriter
  #task: Task | null = null

  constructor(writer: StreamWriter) {
    super()
    this.writer = writer
  }

  next(value?: unknown): IteratorResult<Suspension, void> {
    if (isProbe(value)) return answerProbe()
    const drained = this.writer.drained()
    if (this.#task !== null) return DONE
    if (!drained) return announce(this)
    if (!mayFinishNow()) return announce(GIVE_WAY)
    this.neverWaited()
    return DONE
  }

  /** It can be given out again: a loop that drains after each write makes one object. A second use is refused until then. */
  protected neverWaited(): void {
    if (running.runner!.debug === null) this.writer.spareDrain = this
  }

  park(task: Task): void {
    this.#task = task
    this.writer.addDrain(this)
  }

  unpark(): void {
    this.writer.removeDrain(this)
  }

  wake(): void {
    this.#task!.resume(undefined)
  }

  describe(): WaitDescription {
    return { what: `${this.writer.peer} to take ${String(this.writer.bufferedBytes)} buffered bytes` }
  }
}

class Send extends Drain {
  protected override neverWaited(): void {}
  #data: string | Uint8Array | null

  constructor(writer: StreamWriter, data: string | Uint8Array) {
    super(writer)
    this.#data = data
  }

  override next(value?: unknown): IteratorResult<Suspension, void> {
    if (isProbe(value)) return answerProbe()
    if (this.#data !== null) {
      // A cancelled task writes nothing.
      if (!this.#gaveWay && !mayFinishNow()) {
        this.#gaveWay = true
        return announce(GIVE_WAY)
      }
      const data = this.#data
      this.#data = null
      this.writer.write(data)
      if (this.writer.drained()) return DONE
    }
    return super.next(value)
  }
  #gaveWay = false
}

function notData(act: string, data: unknown): Error {
  return wrongArgument(
    act,
    'a string or a Uint8Array',
    data,
    'write `JSON.stringify(value)` for other values',
  )
}

/** @throws {RangeError} if a size is wrong, or low is above high */
export function checkedMarks(
  act: string,
  { highWaterBytes, lowWaterBytes }: Pick<StreamWriterOptions, 'highWaterBytes' | 'lowWaterBytes'>,
  usual: { readonly highWaterBytes: number; readonly lowWaterBytes: number },
): { highWaterBytes: number; lowWaterBytes: number } {
  checkSize(act, 'highWaterBytes', highWaterBytes)
  checkSize(act, 'lowWaterBytes', lowWaterBytes)
  const high = highWaterBytes ?? (lowWaterBytes === undefined ? usual.highWaterBytes : 4 * lowWaterBytes)
  const low =
    lowWaterBytes ?? (highWaterBytes === undefined ? usual.lowWaterBytes : Math.floor(highWaterBytes / 4))
  if (low <= high) return { highWaterBytes: high, lowWaterBytes: low }
  throw new RangeError(
    `${act}: lowWaterBytes was expected to be at most highWaterBytes, found ${String(low)} and ${String(high)}`,
  )
}
