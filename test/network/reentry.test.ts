/** Callbacks of protocols that do more than they are asked for, in the middle of a read, a write or a step. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  checkpoint,
  createTask,
  currentTask,
  Future,
  openConnection,
  rateLimit,
  sleep,
  startServer,
  type Task,
} from 'cede'
import { BufferedProtocol, createConnection, Protocol, type Transport } from 'cede/lowlevel'
import { simulate } from '../support/sim.ts'
import { HOST, online } from './online.ts'

const MEGABYTES = 16 * 1_048_576

/** Says at each place what it is. */
function pattern(bytes: number): Buffer {
  const made = Buffer.allocUnsafe(bytes)
  for (let at = 0; at + 4 <= bytes; at += 4) made.writeUInt32LE(at, at)
  return made
}

class Keep extends Protocol {
  readonly chunks: Buffer[] = []
  readonly ended = new Future<void>()
  readonly #received: () => void

  constructor(received: () => void) {
    super()
    this.#received = received
  }
  override dataReceived(chunk: Buffer) {
    this.chunks.push(chunk)
    this.#received()
  }
  override connectionLost() {
    this.ended.setResult()
  }
}

test('bytes that were received stay as they are when a connection is opened while they are told', () =>
  online(function* () {
    const sent = pattern(MEGABYTES)
    const source = yield* startServer(
      function* (_reader, writer) {
        yield* writer.send(sent)
      },
      { host: HOST, port: 0 },
    )
    const other = yield* startServer(function* () {}, { host: HOST, port: 0 })
    function* call() {
      const { writer } = yield* openConnection({ host: HOST, port: other.port })
      writer.close()
      yield* writer.waitClosed()
    }
    const calls: Task[] = []
    const { protocol } = yield* createConnection(
      () => new Keep(() => void calls.push(createTask(call(), { eager: true }))),
      { host: HOST, port: source.port },
    )
    yield* protocol.ended
    for (const made of calls) yield* made
    assert.ok(Buffer.concat(protocol.chunks).equals(sent))
    yield* source.shutdown()
    yield* other.shutdown()
  }))

test('a cancel from a callback that a write calls ends the task at its next wait', () =>
  simulate(function* () {
    const server = yield* startServer(
      function* (reader) {
        yield* reader.read()
      },
      { host: HOST, port: 80 },
    )
    class CancelsWriter extends Protocol {
      writer: { cancel(): boolean } | null = null
      override pauseWriting() {
        this.writer?.cancel()
      }
    }
    const { transport, protocol } = yield* createConnection(() => new CancelsWriter(), {
      host: HOST,
      port: 80,
    })
    const there = new Future<void>()
    there.setResult()
    let wentOn = false
    const writing = createTask(
      (function* () {
        protocol.writer = currentTask()
        transport.write(Buffer.alloc(100_000))
        yield* there
        wentOn = true
      })(),
    )
    yield* writing.join()
    assert.equal(writing.status, 'cancelled')
    assert.equal(wentOn, false)
    transport.abort()
    yield* server.shutdown({ graceMs: 0 })
    yield* checkpoint()
  }))

/** Ends the connection when it is told to pause. */
class EndsWhenFull extends Protocol {
  transport!: Transport
  readonly #end: (transport: Transport) => void

  constructor(end: (transport: Transport) => void) {
    super()
    this.#end = end
  }
  override connectionMade(transport: Transport) {
    this.transport = transport
  }
  override pauseWriting() {
    this.#end(this.transport)
  }
}

for (const policies of [[], [rateLimit({ writeBytesPerSecond: 1_000_000 })]]) {
  for (const end of ['close', 'writeEof'] as const) {
    test(`what brought about pauseWriting() is sent, though that calls ${end}() (${String(policies.length)} policies)`, () =>
      simulate(function* () {
        let received = 0
        const server = yield* startServer(
          function* (reader) {
            received = (yield* reader.read())?.length ?? 0
          },
          { host: HOST, port: 80 },
        )
        const { transport } = yield* createConnection(
          () => new EndsWhenFull((transport) => transport[end]()),
          { host: HOST, port: 80, policies },
        )
        transport.write(Buffer.alloc(200_000))
        yield* sleep(5_000)
        assert.equal(received, 200_000)
        yield* server.shutdown()
      }))
  }
}

/** Wants a header of 4 bytes, then lets another protocol go on. */
class Header extends BufferedProtocol {
  transport!: Transport
  readonly #memory = Buffer.alloc(4)
  readonly #complete: (header: Header) => void
  got = 0
  text = ''

  constructor(complete: (header: Header) => void) {
    super()
    this.#complete = complete
  }
  override connectionMade(transport: Transport) {
    this.transport = transport
  }
  override getBuffer() {
    return this.#memory
  }
  override bufferUpdated(bytes: number) {
    this.text += this.#memory.toString('latin1', 0, bytes)
    this.got += bytes
    if (this.got >= 4) this.#complete(this)
  }
}

test('what follows in a chunk goes to the protocol that a buffered one has put in its place', () =>
  simulate(function* () {
    const server = yield* startServer(
      function* (_reader, writer) {
        yield* writer.send('HEADand all the rest')
      },
      { host: HOST, port: 80 },
    )
    const body = new Keep(() => {})
    const { protocol } = yield* createConnection(
      () => new Header(({ transport }) => void (transport.protocol = body)),
      { host: HOST, port: 80 },
    )
    yield* body.ended
    assert.equal(protocol.text, 'HEAD')
    assert.equal(Buffer.concat(body.chunks).toString(), 'and all the rest')
    yield* server.shutdown()
  }))

test('a buffered protocol that closes in the middle of a chunk is given no more of it', () =>
  simulate(function* () {
    const server = yield* startServer(
      function* (_reader, writer) {
        yield* writer.send('HEADand all the rest')
      },
      { host: HOST, port: 80 },
    )
    const { protocol, transport } = yield* createConnection(
      () => new Header(({ transport }) => transport.close()),
      { host: HOST, port: 80 },
    )
    yield* sleep(1)
    assert.equal(protocol.text, 'HEAD')
    assert.equal(transport.closing, true)
    yield* server.shutdown()
  }))
