/** A server whose connections are served by protocols: one object of the program for each. */
import type { Runner } from '../core/runner.ts'
import { formatAddress, type SocketAddress } from './address.ts'
import { BaseServer, type BaseServerOptions, type Member } from './base-server.ts'
import type { AnyProtocol } from './protocol.ts'
import { ProtocolAdapter } from './protocol-adapter.ts'
import type { NewConnection, Transport, TransportEvents } from './transport.ts'

/** A listening server, made by `createServer`. */
export class ProtocolServer<P extends AnyProtocol = AnyProtocol> extends BaseServer<ServedProtocol> {
  readonly #makeProtocol: () => P

  /** @internal */
  constructor(makeProtocol: () => P, options: BaseServerOptions, runner: Runner) {
    super(options, runner)
    this.#makeProtocol = makeProtocol
  }

  /** The transports of the connections that are open, oldest first. */
  get transports(): readonly Transport[] {
    return [...this.members].map(({ transport }) => transport)
  }

  /** The protocols of the connections that are open, oldest first. */
  get protocols(): readonly P[] {
    return this.transports.map(({ protocol }) => protocol as P)
  }

  /** @internal */
  protected override serve(
    connection: NewConnection,
    wrap: (events: TransportEvents) => TransportEvents,
  ): boolean {
    const { runner, context } = this
    let taken = false
    const accept = (): void => {
      const adapter = new ProtocolAdapter('createServer()', this.#makeProtocol(), runner)
      const events = wrap(adapter)
      const member = new ServedProtocol(adapter, connection.remoteAddress)
      this.members.add(member)
      adapter.onLost = () => this.remove(member)
      try {
        connection.take(events, runner)
        taken = true
      } catch (error) {
        this.members.delete(member)
        throw error
      }
    }
    if (runner.debug !== null) {
      const name = `createServer(), ${formatAddress(connection.remoteAddress)}`
      Object.defineProperty(accept, 'name', { value: name })
    }
    runner.loop.callNow(accept, { runner, context, captured: null }, (error) =>
      this.refuseBroken(connection, error),
    )
    return taken
  }

  /** @internal */
  protected override askToEnd(): void {
    // None has a handler that could wait for the end, so none is spared.
    this.closeClients()
  }
}

class ServedProtocol implements Member {
  readonly #adapter: ProtocolAdapter
  readonly remoteAddress: SocketAddress
  readonly task = null
  readonly behalf = null

  constructor(adapter: ProtocolAdapter, remoteAddress: SocketAddress) {
    this.#adapter = adapter
    this.remoteAddress = remoteAddress
  }

  get transport(): Transport {
    return this.#adapter.transport!
  }

  close(): void {
    this.#adapter.close()
  }

  abort(): void {
    this.#adapter.abort()
  }
}
