/** In which order, and in which context, a transport calls its protocol: S122, for one kind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ContextVar, MisuseError } from 'cede'
import { createConnection, createServer, Protocol, type AnyProtocol, type Transport } from 'cede/lowlevel'
import { MUCH, placeOf, Recorder, settle, untilTrue, withProtocols, type Kind } from './kinds.ts'
import { closing, HELLO, Pieces } from './protocols.ts'

export function callOrderContract(kind: Kind): void {
  const { name, skip } = kind
  const options = { skip }

  // ------------------------------------------------------------------ S122

  test(`S122: connectionMade first, then data, then the end, then connectionLost (${name})`, options, () =>
    kind.run(() =>
      withProtocols(
        kind,
        closing(),
        closing({ made: (peer) => peer.write(HELLO) }),
        function* ({ ours, theirs, peer }) {
          peer.close()
          yield* untilTrue(() => ours.lost && theirs.lost)
          assert.deepEqual(ours.told, ['made', 'data', 'eof', 'lost'])
          assert.equal(ours.received.toString(), 'hello')
          assert.equal(ours.error, null)
          assert.equal(theirs.error, null)
        },
      ),
    ),
  )

  test(`S122: the opener goes on after connectionMade, before any data (${name})`, options, () =>
    kind.run(function* () {
      const server = yield* createServer(
        () => new Recorder({ made: (transport) => transport.write(HELLO) }),
        kind.place(),
      )
      const made = new Recorder()
      const { transport, protocol } = yield* createConnection(() => made, placeOf(server.address))
      assert.equal(protocol, made)
      assert.equal(made.transport, transport)
      assert.equal(made.told[0], 'made')
      assert.equal(transport.protocol, made)
      transport.abort()
      server.close()
      server.abortClients()
      yield* server.waitClosed()
      yield* untilTrue(() => made.lost)
    }),
  )

  test(`S122: pausing inside connectionMade holds (${name})`, options, () =>
    kind.run(() =>
      withProtocols(
        kind,
        new Recorder({ made: (transport) => transport.pauseReading() }),
        new Recorder({ made: (transport) => transport.write(HELLO) }),
        function* ({ ours, transport }) {
          yield* settle()
          assert.deepEqual(ours.told, ['made'])
          assert.equal(transport.reading, false)
          transport.resumeReading()
          assert.equal(transport.reading, true)
          yield* untilTrue(() => ours.receivedBytes === 5)
        },
      ),
    ),
  )

  test(`S122: pausing and resuming inside connectionMade is as if nothing was (${name})`, options, () =>
    kind.run(() =>
      withProtocols(
        kind,
        new Recorder({
          made(transport) {
            transport.pauseReading()
            transport.resumeReading()
          },
        }),
        new Recorder({ made: (transport) => transport.write(HELLO) }),
        function* ({ ours }) {
          yield* untilTrue(() => ours.receivedBytes === 5)
          assert.deepEqual(ours.told, ['made', 'data'])
        },
      ),
    ),
  )

  test(`S122: closing inside connectionMade: nothing is read, and the end follows (${name})`, options, () =>
    kind.run(() =>
      withProtocols(
        kind,
        new Recorder({
          made(transport) {
            transport.write(HELLO)
            transport.close()
          },
        }),
        closing(),
        function* ({ ours, theirs }) {
          yield* untilTrue(() => ours.lost && theirs.lost)
          assert.deepEqual(ours.told, ['made', 'lost'])
          assert.deepEqual(theirs.told, ['made', 'data', 'eof', 'lost'])
        },
      ),
    ),
  )

  for (const [how, end] of [
    ['close', (transport: Transport) => transport.close()],
    ['abort', (transport: Transport) => transport.abort()],
    [
      'close, abort, close and writeEof',
      (transport: Transport) => {
        transport.close()
        transport.abort()
        transport.close()
        transport.writeEof()
      },
    ],
    [
      'writeEof, abort, abort',
      (transport: Transport) => {
        transport.writeEof()
        transport.abort()
        transport.abort()
      },
    ],
  ] as const) {
    test(`S122: connectionLost comes once and never from inside a call: ${how} (${name})`, options, () =>
      kind.run(() =>
        withProtocols(kind, new Recorder(), closing(), function* ({ ours, theirs, transport }) {
          end(transport)
          assert.deepEqual(ours.told, ['made'])
          assert.equal(transport.closing, true)
          assert.equal(transport.reading, false)
          yield* untilTrue(() => ours.lost && theirs.lost)
          assert.deepEqual(ours.told, ['made', 'lost'])
          assert.equal(ours.error, null)
          end(transport)
          yield* settle()
          assert.deepEqual(ours.told, ['made', 'lost'])
        }),
      ),
    )
  }

  test(`S122: nothing is received while reading is paused, and nothing is lost (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, peer, transport }) {
        transport.pauseReading()
        transport.pauseReading()
        peer.write(HELLO)
        peer.writeEof()
        yield* settle()
        assert.deepEqual(ours.told, ['made'])
        transport.resumeReading()
        transport.resumeReading()
        yield* untilTrue(() => ours.told.includes('eof'))
        assert.deepEqual(ours.told, ['made', 'data', 'eof'])
        assert.equal(transport.reading, false)
      }),
    ),
  )

  test(`S122: pausing inside dataReceived holds back the rest, chunk by chunk (${name})`, options, () =>
    kind.run(() =>
      withProtocols(
        kind,
        new Recorder({ data: () => ours().transport.pauseReading() }),
        new Recorder(),
        function* ({ ours: recorder, peer, transport }) {
          current = recorder
          peer.write(MUCH.subarray(0, 1_000_000))
          let chunks = 0
          while (recorder.receivedBytes < 1_000_000) {
            yield* untilTrue(() => recorder.chunks.length > chunks)
            yield* settle()
            assert.equal(recorder.chunks.length, chunks + 1)
            chunks++
            transport.resumeReading()
          }
          assert.deepEqual(recorder.received, MUCH.subarray(0, 1_000_000))
        },
      ),
    ),
  )
  let current: Recorder | null = null
  const ours = (): Recorder => current!

  test(`S122: protocols are called in the context of who connected or listened (${name})`, options, () =>
    kind.run(function* () {
      const who = new ContextVar<string>('who')
      const seen: string[] = []
      const note = (where: string) => (): void => void seen.push(`${where}: ${who.get('nobody')}`)
      who.set('the server')
      const server = yield* createServer(
        () => new Recorder({ made: note('server made'), data: note('server data') }),
        kind.place(),
      )
      who.set('the client')
      const ours = new Recorder({ made: note('client made'), lost: note('client lost') })
      const { transport } = yield* createConnection(() => ours, placeOf(server.address))
      transport.write(HELLO)
      yield* untilTrue(() => seen.includes('server data: the server'))
      transport.close()
      yield* untilTrue(() => ours.lost)
      assert.deepEqual(
        seen.filter((entry) => entry.startsWith('client')),
        ['client made: the client', 'client lost: the client'],
      )
      assert.deepEqual(
        seen.filter((entry) => entry.startsWith('server')),
        ['server made: the server', 'server data: the server'],
      )
      server.close()
      server.abortClients()
      yield* server.waitClosed()
    }),
  )

  // ------------------------------------------------------------------ kinds of protocols

  test(`a BufferedProtocol with less memory than a chunk gets it in pieces (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Pieces(4), new Recorder(), function* ({ ours, peer }) {
        peer.write(Buffer.from('0123456789'))
        peer.writeEof()
        yield* untilTrue(() => ours.told.includes('eof'))
        assert.equal(ours.text, '0123456789')
        assert.deepEqual(ours.told, ['4', '4', '2', 'eof'])
      }),
    ),
  )

  test(`transport.protocol can be exchanged; the new one is not told connectionMade (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, transport, peer }) {
        peer.write(HELLO)
        yield* untilTrue(() => ours.receivedBytes === 5)
        const next = new Pieces(100)
        transport.protocol = next
        assert.equal(transport.protocol, next)
        peer.write(HELLO)
        yield* untilTrue(() => next.text === 'hello')
        assert.equal(ours.receivedBytes, 5)
        assert.throws(() => {
          transport.protocol = {} as AnyProtocol
        }, MisuseError)
        assert.equal(transport.protocol, next)
        transport.protocol = ours
        peer.close()
        yield* untilTrue(() => ours.told.includes('eof'))
      }),
    ),
  )

  test(
    `a protocol that leaves everything out: data is dropped, the peer's end closes it (${name})`,
    options,
    () =>
      kind.run(() =>
        withProtocols(kind, new Protocol(), new Recorder(), function* ({ theirs, peer, transport }) {
          peer.write(MUCH)
          peer.writeEof()
          yield* untilTrue(() => theirs.lost)
          assert.equal(theirs.error, null)
          assert.equal(transport.closing, true)
        }),
      ),
  )
}
