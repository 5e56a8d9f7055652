/**
 * A network in memory, within one loop: of `memory://` addresses and stream pairs, and all there is on the sim driver.
 * There it knows ports, hosts and paths as well, so that a server needs no change to be simulated.
 */
import type { Loop } from '../core/loop.ts'
import type { Suspension } from '../core/suspension.ts'
import type { TimerHandle } from '../core/timer-handle.ts'
import { SimDriver } from '../drivers/sim.ts'
import type { SocketAddress } from './address.ts'
import { memoryConnection, systemError } from './memory-socket.ts'
import { NetworkConditions } from './network-conditions.ts'
import type { ResolvedAddress, Resolver } from './resolver.ts'
import type {
  ConnectEvents,
  ConnectSettings,
  Listener,
  ListenEvents,
  ListenSettings,
  Network,
  NewConnection,
  Place,
} from './transport.ts'

/** Ports that are given to whoever does not say one. */
const FIRST_FREE_PORT = 49_152
const LAST_PORT = 65_535

/** Where a server listens on every address. */
const EVERY_HOST: ReadonlySet<string> = new Set(['', '0.0.0.0', '::'])

/** Hosts are there by being named. Each has an address of either kind. */
class Hosts {
  /** By name and by address. */
  readonly #numbers = new Map<string, number>()
  #hosts = 0

  constructor() {
    for (const local of ['localhost', '127.0.0.1', '::1', '0.0.0.0', '::']) this.#numbers.set(local, 0)
  }

  addressOf(host: string, family: 4 | 6): ResolvedAddress {
    const number = this.numberOf(host)
    if (number === 0) return { address: family === 6 ? '::1' : '127.0.0.1', family }
    return { address: family === 6 ? ipv6Of(number) : ipv4Of(number), family }
  }

  /** The same for all names and addresses of a host; 0: this machine. */
  numberOf(host: string): number {
    const known = this.#numbers.get(host)
    if (known !== undefined) return known
    const number = ++this.#hosts
    for (const name of [host, ipv4Of(number), ipv6Of(number)]) {
      if (!this.#numbers.has(name)) this.#numbers.set(name, number)
    }
    return number
  }
}

function ipv4Of(number: number): string {
  return `10.${String((number >> 16) & 255)}.${String((number >> 8) & 255)}.${String(number & 255)}`
}

function ipv6Of(number: number): string {
  return `fd00::${(number >> 16).toString(16)}:${(number & 65_535).toString(16)}`
}

function* found(address: ResolvedAddress): Generator<Suspension, readonly ResolvedAddress[]> {
  return [address]
}

export class MemoryNetwork implements Network {
  readonly resolver: Resolver = (host, { family }) => found(this.#hosts.addressOf(host, family === 6 ? 6 : 4))
  readonly #hosts = new Hosts()
  readonly #loop: Loop
  readonly #conditions: NetworkConditions
  /** By port, path or name. */
  readonly #listeners = new Map<string, MemoryListener[]>()
  /** Paths where a server has left its file. */
  readonly #staleFiles = new Set<string>()
  #lastPort = FIRST_FREE_PORT - 1
  /** Listeners that share a port have their turns. */
  #turns = 0

  constructor(loop: Loop) {
    this.#loop = loop
    this.#conditions = new NetworkConditions(loop.driver instanceof SimDriver ? loop.driver.network : {})
  }

  listen(place: Place, settings: ListenSettings, events: ListenEvents): () => void {
    const bound = this.#bind(place, settings, events)
    let givenUp = false
    this.#loop.callSystem(() => {
      if (givenUp) return
      if (bound instanceof Error) events.failed(bound)
      else bound.open()
    })
    return () => {
      givenUp = true
      if (!(bound instanceof Error)) bound.close()
    }
  }

  #bind(place: Place, settings: ListenSettings, events: ListenEvents): MemoryListener | Error {
    let taken = place
    if ('host' in place && place.port === 0) {
      const port = this.#freePort()
      if (port === null) return inUse('expected a free port, found none')
      taken = { host: place.host, port }
    }
    const key = keyOf(taken)
    const others = this.#listeners.get(key) ?? []
    const host = 'host' in taken && EVERY_HOST.has(taken.host) ? null : this.#hostOf(taken)
    const listener = new MemoryListener(this.#loop, taken, host, settings, events, () => {
      const left = this.#listeners.get(key)!.filter((other) => other !== listener)
      if (left.length > 0) this.#listeners.set(key, left)
      else this.#listeners.delete(key)
      if ('path' in taken && !settings.removeFile) this.#staleFiles.add(taken.path)
    })
    if (others.some((other) => other.excludes(listener))) return inUse('somebody listens there')
    if ('path' in taken) this.#staleFiles.delete(taken.path)
    this.#listeners.set(key, [...others, listener])
    return listener
  }

  connect(place: Place, settings: ConnectSettings, events: ConnectEvents): () => void {
    let waitsFor: MemoryListener | null = null
    let timer: TimerHandle | null = null
    let givenUp = false
    const attempt = (): void => {
      if (givenUp) return
      timer = null
      waitsFor = null
      const listener = this.#listenerAt(place)
      if (listener === null) {
        events.failed(this.#nobodyAt(place))
      } else if (!listener.hasRoom) {
        waitsFor = listener
        listener.whenRoom(attempt)
      } else {
        const [ours, theirs] = memoryConnection(
          this.#loop,
          this.#conditions,
          this.#clientAddress(place, settings),
          addressOf(place),
        )
        listener.arrive(theirs)
        events.connected(ours)
      }
    }
    const answer = this.#conditions.refuses() ? () => givenUp || events.failed(refused()) : attempt
    const delayMs = this.#conditions.delayMs() + this.#conditions.delayMs()
    if (delayMs === 0) this.#loop.callSystem(answer)
    else timer = this.#loop.callAtSystem(this.#loop.now() + delayMs, answer)
    return () => {
      givenUp = true
      timer?.cancel()
      waitsFor?.forget(attempt)
    }
  }

  /** Two ends of one connection, which nobody has to listen for. */
  pair(): readonly [NewConnection, NewConnection] {
    const unnamed = addressOf({ memory: '' })
    return memoryConnection(this.#loop, this.#conditions, unnamed, unnamed)
  }

  #listenerAt(place: Place): MemoryListener | null {
    const host = this.#hostOf(place)
    const there = (this.#listeners.get(keyOf(place)) ?? []).filter((listener) => listener.isAt(host))
    return there.length === 0 ? null : there[this.#turns++ % there.length]!
  }

  /** Null, of a path and a name: there is only one. */
  #hostOf(place: Place): number | null {
    return 'host' in place ? this.#hosts.numberOf(place.host) : null
  }

  #nobodyAt(place: Place): Error {
    return 'path' in place && !this.#staleFiles.has(place.path) ? noFile(place.path) : refused()
  }

  #clientAddress(place: Place, { localHost, localPort }: ConnectSettings): SocketAddress {
    if ('path' in place) return addressOf({ path: '' })
    if ('memory' in place) return addressOf({ memory: '' })
    const host = localHost ?? (place.host === '::1' ? '::1' : '127.0.0.1')
    return { host, port: localPort ?? this.#freePort() ?? 0 }
  }

  /** Another one each time, until all have had their turn. */
  #freePort(): number | null {
    for (let tries = FIRST_FREE_PORT; tries <= LAST_PORT; tries++) {
      this.#lastPort = this.#lastPort === LAST_PORT ? FIRST_FREE_PORT : this.#lastPort + 1
      if (!this.#listeners.has(keyOf({ host: '', port: this.#lastPort }))) return this.#lastPort
    }
    return null
  }
}

class MemoryListener implements Listener {
  readonly address: SocketAddress
  readonly #loop: Loop
  readonly #events: ListenEvents
  readonly #backlogLength: number
  readonly #shares: boolean
  /** Null: every one. */
  readonly #host: number | null
  readonly #release: () => void
  /** Connections that were not accepted yet. */
  #backlog: NewConnection[] = []
  /** Attempts that found no room, as a system would try them again. */
  #waiting: (() => void)[] = []
  #state: 'bound' | 'open' | 'closed' = 'bound'
  #accepting = false

  constructor(
    loop: Loop,
    place: Place,
    host: number | null,
    settings: ListenSettings,
    events: ListenEvents,
    release: () => void,
  ) {
    this.#loop = loop
    this.#events = events
    this.#backlogLength = Math.max(1, settings.backlog)
    this.#shares = settings.reusePort
    this.#host = host
    this.#release = release
    this.address = addressOf(place)
  }

  /** Begins to accept. */
  open(): void {
    this.#state = 'open'
    this.#events.listening(this)
    this.#acceptSoon()
  }

  close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#release()
    for (const connection of this.#backlog) connection.refuse()
    this.#backlog = []
    const waiting = this.#waiting
    this.#waiting = []
    for (const attempt of waiting) this.#loop.callSystem(attempt)
  }

  isAt(host: number | null): boolean {
    return this.#host === null || this.#host === host
  }

  /** Both cannot listen at the same port, path or name. */
  excludes(other: MemoryListener): boolean {
    if (this.#shares && other.#shares) return false
    return this.#host === null || other.#host === null || this.#host === other.#host
  }

  get hasRoom(): boolean {
    return this.#backlog.length < this.#backlogLength
  }

  whenRoom(attempt: () => void): void {
    this.#waiting.push(attempt)
  }

  forget(attempt: () => void): void {
    this.#waiting = this.#waiting.filter((other) => other !== attempt)
  }

  arrive(connection: NewConnection): void {
    this.#backlog.push(connection)
    this.#acceptSoon()
  }

  #acceptSoon(): void {
    if (this.#accepting || this.#state !== 'open' || this.#backlog.length === 0) return
    this.#accepting = true
    this.#loop.callSystem(() => {
      this.#accepting = false
      const connection = this.#backlog.shift()
      if (connection === undefined) return
      this.#acceptSoon()
      this.#waiting.shift()?.()
      this.#events.accepted(connection)
    })
  }
}

// -------------------------------------------------------------------- addresses and errors

function keyOf(place: Place): string {
  if ('host' in place) return `port ${String(place.port)}`
  return 'path' in place ? `path ${place.path}` : `memory ${place.memory}`
}

/** As the other end and the listener are told it. */
function addressOf(place: Place): SocketAddress {
  if (!('host' in place)) return { host: '', port: 0, ...place }
  const { host, port } = place
  return { host: host === '' ? '::' : host, port }
}

function refused(): Error {
  return systemError('ECONNREFUSED', 'nobody listens there')
}

function inUse(message: string): Error {
  return systemError('EADDRINUSE', message)
}

function noFile(path: string): Error {
  return systemError('ENOENT', `no such file: ${path}`)
}
