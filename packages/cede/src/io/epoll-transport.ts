/**
 * A connected socket on the epoll driver: bytes in, bytes out, and one end, with nothing of Node's between the kernel and
 * the protocol.
 *
 * Reading. The kernel writes into a slab that all sockets of the thread share, each behind the last one; what a protocol
 * is given is a view of it. A slab is used up and then left to the garbage collector: no byte of it is ever written
 * twice, so nobody can see his line change. Slabs are small, so that one kept line keeps little else alive. A socket
 * that fills what it was offered is read in large pieces from then on, as long as it fills them.
 *
 * The kernel tells that something has come only once (see `drivers/epoll.ts`); `#readable` remembers it. A read that
 * gave less than it could has taken everything, and is not repeated. It has not where the kernel stops in the middle: at
 * the end, at urgent data of TCP, and in Unix sockets behind bytes that came with descriptors; then only one that gives
 * nothing is the last. One that floods us is left after a few reads, until the others had their turn.
 *
 * Writing. What is written goes to the kernel at once; what it does not take waits for room (`send-queue.ts`), which is
 * asked for the first time that happens.
 *
 * Ending. A socket that is closed with unread input resets its peer, and what the peer has not read yet is lost on the
 * way. So what has come is read away first; if there was any, we end our direction, and wait a while for the peer's end.
 *
 * The states, from the first to the last; each but `#closed` may be left out:
 *   eofSeen, #endSent   the peer has ended its direction, we have ended ours; after both nothing is left to do
 *   #broken             a send failed: what the peer has said before is read, then the connection is lost; while
 *                       reading is paused that waits (#linger), for a while
 *   #shutting           `close` was called: the queue is sent, and input is thrown away (#unread: there was some)
 *   #linger             everything is sent and our direction has ended: only the peer's end is missing
 *   #closed             the socket is the system's again; `lost` is told in the next pass
 */
import { Buffer } from 'node:buffer'
import type { Runner } from '../core/runner.ts'
import type { TimerHandle } from '../core/timer-handle.ts'
import type { EpollDriver, Watcher } from '../drivers/epoll.ts'
import {
  BROKEN,
  EAGAIN,
  EDGES,
  EINVAL,
  HUNG_UP,
  PEER_ENDED,
  READABLE,
  URGENT,
  WRITABLE,
} from '../drivers/shim.ts'
import { systemError } from '../drivers/system-error.ts'
import type { SocketAddress } from './address.ts'
import { BaseTransport } from './base-transport.ts'
import { bufferView } from './buffer-view.ts'
import { localAddressOf, UNKNOWN } from './system-address.ts'
import { LINGER_MS } from './peer-grace.ts'
import { SendQueue } from './send-queue.ts'
import { newSlab, SLAB_BYTES } from './slab.ts'
import type { TransportEvents } from './transport.ts'

/** A slab with less room is not offered any more. */
const LEAST_OFFER = 2_048
/** What a socket that has much is offered. */
const LARGE_BYTES = 65_536
/** Reads of one socket in a row; a large one is always the last. */
const MOST_READS = 2
/** Sends of one socket in a row. */
const MOST_SENDS = 4
/** Several pieces up to this size, on average, are joined: the kernel takes longer to take them one by one. */
const SMALL_PIECE = 2_048

const READING = READABLE | URGENT | PEER_ENDED | EDGES
/** What a read may stop in front of. */
const STOPPING = URGENT | PEER_ENDED | BROKEN | HUNG_UP

/** What is read after a send has failed: no system keeps more for us, and a peer that is still there may never stop. */
const MOST_LAST_BYTES = 67_108_864
const EMPTY = Buffer.alloc(0)
/** A method that stands far up the chain of prototypes of a buffer is looked up with each call; this one is known. */
// eslint-disable-next-line @typescript-eslint/unbound-method -- called with its `this`
const setBytes = Uint8Array.prototype.set

let slab: Buffer = newSlab(SLAB_BYTES)
let slabMemory: ArrayBufferLike = slab.buffer
let slabUsed = 0
let large: Buffer = Buffer.alloc(0)
/** Where small pieces are joined, and where bytes go that nobody wants. */
const scratch = Buffer.allocUnsafeSlow(LARGE_BYTES)

/** A connection on which nothing can be sent. */
interface Broken {
  readonly error: Error
  /** So much may still be read. */
  bytesLeft: number
}

export class EpollTransport extends BaseTransport implements Watcher {
  readonly #driver: EpollDriver
  readonly #socket: number
  #token = -1
  #local: SocketAddress | null
  /** The system has closed it, or will never hear of it again. */
  #closed = false
  /** The process must stay alive for it. */
  #needed = false

  // Reading.
  #flowing = false
  /** Something may be there to be read. */
  #readable = false
  /** A read that gives less than it could may have stopped in the middle. */
  #stops: boolean
  /** It will be called again by the driver. */
  #goesOn = false
  /** The last read filled what it was offered. */
  #much = false
  #lastBytes = 0

  // Writing.
  /** What the kernel had no room for; null: nothing. */
  #queue: SendQueue | null = null
  /** The kernel tells when there is room. */
  #watchesRoom = false
  #tell = false
  /** Nothing more can be sent; what the peer has said before is still to be read. */
  #broken: Broken | null = null

  // Ending.
  /** Our direction has ended. */
  #endSent = false
  /** `close` was called: what comes is thrown away. */
  #shutting = false
  /** Something came that nobody read. */
  #unread = false
  /** It ends then in any case: closed, and the peer still sends; or broken, and nobody reads. */
  #linger: TimerHandle | null = null

  /**
   * @param token of a socket that is watched already; -1: it is not
   * @param local null: the system knows
   */
  constructor(
    driver: EpollDriver,
    socket: number,
    token: number,
    events: TransportEvents,
    runner: Runner,
    local: SocketAddress | null,
    remote: SocketAddress,
  ) {
    super(events, runner, remote)
    this.#driver = driver
    this.#socket = socket
    this.#local = local
    this.#stops = remote.path !== undefined
    try {
      if (token === -1) {
        this.#token = driver.watch(socket, READING, this)
      } else {
        this.#token = token
        driver.rewatch(token, socket, READING, this)
      }
    } catch (error) {
      // That is told after `connectionMade`.
      this.#leave(error as Error, true)
    }
    try {
      this.begin()
    } catch (error) {
      this.abort()
      throw error
    }
  }

  /** Asked for when somebody wants it. */
  get localAddress(): SocketAddress {
    return (this.#local ??= this.#closed ? UNKNOWN : localAddressOf(this.#driver.shim, this.#socket))
  }

  protected get queuedBytes(): number {
    return this.#queue === null ? 0 : this.#queue.bytes
  }

  // ------------------------------------------------------------------ told by the driver

  /** @internal */
  ready(bits: number): void {
    if (bits === 0) this.#goesOn = false
    if (this.#closed) return
    if (this.#broken !== null) {
      this.#readLast(this.#broken)
      return
    }
    if ((bits & STOPPING) !== 0) this.#stops = true
    if ((bits & (READABLE | STOPPING)) !== 0) this.#readable = true
    if (this.#queue !== null && (bits === 0 || (bits & (WRITABLE | BROKEN | HUNG_UP)) !== 0))
      this.#sendQueued()
    if (!this.#readable || this.#broken !== null) return
    if (this.#flowing) this.#read()
    else if (this.#shutting) this.#readAway()
  }

  #goOnLater(): void {
    if (this.#goesOn || this.#closed) return
    this.#goesOn = true
    this.#driver.callAgain(this)
  }

  /** While it is open and something may still happen, the process must not end. */
  #checkNeed(): void {
    const needed = !this.#closed && (this.#flowing || this.#shutting || this.#queue !== null)
    if (needed === this.#needed) return
    this.#needed = needed
    this.#driver.need(needed)
  }

  // ------------------------------------------------------------------ reading

  protected startReading(): void {
    if (this.#closed || this.eofSeen) return
    this.#flowing = true
    this.#checkNeed()
    if (this.#linger !== null) {
      this.#linger.cancel()
      this.#linger = null
    }
    if (this.#readable) this.#goOnLater()
  }

  protected stopReading(): void {
    this.#flowing = false
    this.#checkNeed()
  }

  #read(): void {
    for (let reads = 0; reads < MOST_READS && this.#flowing && this.#readable; reads++) {
      const much = this.#much
      const bytes = much ? this.#readMuch() : this.#readSome()
      if (bytes > 0) {
        if (much) break
        continue
      }
      if (bytes === 0) this.#readEnd()
      else if (bytes === -EAGAIN) this.#nothingLeft()
      else this.#leave(systemError(bytes, 'read'))
      return
    }
    if (this.#flowing && this.#readable) this.#goOnLater()
  }

  #nothingLeft(): void {
    this.#readable = false
    this.#stops = this.remoteAddress.path !== undefined
  }

  /** @returns how many bytes, 0 at the end, or the negative errno */
  #readSome(): number {
    let start = slabUsed
    // Somebody may have taken its memory away by force.
    if (slab.length - start <= Math.max(LEAST_OFFER, this.#lastBytes)) {
      slab = newSlab(SLAB_BYTES)
      slabMemory = slab.buffer
      start = slabUsed = 0
    }
    const offered = slab.length - start
    const bytes = this.#driver.shim.read(this.#socket, slab, start, offered)
    if (bytes <= 0) return bytes
    slabUsed = (start + bytes + 7) & ~7
    this.#took(bytes, offered)
    this.received(bufferView(slabMemory, start, bytes))
    return bytes
  }

  #readMuch(): number {
    if (large.length === 0) large = newSlab(LARGE_BYTES)
    const memory = large
    const bytes = this.#driver.shim.read(this.#socket, memory, 0, LARGE_BYTES)
    if (bytes <= 0) return bytes
    this.#took(bytes, LARGE_BYTES)
    if (bytes < LARGE_BYTES / 2) {
      const copy = Buffer.allocUnsafeSlow(bytes)
      memory.copy(copy, 0, 0, bytes)
      this.received(copy)
    } else {
      large = EMPTY
      this.received(memory.subarray(0, bytes))
    }
    return bytes
  }

  #took(bytes: number, offered: number): void {
    this.#much = bytes === offered || (this.#much && bytes > SLAB_BYTES / 2)
    this.#lastBytes = bytes <= SLAB_BYTES / 2 ? bytes : 0
    if (bytes < offered && !this.#stops) this.#readable = false
  }

  /** The peer has ended its direction. */
  #readEnd(): void {
    this.#readable = false
    this.#flowing = false
    this.ended()
    this.#checkNeed()
    this.#leaveIfBothEnded()
  }

  // ------------------------------------------------------------------ writing

  protected send(chunks: readonly Uint8Array[], bytes: number, tell: boolean): void {
    if (this.#closed) return
    if (tell) this.#tell = true
    if (bytes > 0 && this.#broken === null) {
      const queue = this.#queue
      if (queue !== null) {
        if (!queue.add(chunks, 0, bytes)) this.#brokenWhileSending(-EINVAL)
        return
      }
      const taken = this.#sendNow(chunks, bytes)
      if (taken !== bytes) {
        this.#enqueue(chunks, bytes, taken)
        return
      }
    }
    if (this.#tell && this.#queue === null) this.loop.callSystem(() => this.#tellSent())
  }

  /** Never from inside a write. Of a broken connection only to those who would go on to read. */
  #tellSent(): void {
    if (!this.#tell || this.#closed || (this.#broken !== null && this.#linger === null)) return
    this.#tell = false
    this.sent()
  }

  /** @returns how many bytes were taken, or the negative errno */
  #sendNow(chunks: readonly Uint8Array[], bytes: number): number {
    const { shim } = this.#driver
    const count = chunks.length
    if (count === 1) return shim.write(this.#socket, chunks[0]!, 0, bytes)
    if (bytes > scratch.length || bytes > count * SMALL_PIECE)
      return shim.writeMany(this.#socket, chunks, 0, 0)
    let end = 0
    for (let i = 0; i < count && end + chunks[i]!.length <= bytes; i++) {
      const chunk = chunks[i]!
      // Nothing of one whose memory was given away since it was written.
      if (chunk.length > 0) setBytes.call(scratch, chunk, end)
      end += chunk.length
    }
    // What is behind `end` is of other connections.
    if (end !== bytes) return -EINVAL
    return shim.write(this.#socket, scratch, 0, bytes)
  }

  /** @param taken the result of the send: not all, an error, or more than was written if it has grown since */
  #enqueue(chunks: readonly Uint8Array[], bytes: number, taken: number): void {
    if (taken < 0 && taken !== -EAGAIN) {
      this.#brokenWhileSending(taken)
      return
    }
    const queue = new SendQueue()
    if (taken > bytes || !queue.add(chunks, Math.max(0, taken), bytes)) {
      this.#brokenWhileSending(-EINVAL)
      return
    }
    this.#queue = queue
    this.#checkNeed()
    if (this.#watchesRoom) {
      // Of several pieces only the first ones were tried.
      if (taken > 0) this.#goOnLater()
      return
    }
    this.#watchesRoom = true
    try {
      // Tells at once if there is room already.
      this.#driver.rewatch(this.#token, this.#socket, READING | WRITABLE, this)
    } catch (error) {
      this.#leave(error as Error, true)
    }
  }

  #sendQueued(): void {
    for (let sends = 0; sends < MOST_SENDS && this.#queue !== null; sends++) {
      const queue = this.#queue
      const taken = this.#driver.shim.writeMany(this.#socket, queue.pieces, queue.first, queue.start)
      if (taken === -EAGAIN) break
      if (taken < 0 || !queue.drop(taken)) {
        this.#brokenWhileSending(taken < 0 ? taken : -EINVAL)
        return
      }
      if (queue.bytes === 0) this.#queue = null
      else if (sends === MOST_SENDS - 1) this.#goOnLater()
    }
    if (this.#tell) {
      this.#tell = false
      this.sent()
    }
    if (this.#queue === null) this.#allSent()
  }

  #allSent(): void {
    if (this.#closed || this.#queue !== null) return
    if (this.eofWanted && !this.#endSent) this.#endWriting()
    else if (this.#shutting) this.#shutNow()
    else this.#checkNeed()
  }

  /** What the peer has said before it went is told first: one that takes no more may have said why. */
  #brokenWhileSending(result: number): void {
    this.#broken = { error: systemError(result, 'write'), bytesLeft: MOST_LAST_BYTES }
    this.#queue = null
    this.#checkNeed()
    this.#goOnLater()
  }

  #readLast(broken: Broken): void {
    this.#readable = this.#stops = true
    for (let reads = 0; reads < MOST_READS && this.#flowing; reads++) {
      const bytes = this.#much ? this.#readMuch() : this.#readSome()
      broken.bytesLeft -= bytes
      if (bytes <= 0 || broken.bytesLeft <= 0) this.#leave(broken.error)
    }
    if (this.#closed) return
    if (this.#flowing) this.#goOnLater()
    else if (this.eofSeen || this.#shutting) this.#leave(broken.error)
    else this.#waitForReader(broken)
  }

  /** There may be more when reading goes on. Nobody else has to wait for that: there is room for what goes nowhere. */
  #waitForReader(broken: Broken): void {
    this.#linger ??= this.loop.callAtSystem(this.loop.now() + LINGER_MS, () => this.#leave(broken.error))
    this.#tellSent()
  }

  // ------------------------------------------------------------------ ending

  protected sendEof(): void {
    if (this.#queue === null) this.#endWriting()
  }

  #endWriting(): void {
    if (this.#closed || this.#broken !== null) return
    this.#endSent = true
    // It fails only if the connection is gone; whoever reads finds that out.
    this.#driver.shim.endWriting(this.#socket)
    if (this.#shutting) this.#shutNow()
    else this.#leaveIfBothEnded()
  }

  #leaveIfBothEnded(): void {
    if (this.eofSeen && this.#endSent) this.#leave(null)
  }

  protected shut(unread: boolean): void {
    if (this.#closed) return
    this.#shutting = true
    this.#unread = unread
    this.#checkNeed()
    if (this.#broken !== null) this.#leave(this.#broken.error)
    else if (this.#queue === null) this.#shutNow()
    else if (this.#readable) this.#goOnLater()
  }

  /** Closed, and everything is with the system. */
  #shutNow(): void {
    if (this.#closed || this.#linger !== null) return
    if (this.eofSeen || this.#throwAway() === 0 || !this.#unread) {
      this.#leave(null)
      return
    }
    if (!this.#endSent) {
      this.#endSent = true
      this.#driver.shim.endWriting(this.#socket)
    }
    this.#linger = this.loop.callAtSystem(this.loop.now() + LINGER_MS, () => this.#leave(null))
    if (this.#readable) this.#goOnLater()
  }

  /** Closed: what still comes is of no use. */
  #readAway(): void {
    const result = this.#throwAway()
    if (result === 0) {
      this.eofSeen = true
      if (this.#queue === null) this.#leave(null)
    } else if (result < 0 && result !== -EAGAIN) {
      this.#leave(systemError(result, 'read'))
    } else if (this.#readable) {
      this.#goOnLater()
    }
  }

  /** @returns the result of the last read: 0 at the end of the stream */
  #throwAway(): number {
    let result = 0
    for (let reads = 0; reads < MOST_READS; reads++) {
      result = this.#driver.shim.read(this.#socket, scratch, 0, scratch.length)
      if (result <= 0) break
      this.#unread = true
    }
    this.#readable = result > 0
    return result
  }

  protected cut(error: Error | null): void {
    this.#leave(error, true)
  }

  /** The end of the socket; that of the transport follows, in the next pass. */
  #leave(error: Error | null, reset = false): void {
    if (this.#closed) return
    this.#closed = true
    this.#flowing = this.#readable = false
    this.#linger?.cancel()
    this.#queue = null
    const driver = this.#driver
    if (this.#token !== -1) driver.forget(this.#token)
    // There is no reset for Unix sockets; there it is the same as closing.
    if (reset) driver.shim.reset(this.#socket)
    else driver.shim.close(this.#socket)
    this.#checkNeed()
    this.loop.callSystem(() => this.lost(error))
  }
}
