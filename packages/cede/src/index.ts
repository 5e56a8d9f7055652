/** The door for programs. */
export * from './core.ts'
export type { DumpOptions } from './debug/dump.ts'
export { withStore } from './interop/async-local-storage.ts'
export type { SocketAddress } from './io/address.ts'
export {
  BusyError,
  ConnectError,
  ConnectionLostError,
  IncompleteReadError,
  LimitError,
  ListenError,
} from './io/errors.ts'
export { openConnection, type Connection, type OpenConnectionOptions } from './io/open-connection.ts'
export { Server, type ConnectionHandler, type ServerConnection, type ShutdownOptions } from './io/server.ts'
export type { StopSignal } from './io/signals.ts'
export { startServer, type StartServerOptions } from './io/start-server.ts'
export type { StreamOptions } from './io/stream-protocol.ts'
export { StreamReader, type Separator, type StreamReaderOptions } from './io/stream-reader.ts'
export { StreamWriter, type StreamWriterOptions } from './io/stream-writer.ts'
// These take the place of the portable ones of the same names.
export { run, Runner, type RunOptions } from './run.ts'
