/**
 * Endpoints: where to connect or listen, as an object. Every opener makes one of what it is given (`{ host, port }`,
 * `{ path }`, a URL, or an endpoint itself), and knows no more of sockets than this. So one that does something of its own
 * (a proxy, a tunnel) can take the place of any other.
 */
import { isIP } from 'node:net'
import { wrongArgument } from '../core/misuse.ts'
import type { Operation } from '../core/suspension.ts'
import { checkDuration, checkHost, checkPort, checkSize, numberOrName } from './address.ts'
import { endpointOfUrl } from './endpoint-url.ts'
import { TcpEndpoint, UnixEndpoint } from './endpoints.ts'
import { checkResolver, type Resolver } from './resolver.ts'
import type { Listener, NewConnection } from './transport.ts'

/** What happens at a place where a server listens; called from outside of any coroutine. */
export interface AcceptEvents {
  accepted(connection: NewConnection): void
  /** A connection had to be refused, because something of this machine is spent. */
  refused(why: Error): void
  /** Connections cannot be accepted at the moment. */
  acceptFailed(error: Error): void
  /** A listener was closed, perhaps by others than its owner: no connection will come. */
  closed(): void
}

export interface Endpoint {
  /** For messages and names: `127.0.0.1:80`. */
  readonly address: string
  /**
   * Connects. Suspends until `take` was called, once, with the connection, which it takes at once.
   *
   * @throws {ConnectError} if it cannot
   */
  connect(take: (connection: NewConnection) => void): Operation<void>
  /**
   * Listens. Suspends until it does.
   *
   * @returns one or more listeners
   * @throws {ListenError} if it cannot; nothing is left open
   */
  listen(events: AcceptEvents): Operation<readonly Listener[]>
}

/** How sockets are set up. */
export interface SocketOptions {
  /** Sends small writes at once instead of waiting for an answer to the last ones. Default: true. */
  readonly noDelay?: boolean | undefined
  /**
   * Asks the peer now and then whether it is alive, so that one that vanished without a word is noticed: true, or after
   * how many milliseconds without traffic, of which systems make whole seconds. Default: false; true is 60,000.
   */
  readonly keepAlive?: boolean | number | undefined
  /** Finds addresses of names. Default: that of `resolverVar`, or the system's. */
  readonly resolver?: Resolver | undefined
  /** 4 or 6: only addresses of that kind. Default: both. */
  readonly family?: 4 | 6 | undefined
}

/** How to connect. */
export interface ConnectOptions extends SocketOptions {
  /** The address of this machine to connect from. Default: the system chooses. */
  readonly localHost?: string | undefined
  /** The port to connect from. Default: the system chooses. */
  readonly localPort?: number | undefined
  /**
   * If the host has several addresses: after how many milliseconds without an answer the next one is tried as well (RFC
   * 8305). Default: 250.
   */
  readonly attemptDelayMs?: number | undefined
}

/** How to listen. */
export interface ListenOptions extends SocketOptions {
  /** How many connections the system keeps until they are accepted. Default: 511. */
  readonly backlog?: number | undefined
  /** A port that a server which has ended used a moment ago may be used at once. Default: true, and nothing else is possible. */
  readonly reuseAddress?: true | undefined
  /** Several processes may listen there and share the connections (Node 22.12 and later, Linux). Default: false. */
  readonly reusePort?: boolean | undefined
  /** Where it listens on IPv6: take no IPv4 connections. Default: false. */
  readonly ipv6Only?: boolean | undefined
  /** Rights of a Unix socket's file, e.g. `0o660`. Default: what the process gives to new files. */
  readonly mode?: number | undefined
  /** Removes a Unix socket's file when the server closes. Default: true. */
  readonly removeFile?: boolean | undefined
}

/** Where to connect by TCP. */
export interface TcpTarget {
  /** Name or address. Default: `localhost`. */
  readonly host?: string | undefined
  readonly port: number
}

/** Where to listen by TCP. */
export interface TcpSource {
  /** Names or addresses. Default: every address of this machine. */
  readonly host?: string | readonly string[] | undefined
  /** 0: the system chooses one that is free, the same for all addresses. */
  readonly port: number
}

/** The file of a Unix socket. */
export interface UnixTarget {
  readonly path: string
}

/**
 * The endpoint that is meant.
 *
 * @throws {MisuseError} if it is none; {RangeError} if a number in it is wrong
 */
export function endpointOf(act: string, where: unknown, options: ConnectOptions & ListenOptions): Endpoint {
  if (typeof where === 'string' || where instanceof URL) return endpointOfUrl(act, where, options)
  if (typeof where !== 'object' || where === null) throw notAPlace(act, where)
  if (isEndpoint(where)) return where
  const { host, port, path } = where as { host?: unknown; port?: unknown; path?: unknown }
  if (path !== undefined) {
    if (typeof path !== 'string' || path === '')
      throw wrongArgument(act, 'a path', path, "write `{ path: '/run/x.sock' }`")
    if (host === undefined && port === undefined) return new UnixEndpoint(path, options)
    throw wrongArgument(act, 'a path alone', where, 'a Unix socket has no host and no port')
  }
  const hosts: readonly unknown[] = Array.isArray(host) ? host : [host]
  if (hosts.length === 0) throw notAPlace(act, where)
  for (const one of hosts) checkHost(act, one)
  checkPort(act, port)
  return new TcpEndpoint(hosts as readonly (string | undefined)[], port as number, options)
}

/**
 * Options stand beside a place in a second argument, or, where the place is an object, in it.
 *
 * @throws {MisuseError} if there are none where some are needed, or they are no object
 */
export function optionsBeside<O extends object>(act: string, where: unknown, options: O | undefined): O {
  if (options === undefined) return (typeof where === 'object' && where !== null ? where : {}) as O
  if (typeof options === 'object' && (options as unknown) !== null) return options
  throw wrongArgument(act, 'options', options, `write \`${callOf(act)}{ host, port })\``)
}

/**
 * The endpoint to connect to.
 *
 * @throws what `endpointOf` throws; {MisuseError} if it is several, or any; {RangeError} if its port is 0
 */
export function targetOf(act: string, where: unknown, options: ConnectOptions): Endpoint {
  const host = (where as { host?: unknown } | null | undefined)?.host
  if (Array.isArray(host)) {
    throw wrongArgument(act, 'one host', host, 'several are for servers; a name may have several addresses')
  }
  const endpoint = endpointOf(act, where, options)
  if (endpoint instanceof TcpEndpoint) endpoint.checkTarget(act)
  return endpoint
}

function isEndpoint(value: object): value is Endpoint {
  const { connect, listen } = value as Partial<Endpoint>
  return typeof connect === 'function' && typeof listen === 'function'
}

function notAPlace(act: string, found: unknown): Error {
  return wrongArgument(
    act,
    'a place (`{ host, port }`, `{ path }`, a URL or an endpoint)',
    found,
    `write \`${callOf(act)}{ host: '127.0.0.1', port: 8080 })\``,
  )
}

/** `startServer(handler, `. */
function callOf(act: string): string {
  const call = act.slice(0, -1)
  return act === 'startServer()'
    ? `${call}handler, `
    : act.startsWith('create')
      ? `${call}makeProtocol, `
      : call
}

/** @throws {RangeError | MisuseError} if one is wrong */
export function checkConnectOptions(act: string, options: ConnectOptions): void {
  checkSocketOptions(act, options)
  const { localHost } = options
  if (localHost !== undefined && isIP(localHost) === 0) {
    throw wrongArgument(
      act,
      'localHost to be an address of this machine',
      localHost,
      "write `localHost: '127.0.0.1'`",
    )
  }
  if (options.localPort !== undefined) checkPort(act, options.localPort)
  checkDuration(act, 'attemptDelayMs', options.attemptDelayMs)
}

/** @throws {RangeError | MisuseError} if one is wrong */
export function checkListenOptions(act: string, options: ListenOptions): void {
  checkSocketOptions(act, options)
  checkSize(act, 'backlog', options.backlog)
  const { reuseAddress, mode } = options
  if ((reuseAddress as unknown) === false) {
    throw wrongArgument(
      act,
      'reuseAddress to be true',
      reuseAddress,
      'the system is always asked to allow it',
    )
  }
  if (mode !== undefined && !(Number.isInteger(mode) && mode >= 0 && mode <= 0o777)) {
    throw new RangeError(
      `${act}: mode was expected to be a number from 0 to 0o777, found ${numberOrName(mode)}; write \`mode: 0o660\``,
    )
  }
}

function checkSocketOptions(act: string, { keepAlive, resolver, family }: SocketOptions): void {
  if (typeof keepAlive === 'number') checkDuration(act, 'keepAlive', keepAlive)
  checkResolver(act, resolver)
  if (family !== undefined && (family as unknown) !== 4 && (family as unknown) !== 6) {
    throw new RangeError(`${act}: family was expected to be 4 or 6, found ${String(family)}`)
  }
}
