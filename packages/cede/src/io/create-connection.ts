/** Connecting with a protocol at this end. */
import { coroutine } from '../core/coroutine.ts'
import { Loop } from '../core/loop.ts'
import { wrongArgument } from '../core/misuse.ts'
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
import type { AnyProtocol } from './protocol.ts'
import { ProtocolAdapter } from './protocol-adapter.ts'
import type { Transport } from './transport.ts'

export interface CreateConnectionOptions extends ConnectOptions {
  /** What stands between the connection and its protocol, outermost first. Default: none. */
  readonly policies?: readonly Policy[] | undefined
}

const ACT = 'createConnection()'

/**
 * Opens a connection for a protocol. Suspends until it is made and the protocol was told so. It belongs to the run and
 * is closed at its end at the latest.
 *
 * @param makeProtocol called once, before the first attempt
 * @param where as for `openConnection`
 * @param options how to connect; with `{ host, port }` and `{ path }` they may stand in there
 * @throws {ConnectError} if nobody listens there, the host is unknown, or nothing answers
 * @throws what `makeProtocol` throws; nothing is left open
 * @throws {MisuseError} at the call, if an argument is none
 *
 * @example
 * import { Future, run, startServer } from 'cede'
 * import { createConnection, Protocol } from 'cede/lowlevel'
 *
 * class Print extends Protocol {
 *   readonly ended = new Future<void>()
 *   override dataReceived(chunk: Buffer) {
 *     console.log(chunk.toString().trimEnd())
 *   }
 *   override connectionLost() {
 *     this.ended.setResult()
 *   }
 * }
 * await run(function* () {
 *   const server = yield* startServer(
 *     function* (_reader, writer) {
 *       yield* writer.send('hello\n')
 *     },
 *     { host: '127.0.0.1', port: 0 },
 *   )
 *   const { protocol } = yield* createConnection(() => new Print(), { host: '127.0.0.1', port: server.port })
 *   yield* protocol.ended
 *   yield* server.shutdown()
 * })
 */
export function createConnection<P extends AnyProtocol>(
  makeProtocol: () => P,
  where: string | URL | Endpoint | ((TcpTarget | UnixTarget) & CreateConnectionOptions),
  options?: CreateConnectionOptions,
): Coroutine<{ readonly transport: Transport; readonly protocol: P }> {
  checkMaker(ACT, makeProtocol)
  const given: CreateConnectionOptions = optionsBeside(ACT, where, options)
  checkConnectOptions(ACT, given)
  checkPolicies(ACT, given.policies)
  const endpoint = targetOf(ACT, where, given)
  const site = new CallSite(createConnection)
  return created(makeProtocol, endpoint, given.policies, site) as Coroutine<{
    readonly transport: Transport
    readonly protocol: P
  }>
}

const created = coroutine(
  'createConnection',
  function* (
    makeProtocol: () => AnyProtocol,
    endpoint: Endpoint,
    policies: readonly Policy[] | undefined,
    site: CallSite,
  ): Generator<Suspension, { readonly transport: Transport; readonly protocol: AnyProtocol }> {
    const protocol = makeProtocol()
    const adapter = new ProtocolAdapter(ACT, protocol, Loop.currentRunner(ACT))
    yield* connected(ACT, endpoint, adapter, policies, site)
    return { transport: adapter.transport!, protocol }
  },
)

/** @throws {MisuseError} if it is no function */
export function checkMaker(act: string, makeProtocol: unknown): void {
  if (typeof makeProtocol === 'function') return
  throw wrongArgument(
    act,
    'a function that makes a protocol for each connection',
    makeProtocol,
    `write \`${act.slice(0, -1)}() => new MyProtocol(), { host, port })\``,
  )
}
