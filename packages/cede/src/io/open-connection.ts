/** Connecting as a coroutine. */
import { coroutine } from '../core/coroutine.ts'
import { Loop } from '../core/loop.ts'
import type { Coroutine, Suspension } from '../core/suspension.ts'
import { CallSite } from './call-site.ts'
import { connected } from './connected.ts'
import {
  checkConnectOptions,
  optionsBeside,
  targetOf,
  type ConnectOptions,
  type Endpoint,
  type TcpTarget,
  type UnixTarget,
} from './endpoint.ts'
import { checkPolicies, type Policy } from './policy.ts'
import { checkStreamOptions, StreamProtocol, type StreamOptions } from './stream-protocol.ts'
import type { StreamReader } from './stream-reader.ts'
import type { StreamWriter } from './stream-writer.ts'

export interface ConnectionOptions extends ConnectOptions, StreamOptions {
  /** What stands between the connection and its reader and writer, outermost first. Default: none. */
  readonly policies?: readonly Policy[] | undefined
}

export interface OpenConnectionOptions extends ConnectionOptions, TcpTarget {}

export interface OpenUnixConnectionOptions extends ConnectionOptions, UnixTarget {}

/** Both halves of a stream. */
export interface Connection {
  readonly reader: StreamReader
  readonly writer: StreamWriter
}

const ACT = 'openConnection()'

/**
 * Opens a connection. Suspends until it is made. Whoever opens it closes it: `writer.close()` in a `finally`. It belongs
 * to the run and is closed at its end at the latest.
 *
 * A host with several addresses is tried as RFC 8305 says: the next address when the last has not answered within
 * a quarter of a second, and the first that answers is taken.
 *
 * @param where `{ host, port }`, `{ path }` of a Unix socket, `'tcp://host:port'`, `'unix:///path'`, `'memory://name'`, or
 *   an endpoint
 * @param options how to connect, and the sizes of the buffers; with `{ host, port }` and `{ path }` they stand in there
 * @throws {ConnectError} if nobody listens there, the host is unknown, or nothing answers
 * @throws {RangeError} at the call, if the port or a size is wrong; {MisuseError} if the options are none
 *
 * @example
 * import { openConnection, run, startServer, type StreamReader, type StreamWriter } from 'cede'
 *
 * function* shout(reader: StreamReader, writer: StreamWriter) {
 *   const line = yield* reader.readLine()
 *   if (line !== null) yield* writer.send(line.toString().toUpperCase())
 * }
 * await run(function* () {
 *   const server = yield* startServer(shout, { host: '127.0.0.1', port: 0 })
 *   const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
 *   try {
 *     yield* writer.send('hello\n')
 *     console.log((yield* reader.readLine())?.toString())
 *   } finally {
 *     writer.close()
 *   }
 *   yield* server.shutdown()
 * })
 */
export function openConnection(
  where: OpenConnectionOptions | OpenUnixConnectionOptions,
): Coroutine<Connection>
export function openConnection(
  where: string | URL | Endpoint | TcpTarget | UnixTarget,
  options?: ConnectionOptions,
): Coroutine<Connection>
export function openConnection(where: unknown, options?: ConnectionOptions): Coroutine<Connection> {
  const given: ConnectionOptions = optionsBeside(ACT, where, options)
  checkConnectOptions(ACT, given)
  checkStreamOptions(ACT, given)
  checkPolicies(ACT, given.policies)
  return opened(targetOf(ACT, where, given), given, new CallSite(openConnection))
}

const opened = coroutine(
  'openConnection',
  function* (
    endpoint: Endpoint,
    options: ConnectionOptions,
    site: CallSite,
  ): Generator<Suspension, Connection> {
    const protocol = new StreamProtocol(options, Loop.currentRunner(ACT))
    yield* connected(ACT, endpoint, protocol, options.policies, site)
    const { reader, writer } = protocol
    return { reader, writer }
  },
)
