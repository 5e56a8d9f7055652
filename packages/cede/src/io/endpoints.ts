/** The endpoints there are: TCP, Unix sockets, memory. */
import { Loop } from '../core/loop.ts'
import { wrongArgument } from '../core/misuse.ts'
import type { Suspension } from '../core/suspension.ts'
import { formatAddress } from './address.ts'
import { attemptAt } from './connect-attempt.ts'
import type { AcceptEvents, ConnectOptions, Endpoint, ListenOptions } from './endpoint.ts'
import { ConnectError, ListenError } from './errors.ts'
import { DEFAULT_ATTEMPT_DELAY_MS, interleaved, raceAttempts } from './happy-eyeballs.ts'
import { listenAt } from './listen-at.ts'
import { networkOf } from './network.ts'
import { resolve, resolverVar, type ResolvedAddress } from './resolver.ts'
import { connectSettings } from './socket-settings.ts'
import { EVERY_ADDRESS, type Listener, type NewConnection, type TcpPlace } from './transport.ts'

type Options = ConnectOptions & ListenOptions

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
    this.address = hosts
      .map((host) => formatAddress({ host: host === undefined || host === EVERY_ADDRESS ? '*' : host, port }))
      .join(', ')
  }

  /** @throws {MisuseError | RangeError} if it is only for servers */
  checkTarget(act: string): void {
    if (this.#hosts[0] === EVERY_ADDRESS) {
      throw wrongArgument(
        act,
        'the host of a server',
        '*',
        "that is for servers; write `'tcp://localhost:8080'`",
      )
    }
    if (this.#port === 0) {
      throw new RangeError(`${act}: the port of a server was expected, found 0, which is for servers`)
    }
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
      yield* attemptAt(places[0]!, address, settings, take)
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
      (place) => attemptAt(place, formatAddress(place), settings, takeFirst),
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
      if (host === undefined || host === EVERY_ADDRESS) {
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
    yield* attemptAt({ path: this.#path }, this.address, connectSettings(this.#options), take)
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
    yield* attemptAt({ memory: this.#name }, this.address, connectSettings(this.#options), take)
  }

  *listen(events: AcceptEvents): Generator<Suspension, readonly Listener[]> {
    return [yield* listenAt({ memory: this.#name }, this.#options, events)]
  }
}
