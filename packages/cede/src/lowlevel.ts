/** The door for library authors: what operations, drivers and instruments are made of. */
export type { Clock, Descriptors, Direction, Driver, DriverHost } from './core/driver.ts'
export type { Instrument } from './core/instrument.ts'
export { GIVE_WAY, Leaf } from './core/leaf.ts'
export { answerProbe, PROBE } from './core/probe.ts'
export { announce, mayFinishNow } from './core/running.ts'
export { suspend } from './core/suspend.ts'
export type { Wait, WaitDescription } from './core/suspension.ts'
export { Waiting, WaitQueue, type DescribeWait, type FindBlocker } from './core/wait-queue.ts'
export { HostDriver } from './drivers/host.ts'
export { SimDriver, type SimNetworkOptions, type SimOptions } from './drivers/sim.ts'
export { createConnection, type CreateConnectionOptions } from './io/create-connection.ts'
export { createServer } from './io/create-server.ts'
export type { AcceptEvents, Endpoint } from './io/endpoint.ts'
export { FrameReceiver } from './io/framing/frame-receiver.ts'
export { LineReceiver, type LineReceiverOptions } from './io/framing/line-receiver.ts'
export type { Policy, Refusal } from './io/policy.ts'
export { BufferedProtocol, Protocol, type AnyProtocol } from './io/protocol.ts'
export { ProtocolServer } from './io/protocol-server.ts'
export type {
  ConnectionEnd,
  InnerTransport,
  Listener,
  NewConnection,
  Transport,
  TransportEvents,
  WriteMarks,
} from './io/transport.ts'
export { TransportLayer } from './io/transport-layer.ts'
