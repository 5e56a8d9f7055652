/**
 * What all transports have in common: flow control, the order of what protocols are told, and writes that are collected.
 *
 * What is written in one pass of the loop is handed to the system at the end of the pass, or as soon as it is much: many
 * small writes are one system call. A subclass moves the bytes and tells what came (`received`, `ended`, `lost`).
 *
 * Fields are not private names: V8 is slow at those in a base class with several subclasses.
 */
import type { Loop } from '../core/loop.ts'
import { ClosedError } from '../core/errors.ts'
import { printsAs } from '../core/inspect.ts'
import type { Entry } from '../core/ready-queue.ts'
import { leaveStep } from '../core/running.ts'
import type { Runner } from '../core/runner.ts'
import type { TimerHandle } from '../core/timer-handle.ts'
import { formatAddress, type SocketAddress } from './address.ts'
import type { AnyProtocol } from './protocol.ts'
import {
  DEFAULT_FLUSH_MS,
  DEFAULT_HIGH_WATER_BYTES,
  DEFAULT_LOW_WATER_BYTES,
  type InnerTransport,
  type TransportEvents,
  type WriteMarks,
} from './transport.ts'

/** So much is handed to the system at once; up to so much, small writes are joined into one. */
export const FLUSH_BYTES = 65_536

/** Writes into a lost connection, after which the exception handler is told. */
const LOST_WRITES_TOLD = 5

/** Shared by all that have written nothing. */
const NOTHING_COLLECTED: Uint8Array[] = []

const NOTHING: readonly Uint8Array[] = [new Uint8Array(0)]

const DEFAULT_MARKS: WriteMarks = {
  highWaterBytes: DEFAULT_HIGH_WATER_BYTES,
  lowWaterBytes: DEFAULT_LOW_WATER_BYTES,
}

export abstract class BaseTransport implements InnerTransport, Entry {
  static {
    printsAs(this.prototype, (transport) => {
      const state = transport.gone ? 'gone' : transport.closing ? 'closing' : 'open'
      return `Transport(${formatAddress(transport.remoteAddress)}, ${state})`
    })
  }

  readonly remoteAddress: SocketAddress
  /** Whoever is told. */
  protected readonly events: TransportEvents
  protected readonly runner: Runner
  /** Written, and not yet handed to the system. */
  protected collected: Uint8Array[] = NOTHING_COLLECTED
  protected collectedBytes = 0
  /** What was queued after the last flush: no more than that is left of it, and asking the system costs. */
  private queuedAtMost = 0
  private flushAsked = false
  private marks: WriteMarks = DEFAULT_MARKS
  private writingPaused = false
  /** The system was asked to tell when it has taken what it was handed. */
  private telling = false
  private readingPaused = false
  private started = false
  private lostWrites = 0
  flushMs: number = DEFAULT_FLUSH_MS
  private flushTimer: TimerHandle | null = null
  /** `writeEof` was called. */
  protected eofWanted = false
  /** The peer's direction has ended. */
  protected eofSeen = false
  /** `close` or `abort` was called, or the connection is gone. */
  closing = false
  /** `connectionLost` was told. */
  protected gone = false

  constructor(events: TransportEvents, runner: Runner, remote: SocketAddress) {
    this.events = events
    this.runner = runner
    this.remoteAddress = remote
  }

  protected get loop(): Loop {
    return this.runner.loop
  }

  /** Tells `connectionMade`, then starts to read. Called by the subclass, once, when it is ready for anything. */
  protected begin(): void {
    this.events.connectionMade(this)
    this.started = true
    if (!this.readingPaused && !this.closing) this.startReading()
  }

  get protocol(): AnyProtocol {
    return this.events.protocol
  }

  set protocol(protocol: AnyProtocol) {
    this.events.protocol = protocol
  }

  get canWriteEof(): boolean {
    return true
  }

  // ------------------------------------------------------------------ what a subclass does

  abstract get localAddress(): SocketAddress

  /** Bytes handed to the system that it has not taken. */
  protected abstract get queuedBytes(): number

  /** A subclass that knows it to the byte says so. */
  get leftBytes(): number {
    return this.bufferedBytes
  }

  protected abstract startReading(): void
  protected abstract stopReading(): void
  /** Hands bytes to the system; to `tell`, it calls `sent` when it has taken all of them. */
  protected abstract send(chunks: readonly Uint8Array[], bytes: number, tell: boolean): void
  /** Ends this direction when the buffer is empty. */
  protected abstract sendEof(): void
  /**
   * Closes when the buffer is empty; `lost` follows.
   *
   * @param unread reading was paused: the system may hold bytes that nobody will read
   */
  protected abstract shut(unread: boolean): void
  /** Closes at once with a reset; `lost` follows, with `error` unless a better reason is known. */
  protected abstract cut(error: Error | null): void

  // ------------------------------------------------------------------ what a subclass tells

  protected received(chunk: Buffer): void {
    try {
      this.events.dataReceived(chunk)
    } catch (error) {
      this.layerThrew(error)
    }
  }

  protected ended(): void {
    if (this.eofSeen) return
    this.eofSeen = true
    try {
      if (!this.events.eofReceived()) this.close()
    } catch (error) {
      this.layerThrew(error)
    }
  }

  /** A policy of the program, as its protocols do not throw: that ends the connection, not the process. */
  private layerThrew(error: unknown): void {
    this.runner.report({
      message: `a policy of the connection to ${formatAddress(this.remoteAddress)} threw; the connection is closed`,
      error,
    })
    this.end(error instanceof Error ? error : new Error(String(error), { cause: error }))
  }

  /** The system has taken what it was handed when this was asked for. */
  protected sent(): void {
    this.telling = false
    this.checkLow()
    this.askToTell()
  }

  /** While writing is paused, somebody must say when there is room again; what is collected asks when it is handed over. */
  private askToTell(): void {
    if (!this.writingPaused || this.telling || this.queuedBytes === 0) return
    this.telling = true
    this.send(NOTHING, 0, true)
  }

  protected lost(error: Error | null): void {
    if (this.gone) return
    this.gone = true
    this.closing = true
    this.flushTimer?.cancel()
    this.drop()
    try {
      this.events.connectionLost(error)
    } catch (thrown) {
      this.layerThrew(thrown)
    }
  }

  // ------------------------------------------------------------------ reading

  get reading(): boolean {
    return !this.readingPaused && !this.eofSeen && !this.closing
  }

  pauseReading(): void {
    if (this.readingPaused) return
    this.readingPaused = true
    if (this.started && !this.closing) this.stopReading()
  }

  resumeReading(): void {
    if (!this.readingPaused) return
    this.readingPaused = false
    if (this.started && !this.closing) this.startReading()
  }

  // ------------------------------------------------------------------ writing

  get bufferedBytes(): number {
    return this.collectedBytes + this.queuedBytes
  }

  get writeMarks(): WriteMarks {
    return this.marks
  }

  set writeMarks(marks: WriteMarks) {
    checkWriteMarks(marks)
    this.marks = marks
    this.checkHigh()
    this.checkLow()
    this.askToTell()
  }

  write(data: Uint8Array): void {
    if (this.closing) {
      this.noteLostWrite()
      return
    }
    if (this.eofWanted) throw writtenAfterEof(this.remoteAddress)
    if (data.length === 0) return
    if (this.collectedBytes === 0) this.collected = [data]
    else this.collected.push(data)
    this.collectedBytes += data.length
    // First, so that the flush asks to be told when it was taken.
    if (this.collectedBytes + this.queuedAtMost > this.marks.highWaterBytes) this.checkHigh()
    if (this.collectedBytes >= FLUSH_BYTES) this.flush()
    else if (!this.flushAsked) {
      this.flushAsked = true
      this.runner.loop.schedule(this)
    }
  }

  writeLines(list: Iterable<Uint8Array>): void {
    for (const data of list) this.write(data)
  }

  /** @internal Called by the loop: the pass in which something was written is over. */
  run(): void {
    leaveStep()
    this.flushAsked = false
    this.flush()
  }

  private flush(): void {
    const { collected, collectedBytes } = this
    if (collectedBytes === 0) return
    this.collected = NOTHING_COLLECTED
    this.collectedBytes = 0
    const tell = this.writingPaused && !this.telling
    if (tell) this.telling = true
    this.send(collected, collectedBytes, tell)
    this.queuedAtMost = this.queuedBytes
  }

  private checkHigh(): void {
    if (this.writingPaused || this.bufferedBytes <= this.marks.highWaterBytes || this.gone) return
    this.writingPaused = true
    try {
      this.events.pauseWriting()
    } catch (error) {
      this.layerThrew(error)
    }
  }

  private checkLow(): void {
    if (!this.writingPaused || this.bufferedBytes > this.marks.lowWaterBytes) return
    this.writingPaused = false
    try {
      this.events.resumeWriting()
    } catch (error) {
      this.layerThrew(error)
    }
  }

  private drop(): void {
    this.collected = NOTHING_COLLECTED
    this.collectedBytes = 0
  }

  private noteLostWrite(): void {
    if (!this.gone || ++this.lostWrites !== LOST_WRITES_TOLD) return
    this.runner.report({
      message: `${String(LOST_WRITES_TOLD)} writes to ${formatAddress(this.remoteAddress)} were dropped: expected an open connection, found it lost`,
    })
  }

  // ------------------------------------------------------------------ ending

  writeEof(): void {
    if (this.eofWanted || this.closing) return
    this.flush()
    this.eofWanted = true
    this.sendEof()
  }

  close(): void {
    if (this.closing) return
    this.flush()
    this.closing = true
    this.stopReading()
    this.shut(this.readingPaused && !this.eofSeen)
    this.watchFlush()
  }

  /** The peer may take its time for what is left, but it must take something. */
  private watchFlush(): void {
    const { flushMs, leftBytes } = this
    if (leftBytes === 0 || this.gone || flushMs === Infinity) return
    this.flushTimer = this.loop.callAtSystem(this.loop.now() + flushMs, () => {
      if (this.leftBytes < leftBytes) this.watchFlush()
      else this.fail(takesNothing(flushMs, this.bufferedBytes))
    })
  }

  abort(): void {
    this.end(null)
  }

  fail(error: Error): void {
    this.end(error)
  }

  private end(error: Error | null): void {
    if (this.gone) return
    this.closing = true
    this.drop()
    this.cut(error)
  }
}

function takesNothing(flushMs: number, bytes: number): Error {
  return Object.assign(
    new Error(
      `after close() the peer took nothing for ${String(flushMs)} ms (option flushMs); ${String(bytes)} bytes are dropped`,
    ),
    { code: 'ETIMEDOUT' },
  )
}

/** @throws {RangeError} if low is below 0 or above high */
export function checkWriteMarks({ highWaterBytes, lowWaterBytes }: WriteMarks): void {
  if (lowWaterBytes >= 0 && lowWaterBytes <= highWaterBytes) return
  throw new RangeError(
    `transport.writeMarks: lowWaterBytes was expected to be at least 0 and at most highWaterBytes, found ${String(lowWaterBytes)} and ${String(highWaterBytes)}`,
  )
}

/** For a write after `writeEof`. */
export function writtenAfterEof(remoteAddress: SocketAddress): ClosedError {
  return new ClosedError(
    `write() to ${formatAddress(remoteAddress)}: expected an open connection, found that writeEof() was called`,
  )
}
