/**
 * TCP through Node's own `net`: the one file that touches it.
 *
 * A socket of `net` is a stream with queues, events and rules of its own. Here it is used as the thinnest thing it can
 * be: bytes in, bytes out, and one end. Its events come from outside of any coroutine; they only tell the protocol,
 * which puts tasks on the ready queue. It has a listener for `error` all its life, so that no event of it can end the
 * process; the error is kept until `close`, which is always the last event, and is told with it.
 *
 * One thing is out of reach here: a reset that comes while received bytes are still unread by libuv is reported by it as
 * an ordinary end of the stream. Writing to such a connection fails as it should.
 *
 * What is written in one pass of the loop is collected and handed to the socket at the end of the pass, or as soon as it
 * is much: many small writes are one system call.
 */
import { closeSync, openSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { devNull } from 'node:os'
import type { Loop } from '../core/loop.ts'
import type { Entry } from '../core/ready-queue.ts'
import { leaveStep } from '../core/running.ts'
import type { SocketAddress } from './address.ts'
import type {
  Accepted,
  ConnectEvents,
  ConnectSpec,
  ListenEvents,
  ListenSpec,
  Network,
  Protocol,
  Transport,
  WriteMarks,
} from './transport.ts'

export const DEFAULT_HIGH_WATER_BYTES = 65_536
export const DEFAULT_LOW_WATER_BYTES = 16_384

/** So much is handed to the socket at once; up to so much, small writes are joined into one. */
const FLUSH_BYTES = 65_536

/** Of a peer that was gone before anybody asked. */
const UNKNOWN: SocketAddress = { host: 'unknown', port: 0 }

class NodeTransport implements Transport, Entry {
  readonly localAddress: SocketAddress
  readonly remoteAddress: SocketAddress
  readonly #socket: Socket
  readonly #protocol: Protocol
  readonly #loop: Loop
  /** Written, and not yet given to the socket. */
  #collected: Uint8Array[] = []
  #collectedBytes = 0
  #flushAsked = false
  #marks: WriteMarks = { highWaterBytes: DEFAULT_HIGH_WATER_BYTES, lowWaterBytes: DEFAULT_LOW_WATER_BYTES }
  #writingPaused = false
  #eofWanted = false
  #closing = false
  #error: Error | null = null

  constructor(socket: Socket, protocol: Protocol, loop: Loop) {
    this.#socket = socket
    this.#protocol = protocol
    this.#loop = loop
    this.localAddress = addressOf(socket.localAddress, socket.localPort)
    this.remoteAddress = addressOf(socket.remoteAddress, socket.remotePort)
    socket.on('error', (error) => {
      this.#error ??= error
    })
    socket.on('close', () => this.#lost())
    socket.on('end', () => protocol.eofReceived())
    protocol.connectionMade(this)
    // From here on it reads; not if `connectionMade` has paused it, and not after `close`, which pauses it for good.
    socket.on('data', (chunk: Buffer) => protocol.dataReceived(chunk))
  }

  // ------------------------------------------------------------------ reading

  pauseReading(): void {
    this.#socket.pause()
  }

  resumeReading(): void {
    if (!this.#closing) this.#socket.resume()
  }

  // ------------------------------------------------------------------ writing

  get bufferedBytes(): number {
    return this.#collectedBytes + this.#socket.writableLength
  }

  get writeMarks(): WriteMarks {
    return this.#marks
  }

  set writeMarks(marks: WriteMarks) {
    this.#marks = marks
    this.#checkHigh()
    this.#checkLow()
  }

  write(data: Uint8Array): void {
    if (data.length === 0 || this.#closing || this.#eofWanted) return
    this.#collected.push(data)
    this.#collectedBytes += data.length
    if (this.#collectedBytes >= FLUSH_BYTES) this.#flush()
    else this.#askForFlush()
    this.#checkHigh()
  }

  #askForFlush(): void {
    if (this.#flushAsked) return
    this.#flushAsked = true
    this.#loop.schedule(this)
  }

  /** @internal Called by the loop: the pass in which something was written is over. */
  run(): void {
    leaveStep()
    this.#flushAsked = false
    this.#flush()
  }

  #flush(): void {
    const collected = this.#collected
    if (collected.length === 0) return
    const bytes = this.#collectedBytes
    this.#collected = []
    this.#collectedBytes = 0
    const socket = this.#socket
    if (socket.destroyed) return
    if (collected.length === 1) {
      socket.write(collected[0]!, this.#written)
    } else if (bytes <= FLUSH_BYTES) {
      socket.write(Buffer.concat(collected, bytes), this.#written)
    } else {
      socket.cork()
      for (const data of collected) socket.write(data, this.#written)
      socket.uncork()
    }
  }

  /** Of a write that failed nothing is said here: the end of the connection says it. */
  readonly #written = (error?: Error | null): void => {
    if (error == null) this.#checkLow()
  }

  #checkHigh(): void {
    if (this.#writingPaused || this.bufferedBytes <= this.#marks.highWaterBytes) return
    this.#writingPaused = true
    this.#protocol.pauseWriting()
  }

  #checkLow(): void {
    if (!this.#writingPaused || this.bufferedBytes > this.#marks.lowWaterBytes) return
    this.#writingPaused = false
    this.#protocol.resumeWriting()
  }

  // ------------------------------------------------------------------ ending

  writeEof(): void {
    if (this.#eofWanted || this.#closing) return
    this.#flush()
    this.#eofWanted = true
    this.#socket.end()
  }

  close(): void {
    if (this.#closing) return
    this.#flush()
    this.#closing = true
    this.#socket.pause()
    this.#socket.destroySoon()
  }

  abort(): void {
    this.#closing = true
    this.#collected = []
    this.#collectedBytes = 0
    if (!this.#socket.destroyed) this.#socket.resetAndDestroy()
  }

  #lost(): void {
    this.#closing = true
    this.#collected = []
    this.#collectedBytes = 0
    this.#protocol.connectionLost(this.#error)
  }
}

class NodeAccepted implements Accepted {
  readonly remoteAddress: SocketAddress
  readonly #socket: Socket
  readonly #loop: Loop

  constructor(socket: Socket, loop: Loop) {
    this.#socket = socket
    this.#loop = loop
    this.remoteAddress = addressOf(socket.remoteAddress, socket.remotePort)
  }

  take(protocol: Protocol): void {
    new NodeTransport(this.#socket, protocol, this.#loop)
  }

  refuse(): void {
    this.#socket.on('error', ignore)
    this.#socket.resetAndDestroy()
  }
}

/**
 * Notices that the process runs out of file descriptors. libuv then accepts and closes every further connection by
 * itself and tells nobody: the server would look idle while its clients are thrown out. So whenever more connections are
 * open than ever before, one more descriptor is asked for and given back. It is told once, and again only after half of
 * the connections have gone: a server at its limit must not drown in reports.
 */
class DescriptorWatch {
  readonly #spent: (error: Error) => void
  #open = 0
  #most = 0
  #told = false

  constructor(spent: (error: Error) => void) {
    this.#spent = spent
  }

  opened(): void {
    this.#open++
    if (this.#told || this.#open <= this.#most) return
    try {
      closeSync(openSync(devNull, 'r'))
      this.#most = this.#open
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'EMFILE' && code !== 'ENFILE') return
      this.#told = true
      this.#spent(
        new Error(
          `expected a file descriptor for the next connection, found none left (${code}); while it is so, the system ` +
            'closes new connections at once. Raise the limit of open files (`ulimit -n`), or set maxConnections below it',
          { cause: error },
        ),
      )
    }
  }

  closed(): void {
    this.#open--
    if (this.#open <= this.#most / 2) this.#told = false
  }
}

/** TCP for the coroutines of `loop`. */
export class NodeNetwork implements Network {
  readonly #loop: Loop

  constructor(loop: Loop) {
    this.#loop = loop
  }

  listen(spec: ListenSpec, events: ListenEvents): () => void {
    const server = createServer({ allowHalfOpen: true, noDelay: spec.noDelay })
    const failed = (error: Error): void => {
      server.removeAllListeners('listening')
      server.on('error', ignore)
      events.failed(error)
    }
    server.once('error', failed)
    const descriptors = new DescriptorWatch((error) => events.acceptFailed(error))
    server.on('connection', (socket) => {
      descriptors.opened()
      socket.once('close', () => descriptors.closed())
      events.accepted(new NodeAccepted(socket, this.#loop))
    })
    server.once('listening', () => {
      server.off('error', failed)
      server.on('error', (error) => events.acceptFailed(error))
      events.listening({ address: serverAddress(server), close: () => void server.close() })
    })
    server.listen({ host: spec.host, port: spec.port, backlog: spec.backlog })
    return () => {
      server.removeAllListeners()
      server.on('error', ignore)
      // Before it listens there is nothing to close; if it does later, it is closed then.
      server.on('listening', () => void server.close())
      if (server.listening) server.close()
    }
  }

  connect(spec: ConnectSpec, protocol: Protocol, events: ConnectEvents): () => void {
    const socket = connect({
      host: spec.host,
      port: spec.port,
      localAddress: spec.localHost,
      localPort: spec.localPort,
      noDelay: spec.noDelay,
      allowHalfOpen: true,
    })
    const failed = (error: Error): void => events.failed(error)
    socket.on('error', ignore)
    socket.once('error', failed)
    socket.once('connect', () => {
      socket.off('error', failed)
      new NodeTransport(socket, protocol, this.#loop)
      events.connected()
    })
    return () => {
      socket.removeAllListeners()
      socket.on('error', ignore)
      socket.destroy()
    }
  }
}

function ignore(): void {}

function addressOf(host: string | undefined, port: number | undefined): SocketAddress {
  return host === undefined || port === undefined ? UNKNOWN : { host: plainHost(host), port }
}

/** An IPv4 peer of a socket that takes both kinds is written as IPv4. */
function plainHost(host: string): string {
  return host.startsWith(MAPPED_IPV4) && host.includes('.') ? host.slice(MAPPED_IPV4.length) : host
}

const MAPPED_IPV4 = '::ffff:'

function serverAddress(server: Server): SocketAddress {
  const { address, port } = server.address() as AddressInfo
  return { host: address, port }
}
