/**
 * Protocols: the callback style. A protocol is an object that is told what happens on one connection, and answers by
 * calling methods of its transport; nothing in it suspends. Streams are made of the same events.
 *
 * The methods here do nothing, so that a protocol has only those it needs. They are called by the loop, in the context
 * of whoever made the connection; what they throw is fatal for the connection, not for the process. The same goes for one
 * that is no plain function, a generator or async: what it does has to be done when it returns. Their return types,
 * `void | undefined`, let the compiler see that; `void` alone would take anything.
 */
import { refuseReturned } from '../core/checked-callback.ts'
import type { Transport } from './transport.ts'

abstract class BaseProtocol {
  /** First of all, before any data. Reading starts when it returns, unless it called `transport.pauseReading()`. */
  connectionMade(_transport: Transport): void | undefined {}

  /**
   * The peer sends nothing more.
   *
   * @returns true to keep the other direction open; otherwise the transport closes itself, after sending its buffer
   */

  eofReceived(): boolean | void {}

  /** More than the high-water mark is buffered: stop writing for a while. */
  pauseWriting(): void | undefined {}

  /** No more than the low-water mark is left: go on. */
  resumeWriting(): void | undefined {}

  /**
   * Last of all and exactly once.
   *
   * @param _error why it broke; null if it was closed by you, or by the peer in good order
   */
  connectionLost(_error: Error | null): void | undefined {}
}

/**
 * Told what happens on a connection.
 *
 * @example
 * import { openConnection, run } from 'cede'
 * import { createServer, Protocol, type Transport } from 'cede/lowlevel'
 *
 * class Echo extends Protocol {
 *   #transport!: Transport
 *   override connectionMade(transport: Transport) {
 *     this.#transport = transport
 *   }
 *   override dataReceived(chunk: Buffer) {
 *     this.#transport.write(chunk)
 *   }
 * }
 * await run(function* () {
 *   const server = yield* createServer(() => new Echo(), { host: '127.0.0.1', port: 0 })
 *   const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
 *   yield* writer.send('hello\n')
 *   console.log((yield* reader.readLine())?.toString())
 *   writer.close()
 *   server.close()
 *   yield* server.waitClosed()
 * })
 */
export class Protocol extends BaseProtocol {
  /** Some bytes came; they are yours. */
  dataReceived(_chunk: Buffer): void | undefined {}
}

/**
 * A protocol that owns the memory its bytes are put into. Bytes that came at once and do not fit are put there in pieces,
 * one right after the other, also if it pauses reading meanwhile; what is left when it closes the connection is dropped,
 * and what is left when it puts another protocol in its place goes to that one.
 */
export abstract class BufferedProtocol extends BaseProtocol {
  /**
   * Where the next bytes go.
   *
   * @param sizeHint how many bytes there may be
   * @returns memory of 1 byte or more, which is filled from its beginning
   */
  abstract getBuffer(sizeHint: number): Uint8Array

  /** `bytes` bytes were put into the memory that `getBuffer` gave. */
  abstract bufferUpdated(bytes: number): void | undefined
}

export type AnyProtocol = Protocol | BufferedProtocol

/** @internal For messages. */
export function classOf(protocol: object): string {
  const { name } = protocol.constructor
  return name === '' ? 'a protocol' : name
}

/**
 * @internal For what a method of a protocol has returned.
 *
 * @throws {MisuseError} if it was a generator or async
 */
export function expectNothing(protocol: object, method: string, returned: unknown): void {
  if (returned !== undefined) refuseReturned(`${method}() of ${classOf(protocol)}`, returned)
}
