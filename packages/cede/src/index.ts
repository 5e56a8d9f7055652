/** The door for programs. */
export * from './core.ts'
export type { DumpOptions } from './debug/dump.ts'
export { withStore } from './interop/async-local-storage.ts'
export { formatAddress, type SocketAddress } from './io/address.ts'
export {
  BusyError,
  ConnectError,
  ConnectionLostError,
  IncompleteReadError,
  LimitError,
  ListenError,
  ProtocolError,
} from './io/errors.ts'
export type { Decoded, FrameCodec, FrameLimit } from './io/framing/frame-codec.ts'
export { Framed, framed } from './io/framing/framed.ts'
export { jsonLines, type JsonFrame, type JsonLinesOptions, type JsonValue } from './io/framing/json-lines.ts'
export { lengthPrefixed, type LengthPrefixedOptions } from './io/framing/length-prefixed.ts'
export { lines, type LinesOptions } from './io/framing/lines.ts'
export { netstrings, type NetstringsOptions } from './io/framing/netstrings.ts'
export type {
  ConnectOptions,
  Endpoint,
  ListenOptions,
  SocketOptions,
  TcpSource,
  TcpTarget,
  UnixTarget,
} from './io/endpoint.ts'
export { memoryStreamPair } from './io/memory-stream-pair.ts'
export {
  openConnection,
  type Connection,
  type ConnectionOptions,
  type OpenConnectionOptions,
  type OpenUnixConnectionOptions,
} from './io/open-connection.ts'
export { idleTimeout } from './io/policies/idle-timeout.ts'
export { lifetime } from './io/policies/lifetime.ts'
export {
  limitConnections,
  type ConnectionLimit,
  type LimitConnectionsOptions,
} from './io/policies/limit-connections.ts'
export { rateLimit, type RateLimitOptions } from './io/policies/rate-limit.ts'
export { TokenBucket, type TokenBucketOptions } from './io/policies/token-bucket.ts'
export type { Policy } from './io/policy.ts'
export {
  dnsResolver,
  resolverVar,
  systemResolver,
  type DnsResolverOptions,
  type ResolvedAddress,
  type ResolveOptions,
  type Resolver,
} from './io/resolver.ts'
export type { BaseServerOptions, ShutdownOptions } from './io/base-server.ts'
export { Server, type ConnectionHandler, type ServerConnection, type ServerOptions } from './io/server.ts'
export type { StopSignal } from './io/signals.ts'
export {
  startServer,
  type ListenPlace,
  type StartServerOptions,
  type StartUnixServerOptions,
} from './io/start-server.ts'
export type { StreamOptions } from './io/stream-protocol.ts'
export { StreamReader, type Separator, type StreamReaderOptions } from './io/stream-reader.ts'
export { StreamWriter, type StreamWriterOptions } from './io/stream-writer.ts'
// These take the place of the portable ones of the same names.
export { run, Runner, type RunOptions } from './run.ts'
