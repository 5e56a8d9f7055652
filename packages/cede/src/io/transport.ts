/**
 * The seam between streams and what carries their bytes. A stream is a protocol (it is told what happens) on a
 * transport (it is told what to do); a network makes transports. Whatever is beneath, a host's socket, our own, memory,
 * only has to be these.
 */
import type { SocketAddress } from './address.ts'

/** Told by a transport what happens on it, from outside of any coroutine. */
export interface Protocol {
  /** First of all, before any data. */
  connectionMade(transport: Transport): void
  dataReceived(chunk: Buffer): void
  /** The peer sends nothing more. The other direction stays open. */
  eofReceived(): void
  /** More than the high-water mark is buffered. */
  pauseWriting(): void
  /** No more than the low-water mark is left. */
  resumeWriting(): void
  /** Last of all and exactly once, never from inside `close()` or `abort()`. Null: it was closed on purpose. */
  connectionLost(error: Error | null): void
}

export interface WriteMarks {
  /** Above this many bytes `pauseWriting` is called. */
  readonly highWaterBytes: number
  /** At or below this many, `resumeWriting`. */
  readonly lowWaterBytes: number
}

export interface Transport {
  readonly localAddress: SocketAddress
  readonly remoteAddress: SocketAddress
  /** Bytes written that the system has not taken. */
  readonly bufferedBytes: number
  /** Setting checks at once. */
  writeMarks: WriteMarks
  /** Idempotent, as is `resumeReading`. */
  pauseReading(): void
  resumeReading(): void
  /** Buffers; what is written until the end of the pass leaves in one go. The bytes must not be changed afterwards. */
  write(data: Uint8Array): void
  /** Ends this direction when the buffer is empty. */
  writeEof(): void
  /** Reads no more, and closes when the buffer is empty. */
  close(): void
  /** Drops the buffer and resets the connection. */
  abort(): void
}

/** How to listen. */
export interface ListenSpec {
  readonly host: string | undefined
  readonly port: number
  readonly backlog: number | undefined
  readonly noDelay: boolean
}

/** How to connect. */
export interface ConnectSpec {
  readonly host: string
  readonly port: number
  readonly localHost: string | undefined
  readonly localPort: number | undefined
  readonly noDelay: boolean
}

/** A connection that somebody made to a listener. It must be taken or refused at once. */
export interface Accepted {
  readonly remoteAddress: SocketAddress
  take(protocol: Protocol): void
  refuse(): void
}

/** Told by a listener. */
export interface ListenEvents {
  listening(listener: Listener): void
  /** It never listened; nothing is left open. */
  failed(error: Error): void
  accepted(connection: Accepted): void
  /** A connection could not be accepted; the listener goes on. */
  acceptFailed(error: Error): void
}

export interface Listener {
  readonly address: SocketAddress
  /** Refuses new connections from now on; those that were made stay. */
  close(): void
}

/** Told by an attempt to connect: one of the two, once. */
export interface ConnectEvents {
  connected(): void
  /** Nothing is left open. */
  failed(error: Error): void
}

export interface Network {
  /** @returns how to give up before one of `listening` and `failed` was called; then neither will be */
  listen(spec: ListenSpec, events: ListenEvents): () => void
  /** @returns how to give up before one of `connected` and `failed` was called; then neither will be */
  connect(spec: ConnectSpec, protocol: Protocol, events: ConnectEvents): () => void
}
