/**
 * Stands between a transport and a protocol of a program: calls it in the context of whoever made the connection, puts
 * bytes into the memory of a buffered protocol, and holds its errors. What a callback throws is reported and ends the
 * connection, which is told the error last of all.
 */
import { inheritContext } from '../core/context.ts'
import { wrongArgument } from '../core/misuse.ts'
import type { Runner } from '../core/runner.ts'
import type { CallbackScope } from '../core/timer-handle.ts'
import { formatAddress } from './address.ts'
import { BufferedProtocol, classOf, expectNothing, Protocol, type AnyProtocol } from './protocol.ts'
import type { ConnectionEnd, InnerTransport } from './transport.ts'

export class ProtocolAdapter implements ConnectionEnd {
  onLost: (() => void) | null = null
  readonly #runner: Runner
  readonly #scope: CallbackScope
  #protocol: AnyProtocol
  #transport: InnerTransport | null = null

  /** @throws {MisuseError} if `protocol` is none */
  constructor(act: string, protocol: AnyProtocol, runner: Runner) {
    this.#protocol = checkedProtocol(act, protocol)
    this.#runner = runner
    // The host's own context as well: the event may be told among those of other connections.
    const captured = runner.bridge === null ? null : runner.bridge.open()
    this.#scope = { runner, context: inheritContext(), captured }
  }

  get protocol(): AnyProtocol {
    return this.#protocol
  }

  set protocol(protocol: AnyProtocol) {
    this.#protocol = checkedProtocol('transport.protocol', protocol)
  }

  connectionMade(transport: InnerTransport): void {
    this.#transport = transport
    const protocol = this.#protocol
    this.#call('connectionMade', () =>
      expectNothing(protocol, 'connectionMade', protocol.connectionMade(transport)),
    )
  }

  dataReceived(chunk: Buffer): void {
    const protocol = this.#protocol
    if (protocol instanceof Protocol)
      this.#call('dataReceived', () => expectNothing(protocol, 'dataReceived', protocol.dataReceived(chunk)))
    else this.#call('getBuffer and bufferUpdated', () => this.#fill(protocol, chunk))
  }

  /** Puts a chunk into the memory of a protocol, in pieces if that is smaller. */
  #fill(protocol: BufferedProtocol, chunk: Buffer): void {
    for (let start = 0; start < chunk.length && !this.#transport!.closing;) {
      if (this.#protocol !== protocol) {
        this.dataReceived(chunk.subarray(start))
        return
      }
      start += fillOnce(protocol, chunk.subarray(start))
    }
  }

  eofReceived(): boolean {
    const protocol = this.#protocol
    let keepsOpen = false
    this.#call('eofReceived', () => {
      const returned = protocol.eofReceived()
      if (returned === true) keepsOpen = true
      else expectNothing(protocol, 'eofReceived', returned)
    })
    return keepsOpen
  }

  pauseWriting(): void {
    const protocol = this.#protocol
    this.#call('pauseWriting', () => expectNothing(protocol, 'pauseWriting', protocol.pauseWriting()))
  }

  resumeWriting(): void {
    const protocol = this.#protocol
    this.#call('resumeWriting', () => expectNothing(protocol, 'resumeWriting', protocol.resumeWriting()))
  }

  connectionLost(error: Error | null): void {
    // A policy that throws in `connectionMade` keeps this one from being told.
    const protocol = this.#protocol
    if (this.#transport !== null)
      this.#call('connectionLost', () =>
        expectNothing(protocol, 'connectionLost', protocol.connectionLost(error)),
      )
    const { runner, captured } = this.#scope
    if (captured !== null) runner!.bridge!.close(captured)
    this.onLost?.()
  }

  /** Null until the connection was made. */
  get transport(): InnerTransport | null {
    return this.#transport
  }

  close(): void {
    this.#transport?.close()
  }

  abort(): void {
    this.#transport?.abort()
  }

  #call(name: string, callback: () => void): void {
    // For debug mode, which tells of calls that hold the loop.
    if (this.#runner.debug !== null) Object.defineProperty(callback, 'name', { value: this.#nameOf(name) })
    this.#runner.loop.callNow(callback, this.#scope, (error) => {
      const transport = this.#transport!
      this.#runner.report({
        message: `${name}() of the protocol of ${formatAddress(transport.remoteAddress)} threw; the connection is closed`,
        error,
      })
      transport.fail(error instanceof Error ? error : new Error(String(error), { cause: error }))
    })
  }

  #nameOf(call: string): string {
    return `${classOf(this.#protocol)}.${call}, ${formatAddress(this.#transport!.remoteAddress)}`
  }
}

/** @returns how many bytes of `chunk` there was room for */
function fillOnce(protocol: BufferedProtocol, chunk: Buffer): number {
  const target = protocol.getBuffer(chunk.length)
  if (!(target instanceof Uint8Array) || target.length === 0) {
    throw wrongArgument('getBuffer()', 'memory of 1 byte or more', target, 'return a Uint8Array')
  }
  const count = Math.min(target.length, chunk.length)
  target.set(chunk.subarray(0, count))
  expectNothing(protocol, 'bufferUpdated', protocol.bufferUpdated(count))
  return count
}

function checkedProtocol(act: string, protocol: unknown): AnyProtocol {
  if (protocol instanceof Protocol || protocol instanceof BufferedProtocol) return protocol
  throw wrongArgument(
    act,
    'a Protocol or a BufferedProtocol',
    protocol,
    'write `class MyProtocol extends Protocol { ... }`, and give a new one for each connection',
  )
}
