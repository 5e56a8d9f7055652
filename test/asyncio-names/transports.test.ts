/** The names of transports and protocols, each used once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dnsResolver, run, sleep, systemResolver, type Operation, type Suspension } from 'cede'
import {
  BufferedProtocol,
  createConnection,
  createServer,
  Protocol,
  type AnyProtocol,
  type ProtocolServer,
  type Transport,
} from 'cede/lowlevel'

/** Writes down what it is told, by the names of the methods. */
class Diary extends Protocol {
  readonly told: string[] = []
  text = ''

  override connectionMade(transport: Transport): void {
    this.told.push(`connectionMade ${transport.remoteAddress.memory!}`)
  }

  override dataReceived(chunk: Buffer): void {
    this.text += chunk.toString()
  }

  override eofReceived(): boolean {
    this.told.push('eofReceived')
    return true
  }

  override pauseWriting(): void {
    this.told.push('pauseWriting')
  }

  override resumeWriting(): void {
    this.told.push('resumeWriting')
  }

  override connectionLost(error: Error | null): void {
    this.told.push(`connectionLost ${String(error)}`)
  }
}

/** Owns the memory that its bytes are put into. */
class Owner extends BufferedProtocol {
  readonly memory: Buffer = Buffer.alloc(4)
  text = ''

  override getBuffer(): Uint8Array {
    return this.memory
  }

  override bufferUpdated(bytes: number): void {
    this.text += this.memory.toString('utf8', 0, bytes)
  }
}

function* untilTrue(condition: () => boolean): Generator<Suspension, void> {
  while (!condition()) yield* sleep(1)
}

interface Pair<P extends AnyProtocol> {
  readonly protocol: P
  readonly transport: Transport
  /** The server's end. */
  readonly theirs: Diary
  readonly peer: Transport
  readonly server: ProtocolServer<Diary>
}

function* withPair<P extends AnyProtocol>(
  mine: P,
  use: (pair: Pair<P>) => Operation<void>,
): Generator<Suspension, void> {
  const server = yield* createServer(() => new Diary(), 'memory://names')
  const { transport, protocol } = yield* createConnection(() => mine, 'memory://names')
  yield* untilTrue(() => server.protocols.length === 1)
  yield* use({ protocol, transport, theirs: server.protocols[0]!, peer: server.transports[0]!, server })
  transport.abort()
  yield* server.shutdown({ graceMs: 0 })
}

test('createConnection, createServer', () =>
  run(function* () {
    const server = yield* createServer(() => new Diary(), { host: '127.0.0.1', port: 0 })
    const { transport, protocol } = yield* createConnection(() => new Protocol(), {
      host: '127.0.0.1',
      port: server.port,
    })
    assert.equal(transport.protocol, protocol)
    transport.close()
    yield* server.shutdown()
  }))

test('Transport: reading, pauseReading, resumeReading', () =>
  run(() =>
    withPair(new Diary(), function* ({ protocol, transport, peer }) {
      assert.equal(transport.reading, true)
      transport.pauseReading()
      assert.equal(transport.reading, false)
      peer.write(Buffer.from('hello'))
      yield* sleep(5)
      assert.equal(protocol.text, '')
      transport.resumeReading()
      yield* untilTrue(() => protocol.text === 'hello')
    }),
  ))

test('Transport: write, writeLines, writeEof, canWriteEof, bufferedBytes', () =>
  run(() =>
    withPair(new Diary(), function* ({ transport, theirs }) {
      const typed: Transport = transport
      typed.write(Buffer.from('one '))
      typed.writeLines([Buffer.from('two '), Buffer.from('three')])
      assert.equal(typed.bufferedBytes, 13)
      assert.equal(typed.canWriteEof, true)
      typed.writeEof()
      yield* untilTrue(() => theirs.told.includes('eofReceived'))
      assert.equal(theirs.text, 'one two three')
    }),
  ))

test('Transport: writeMarks', () =>
  run(() =>
    withPair(new Diary(), function* ({ transport, protocol }) {
      assert.deepEqual(transport.writeMarks, { highWaterBytes: 65_536, lowWaterBytes: 16_384 })
      transport.writeMarks = { highWaterBytes: 4, lowWaterBytes: 1 }
      transport.write(Buffer.from('hello'))
      yield* untilTrue(() => protocol.told.includes('resumeWriting'))
      assert.deepEqual(protocol.told, ['connectionMade names', 'pauseWriting', 'resumeWriting'])
    }),
  ))

test('Transport: protocol, localAddress, remoteAddress', () =>
  run(() =>
    withPair(new Diary(), function* ({ transport, peer }) {
      assert.equal(transport.remoteAddress.memory, 'names')
      assert.equal(transport.localAddress.memory, '')
      const next = new Diary()
      transport.protocol = next
      assert.equal(transport.protocol, next)
      peer.write(Buffer.from('for the next'))
      yield* untilTrue(() => next.text === 'for the next')
    }),
  ))

test('Transport: close, closing, abort', () =>
  run(function* () {
    for (const how of ['close', 'abort'] as const) {
      yield* withPair(new Diary(), function* ({ transport, protocol }) {
        assert.equal(transport.closing, false)
        if (how === 'close') transport.close()
        else transport.abort()
        assert.equal(transport.closing, true)
        yield* untilTrue(() => protocol.told.includes('connectionLost null'))
      })
    }
  }))

test('Protocol: connectionMade, dataReceived, eofReceived, pauseWriting, resumeWriting, connectionLost', () =>
  run(function* () {
    // What each does when nobody overrides it: nothing.
    const plain = new Protocol()
    yield* withPair(new Diary(), function* ({ transport, protocol, peer }) {
      plain.connectionMade(transport)
      plain.dataReceived(Buffer.from('x'))
      assert.equal(plain.eofReceived(), undefined)
      plain.pauseWriting()
      plain.resumeWriting()
      plain.connectionLost(null)
      peer.write(Buffer.from('hello'))
      peer.close()
      yield* untilTrue(() => protocol.told.includes('eofReceived'))
      assert.equal(protocol.text, 'hello')
    })
  }))

test('BufferedProtocol: getBuffer, bufferUpdated, eofReceived', () =>
  run(() =>
    withPair(new Owner(), function* ({ protocol, peer, theirs }) {
      assert.ok(protocol instanceof BufferedProtocol)
      assert.equal(protocol.getBuffer().length, 4)
      protocol.bufferUpdated(0)
      peer.write(Buffer.from('0123456789'))
      yield* untilTrue(() => protocol.text === '0123456789')
      assert.equal(protocol.eofReceived(), undefined)
      peer.writeEof()
      yield* untilTrue(() => theirs.told.some((what) => what.startsWith('connectionLost')))
    }),
  ))

test('systemResolver, dnsResolver in place of getaddrinfo', () =>
  run(function* () {
    assert.deepEqual(yield* systemResolver('localhost', { family: 4 }), [{ address: '127.0.0.1', family: 4 }])
    assert.equal(typeof dnsResolver({ servers: ['127.0.0.1'] }), 'function')
    const server = yield* createServer(() => new Protocol(), { host: '127.0.0.1', port: 0 })
    const { transport } = yield* createConnection(() => new Protocol(), {
      host: 'localhost',
      port: server.port,
      resolver: systemResolver,
    })
    transport.close()
    yield* server.shutdown()
  }))
