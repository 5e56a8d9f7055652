/**
 * Runs one program of `network-program.ts` on a loop, clock and network of its own, and returns everything that was
 * against the rules:
 *
 * - what an end receives is what the other wrote, in order and from the start;
 * - an end that is told of the end of the stream has received all, and the other has ended it;
 * - a connection is lost only for a reason: a fault of the network, or an end that aborted it, or that closed it without
 *   having read everything;
 * - when nothing is under way any more, nobody waits for what was sent;
 * - buffers stay below their limits;
 * - nothing is told from inside a call, nothing after `connectionLost`, and that once;
 * - nothing is left (the audit of `simulate`), and nothing is reported.
 */
import { AssertionError } from 'node:assert'
import {
  CancelledError,
  ClosedError,
  ConnectError,
  ConnectionLostError,
  createTask,
  IncompleteReadError,
  LimitError,
  memoryStreamPair,
  openConnection,
  sleep,
  startServer,
  timeoutOr,
  type Connection,
  type Coroutine,
  type Policy,
  type Server,
  type StreamOptions,
  type StreamReader,
  type StreamWriter,
  type Suspension,
  type Task,
} from 'cede'
import type { TransportEvents } from 'cede/lowlevel'
import { simulate, type Sim } from '../support/sim.ts'
import type { EndScript, NetworkAct, NetworkProgram, StreamSizes } from './network-program.ts'

export interface NetworkReport {
  readonly violations: readonly string[]
  readonly trace: readonly string[]
  /** What happened at all: a test that never sees a reset finds nothing about resets. */
  readonly seen: ReadonlySet<string>
}

/** By then whatever can arrive has arrived: the clock is virtual. */
const SETTLED_MS = 1_000_000

/** What is sent: bytes that look alike nowhere, with lines in them. */
const CONTENT = content()

function content(): Buffer {
  const bytes = Buffer.alloc(65_521)
  let state = 1
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    const byte = state >>> 24
    bytes[i] = byte < 16 ? 10 : byte
  }
  return bytes
}

/** One end of a connection, as the test knows it. */
class End {
  readonly world: World
  readonly name: string
  readonly #start: number
  peer!: End
  reader!: StreamReader
  writer!: StreamWriter
  /** The other side knows who it talks to. */
  known = false
  sent = 0
  received = 0
  /** `writeEof` or `close` was called. */
  ended = false
  closed = false
  aborted = false
  /** What had been received when it was closed. */
  receivedAtClose = 0
  /** What it waits for. */
  waitsFor: 'read' | 'drain' | null = null
  /** A read without a limit was tried: the reader may hold more than its limit. */
  #unlimited = false
  #largestWrite = 0

  constructor(world: World, name: string, start: number) {
    this.world = world
    this.name = name
    this.#start = start
  }

  get sizes(): StreamSizes {
    const { clientSizes, serverSizes, place } = this.world.program
    return place === 'pair' || this.name.startsWith('client') ? clientSizes : serverSizes
  }

  note(what: string): void {
    this.world.note(`${this.name} ${what}`)
  }

  violate(what: string): void {
    this.world.violate(`${this.name} ${what}`)
  }

  /** What this end sends at `position`. */
  contentAt(position: number, bytes: number): Buffer {
    const data = Buffer.alloc(bytes)
    for (let i = 0; i < bytes; i++) data[i] = CONTENT[(this.#start + position + i) % CONTENT.length]!
    return data
  }

  take(bytes: Buffer): void {
    if (!bytes.equals(this.peer.contentAt(this.received, bytes.length))) {
      this.violate(`received something else than was sent, behind ${this.received} bytes`)
    }
    this.received += bytes.length
    this.note(`received ${bytes.length}`)
    if (this.received > this.peer.sent) this.violate(`received more than was sent`)
    this.checkBuffers()
  }

  takeEnd(): void {
    this.note('received the end')
    this.world.seen.add('end')
    // The end that one's own closing makes says nothing.
    if (this.closed || this.aborted) return
    // A server that never learned who it serves may close.
    if (!this.known) return
    if (!this.peer.ended) this.violate('received an end that nobody has sent')
    if (this.received < this.peer.sent) {
      this.violate(`received the end behind ${this.received} of ${this.peer.sent} bytes`)
    }
  }

  /** The connection was lost: somebody must have done it. */
  takeLoss(error: ConnectionLostError): void {
    this.note(`lost: ${error.systemCode ?? 'no code'}`)
    this.world.seen.add(error.systemCode ?? 'no code')
    if (error.systemCode !== 'ECONNRESET' && error.systemCode !== 'EPIPE')
      this.violate(`was lost: ${error.stack}`)
    const { peer, world } = this
    if (this.aborted || peer.aborted || world.ending || world.program.network.resetChance > 0) return
    // A server that refuses resets; one that was never told who its peer is, too.
    if (!this.known && this.name.startsWith('client')) return
    if (peer.closed && this.sent > peer.receivedAtClose) return
    this.violate(`was lost for no reason: ${error.stack}`)
  }

  checkBuffers(): void {
    const { hardLimitBytes, limitBytes } = this.sizes
    const { bufferedBytes } = this.writer
    // One write is always taken if nothing is buffered.
    if (bufferedBytes > Math.max(hardLimitBytes, this.#largestWrite)) {
      this.violate(`buffers ${bufferedBytes} bytes, above the hard limit`)
    }
    // A chunk that comes in one piece may pass the limit.
    const mostRead = 2 * limitBytes + this.world.program.network.bufferBytes
    if (!this.#unlimited && this.reader.bufferedBytes > mostRead) {
      this.violate(`has received ${this.reader.bufferedBytes} bytes that nobody has read`)
    }
  }

  // ------------------------------------------------------------------ acts

  *play({ acts, last }: EndScript): Generator<Suspension, void> {
    try {
      yield* this.#playAll(acts)
      if (last === 'finish') {
        this.#writeEof()
        yield* this.#readAll(false)
      } else if (last === 'wait') {
        this.close()
        yield* this.writer.waitClosed()
      } else if (last === 'abort') {
        this.abort()
      }
    } catch (error) {
      if (error instanceof ConnectionLostError) this.takeLoss(error)
      else if (!(error instanceof ClosedError && (this.ended || this.aborted))) throw error
    } finally {
      this.waitsFor = null
      this.close()
    }
  }

  *#playAll(acts: readonly NetworkAct[]): Generator<Suspension, void> {
    for (const act of acts) {
      this.note(act.act)
      yield* this.#playOne(act)
      this.checkBuffers()
    }
  }

  *#playOne(act: NetworkAct): Generator<Suspension, void> {
    switch (act.act) {
      case 'send':
        yield* this.#send(act.bytes)
        return
      case 'flood':
        for (let i = 0; i < act.writes; i++) this.#write(act.bytes)
        return
      case 'readLine':
        yield* this.#readLine()
        return
      case 'read': {
        const bytes = yield* this.#waitFor('read', this.reader.read(act.bytes))
        if (bytes === null) this.takeEnd()
        else this.take(bytes)
        return
      }
      case 'readExactly':
        yield* this.#readExactly(act.bytes)
        return
      case 'readAll':
        yield* this.#readAll(act.whole)
        return
      case 'answer':
        for (let i = 0; i < act.lines; i++) {
          if (!(yield* this.#readLine())) return
          yield* this.#send(act.bytes)
        }
        return
      case 'sleep':
        yield* sleep(act.ms)
        return
      case 'writeEof':
        this.#writeEof()
        return
      case 'close':
        this.close()
        return
      case 'abort':
        this.abort()
        return
      case 'within':
        yield* timeoutOr(act.ms, this.#playAll(act.acts), undefined)
        this.waitsFor = null
    }
  }

  *#waitFor<T>(what: 'read' | 'drain', operation: Coroutine<T>): Generator<Suspension, T> {
    this.waitsFor = what
    try {
      return yield* operation
    } finally {
      this.waitsFor = null
    }
  }

  #write(bytes: number): boolean {
    const data = this.contentAt(this.sent, bytes)
    try {
      this.world.inCall(() => this.writer.write(data))
    } catch (error) {
      if (!(error instanceof LimitError)) throw error
      this.world.seen.add('hard limit')
      const { hardLimitBytes } = this.sizes
      if (this.writer.bufferedBytes + bytes <= hardLimitBytes)
        this.violate('was refused a write below the hard limit')
      return false
    }
    this.sent += bytes
    this.note(`sent ${bytes}`)
    this.#largestWrite = Math.max(this.#largestWrite, bytes)
    this.checkBuffers()
    return true
  }

  *#send(bytes: number): Generator<Suspension, void> {
    if (!this.#write(bytes)) return
    yield* this.#waitFor('drain', this.writer.drain())
    const { highWaterBytes } = this.sizes
    if (this.writer.bufferedBytes > highWaterBytes) this.violate('was drained above the high-water mark')
  }

  *#readLine(): Generator<Suspension, boolean> {
    try {
      const line = yield* this.#waitFor('read', this.reader.readLine())
      if (line === null) {
        this.takeEnd()
        return false
      }
      const newline = line.indexOf(10)
      const isLast = this.peer.ended || this.closed || this.aborted
      if (newline !== line.length - 1 && !(newline === -1 && isLast))
        this.violate('read something else than a line')
      this.take(line)
    } catch (error) {
      if (!(error instanceof LimitError)) throw error
      this.world.seen.add('line limit')
      this.take((yield* this.reader.read(error.consumedBytes))!)
    }
    return true
  }

  *#readExactly(bytes: number): Generator<Suspension, void> {
    this.#unlimited = true
    try {
      this.take(yield* this.#waitFor('read', this.reader.readExactly(bytes)))
    } catch (error) {
      if (!(error instanceof IncompleteReadError)) throw error
      this.take(error.partial)
      this.takeEnd()
    }
  }

  *#readAll(whole: boolean): Generator<Suspension, void> {
    if (whole) this.#unlimited = true
    for (;;) {
      const bytes = yield* this.#waitFor('read', whole ? this.reader.read() : this.reader.read(100))
      if (bytes === null) break
      this.take(bytes)
    }
    this.takeEnd()
  }

  #writeEof(): void {
    // The writer does nothing then.
    if (this.writer.closing) return
    this.ended = true
    this.world.inCall(() => this.writer.writeEof())
  }

  close(): void {
    if (this.closed || this.aborted) return
    this.note('closes')
    this.ended = true
    this.closed = true
    this.receivedAtClose = this.received
    this.world.inCall(() => this.writer.close())
  }

  abort(): void {
    this.note('aborts')
    this.aborted = true
    this.world.seen.add('abort')
    this.world.inCall(() => this.writer.abort())
  }

  /** Nothing is under way any more: does it wait for something that has happened? */
  checkSettled(): void {
    const { peer } = this
    if (this.waitsFor === null || this.aborted || this.closed || !this.known) return
    this.world.seen.add(`waits for ever: ${this.waitsFor}`)
    if (peer.aborted) this.violate(`waits to ${this.waitsFor}, and the peer has aborted`)
    if (this.waitsFor === 'read') {
      if (this.received + this.reader.bufferedBytes < peer.sent && !peer.writer.closing) {
        this.violate(`waits for what was sent: has ${this.received} of ${peer.sent} bytes`)
      }
      if (peer.ended) this.violate('waits to read behind the end')
    } else if (peer.waitsFor === 'read' && !peer.closed) {
      this.violate('waits for room, and the peer waits to read')
    } else if (this.world.gone.has(peer.writer)) {
      this.violate('waits for room, and the peer is gone')
    }
  }
}

class World {
  readonly program: NetworkProgram
  readonly violations: string[] = []
  readonly trace: string[] = []
  readonly seen = new Set<string>()
  readonly ends: { readonly client: End; readonly server: End }[] = []
  /** The main ends everything: from here on connections may be lost for no other reason. */
  ending = false
  /** Writers of connections that were lost. */
  readonly gone = new Set<unknown>()
  sim!: Sim
  #calls = 0
  #connections = 0
  /** How many of them are not lost. */
  #open = 0

  constructor(program: NetworkProgram) {
    this.program = program
    for (const index of program.clients.keys()) {
      const client = new End(this, `client ${index}`, index * 7_919)
      const server = new End(this, `server ${index}`, index * 7_919 + 4_001)
      client.peer = server
      server.peer = client
      this.ends.push({ client, server })
    }
  }

  note(what: string): void {
    this.trace.push(`${this.sim.now()} ${what}`)
  }

  violate(what: string): void {
    this.violations.push(`at ${this.sim.now()} ms: ${what}`)
    this.note(`VIOLATION ${what}`)
  }

  inCall(call: () => void): void {
    this.#calls++
    try {
      call()
    } finally {
      this.#calls--
    }
  }

  /** Watches what the transport tells. */
  readonly watch: Policy = {
    name: 'watch',
    wrap: (events) => this.#watched(events),
  }

  #watched(events: TransportEvents): TransportEvents {
    const number = ++this.#connections
    let lost = false
    let ended = false
    const told = (what: string): void => {
      this.note(`connection ${number}: ${what}`)
      if (this.#calls > 0 && what !== 'pauseWriting')
        this.violate(`connection ${number}: ${what} from inside a call`)
      if (lost) this.violate(`connection ${number}: ${what} after connectionLost`)
    }
    const made = events.connectionMade.bind(events)
    const received = events.dataReceived.bind(events)
    const eofReceived = events.eofReceived.bind(events)
    const paused = events.pauseWriting.bind(events)
    const resumed = events.resumeWriting.bind(events)
    const connectionLost = events.connectionLost.bind(events)
    events.connectionMade = (transport) => {
      this.#open++
      made(transport)
    }
    events.dataReceived = (chunk) => {
      told(`dataReceived ${chunk.length}`)
      if (ended) this.violate(`connection ${number}: data behind the end`)
      received(chunk)
    }
    events.eofReceived = () => {
      told('eofReceived')
      if (ended) this.violate(`connection ${number}: the end twice`)
      ended = true
      return eofReceived()
    }
    events.pauseWriting = () => {
      told('pauseWriting')
      this.seen.add('pauseWriting')
      paused()
    }
    events.resumeWriting = () => {
      told('resumeWriting')
      resumed()
    }
    events.connectionLost = (error) => {
      told('connectionLost')
      lost = true
      this.gone.add((events as { writer?: unknown }).writer)
      this.#open--
      connectionLost(error)
    }
    return events
  }

  // ------------------------------------------------------------------ the main

  *main(sim: Sim): Generator<Suspension, void> {
    const { program } = this
    const { loop } = sim
    const server = program.place === 'pair' ? null : yield* this.#startServer()
    const tasks = program.clients.map(({ startMs, cancelMs }, index) => {
      const task = createTask(this.#client(index, startMs, server), { name: `client ${index}` })
      if (cancelMs !== null) loop.callLater(startMs + cancelMs, () => task.cancel())
      return task
    })
    if (server !== null && program.shutdown !== null) {
      tasks.push(createTask(this.#shutdown(server, program.shutdown), { name: 'shutdown' }))
    }
    yield* sleep(SETTLED_MS)
    for (const { client, server: serving } of this.ends) {
      client.checkSettled()
      serving.checkSettled()
    }
    this.ending = true
    for (const task of tasks) task.cancel()
    for (const task of tasks) yield* this.#join(task)
    if (server !== null) yield* server.shutdown({ graceMs: 0 })
    this.note(`over after ${sim.now()}`)
  }

  *#join(task: Task): Generator<Suspension, void> {
    try {
      yield* task
    } catch (error) {
      if (!(error instanceof CancelledError)) throw error
    }
  }

  *#startServer(): Generator<Suspension, Server> {
    const { place, serverSizes, backlog, maxConnections } = this.program
    const options = {
      ...streamOptions(serverSizes),
      backlog,
      ...(maxConnections === null ? {} : { maxConnections }),
      policies: [this.watch],
    }
    const handler = (reader: StreamReader, writer: StreamWriter) => this.#serve({ reader, writer })
    if (place === 'tcp') return yield* startServer(handler, { host: '127.0.0.1', port: 0, ...options })
    if (place === 'path') return yield* startServer(handler, { path: '/run/server', ...options })
    return yield* startServer(handler, 'memory://server', options)
  }

  *#shutdown(server: Server, { ms, graceMs }: { ms: number; graceMs: number }): Generator<Suspension, void> {
    yield* sleep(ms)
    this.note('the server shuts down')
    this.ending = true
    yield* server.shutdown({ graceMs })
  }

  /** The first byte says which client it is. */
  *#serve({ reader, writer }: Connection): Generator<Suspension, void> {
    let index: number
    try {
      index = (yield* reader.readExactly(1))[0]!
    } catch (error) {
      if (error instanceof IncompleteReadError || error instanceof ConnectionLostError) return
      throw error
    }
    const end = this.ends[index]!.server
    end.reader = reader
    end.writer = writer
    end.known = true
    end.peer.known = true
    yield* end.play(this.program.clients[index]!.server)
  }

  *#client(index: number, startMs: number, server: Server | null): Generator<Suspension, void> {
    yield* sleep(startMs)
    const end = this.ends[index]!.client
    const script = this.program.clients[index]!
    if (server === null) {
      yield* this.#talkOverPair(index)
      return
    }
    let connection: Connection
    try {
      connection = yield* this.#connect(server)
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error
      this.note(`client ${index} was refused`)
      this.seen.add('refused')
      const expected = this.program.network.refuseChance > 0 || this.program.shutdown !== null
      if (!expected) this.violate(`client ${index} was refused: ${String(error)}`)
      return
    }
    end.reader = connection.reader
    end.writer = connection.writer
    connection.writer.write(Uint8Array.of(index))
    yield* end.play(script.client)
  }

  #connect({ address, port }: Server) {
    const { clientSizes } = this.program
    const options = {
      ...streamOptions(clientSizes),
      policies: [this.watch],
    }
    if (address.path !== undefined) return openConnection({ path: address.path, ...options })
    if (address.memory !== undefined) return openConnection('memory://server', options)
    return openConnection({ host: 'localhost', port, ...options })
  }

  *#talkOverPair(index: number): Generator<Suspension, void> {
    const { client, server } = this.ends[index]!
    const { clientSizes, clients } = this.program
    const pair = memoryStreamPair(streamOptions(clientSizes))
    Object.assign(client, pair[0], { known: true })
    Object.assign(server, pair[1], { known: true })
    const other = createTask(server.play(clients[index]!.server), { name: `server ${index}` })
    try {
      yield* client.play(clients[index]!.client)
      yield* this.#join(other)
    } finally {
      other.cancel()
    }
  }

  /** After the run. */
  checkEnd(): void {
    if (this.#open > 0) this.violate(`${this.#open} connections were never lost`)
    for (const { client, server } of this.ends) {
      for (const end of [client, server]) {
        if ((end.writer as StreamWriter | undefined)?.bufferedBytes) end.violate('still buffers something')
      }
    }
  }
}

/** Without a limit to closing, connections are lost for fewer reasons. */
function streamOptions(sizes: StreamSizes): StreamOptions {
  return { ...sizes, lowWaterBytes: Math.ceil(sizes.highWaterBytes / 4), flushMs: Infinity }
}

export async function runNetworkProgram(program: NetworkProgram): Promise<NetworkReport> {
  const world = new World(program)
  try {
    await simulate(
      (sim) => {
        world.sim = sim
        return world.main(sim)
      },
      {
        shuffleSeed: program.shuffleSeed ?? undefined,
        network: program.network,
        asyncLocalStorage: false,
        debug: false,
      },
    )
    world.checkEnd()
  } catch (error) {
    world.violate(error instanceof AssertionError ? error.message : String((error as Error).stack))
  }
  return world
}
