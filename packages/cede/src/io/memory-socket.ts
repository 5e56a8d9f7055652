/**
 * A socket in memory, as strict as one of the system, so that what works here works there. Bytes are copied when the
 * system takes them, not before. The system takes no more than it has room for; what a peer does not read fills that
 * room, and then the writer's buffer. Nothing is delivered from inside a write: every event comes in a callback of the
 * loop, one at a time. Borders of writes are not kept. Closing with unread bytes resets the peer.
 *
 * It is a small machine: calls change its state and wake it; in the next pass it does the one thing that is due, and
 * wakes again. So there is one place that says what comes before what. What travels between two sockets, bytes, the end
 * and a reset, are pieces in one row: delays keep their order. What is under way is a timer or a callback of the loop; a
 * program that waits for what is not under way is a deadlock, and is told so.
 */
import type { Loop } from '../core/loop.ts'
import type { Runner } from '../core/runner.ts'
import type { TimerHandle } from '../core/timer-handle.ts'
import type { SocketAddress } from './address.ts'
import { BaseTransport } from './base-transport.ts'
import { ByteQueue } from './byte-queue.ts'
import type { NetworkConditions } from './network-conditions.ts'
import type { NewConnection, TransportEvents } from './transport.ts'

/** The most that is delivered at once. */
const READ_BYTES = 65_536

/** What is under way to a socket. */
interface Piece {
  readonly kind: 'data' | 'end' | 'reset'
  readonly bytes: number
  readonly atMs: number
}

/** One end of a connection, as the system has it. */
class MemorySocket {
  readonly local: SocketAddress
  readonly remote: SocketAddress
  readonly #loop: Loop
  readonly #conditions: NetworkConditions
  #peer!: MemorySocket
  #transport: MemoryTransport | null = null
  #awake = false
  #gone = false

  // What comes.
  /** Of the peer: what is under way, and what has arrived and was not delivered. Bounded, together. */
  readonly #received = new ByteQueue()
  #arrivedBytes = 0
  #underWay: Piece[] = []
  #lastArrivalMs = 0
  #timer: TimerHandle | null = null
  #endArrived = false
  #endTold = false
  #resetArrived = false
  #flowing = false

  // What goes.
  #queue: Uint8Array[] = []
  /** Bytes of the first in the queue that were taken. */
  #queueStart = 0
  /** Handed over and not taken. */
  queuedBytes = 0
  #handedBytes = 0
  /** When so many of the bytes handed over were taken, the transport wants to know. */
  #tellAt: number | null = null
  #endWanted = false
  #endSent = false
  #resetSent = false

  // How it ends.
  /** To be closed when the queue is empty. */
  #shutting = false
  #cut = false
  #cutError: Error | null = null
  /** Nothing gets through any more, either way. */
  #broken = false
  /** Closed, and so many bytes that still come are read away before the peer is reset; null: none. */
  #patienceBytes: number | null = null

  constructor(loop: Loop, conditions: NetworkConditions, local: SocketAddress, remote: SocketAddress) {
    this.#loop = loop
    this.#conditions = conditions
    this.local = local
    this.remote = remote
  }

  static join(one: MemorySocket, other: MemorySocket): void {
    one.#peer = other
    other.#peer = one
  }

  // ------------------------------------------------------------------ told by its transport

  attach(transport: MemoryTransport): void {
    this.#transport = transport
    this.#wake()
  }

  setFlowing(flowing: boolean): void {
    this.#flowing = flowing
    if (flowing) this.#wake()
  }

  send(chunks: readonly Uint8Array[], bytes: number, tell: boolean): void {
    if (this.#gone) return
    if (bytes > 0) {
      for (const chunk of chunks) this.#queue.push(chunk)
      this.queuedBytes += bytes
      this.#handedBytes += bytes
    }
    if (tell) this.#tellAt = this.#handedBytes
    this.#takeUp()
    this.#wake()
  }

  sendEnd(): void {
    this.#endWanted = true
    this.#wake()
  }

  shut(): void {
    this.#shutting = true
    this.#wake()
    // Two that close and wait for each other's buffer to be read would wait for ever.
    this.#peer.#wake()
  }

  cut(error: Error | null): void {
    this.#cut = true
    this.#cutError ??= error
    this.#dropQueue()
    this.#wake()
  }

  /** Sends a last answer to a peer nobody serves, and closes. What the peer has sent must not reset it meanwhile. */
  answer(bytes: Uint8Array): void {
    this.#patienceBytes = this.#conditions.bufferBytes
    this.send([bytes], bytes.length, false)
    this.shut()
  }

  // ------------------------------------------------------------------ one thing at a time

  #wake(): void {
    if (this.#awake || this.#gone) return
    this.#awake = true
    this.#loop.callSystem(this.#run)
  }

  readonly #run = (): void => {
    this.#awake = false
    if (!this.#gone && this.#step()) this.#wake()
  }

  /** Does the first thing that is due. @returns false if nothing is */
  #step(): boolean {
    const transport = this.#transport
    if (this.#cut) return this.#leave('reset', this.#cutError)
    // Nobody has accepted it so far.
    if (transport === null && !this.#shutting) return false
    if (this.#shutting && this.queuedBytes === 0) return this.#leave('end', null)
    if (this.queuedBytes > 0 || (this.#arrivedBytes === 0 && !this.#endArrived)) {
      // Behind the end a reset is noticed when something is sent, as by a system.
      if (this.#resetArrived) return this.#leave(null, this.#endArrived ? brokenPipe() : reset())
    }
    if (this.#shutting && (this.#peer.#shutting || this.#peer.#gone))
      return this.#leave('reset', brokenPipe())
    const took = this.#takeUp()
    if (this.queuedBytes === 0 && this.#endWanted && !this.#endSent) this.#sendEnd()
    if (transport === null) return took
    if (this.#tellAt !== null && this.#handedBytes - this.queuedBytes >= this.#tellAt) {
      this.#tellAt = null
      transport.socketTook()
    } else if (this.#flowing && this.#arrivedBytes > 0) {
      transport.socketReceived(this.#read())
    } else if (this.#flowing && this.#endArrived && !this.#endTold) {
      this.#endTold = true
      transport.socketEnded()
    } else if (this.#endTold && this.#endSent) {
      return this.#leave('end', null)
    } else {
      return took
    }
    return true
  }

  #read(): Buffer {
    const chunk = this.#received.take(Math.min(this.#arrivedBytes, READ_BYTES, this.#conditions.pieceBytes()))
    this.#arrivedBytes -= chunk.length
    if (this.#peer.queuedBytes > 0) this.#peer.#wake()
    return chunk
  }

  /** It ends here, with a last word to the peer. @returns false */
  #leave(lastWord: 'end' | 'reset' | null, error: Error | null): false {
    this.#gone = true
    if (lastWord === 'end') {
      if (!this.#endSent) this.#sendEnd()
      if (this.#arrivedBytes > 0 && this.#patienceBytes === null) this.#sendReset()
    } else if (lastWord === 'reset') {
      this.#sendReset()
    }
    this.#dropQueue()
    this.#received.drop(this.#arrivedBytes)
    this.#arrivedBytes = 0
    const peer = this.#peer
    if (peer.#gone) {
      this.#letGo()
      peer.#letGo()
    } else {
      peer.#wake()
    }
    this.#transport?.socketClosed(error)
    return false
  }

  /** Nobody is left to whom anything could arrive. */
  #letGo(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#underWay = []
    this.#received.drop(this.#received.length)
  }

  // ------------------------------------------------------------------ what goes

  /** The system takes what there is room for. @returns true if it took something */
  #takeUp(): boolean {
    const room = this.#conditions.bufferBytes - this.#peer.#received.length
    if (this.queuedBytes === 0 || room <= 0 || this.#resetArrived) return false
    const count = Math.min(this.queuedBytes, room, this.#conditions.pieceBytes())
    const bytes = this.#takeFromQueue(count)
    if (!this.#getsThrough()) return true
    this.#peer.#received.push(bytes)
    this.#peer.#come('data', count)
    return true
  }

  /** Copies: from here on, what the writer does with its memory is not seen. */
  #takeFromQueue(count: number): Buffer {
    const bytes = Buffer.allocUnsafe(count)
    for (let filled = 0; filled < count;) {
      const first = this.#queue[0]!
      const end = Math.min(first.length, this.#queueStart + count - filled)
      bytes.set(first.subarray(this.#queueStart, end), filled)
      filled += end - this.#queueStart
      this.#queueStart = end
      if (end === first.length) {
        this.#queue.shift()
        this.#queueStart = 0
      }
    }
    this.queuedBytes -= count
    return bytes
  }

  #dropQueue(): void {
    this.#queue = []
    this.#queueStart = 0
    this.queuedBytes = 0
  }

  #sendEnd(): void {
    this.#endSent = true
    if (this.#getsThrough()) this.#peer.#come('end')
  }

  #sendReset(): void {
    if (this.#resetSent) return
    this.#resetSent = true
    if (!this.#broken) this.#peer.#come('reset')
  }

  /** The next piece reaches the peer; or it breaks the connection, and both ends will find out. */
  #getsThrough(): boolean {
    if (this.#broken) return false
    if (!this.#conditions.breaks()) return true
    this.#broken = true
    this.#peer.#broken = true
    this.#come('reset')
    this.#peer.#come('reset')
    return false
  }

  // ------------------------------------------------------------------ what comes

  /** Something was sent to this end: it arrives when its time has come, and after what was sent before it. */
  #come(kind: Piece['kind'], bytes = 0): void {
    const nowMs = this.#loop.now()
    const atMs = Math.max(this.#lastArrivalMs, nowMs + this.#conditions.delayMs())
    this.#lastArrivalMs = atMs
    if (atMs <= nowMs && this.#underWay.length === 0) {
      this.#arrive(kind, bytes)
      return
    }
    this.#underWay.push({ kind, bytes, atMs })
    if (this.#timer === null) this.#setTimer()
  }

  #setTimer(): void {
    this.#timer = this.#loop.callAtSystem(this.#underWay[0]!.atMs, () => {
      this.#timer = null
      const nowMs = this.#loop.now()
      while (this.#underWay.length > 0 && this.#underWay[0]!.atMs <= nowMs) {
        const { kind, bytes } = this.#underWay.shift()!
        this.#arrive(kind, bytes)
      }
      if (this.#underWay.length > 0) this.#setTimer()
    })
  }

  #arrive(kind: Piece['kind'], bytes: number): void {
    if (this.#gone) {
      if (kind === 'data') this.#turnAway(bytes)
      return
    }
    if (kind === 'data') this.#arrivedBytes += bytes
    else if (kind === 'end') this.#endArrived = true
    else this.#resetArrived = true
    this.#wake()
  }

  /** Bytes have come to an end that is closed. */
  #turnAway(bytes: number): void {
    this.#received.drop(bytes)
    if (this.#patienceBytes !== null) {
      this.#patienceBytes -= bytes
      if (this.#patienceBytes < 0) this.#patienceBytes = null
    }
    if (this.#patienceBytes === null) this.#sendReset()
    this.#peer.#wake()
  }
}

class MemoryTransport extends BaseTransport {
  readonly #socket: MemorySocket

  constructor(socket: MemorySocket, events: TransportEvents, runner: Runner) {
    super(events, runner, socket.remote)
    this.#socket = socket
    socket.attach(this)
    this.begin()
  }

  get localAddress(): SocketAddress {
    return this.#socket.local
  }

  protected get queuedBytes(): number {
    return this.#socket.queuedBytes
  }

  protected startReading(): void {
    this.#socket.setFlowing(true)
  }

  protected stopReading(): void {
    this.#socket.setFlowing(false)
  }

  protected send(chunks: readonly Uint8Array[], bytes: number, tell: boolean): void {
    this.#socket.send(chunks, bytes, tell)
  }

  protected sendEof(): void {
    this.#socket.sendEnd()
  }

  protected shut(): void {
    this.#socket.shut()
  }

  protected cut(error: Error | null): void {
    this.#socket.cut(error)
  }

  /** @internal */
  socketTook(): void {
    this.sent()
  }

  /** @internal */
  socketReceived(chunk: Buffer): void {
    this.received(chunk)
  }

  /** @internal */
  socketEnded(): void {
    this.ended()
  }

  /** @internal */
  socketClosed(error: Error | null): void {
    this.lost(error)
  }
}

class MemoryConnection implements NewConnection {
  readonly #socket: MemorySocket

  constructor(socket: MemorySocket) {
    this.#socket = socket
  }

  get remoteAddress(): SocketAddress {
    return this.#socket.remote
  }

  take(events: TransportEvents, runner: Runner): void {
    new MemoryTransport(this.#socket, events, runner)
  }

  refuse(answer?: Uint8Array): void {
    if (answer === undefined) this.#socket.cut(null)
    else this.#socket.answer(answer)
  }
}

/** Both ends of a new connection: whose address is `local`, and whose is `remote`. */
export function memoryConnection(
  loop: Loop,
  conditions: NetworkConditions,
  local: SocketAddress,
  remote: SocketAddress,
): readonly [NewConnection, NewConnection] {
  const ours = new MemorySocket(loop, conditions, local, remote)
  const theirs = new MemorySocket(loop, conditions, remote, local)
  MemorySocket.join(ours, theirs)
  return [new MemoryConnection(ours), new MemoryConnection(theirs)]
}

function reset(): Error {
  return systemError('ECONNRESET', 'the peer reset the connection')
}

function brokenPipe(): Error {
  return systemError('EPIPE', 'the peer has closed the connection')
}

/** As the system's own are told from each other. */
export function systemError(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code })
}
