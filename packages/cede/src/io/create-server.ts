/** Listening with a protocol for each connection. */
import { coroutine } from '../core/coroutine.ts'
import { Loop } from '../core/loop.ts'
import type { Coroutine, Suspension } from '../core/suspension.ts'
import { CallSite } from './call-site.ts'
import { checkServerOptions, type BaseServerOptions } from './base-server.ts'
import { checkMaker } from './create-connection.ts'
import { optionsBeside, type Endpoint, type TcpSource, type UnixTarget } from './endpoint.ts'
import type { AnyProtocol } from './protocol.ts'
import { ProtocolServer } from './protocol-server.ts'
import { endpointsOf, type ListenPlace } from './start-server.ts'

const ACT = 'createServer()'

/**
 * Starts a server with a protocol for each connection. Suspends until it listens. It belongs to the run it is started
 * in, and ends with it at the latest. Protocols are called in a copy of the context variables that are set here.
 *
 * @param makeProtocol called for each connection
 * @param where as for `startServer`
 * @param options limits and policies; with `{ host, port }` and `{ path }` they may stand in there
 * @throws {ListenError} if it cannot listen at one of the places
 * @throws {MisuseError} at the call, if an argument is none; {RangeError} if a number is wrong
 *
 * @example
 * import { openConnection, run } from 'cede'
 * import { createServer, Protocol, type Transport } from 'cede/lowlevel'
 *
 * class Greet extends Protocol {
 *   override connectionMade(transport: Transport) {
 *     transport.write(Buffer.from('hello\n'))
 *     transport.close()
 *   }
 * }
 * await run(function* () {
 *   const server = yield* createServer(() => new Greet(), 'tcp://127.0.0.1:0')
 *   const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
 *   console.log(yield* reader.readTextLine())
 *   writer.close()
 *   yield* server.shutdown()
 * })
 */
export function createServer<P extends AnyProtocol>(
  makeProtocol: () => P,
  where: ListenPlace | ((TcpSource | UnixTarget) & BaseServerOptions) | readonly ListenPlace[],
  options?: BaseServerOptions,
): Coroutine<ProtocolServer<P>> {
  checkMaker(ACT, makeProtocol)
  const given: BaseServerOptions = optionsBeside(ACT, where, options)
  checkServerOptions(ACT, given)
  return created(
    makeProtocol,
    endpointsOf(ACT, where, given),
    given,
    new CallSite(createServer),
  ) as Coroutine<ProtocolServer<P>>
}

const created = coroutine(
  'createServer',
  function* (
    makeProtocol: () => AnyProtocol,
    endpoints: readonly Endpoint[],
    options: BaseServerOptions,
    site: CallSite,
  ): Generator<Suspension, ProtocolServer> {
    const server = new ProtocolServer(makeProtocol, options, Loop.currentRunner(ACT))
    yield* server.listen(endpoints, site)
    return server
  },
)
