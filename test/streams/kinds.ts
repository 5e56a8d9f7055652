/**
 * The kinds of streams there are, as one interface, so that one suite holds all of them to the same contract:
 *
 *   for (const kind of KINDS) transportContract(kind)
 *
 * A kind knows where to listen; everything else is what programs write. Its tests run on real sockets or on the virtual
 * clock, each with its audit that nothing is left.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createNodeServer } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import {
  openConnection,
  sleep,
  startServer,
  sleepForever,
  type Connection,
  type ConnectionHandler,
  type ConnectionOptions,
  type ExceptionContext,
  type Operation,
  type Policy,
  type Server,
  type ServerOptions,
  type SocketAddress,
  type Suspension,
} from 'cede'
import {
  createConnection,
  createServer,
  Protocol,
  TransportLayer,
  type AnyProtocol,
  type CreateConnectionOptions,
  type Endpoint,
  type NewConnection,
  type Transport,
} from 'cede/lowlevel'
import { MemoryEndpoint } from '../../packages/cede/src/io/endpoints.ts'
import { online } from '../network/online.ts'
import { simulate } from '../support/sim.ts'

/** Where to listen. */
type Source = string | Endpoint | { readonly host: string; readonly port: number } | { readonly path: string }

export interface Kind {
  readonly name: string
  /** Why it cannot be tried on this machine; false: it can. */
  readonly skip: string | false
  /** The peer of an abort is told of a reset; otherwise of an ordinary end. */
  readonly resets: boolean
  /** What leaves in one go arrives in one piece. */
  readonly whole: boolean
  /** Runs a test's main and audits what it leaves. */
  run<T>(main: () => Operation<T>, options?: RunKindOptions): Promise<Awaited<T>>
  /** A place where nobody listens, to listen at. */
  place(): Source
  /** What stands between both ends and what uses them. */
  readonly policies?: readonly Policy[] | undefined
}

export interface RunKindOptions {
  /** Gets what the exception handler is told. Default: any report fails the test. */
  readonly reports?: ExceptionContext[] | undefined
}

let folder: string | null = null
let made = 0

after(() => {
  if (folder !== null) rmSync(folder, { recursive: true, force: true })
})

/** A path in a directory of this process, which is removed with it. */
export function freshPath(): string {
  folder ??= mkdtempSync(join(tmpdir(), 'cede-'))
  return join(folder, `${String(++made)}.sock`)
}

function freshName(): string {
  return `place-${String(++made)}`
}

/** How the names begin that lead through a layer. */
const LAYERED = 'layered-'

const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ family }) => family === 'IPv6'),
)

export const KINDS: readonly Kind[] = [
  {
    name: 'tcp',
    skip: false,
    resets: true,
    whole: true,
    run: online,
    place: () => ({ host: '127.0.0.1', port: 0 }),
  },
  {
    name: 'tcp6',
    skip: hasIpv6 ? false : 'no IPv6 on this machine',
    resets: true,
    whole: true,
    run: online,
    place: () => ({ host: '::1', port: 0 }),
  },
  {
    name: 'unix',
    skip: process.platform === 'win32' ? 'no Unix sockets' : false,
    resets: false,
    whole: true,
    run: online,
    place: () => ({ path: freshPath() }),
  },
  {
    name: 'memory',
    skip: false,
    resets: true,
    whole: true,
    run: online,
    place: () => `memory://${freshName()}`,
  },
  {
    name: 'memory, virtual clock',
    skip: false,
    resets: true,
    whole: true,
    run: simulate,
    place: () => `memory://${freshName()}`,
  },
  {
    name: 'memory, late and in pieces',
    skip: false,
    resets: true,
    whole: false,
    run: (main, options) =>
      simulate(main, { ...options, network: { seed: 7, delayMs: [0, 3], largestPieceBytes: 50_000 } }),
    place: () => `memory://${freshName()}`,
  },
  {
    name: 'memory, behind a layer',
    skip: false,
    resets: true,
    whole: true,
    run: simulate,
    place: () => layered(`${LAYERED}${freshName()}`),
  },
]

/** An endpoint in memory with a layer that changes nothing between each transport and what it tells. */
function layered(name: string): Endpoint {
  const inner = new MemoryEndpoint(name, {})
  const wrapped = (connection: NewConnection): NewConnection => ({
    remoteAddress: connection.remoteAddress,
    take: (events, runner) => connection.take(new TransportLayer(events), runner),
    refuse: (answer) => connection.refuse(answer),
  })
  return {
    address: inner.address,
    connect: (take) => inner.connect((connection) => take(wrapped(connection))),
    listen: (events) =>
      inner.listen({
        accepted: (connection) => events.accepted(wrapped(connection)),
        refused: (why) => events.refused(why),
        acceptFailed: (error) => events.acceptFailed(error),
        closed: () => events.closed(),
      }),
  }
}

/** More than every buffer on the way takes while nobody reads. */
export const MUCH: Buffer = Buffer.alloc(12_000_000, 'much ')

/** Where to connect to reach who listens at `address`. */
export function placeOf(address: SocketAddress): Source {
  if (address.path !== undefined) return { path: address.path }
  if (address.memory?.startsWith(LAYERED)) return layered(address.memory)
  if (address.memory !== undefined) return `memory://${address.memory}`
  return { host: address.host, port: address.port }
}

/** Looks again and again; what never comes true fails the test. */
export function* untilTrue(
  condition: () => boolean,
  what = condition.toString(),
): Generator<Suspension, void> {
  for (let looks = 0; !condition(); looks++) {
    if (looks === 10_000) assert.fail(`this never came true: ${what}`)
    yield* sleep(1)
  }
}

/** Lets the loop and the host go round often enough for whatever is under way to arrive. */
export function* settle(): Generator<Suspension, void> {
  for (let round = 0; round < 20; round++) yield* sleep(1)
}

// -------------------------------------------------------------------- streams

export interface StreamPairOptions {
  readonly client?: ConnectionOptions | undefined
  readonly server?: ServerOptions | undefined
}

/** Both ends of one connection, as streams; `use` is given the client's and the server's. */
export function* withStreams<T>(
  kind: Kind,
  use: (ours: Connection, theirs: Connection, server: Server) => Operation<T>,
  options: StreamPairOptions = {},
): Generator<Suspension, T> {
  let theirs: Connection | null = null
  const hold: ConnectionHandler = function* (reader, writer) {
    theirs = { reader, writer }
    yield* sleepForever()
  }
  const { policies } = kind
  const server = yield* startServer(hold, kind.place(), { policies, ...options.server })
  const ours = yield* openConnection(placeOf(server.address), { policies, ...options.client })
  try {
    yield* untilTrue(() => theirs !== null)
    return yield* use(ours, theirs!, server)
  } finally {
    ours.writer.abort()
    server.abortClients()
    yield* server.shutdown({ graceMs: 0 })
  }
}

/** A server for the time of `use`. */
export function* withServer<T>(
  kind: Kind,
  handler: ConnectionHandler,
  use: (server: Server) => Operation<T>,
  options: ServerOptions = {},
): Generator<Suspension, T> {
  const server = yield* startServer(handler, kind.place(), { policies: kind.policies, ...options })
  try {
    return yield* use(server)
  } finally {
    server.abortClients()
    yield* server.shutdown({ graceMs: 0 })
  }
}

/** Connects to a server. */
export function connectTo(server: { readonly address: SocketAddress }, options?: ConnectionOptions) {
  return openConnection(placeOf(server.address), options)
}

// -------------------------------------------------------------------- transports

/** What a recorder does beside recording. */
export interface Reactions {
  made?(transport: Transport): void
  data?(chunk: Buffer): void
  /** Default: keeps the other direction open. */
  eof?(): boolean | void
  pause?(): void
  resume?(): void
  lost?(error: Error | null): void
}

/** A protocol that writes down what it is told. */
export class Recorder extends Protocol {
  /** `made`, `data` (once for all that come in a row), `eof`, `pause`, `resume`, `lost`. */
  readonly told: string[] = []
  readonly chunks: Buffer[] = []
  transport!: Transport
  /** What `connectionLost` was given; undefined before. */
  error: Error | null | undefined
  readonly #reactions: Reactions

  constructor(reactions: Reactions = {}) {
    super()
    this.#reactions = reactions
  }

  get received(): Buffer {
    return Buffer.concat(this.chunks)
  }

  /** How many bytes were received. */
  get receivedBytes(): number {
    return this.chunks.reduce((sum, { length }) => sum + length, 0)
  }

  get lost(): boolean {
    return this.told.includes('lost')
  }

  override connectionMade(transport: Transport): void {
    this.transport = transport
    this.told.push('made')
    this.#reactions.made?.(transport)
  }

  override dataReceived(chunk: Buffer): void {
    if (this.told.at(-1) !== 'data') this.told.push('data')
    this.chunks.push(chunk)
    this.#reactions.data?.(chunk)
  }

  override eofReceived(): boolean | void {
    this.told.push('eof')
    return this.#reactions.eof === undefined ? true : this.#reactions.eof()
  }

  override pauseWriting(): void {
    this.told.push('pause')
    this.#reactions.pause?.()
  }

  override resumeWriting(): void {
    this.told.push('resume')
    this.#reactions.resume?.()
  }

  override connectionLost(error: Error | null): void {
    this.told.push('lost')
    this.error = error
    this.#reactions.lost?.(error)
  }
}

export interface TransportPair<C extends AnyProtocol, S extends AnyProtocol> {
  readonly ours: C
  readonly theirs: S
  /** Of `ours` and of `theirs`. */
  readonly transport: Transport
  readonly peer: Transport
}

/**
 * Both ends of one connection, as protocols. Afterwards both are cut if they are not gone, and every recorder must have
 * been told of its end exactly once, last of all.
 */
export function* withProtocols<T, C extends AnyProtocol, S extends AnyProtocol>(
  kind: Kind,
  ours: C,
  theirs: S,
  use: (pair: TransportPair<C, S>) => Operation<T>,
  options?: CreateConnectionOptions,
): Generator<Suspension, T> {
  let peer: Transport | null = null
  const server = yield* createServer(() => theirs, kind.place(), {
    policies: [
      ...(kind.policies ?? []),
      {
        name: 'watch',
        wrap: (events) => {
          const made = events.connectionMade.bind(events)
          events.connectionMade = (transport) => {
            peer = transport
            made(transport)
          }
          return events
        },
      },
    ],
  })
  let transport: Transport | null = null
  let value: T
  try {
    const { policies } = kind
    transport = (yield* createConnection(() => ours, placeOf(server.address), { policies, ...options }))
      .transport
    yield* untilTrue(() => peer !== null, 'the server has the connection')
    value = yield* use({ ours, theirs, transport, peer: peer! })
  } finally {
    transport?.abort()
    server.close()
    server.abortClients()
    yield* server.waitClosed()
    yield* untilTrue(() => !(ours instanceof Recorder) || transport === null || ours.lost, 'our end is told')
  }
  for (const recorder of [ours, theirs]) {
    if (!(recorder instanceof Recorder)) continue
    assert.equal(recorder.told.filter((what) => what === 'lost').length, 1, recorder.told.join())
    assert.equal(recorder.told.at(-1), 'lost')
    assert.ok(recorder.told.filter((what) => what === 'eof').length <= 1, recorder.told.join())
  }
  return value
}

/** A port of 127.0.0.1 where nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createNodeServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
