/** The endpoints there are: TCP, Unix sockets, memory. */
import { Leaf } from '../core/leaf.ts'
import { Loop } from '../core/loop.ts'
import { steppedByHand } from '../core/misuse.ts'
import { answerProbe, PROBE } from '../core/probe.ts'
import { announce } from '../core/running.ts'
import type { Coroutine, Suspension, WaitDescription } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import { formatAddress } from './address.ts'
import type { AcceptEvents, ConnectOptions, Endpoint, ListenOptions } from './endpoint.ts'
import { ConnectError, ListenError } from './errors.ts'
import { DEFAULT_ATTEMPT_DELAY_MS, interleaved, raceAttempts } from './happy-eyeballs.ts'
import { networkOf } from './network.ts'
import { resolve, resolverVar, type ResolvedAddress } from './resolver.ts'
import type {
  ConnectSettings,
  Listener,
  ListenSettings,
  NewConnection,
  Place,
  TcpPlace,
} from './transport.ts'

type Options = ConnectOptions & ListenOptions

const DEFAULT_BACKLOG = 511
const DEFAULT_KEEP_ALIVE_MS = 60_000
/** How often a server on several addresses looks for a port that is free on all of them. */
const COMMON_PORT_TRIES = 20

export class TcpEndpoint implements Endpoint {
  readonly address: string
  readonly #hosts: readonly (string | undefined)[]
  readonly #port: number
  readonly #options: Options

  constructor(hosts: readonly (string | undefined)[], port: number, options: Options) {
    this.#hosts = hosts
    this.#port = port
    this.#options = options
    this.address = hosts.map((host) => formatAddress({ host: host ?? '*', port })).join(', ')
  }

  *connect(take: (connection: NewConnection) => void): Generator<Suspension, void> {
    const port = this.#port
    const host = this.#hosts[0] ?? 'localhost'
    const address = formatAddress({ host, port })
    let places: readonly TcpPlace[]
    try {
      const found = yield* this.#resolve(host)
      places = interleaved(found).map((one) => ({ host: one.address, port }))
    } catch (error) {
      throw new ConnectError(address, [error as Error])
    }
    const settings = connectSettings(this.#options)
    if (places.length === 1) {
      yield* attempt(places[0]!, address, settings, take)
      return
    }
    let taken = false
    const takeFirst = (connection: NewConnection): void => {
      if (taken) connection.refuse()
      else take(connection)
      taken = true
    }
    const errors = yield* raceAttempts(
      places,
      (place) => attempt(place, formatAddress(place), settings, takeFirst),
      this.#options.attemptDelayMs ?? DEFAULT_ATTEMPT_DELAY_MS,
    )
    if (errors !== null) throw new ConnectError(address, errors)
  }

  *listen(events: AcceptEvents): Generator<Suspension, readonly Listener[]> {
    const places = yield* this.#places()
    for (let tries = 1; ; tries++) {
      const listeners: Listener[] = []
      let complete = false
      try {
        for (const place of places) {
          // The first one chooses the port of all.
          const port = place.port === 0 ? (listeners[0]?.address.port ?? 0) : place.port
          listeners.push(yield* listenAt({ host: place.host, port }, this.#options, events))
        }
        complete = true
        return listeners
      } catch (error) {
        const taken = error instanceof ListenError && error.systemCode === 'EADDRINUSE'
        if (this.#port !== 0 || listeners.length === 0 || !taken || tries >= COMMON_PORT_TRIES) throw error
      } finally {
        if (!complete) for (const listener of listeners) listener.close()
      }
    }
  }

  *#places(): Generator<Suspension, readonly TcpPlace[]> {
    const port = this.#port
    const places: TcpPlace[] = []
    for (const host of this.#hosts) {
      if (host === undefined) {
        places.push({ host: this.#options.family === 4 ? '0.0.0.0' : EVERY_ADDRESS, port })
        continue
      }
      let found: readonly ResolvedAddress[]
      try {
        found = yield* this.#resolve(host)
      } catch (error) {
        throw new ListenError(formatAddress({ host, port }), error as Error)
      }
      for (const { address } of found) {
        if (!places.some((place) => place.host === address)) places.push({ host: address, port })
      }
    }
    return places
  }

  #resolve(host: string): Generator<Suspension, readonly ResolvedAddress[]> {
    const { family = 0, resolver } = this.#options
    const network = networkOf('resolve', Loop.currentRunner('resolve').loop, { host, port: this.#port })
    return resolve(host, family, resolver ?? resolverVar.get(network.resolver))
  }
}

/** Both kinds, where the machine has both. */
const EVERY_ADDRESS = ''

export class UnixEndpoint implements Endpoint {
  readonly address: string
  readonly #path: string
  readonly #options: Options

  constructor(path: string, options: Options) {
    this.#path = path
    this.#options = options
    this.address = formatAddress({ host: '', port: 0, path })
  }

  *connect(take: (connection: NewConnection) => void): Generator<Suspension, void> {
    yield* attempt({ path: this.#path }, this.address, connectSettings(this.#options), take)
  }

  *listen(events: AcceptEvents): Generator<Suspension, readonly Listener[]> {
    return [yield* listenAt({ path: this.#path }, this.#options, events)]
  }
}

export class MemoryEndpoint implements Endpoint {
  readonly address: string
  readonly #name: string
  readonly #options: Options

  constructor(name: string, options: Options) {
    this.#name = name
    this.#options = options
    this.address = formatAddress({ host: '', port: 0, memory: name })
  }

  *connect(take: (connection: NewConnection) => void): Generator<Suspension, void> {
    yield* attempt({ memory: this.#name }, this.address, connectSettings(this.#options), take)
  }

  *listen(events: AcceptEvents): Generator<Suspension, readonly Listener[]> {
    return [yield* listenAt({ memory: this.#name }, this.#options, events)]
  }
}

function attempt(
  place: Place,
  address: string,
  settings: ConnectSettings,
  take: (connection: NewConnection) => void,
): Coroutine<void> {
  return new Attempt(place, address, settings, take)
}

/** One attempt to connect to one address. */
class Attempt extends Leaf<void> {
  readonly #place: Place
  readonly #address: string
  readonly #settings: ConnectSettings
  readonly #take: (connection: NewConnection) => void
  #giveUp: (() => void) | null = null
  #result: Error | 'connected' | null = null

  constructor(
    place: Place,
    address: string,
    settings: ConnectSettings,
    take: (connection: NewConnection) => void,
  ) {
    super()
    this.#place = place
    this.#address = address
    this.#settings = settings
    this.#take = take
  }

  next(value?: unknown): IteratorResult<Suspension, void> {
    if (value === PROBE) return answerProbe()
    const result = this.#result
    if (result === null) {
      if (this.#giveUp !== null) throw steppedByHand('openConnection()')
      return announce(this)
    }
    if (result !== 'connected') throw new ConnectError(this.#address, [result])
    return { done: true, value: undefined }
  }

  park(task: Task): void {
    const network = networkOf('openConnection()', task.runner.loop, this.#place)
    this.#giveUp = network.connect(this.#place, this.#settings, {
      connected: (connection) => {
        this.#result = 'connected'
        this.#take(connection)
        task.resume(undefined)
      },
      failed: (error) => {
        this.#result = error
        task.resume(undefined)
      },
    })
  }

  unpark(): void {
    this.#giveUp!()
  }

  describe(): WaitDescription {
    return { what: `a connection to ${this.#address}` }
  }
}

function listenAt(place: Place, options: ListenOptions, events: AcceptEvents): Coroutine<Listener> {
  return new Listening(place, listenSettings(options), events)
}

/** One listener at one address. */
class Listening extends Leaf<Listener> {
  readonly #place: Place
  readonly #settings: ListenSettings
  readonly #events: AcceptEvents
  #giveUp: (() => void) | null = null
  #result: Listener | Error | null = null

  constructor(place: Place, settings: ListenSettings, events: AcceptEvents) {
    super()
    this.#place = place
    this.#settings = settings
    this.#events = events
  }

  next(value?: unknown): IteratorResult<Suspension, Listener> {
    if (value === PROBE) return answerProbe()
    const result = this.#result
    if (result === null) {
      if (this.#giveUp !== null) throw steppedByHand('startServer()')
      return announce(this)
    }
    if (result instanceof Error) throw new ListenError(this.#address, result)
    return { done: true, value: result }
  }

  get #address(): string {
    return addressOfPlace(this.#place)
  }

  park(task: Task): void {
    const ended = (result: Listener | Error): void => {
      this.#result = result
      task.resume(undefined)
    }
    const events = this.#events
    const network = networkOf('startServer()', task.runner.loop, this.#place)
    this.#giveUp = network.listen(this.#place, this.#settings, {
      listening: ended,
      failed: ended,
      accepted: (connection) => events.accepted(connection),
      refused: (why) => events.refused(why),
      acceptFailed: (error) => events.acceptFailed(error),
    })
  }

  unpark(): void {
    this.#giveUp!()
  }

  describe(): WaitDescription {
    return { what: `the server to listen on ${this.#address}` }
  }
}

function addressOfPlace(place: Place): string {
  if ('host' in place)
    return formatAddress({ host: place.host === EVERY_ADDRESS ? '*' : place.host, port: place.port })
  return formatAddress({ host: '', port: 0, ...place })
}

function keepAliveMs(keepAlive: boolean | number | undefined): number | null {
  if (keepAlive === undefined || keepAlive === false) return null
  return keepAlive === true ? DEFAULT_KEEP_ALIVE_MS : keepAlive
}

function connectSettings(options: ConnectOptions): ConnectSettings {
  return {
    noDelay: options.noDelay ?? true,
    keepAliveMs: keepAliveMs(options.keepAlive),
    localHost: options.localHost,
    localPort: options.localPort,
  }
}

function listenSettings(options: ListenOptions): ListenSettings {
  return {
    noDelay: options.noDelay ?? true,
    keepAliveMs: keepAliveMs(options.keepAlive),
    backlog: options.backlog ?? DEFAULT_BACKLOG,
    reusePort: options.reusePort ?? false,
    ipv6Only: options.ipv6Only ?? false,
    mode: options.mode,
    removeFile: options.removeFile ?? true,
  }
}
