/** Listening as a coroutine. */
import { coroutine } from '../core/coroutine.ts'
import { Loop } from '../core/loop.ts'
import { wrongArgument } from '../core/misuse.ts'
import type { Coroutine, Suspension } from '../core/suspension.ts'
import { CallSite } from './call-site.ts'
import { checkServerOptions } from './base-server.ts'
import {
  endpointOf,
  optionsBeside,
  type Endpoint,
  type ListenOptions,
  type TcpSource,
  type UnixTarget,
} from './endpoint.ts'
import { checkHandler, Server, type ConnectionHandler, type ServerOptions } from './server.ts'
import { checkStreamOptions } from './stream-protocol.ts'

export interface StartServerOptions extends ServerOptions, TcpSource {}

export interface StartUnixServerOptions extends ServerOptions, UnixTarget {}

/** Where a server can listen. */
export type ListenPlace = string | URL | Endpoint | TcpSource | UnixTarget

const ACT = 'startServer()'

/**
 * Starts a server: each connection gets a task of its own that runs `handler`. Suspends until the server listens.
 *
 * The server belongs to the run it is started in, and ends with it at the latest. When a handler ends, its connection
 * is closed after what it wrote is sent; one that throws is reported to the exception handler. Handlers run in a copy
 * of the context variables that are set when the server is started.
 *
 * @param handler a coroutine function, given a reader and a writer
 * @param where `{ host, port }` (several hosts are allowed), `{ path }` of a Unix socket, `'tcp://host:port'`,
 *   `'unix:///path?mode=660'`, `'memory://name'`, an endpoint, or a list of these
 * @param options limits, policies, and the sizes of the buffers; with `{ host, port }` and `{ path }` they stand in there
 * @throws {ListenError} if it cannot listen at one of them: the port is in use, the address is not of this machine
 * @throws {MisuseError} at the call, if `handler` is no function; {RangeError} if the port or a size is wrong
 *
 * @example
 * import { run, startServer, type StreamReader, type StreamWriter } from 'cede'
 *
 * function* echo(reader: StreamReader, writer: StreamWriter) {
 *   for (let line = yield* reader.readLine(); line !== null; line = yield* reader.readLine()) {
 *     yield* writer.send(line)
 *   }
 * }
 * await run(function* () {
 *   const server = yield* startServer(echo, { host: '127.0.0.1', port: 0 })
 *   console.log(`listening on port ${server.port}`)
 *   yield* server.shutdown() // a real one would: yield* server.serveForever()
 * })
 */
export function startServer(
  handler: ConnectionHandler,
  where: StartServerOptions | StartUnixServerOptions,
): Coroutine<Server>
export function startServer(
  handler: ConnectionHandler,
  where: ListenPlace | readonly ListenPlace[],
  options?: ServerOptions,
): Coroutine<Server>
export function startServer(
  handler: ConnectionHandler,
  where: unknown,
  options?: ServerOptions,
): Coroutine<Server> {
  checkHandler(handler)
  const given: ServerOptions = optionsBeside(ACT, where, options)
  checkServerOptions(ACT, given)
  checkStreamOptions(ACT, given)
  return started(handler, endpointsOf(ACT, where, given), given, new CallSite(startServer))
}

const started = coroutine(
  'startServer',
  function* (
    handler: ConnectionHandler,
    endpoints: readonly Endpoint[],
    options: ServerOptions,
    site: CallSite,
  ): Generator<Suspension, Server> {
    const server = new Server(handler, options, Loop.currentRunner(ACT))
    yield* server.listen(endpoints, site)
    return server
  },
)

/** @throws {MisuseError} if there is none, or one is none */
export function endpointsOf(act: string, where: unknown, options: ListenOptions): readonly Endpoint[] {
  const places: readonly unknown[] = Array.isArray(where) ? where : [where]
  if (places.length === 0) throw wrongArgument(act, 'a place to listen at, or several', where, 'name one')
  return places.map((place) => endpointOf(act, place, options))
}
