/**
 * TCP and Unix sockets through Node's own `net`: the one file that moves bytes with it.
 *
 * A socket of `net` is a stream with queues, events and rules of its own. Here it is used as the thinnest thing it can
 * be: bytes in, bytes out, and one end. Its events come from outside of any coroutine. It has a listener for `error`
 * all its life, so that no event of it can end the process; the error is kept until `close`, which is always the last
 * event, and is told with it. Listeners are shared functions that find their transport on the socket: closures for each
 * connection would be a part of what an idle one costs.
 *
 * One thing is out of reach here: a reset that comes while received bytes are still unread by libuv is reported by it as
 * an ordinary end of the stream. Writing to such a connection fails as it should.
 *
 * When the process has no file descriptor left, libuv accepts and closes every further connection by itself and tells
 * nobody: a server would look idle while its clients are thrown out. So some descriptors are kept in reserve, and
 * connections that come when only those are left are refused here, where it can be told.
 */
import {
  connect,
  createServer,
  isIP,
  Socket,
  type ListenOptions,
  type NetConnectOpts,
  type Server,
} from 'node:net'
import type { Runner } from '../core/runner.ts'
import type { TimerHandle } from '../core/timer-handle.ts'
import type { SocketAddress } from './address.ts'
import { BaseTransport, FLUSH_BYTES } from './base-transport.ts'
import { descriptorsSpent, firstReservedDescriptor } from './descriptor-limit.ts'
import { LAST_ANSWER_MS, LINGER_MS, MOST_ANSWERING } from './peer-grace.ts'
import { systemResolver, type Resolver } from './resolver.ts'
import {
  EVERY_ADDRESS,
  type ConnectEvents,
  type ConnectSettings,
  type ListenEvents,
  type ListenSettings,
  type Network,
  type NewConnection,
  type Place,
  type TcpPlace,
  type TransportEvents,
  type UnixPlace,
} from './transport.ts'
import { unusablePath, UnixSocketFile } from './unix-socket-file.ts'

/** Of a peer that was gone before anybody asked. */
const UNKNOWN: SocketAddress = { host: '', port: 0 }
/** The end of a Unix connection that has no file. */
const UNNAMED: SocketAddress = { host: '', port: 0, path: '' }
const EMPTY = Buffer.alloc(0)
let answering = 0

const TRANSPORT = Symbol('transport')

const SHARED_BYTES = 65_536

/**
 * The memory that all sockets read into; null where the host has no such thing. Node would make new memory of 64 KiB for
 * each read, which costs more than all that Cede does with a short message. What was read is copied out at once.
 */
let shared: Buffer | null = readsIntoGivenMemory() ? Buffer.allocUnsafeSlow(SHARED_BYTES) : null

/** Bun and Deno take the option and do something of their own. */
function readsIntoGivenMemory(): boolean {
  return process.versions['bun'] === undefined && process.versions['deno'] === undefined
}

/** A read of so many bytes is worth memory of its own: copying it costs more. */
const LARGE_READ_BYTES = 32_768

/** A socket that falls silent keeps its memory: no more than so many have their own. */
const MOST_OWNED_MEMORIES = 64

let ownedMemories = 0

/** What the socket that reads, or is made, right now gets as memory for its next read; undefined: the same again. */
let nextMemory: Buffer | undefined

function takeNextMemory(): Buffer {
  const memory = nextMemory
  nextMemory = undefined
  return memory as Buffer
}

/** Options of a socket that reads into the shared memory; to be used at once. */
function readingOptions(): Pick<NetConnectOpts, 'onread'> {
  if (shared === null) return {}
  nextMemory = shared
  return { onread: { buffer: takeNextMemory, callback: socketRead } }
}

interface WithHandle {
  _handle: object | null | undefined
  /** The server that counts the connection: it says that it is closed when its last one is. */
  _server: Server | null | undefined
}

/**
 * The same connection as a socket that reads into the shared memory. Node has that option for sockets that connect, and
 * not for those of a server: so the system's handle is moved to a socket of our own, as Node does when it gives a socket
 * to another process. If a version of Node takes no handle, the socket is used as it is, and so are all others.
 */
function readingSocket(accepted: Socket): Socket {
  if (shared === null) return accepted
  const from = accepted as unknown as WithHandle
  const handle = from._handle
  if (handle == null) return accepted
  const options = { handle, allowHalfOpen: true, pauseOnCreate: true, ...readingOptions() }
  const socket = new Socket(options)
  const to = socket as unknown as WithHandle
  if (to._handle === handle) {
    from._handle = null
    to._server = from._server
    from._server = null
    return socket
  }
  shared = null
  return accepted
}

interface OwnedSocket extends Socket {
  [TRANSPORT]: NodeTransport
}

class NodeTransport extends BaseTransport {
  readonly #socket: OwnedSocket
  /** @internal */
  ownsMemory = false
  #local: SocketAddress | null
  #flowing = false
  #error: Error | null = null
  #sentBytes = 0
  #taken: ((error?: Error | null) => void) | null = null
  /** Closed while input was unread. */
  #unread = false
  #linger: TimerHandle | null = null

  constructor(
    socket: Socket,
    events: TransportEvents,
    runner: Runner,
    local: SocketAddress | null,
    remote: SocketAddress,
  ) {
    super(events, runner, remote)
    this.#local = local
    const owned = socket as OwnedSocket
    owned[TRANSPORT] = this
    this.#socket = owned
    owned.on('error', socketFailed)
    owned.on('end', socketEnded)
    owned.on('close', socketClosed)
    // A socket that reads into given memory would begin by itself as soon as it is connected.
    owned.pause()
    this.begin()
  }

  /** Asked for when somebody wants it: most programs never do, and each answer takes memory. */
  get localAddress(): SocketAddress {
    return (this.#local ??= addressOf(this.#socket.localAddress, this.#socket.localPort))
  }

  protected get queuedBytes(): number {
    return this.#socket.writableLength
  }

  protected startReading(): void {
    if (!this.#flowing) {
      this.#flowing = true
      // Where the shared memory is used, this event never comes.
      if (shared === null) this.#socket.on('data', socketReceived)
    }
    this.#socket.resume()
  }

  protected stopReading(): void {
    this.#socket.pause()
  }

  protected send(chunks: readonly Uint8Array[], bytes: number, tell: boolean): void {
    const socket = this.#socket
    if (socket.destroyed) return
    this.#sentBytes += bytes
    if (socket.writableEnded) {
      if (tell) socket.once('finish', () => this.sent())
      return
    }
    // Of a write that failed nothing is said here: the end of the connection says it. To one that was under way when the
    // socket was destroyed, Node says that all is well.
    const taken = tell
      ? (this.#taken ??= (error) => error == null && !this.#socket.destroyed && this.sent())
      : undefined
    if (chunks.length === 1) {
      socket.write(chunks[0]!, taken)
    } else if (bytes <= FLUSH_BYTES) {
      socket.write(Buffer.concat(chunks, bytes), taken)
    } else {
      socket.cork()
      for (const data of chunks) socket.write(data)
      if (taken !== undefined) socket.write(EMPTY, taken)
      socket.uncork()
    }
  }

  protected sendEof(): void {
    this.#socket.end()
  }

  override get leftBytes(): number {
    const { _handle: handle } = this.#socket as unknown as WithHandle
    const { bytesWritten, writeQueueSize } = (handle ?? {}) as Record<string, unknown>
    if (typeof bytesWritten !== 'number' || typeof writeQueueSize !== 'number') return super.leftBytes
    return this.collectedBytes + this.#sentBytes - (bytesWritten - writeQueueSize)
  }

  /**
   * Closing a socket with unread input resets it, and what the peer has not read yet is lost on the way. So input that
   * comes while the buffer is sent is read away, and if there was any, so is what follows, until the peer ends or a while
   * has passed.
   */
  protected shut(unread: boolean): void {
    const socket = this.#socket
    if (this.eofSeen || (!unread && socket.writableLength === 0)) {
      socket.destroySoon()
      return
    }
    this.#unread = unread
    this.startReading()
    if (socket.writableFinished) {
      this.socketFinished()
      return
    }
    socket.once('finish', socketFinished)
    socket.end()
  }

  /** @internal After `close` everything is with the system. */
  socketFinished(): void {
    const socket = this.#socket
    if (socket.destroyed) return
    if (this.#unread && !socket.readableEnded) {
      this.#linger = this.loop.callAtSystem(this.loop.now() + LINGER_MS, () => socket.destroy())
    } else {
      socket.destroy()
    }
  }

  protected cut(error: Error | null): void {
    this.#error ??= error
    cutSocket(this.#socket, this.remoteAddress)
  }

  /** @internal The next read goes into memory of its own. */
  setOwnsMemory(owns: boolean): void {
    if (owns === this.ownsMemory) return
    this.ownsMemory = owns
    ownedMemories += owns ? 1 : -1
  }

  /** @internal */
  socketReceived(chunk: Buffer): void {
    if (this.closing) this.#unread = true
    else this.received(chunk)
  }

  /** @internal */
  socketEnded(): void {
    if (!this.closing) this.ended()
  }

  /** @internal */
  socketFailed(error: Error): void {
    this.#error ??= error
  }

  /** @internal */
  socketClosed(): void {
    this.setOwnsMemory(false)
    this.#linger?.cancel()
    this.lost(this.#error)
  }
}

/**
 * What was read leaves the shared memory before the next socket is read. A socket that reads much at once is given memory
 * of its own for the next time, which is then handed on as it is.
 *
 * The next memory is named last of all: what is told of these bytes may make other sockets, which name theirs.
 */
function socketRead(this: Socket, bytes: number, memory: Buffer): boolean {
  const { [TRANSPORT]: transport } = this as Partial<OwnedSocket>
  // A connection that is refused.
  if (transport === undefined) return true
  const large = bytes >= LARGE_READ_BYTES
  const own = transport.ownsMemory
  transport.socketReceived(large && own ? memory.subarray(0, bytes) : copyOf(memory, bytes))
  if (large ? own || ownedMemories < MOST_OWNED_MEMORIES : own) {
    nextMemory = large ? Buffer.allocUnsafeSlow(SHARED_BYTES) : shared!
    transport.setOwnsMemory(large)
  }
  return true
}

/** In a slab that others share if it is small, as Node makes small buffers. */
function copyOf(memory: Uint8Array, bytes: number): Buffer {
  const copy = Buffer.allocUnsafe(bytes)
  copy.set(new Uint8Array(memory.buffer, memory.byteOffset, bytes))
  return copy
}

function socketReceived(this: Socket, chunk: Buffer): void {
  ;(this as OwnedSocket)[TRANSPORT].socketReceived(chunk)
}

function socketEnded(this: Socket): void {
  ;(this as OwnedSocket)[TRANSPORT].socketEnded()
}

function socketFailed(this: Socket, error: Error): void {
  ;(this as OwnedSocket)[TRANSPORT].socketFailed(error)
}

function socketFinished(this: Socket): void {
  ;(this as OwnedSocket)[TRANSPORT].socketFinished()
}

function socketClosed(this: Socket): void {
  ;(this as OwnedSocket)[TRANSPORT].socketClosed()
}

class NodeConnection implements NewConnection {
  readonly remoteAddress: SocketAddress
  readonly #localAddress: SocketAddress | null
  readonly #socket: Socket

  /** @param localAddress null: the socket knows */
  constructor(socket: Socket, localAddress: SocketAddress | null, remoteAddress: SocketAddress) {
    this.#socket = socket
    this.#localAddress = localAddress
    this.remoteAddress = remoteAddress
  }

  take(events: TransportEvents, runner: Runner): void {
    new NodeTransport(this.#socket, events, runner, this.#localAddress, this.remoteAddress)
  }

  refuse(answer?: Uint8Array): void {
    const socket = this.#socket
    socket.on('error', ignore)
    if (answer === undefined || answering === MOST_ANSWERING) {
      cutSocket(socket, this.remoteAddress)
      return
    }
    answering++
    const timer = setTimeout(() => socket.destroy(), LAST_ANSWER_MS)
    socket.on('close', () => {
      answering--
      clearTimeout(timer)
    })
    // Closing a socket with unread bytes resets it, and the peer may never see the answer: what it sends is read away
    // until it has closed too.
    socket.on('end', () => socket.destroy())
    socket.resume()
    socket.end(answer)
  }
}

function cutSocket(socket: Socket, remote: SocketAddress): void {
  if (socket.destroyed) return
  // All is sent and the end of it is on its way: libuv refuses to reset, and Node would leave the socket open for ever.
  const endsNow = socket.writableEnded && socket.writableLength === 0 && !socket.writableFinished
  // There is no reset for Unix sockets.
  if (endsNow || remote.path !== undefined) socket.destroy()
  else socket.resetAndDestroy()
}

/** Sockets of the host. */
export class NodeNetwork implements Network {
  readonly resolver: Resolver = systemResolver

  listen(place: Place, settings: ListenSettings, events: ListenEvents): () => void {
    if ('path' in place) return listenUnix(place, settings, events)
    if ('host' in place) return listenTcp(place, settings, events)
    throw new Error(`cede: the network of the node driver was asked for memory:${place.memory}`)
  }

  connect(place: Place, settings: ConnectSettings, events: ConnectEvents): () => void {
    const { noDelay, keepAliveMs, localHost, localPort } = settings
    let socket: Socket
    if ('path' in place) {
      const unusable = unusablePath(place.path)
      if (unusable !== null) {
        events.failed(unusable)
        return () => {}
      }
      socket = connect({ path: place.path, allowHalfOpen: true, ...readingOptions() })
    } else if ('host' in place) {
      socket = connect({
        host: place.host,
        port: place.port,
        allowHalfOpen: true,
        ...readingOptions(),
        autoSelectFamily: false,
        noDelay,
        ...(keepAliveMs === null ? {} : { keepAlive: true, keepAliveInitialDelay: keepAliveMs }),
        ...(localHost === undefined ? {} : { localAddress: localHost }),
        ...(localPort === undefined ? {} : { localPort }),
      })
    } else {
      throw new Error(`cede: the network of the node driver was asked for memory:${place.memory}`)
    }
    const failed = (error: Error): void => events.failed(error)
    socket.on('error', ignore)
    socket.once('error', failed)
    socket.once('connect', () => {
      socket.off('error', failed)
      const connection =
        'path' in place
          ? new NodeConnection(socket, UNNAMED, { host: '', port: 0, path: place.path })
          : new NodeConnection(socket, null, addressOf(socket.remoteAddress, socket.remotePort))
      events.connected(connection)
    })
    return () => {
      socket.removeAllListeners()
      socket.on('error', ignore)
      socket.destroy()
    }
  }
}

function listenTcp(place: TcpPlace, settings: ListenSettings, events: ListenEvents): () => void {
  const { noDelay, keepAliveMs, backlog, reusePort, ipv6Only } = settings
  const server = createServer({
    allowHalfOpen: true,
    pauseOnConnect: shared !== null,
    noDelay,
    ...(keepAliveMs === null ? {} : { keepAlive: true, keepAliveInitialDelay: keepAliveMs }),
  })
  const options: ListenOptions & { reusePort?: boolean } = {
    ...(place.host === EVERY_ADDRESS ? {} : { host: place.host }),
    port: place.port,
    backlog,
    ...(reusePort ? { reusePort } : {}),
    ...(ipv6Only ? { ipv6Only } : {}),
  }
  return serve(
    server,
    options,
    events,
    (socket) => {
      return new NodeConnection(socket, null, addressOf(socket.remoteAddress, socket.remotePort))
    },
    () => {
      const { address, port } = server.address() as { address: string; port: number }
      return { address: { host: address, port }, close: () => void server.close() }
    },
  )
}

function listenUnix({ path }: UnixPlace, settings: ListenSettings, events: ListenEvents): () => void {
  const file = new UnixSocketFile(path)
  const address: SocketAddress = { host: '', port: 0, path }
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: shared !== null })
  let giveUp: () => void
  const stopTrying = file.whenFree((error) => {
    if (error !== null) {
      events.failed(error)
      return
    }
    giveUp = serve(
      server,
      { path: file.boundPath, backlog: settings.backlog },
      events,
      (socket) => new NodeConnection(socket, address, UNNAMED),
      () => {
        file.publish(settings.mode)
        const close = (): void => {
          server.close()
          if (settings.removeFile) file.remove()
        }
        return { address, close }
      },
    )
  })
  giveUp ??= stopTrying
  return () => giveUp()
}

/**
 * Listens, and tells what happens.
 *
 * @param connectionOf what a socket is told as
 * @param listenerOf called when it listens; what it throws means that it could not
 */
function serve(
  server: Server,
  options: ListenOptions,
  events: ListenEvents,
  connectionOf: (socket: Socket) => NewConnection,
  listenerOf: () => { address: SocketAddress; close: () => void },
): () => void {
  const failed = (error: Error): void => {
    server.removeAllListeners()
    server.on('error', ignore)
    events.failed(error)
  }
  server.once('error', failed)
  const reserved = firstReservedDescriptor()
  server.on('connection', (socket) => {
    if (reserved !== null && descriptorOf(socket) >= reserved) {
      socket.on('error', ignore)
      cutSocket(socket, socket.remoteAddress === undefined ? UNNAMED : UNKNOWN)
      events.refused(descriptorsSpent(reserved))
      return
    }
    events.accepted(connectionOf(readingSocket(socket)))
  })
  server.once('listening', () => {
    server.off('error', failed)
    server.on('error', (error) => events.acceptFailed(error))
    // By us or by others: a worker of node:cluster that is disconnected closes its servers.
    server.once('close', () => events.closed())
    try {
      events.listening(listenerOf())
    } catch (error) {
      server.close()
      failed(error as Error)
    }
  })
  server.listen(options)
  return () => {
    server.removeAllListeners()
    server.on('error', ignore)
    // Before it listens there is nothing to close; if it does later, it is closed then.
    server.on('listening', () => void server.close())
    if (server.listening) server.close()
  }
}

/** The number of the socket's descriptor; -1 where the host does not say. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { _handle?: { fd?: unknown } | null }
  return typeof handle?.fd === 'number' ? handle.fd : -1
}

function ignore(): void {}

function addressOf(host: string | undefined, port: number | undefined): SocketAddress {
  return host === undefined || port === undefined ? UNKNOWN : { host: plainHost(host), port }
}

/** An IPv4 peer of a socket that takes both kinds is written as IPv4. */
function plainHost(host: string): string {
  return host.startsWith(MAPPED_IPV4) && isIP(host) === 6 && host.includes('.')
    ? host.slice(MAPPED_IPV4.length)
    : host
}

const MAPPED_IPV4 = '::ffff:'
