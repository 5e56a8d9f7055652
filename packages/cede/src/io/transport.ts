/**
 * The seam between what carries bytes and what uses them. A transport is told what to do; it tells its events what
 * happened. A network makes transports, one connection at a time and from plain addresses; names, races, policies and
 * streams are built on it. Whatever is beneath, a host's socket, our own, memory, only has to be these.
 *
 * The rules that every transport keeps (one contract suite holds them all to it):
 * `connectionMade` comes first; then reading starts, unless it was paused in there. `connectionLost` comes last and
 * exactly once, never from inside `close()` or `abort()`. Between them `eofReceived` comes at most once, after all data.
 */
import type { Runner } from '../core/runner.ts'
import type { SocketAddress } from './address.ts'
import type { AnyProtocol } from './protocol.ts'
import type { Resolver } from './resolver.ts'

export interface WriteMarks {
  /** Above this many bytes `pauseWriting` is called. */
  readonly highWaterBytes: number
  /** At or below this many, `resumeWriting`. */
  readonly lowWaterBytes: number
}

export const DEFAULT_HIGH_WATER_BYTES = 65_536
export const DEFAULT_LOW_WATER_BYTES = 16_384
export const DEFAULT_FLUSH_MS = 60_000

/** A connection, as protocols see it. None of its methods suspends. */
export interface Transport {
  /** This end. */
  readonly localAddress: SocketAddress
  /** The other end. */
  readonly remoteAddress: SocketAddress
  /** Bytes written that the system has not taken. */
  readonly bufferedBytes: number
  /** When `pauseWriting` and `resumeWriting` are called. Setting checks at once. Default: 65,536 and 16,384. */
  writeMarks: WriteMarks
  /**
   * After `close`: if the peer takes nothing of what is buffered for so many milliseconds, the connection is cut. Each
   * byte it takes starts the time anew. Default: 60,000; `Infinity`: no limit.
   */
  flushMs: number
  /** What is told of this connection. May be exchanged at any time; the new one is not told `connectionMade`. */
  protocol: AnyProtocol
  /** True from `close` or `abort` on, and when the connection is gone. */
  readonly closing: boolean
  /** False while paused, and when no more data can come. */
  readonly reading: boolean
  /** True if one direction can be ended without the other. */
  readonly canWriteEof: boolean
  /** No more `dataReceived` until `resumeReading`. Idempotent, as is that. */
  pauseReading(): void
  resumeReading(): void
  /**
   * Buffers `data`; what is written until the end of the pass leaves in one go. The bytes must not be changed
   * afterwards. Dropped after `close`, `abort`, or the end of the connection; of the fifth write after the end the
   * exception handler is told.
   *
   * @throws {ClosedError} after `writeEof`
   */
  write(data: Uint8Array): void
  /** Writes several. */
  writeLines(list: Iterable<Uint8Array>): void
  /** Ends this direction when the buffer is empty. Idempotent; nothing after `close`. */
  writeEof(): void
  /** Reads no more, and closes when the buffer is empty. `connectionLost` follows. */
  close(): void
  /** Drops the buffer and resets the connection. `connectionLost` follows. */
  abort(): void
}

/** What a transport tells. The streams' own, and that of every protocol; called from outside of any coroutine. */
export interface TransportEvents {
  /** What `transport.protocol` gives and sets. */
  protocol: AnyProtocol
  connectionMade(transport: InnerTransport): void
  dataReceived(chunk: Buffer): void
  /** The peer sends nothing more. @returns true to keep the other direction open */
  eofReceived(): boolean
  /** More than the high-water mark is buffered. */
  pauseWriting(): void
  /** No more than the low-water mark is left. */
  resumeWriting(): void
  /** Null: it was closed on purpose, or ended by the peer in good order. */
  connectionLost(error: Error | null): void
}

/** What is at the inner end of a connection: a stream, or a protocol. */
export interface ConnectionEnd extends TransportEvents {
  /** Called when the connection is gone and this end knows. */
  onLost: (() => void) | null
  /** Closes the connection if it was made. */
  close(): void
  /** Cuts the connection if it was made. */
  abort(): void
}

/** A transport, as this library's own layers see it. */
export interface InnerTransport extends Transport {
  /** `bufferedBytes` to the byte, where that counts what is taken only when a whole write is. */
  readonly leftBytes: number
  /** Like `abort`, but `connectionLost` is given `error`. */
  fail(error: Error): void
}

/** A connection that was made, to a listener or by us. It must be taken or refused at once, or is lost. */
export interface NewConnection {
  readonly remoteAddress: SocketAddress
  /** Makes the transport. `runner` is told what nobody else can receive. */
  take(events: TransportEvents, runner: Runner): void
  /** Resets it; with an `answer`, sends that and closes. */
  refuse(answer?: Uint8Array): void
}

/** How sockets are set up. */
export interface SocketSettings {
  /** Small writes leave at once instead of waiting for an answer to the last ones. */
  readonly noDelay: boolean
  /** After so many milliseconds without traffic the system asks whether the peer is alive; null: never. */
  readonly keepAliveMs: number | null
}

/** As a host to listen at: all addresses of this machine, of both kinds if it has both. */
export const EVERY_ADDRESS = ''

/** Where one socket of TCP listens or leads: an address, not a name. */
export interface TcpPlace {
  readonly host: string
  readonly port: number
}

/** Where one Unix socket listens or leads. */
export interface UnixPlace {
  readonly path: string
}

/** Where a memory socket listens or leads. */
export interface MemoryPlace {
  readonly memory: string
}

export type Place = TcpPlace | UnixPlace | MemoryPlace

export interface ListenSettings extends SocketSettings {
  /** How many connections the system keeps until they are accepted. */
  readonly backlog: number
  /** Several processes may listen there, and share the connections. */
  readonly reusePort: boolean
  /** An IPv6 socket does not take IPv4 connections as well. */
  readonly ipv6Only: boolean
  /** Rights of a Unix socket's file, e.g. 0o660; undefined: as the process usually makes files. */
  readonly mode: number | undefined
  /** A Unix socket's file is removed when the server closes. */
  readonly removeFile: boolean
}

export interface ConnectSettings extends SocketSettings {
  readonly localHost: string | undefined
  readonly localPort: number | undefined
}

/** Told by a listener. */
export interface ListenEvents {
  listening(listener: Listener): void
  /** It never listened; nothing is left open. */
  failed(error: Error): void
  accepted(connection: NewConnection): void
  /** A connection had to be refused, because something of this machine is spent; the listener goes on. */
  refused(why: Error): void
  /** Connections cannot be accepted at the moment; the listener goes on. */
  acceptFailed(error: Error): void
  /** It is closed, also by others than its owner, and no connection will come. A network that knows no others may be silent. */
  closed(): void
}

export interface Listener {
  readonly address: SocketAddress
  /** Refuses new connections from now on; those that were made stay. */
  close(): void
}

/** Told by an attempt to connect: one of the two, once. */
export interface ConnectEvents {
  connected(connection: NewConnection): void
  /** Nothing is left open. */
  failed(error: Error): void
}

/** What a driver gives to its loop. */
export interface Network {
  /** Finds addresses of names where nothing else is said. */
  readonly resolver: Resolver
  /** @returns how to give up before one of `listening` and `failed` was called; then neither will be */
  listen(place: Place, settings: ListenSettings, events: ListenEvents): () => void
  /** @returns how to give up before one of `connected` and `failed` was called; then neither will be */
  connect(place: Place, settings: ConnectSettings, events: ConnectEvents): () => void
}
