/** TCP and Unix sockets on the epoll driver: how they listen, are accepted, and connect. */
import { AsyncResource } from 'node:async_hooks'
import cluster from 'node:cluster'
import type { Loop } from '../core/loop.ts'
import type { Runner } from '../core/runner.ts'
import type { TimerHandle } from '../core/timer-handle.ts'
import type { EpollDriver, Watcher } from '../drivers/epoll.ts'
import { EAGAIN, EDGES, EINVAL, ENOENT, IPV6_ONLY, READABLE, REUSE_PORT, WRITABLE } from '../drivers/shim.ts'
import { systemError } from '../drivers/system-error.ts'
import { formatAddress, type SocketAddress } from './address.ts'
import { descriptorsSpent, firstReservedDescriptor } from './descriptor-limit.ts'
import { refuseSocket } from './epoll-refusal.ts'
import { EpollTransport } from './epoll-transport.ts'
import { systemResolver, type Resolver } from './resolver.ts'
import { addressMemory, localAddressOf, remoteAddressOf, UNNAMED, writtenAddress } from './system-address.ts'
import {
  EVERY_ADDRESS,
  type ConnectEvents,
  type ConnectSettings,
  type ListenEvents,
  type Listener,
  type ListenSettings,
  type Network,
  type NewConnection,
  type Place,
  type SocketSettings,
  type TcpPlace,
  type TransportEvents,
  type UnixPlace,
} from './transport.ts'
import { unusablePath, UnixSocketFile } from './unix-socket-file.ts'

/** Connections that one listener accepts before others have their turn. */
const MOST_ACCEPTS = 64
/** How long a listener waits when nothing can be accepted, in milliseconds. */
const ACCEPT_PAUSE_MS = 1_000
/** Errors of `accept` that tell of the listening socket: it was closed, or shut down, by somebody else. */
const NO_LISTENER: ReadonlySet<number> = new Set([-EINVAL, -9 /* EBADF */, -88 /* ENOTSOCK */])
/** Errors that tell of one connection, which ended before it began; or a firewall does not want it. The next may do. */
const NO_CONNECTION: ReadonlySet<number> = new Set([
  ...[-103 /* ECONNABORTED */, -1 /* EPERM */, -71 /* EPROTO */, -92 /* ENOPROTOOPT */, -95 /* EOPNOTSUPP */],
  ...[
    -100 /* ENETDOWN */, -101 /* ENETUNREACH */, -112 /* EHOSTDOWN */, -113 /* EHOSTUNREACH */,
    -64 /* ENONET */,
  ],
])
const EACCES = 13
const EADDRINUSE = 98
const EAFNOSUPPORT = 97
const EADDRNOTAVAIL = 99

/** Sockets of the system, on its driver. */
export class EpollNetwork implements Network {
  readonly resolver: Resolver = systemResolver
  readonly #loop: Loop
  readonly #driver: EpollDriver

  constructor(loop: Loop, driver: EpollDriver) {
    this.#loop = loop
    this.#driver = driver
  }

  listen(place: Place, settings: ListenSettings, events: ListenEvents): () => void {
    if ('path' in place) return this.#listenUnix(place, settings, events)
    if (!('host' in place)) throw noMemory(place.memory)
    const socket = listenTcp(this.#driver, place, settings)
    if (socket === -EADDRINUSE && cluster.isWorker && !settings.reusePort)
      return this.#failLater(usedByWorkers(formatAddress(place)), events)
    return this.#begin(socket, 'listen', formatAddress(place), events, () => {
      const address = localAddressOf(this.#driver.shim, socket)
      return new EpollListener(this.#loop, this.#driver, socket, address, null, events)
    })
  }

  #listenUnix({ path }: UnixPlace, settings: ListenSettings, events: ListenEvents): () => void {
    const file = new UnixSocketFile(path)
    const address: SocketAddress = { host: '', port: 0, path }
    let giveUp: () => void
    const stopTrying = file.whenFree((error) => {
      if (error !== null) {
        events.failed(error)
        return
      }
      const result = this.#driver.shim.listenUnix(file.boundPath, settings.backlog)
      // Its directory is there, or we were not here: /proc takes no files. libuv says the same.
      const socket = result === -ENOENT ? -EACCES : result
      giveUp = this.#begin(socket, 'listen', path, events, () => {
        file.publish(settings.mode)
        const removed = settings.removeFile ? file : null
        try {
          return new EpollListener(this.#loop, this.#driver, socket, address, removed, events)
        } catch (error) {
          file.remove()
          throw error
        }
      })
    })
    giveUp ??= stopTrying
    return () => giveUp()
  }

  /** The socket listens, or could not: tells so in the next pass, as other networks do. */
  #begin(
    socket: number,
    call: string,
    where: string,
    events: ListenEvents,
    listen: () => EpollListener,
  ): () => void {
    let listener: EpollListener | null = null
    let failed: Error | null = null
    if (socket < 0) {
      failed = systemError(socket, call, where)
    } else {
      try {
        listener = listen()
      } catch (error) {
        this.#driver.shim.close(socket)
        failed = error as Error
      }
    }
    let givenUp = false
    this.#loop.callSystem(() => {
      if (givenUp) return
      if (failed !== null) events.failed(failed)
      else events.listening(listener!)
    })
    return () => {
      givenUp = true
      listener?.close()
    }
  }

  connect(place: Place, settings: ConnectSettings, events: ConnectEvents): () => void {
    const { shim } = this.#driver
    let socket: number
    let where: string
    if ('path' in place) {
      const unusable = unusablePath(place.path)
      if (unusable !== null) {
        events.failed(unusable)
        return () => {}
      }
      where = place.path
      socket = shim.connectUnix(place.path)
    } else if ('host' in place) {
      const { host, port } = place
      const { localHost = '', localPort = 0, noDelay } = settings
      where = formatAddress(place)
      socket = shim.connectTcp(host, port, localHost, localPort, noDelay, keepAliveSeconds(settings))
    } else {
      throw noMemory(place.memory)
    }
    if (socket < 0) return this.#failLater(systemError(socket, 'connect', where), events)
    const remote = 'path' in place ? { host: '', port: 0, path: place.path } : null
    try {
      const attempt = new Connecting(this.#driver, socket, where, remote, events)
      return () => attempt.giveUp()
    } catch (error) {
      shim.close(socket)
      return this.#failLater(error as Error, events)
    }
  }

  #failLater(error: Error, events: ConnectEvents | ListenEvents): () => void {
    let givenUp = false
    this.#loop.callSystem(() => {
      if (!givenUp) events.failed(error)
    })
    return () => {
      givenUp = true
    }
  }
}

/** Here the workers of node:cluster do not share what the primary listens on. */
function usedByWorkers(where: string): Error {
  return Object.assign(systemError(-EADDRINUSE, 'listen', where), {
    message:
      'expected a free port, found it in use; on the epoll driver workers of node:cluster share one with ' +
      '`reusePort: true`, on the node driver without',
  })
}

function noMemory(name: string): Error {
  return new Error(`cede: the network of the epoll driver was asked for memory:${name}`)
}

/** -1: none. */
function keepAliveSeconds({ keepAliveMs }: SocketSettings): number {
  return keepAliveMs === null ? -1 : Math.floor(keepAliveMs / 1_000)
}

/** @returns the socket, or the negative errno */
function listenTcp({ shim }: EpollDriver, { host, port }: TcpPlace, settings: ListenSettings): number {
  const { backlog, noDelay, reusePort, ipv6Only } = settings
  const bits = (reusePort ? REUSE_PORT : 0) | (ipv6Only ? IPV6_ONLY : 0)
  const at = (address: string): number =>
    shim.listenTcp(address, port, backlog, noDelay, keepAliveSeconds(settings), bits)
  if (host !== EVERY_ADDRESS) return at(host)
  const result = at('::')
  // A machine without IPv6.
  return result === -EAFNOSUPPORT || result === -EADDRNOTAVAIL || result === -EINVAL ? at('0.0.0.0') : result
}

// -------------------------------------------------------------------- listening

class EpollListener implements Listener, Watcher {
  readonly address: SocketAddress
  readonly #loop: Loop
  readonly #driver: EpollDriver
  readonly #socket: number
  readonly #token: number
  /** To be removed at the end. */
  readonly #file: UnixSocketFile | null
  readonly #events: ListenEvents
  /** The first descriptor that is not for connections. */
  readonly #reserved: number
  /** Connections come in the context in which listening began, as they do in Node: AsyncLocalStorage of handlers. */
  readonly #resource = new AsyncResource('CedeListener', { requireManualDestroy: true })
  #pause: TimerHandle | null = null
  #closed = false

  constructor(
    loop: Loop,
    driver: EpollDriver,
    socket: number,
    address: SocketAddress,
    file: UnixSocketFile | null,
    events: ListenEvents,
  ) {
    this.#loop = loop
    this.#driver = driver
    this.#socket = socket
    this.address = address
    this.#file = file
    this.#events = events
    this.#reserved = firstReservedDescriptor() ?? Infinity
    // Without edges: what was not accepted this time is told again.
    this.#token = driver.watch(socket, READABLE, this)
    driver.need(true)
  }

  ready(): void {
    const { shim } = this.#driver
    if (this.#pause !== null) {
      // Nothing was asked for: only the end of the socket is told then.
      this.#end(systemError(-EINVAL, 'accept'))
      return
    }
    let failures = 0
    for (let accepts = 0; accepts < MOST_ACCEPTS && !this.#closed; accepts++) {
      const socket = shim.accept(this.#socket, addressMemory)
      if (socket >= 0) {
        this.#resource.runInAsyncScope(this.#accepted, this, socket)
      } else if (socket === -EAGAIN) {
        return
      } else if (NO_LISTENER.has(socket)) {
        this.#end(systemError(socket, 'accept'))
        return
      } else if (!NO_CONNECTION.has(socket) || ++failures === MOST_ACCEPTS) {
        this.#rest(systemError(socket, 'accept'))
        return
      }
    }
  }

  #accepted(socket: number): void {
    const { path } = this.address
    const remote = path === undefined ? writtenAddress() : UNNAMED
    if (socket >= this.#reserved) {
      this.#driver.shim.reset(socket)
      this.#events.refused(descriptorsSpent(this.#reserved))
      return
    }
    const local = path === undefined ? null : this.address
    this.#events.accepted(new EpollConnection(this.#driver, socket, -1, local, remote))
  }

  /** Nothing can be accepted: asking again at once would be all that this process does. */
  #rest(error: Error): void {
    if (!this.#rewatch(0)) return
    this.#pause = this.#loop.callAtSystem(this.#loop.now() + ACCEPT_PAUSE_MS, () => {
      this.#pause = null
      this.#rewatch(READABLE)
    })
    this.#events.acceptFailed(error)
  }

  /** @returns false if it is not there any more: then it has ended */
  #rewatch(bits: number): boolean {
    try {
      this.#driver.rewatch(this.#token, this.#socket, bits, this)
      return true
    } catch (error) {
      this.#end(error as Error)
      return false
    }
  }

  /** Nothing will ever be accepted. */
  #end(error: Error): void {
    this.close()
    this.#events.acceptFailed(error)
    this.#events.closed()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#pause?.cancel()
    this.#resource.emitDestroy()
    // Somebody else may have the socket too, as one who shuts it down from outside.
    this.#driver.unwatch(this.#token, this.#socket)
    this.#driver.shim.close(this.#socket)
    this.#driver.need(false)
    this.#file?.remove()
  }
}

// -------------------------------------------------------------------- connecting

/** Waits until a socket is connected, or is not. */
class Connecting implements Watcher {
  readonly #driver: EpollDriver
  readonly #socket: number
  readonly #where: string
  readonly #remote: SocketAddress | null
  readonly #events: ConnectEvents
  readonly #token: number
  #over = false

  /** @param remote null: the system knows */
  constructor(
    driver: EpollDriver,
    socket: number,
    where: string,
    remote: SocketAddress | null,
    events: ConnectEvents,
  ) {
    this.#driver = driver
    this.#socket = socket
    this.#where = where
    this.#remote = remote
    this.#events = events
    this.#token = driver.watch(socket, WRITABLE | EDGES, this)
    driver.need(true)
  }

  ready(): void {
    const { shim } = this.#driver
    const error = shim.socketError(this.#socket)
    if (error < 0) {
      this.giveUp()
      this.#events.failed(systemError(error, 'connect', this.#where))
      return
    }
    this.#over = true
    this.#driver.need(false)
    const remote = this.#remote ?? remoteAddressOf(shim, this.#socket)
    const local = this.#remote === null ? null : UNNAMED
    this.#events.connected(new EpollConnection(this.#driver, this.#socket, this.#token, local, remote))
  }

  giveUp(): void {
    if (this.#over) return
    this.#over = true
    this.#driver.need(false)
    this.#driver.forget(this.#token)
    this.#driver.shim.close(this.#socket)
  }
}

class EpollConnection implements NewConnection {
  readonly remoteAddress: SocketAddress
  readonly #driver: EpollDriver
  readonly #socket: number
  readonly #token: number
  readonly #local: SocketAddress | null
  /** The socket is that of a transport, which closes it. */
  #taken = false

  /**
   * @param token -1: it is not watched
   * @param local null: the system knows
   */
  constructor(
    driver: EpollDriver,
    socket: number,
    token: number,
    local: SocketAddress | null,
    remote: SocketAddress,
  ) {
    this.#driver = driver
    this.#socket = socket
    this.#token = token
    this.#local = local
    this.remoteAddress = remote
  }

  take(events: TransportEvents, runner: Runner): void {
    this.#taken = true
    new EpollTransport(
      this.#driver,
      this.#socket,
      this.#token,
      events,
      runner,
      this.#local,
      this.remoteAddress,
    )
  }

  refuse(answer?: Uint8Array): void {
    if (this.#taken) return
    const driver = this.#driver
    if (this.#token !== -1) driver.unwatch(this.#token, this.#socket)
    refuseSocket(driver, this.#socket, answer)
  }
}
