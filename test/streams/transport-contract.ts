/** What every transport promises its protocol: S122 to S128, for one kind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClosedError, ConnectError, ContextVar, MisuseError, type ExceptionContext } from 'cede'
import {
  BufferedProtocol,
  createConnection,
  createServer,
  Protocol,
  type AnyProtocol,
  type Transport,
} from 'cede/lowlevel'
import { thrownBy } from '../support/thrown-by.ts'
import {
  MUCH,
  placeOf,
  Recorder,
  settle,
  untilTrue,
  withProtocols,
  type Kind,
  type Reactions,
} from './kinds.ts'

const HELLO = Buffer.from('hello')

/** Puts what comes into pieces of memory of a given size. */
class Pieces extends BufferedProtocol {
  readonly told: string[] = []
  readonly #memory: Buffer
  text = ''

  constructor(size: number) {
    super()
    this.#memory = Buffer.alloc(size)
  }

  override getBuffer(sizeHint: number): Uint8Array {
    assert.ok(sizeHint > 0)
    return this.#memory
  }

  override bufferUpdated(bytes: number): void {
    this.told.push(`${bytes}`)
    this.text += this.#memory.toString('utf8', 0, bytes)
  }

  override eofReceived(): boolean {
    this.told.push('eof')
    return true
  }
}

/** A recorder that closes when the peer has ended. */
function closing(reactions: Reactions = {}): Recorder {
  return new Recorder({ eof: () => false, ...reactions })
}

export function transportContract(kind: Kind): void {
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

  // ------------------------------------------------------------------ S123

  test(
    `S123: close sends what is buffered to a peer that reads late, then reports null (${name})`,
    options,
    () =>
      kind.run(() =>
        withProtocols(kind, new Recorder(), closing(), function* ({ ours, theirs, transport, peer }) {
          peer.pauseReading()
          transport.write(MUCH)
          transport.write(HELLO)
          transport.close()
          yield* settle()
          assert.equal(ours.lost, false)
          assert.ok(transport.bufferedBytes > 0)
          peer.resumeReading()
          yield* untilTrue(() => ours.lost && theirs.lost)
          assert.equal(ours.error, null)
          assert.equal(theirs.error, null)
          assert.equal(theirs.receivedBytes, MUCH.length + 5)
          assert.equal(theirs.received.subarray(-5).toString(), 'hello')
          assert.equal(transport.bufferedBytes, 0)
        }),
      ),
  )

  test(`S123: after close nothing is received any more (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, theirs, transport, peer }) {
        theirs.transport.pauseReading()
        transport.write(MUCH)
        transport.close()
        peer.write(HELLO)
        yield* settle()
        assert.deepEqual(
          ours.told.filter((what) => what === 'data' || what === 'eof'),
          [],
        )
      }),
    ),
  )

  test(
    `S123: closing inside dataReceived: no further chunk, what was written is sent (${name})`,
    options,
    () =>
      kind.run(() =>
        withProtocols(
          kind,
          new Recorder({
            data() {
              closer.transport.write(Buffer.from('bye'))
              closer.transport.close()
            },
          }),
          closing(),
          function* ({ ours, theirs, peer }) {
            closer = ours
            peer.write(HELLO)
            yield* untilTrue(() => ours.lost && theirs.lost)
            assert.deepEqual(ours.told, ['made', 'data', 'lost'])
            assert.equal(theirs.received.toString(), 'bye')
          },
        ),
      ),
  )
  let closer!: Recorder

  test(`S123: abort drops the buffer, also after close (${name})`, options, () =>
    kind.run(function* () {
      for (const closesFirst of [false, true]) {
        yield* withProtocols(kind, new Recorder(), closing(), function* ({ ours, theirs, transport, peer }) {
          peer.pauseReading()
          transport.write(MUCH)
          if (closesFirst) transport.close()
          yield* settle()
          transport.abort()
          assert.equal(ours.lost, false)
          yield* untilTrue(() => ours.lost)
          assert.deepEqual(ours.told, ['made', 'pause', 'lost'], 'no room was made')
          assert.equal(ours.error, null)
          assert.equal(transport.bufferedBytes, 0)
          peer.resumeReading()
          yield* untilTrue(() => theirs.lost)
          assert.ok(theirs.receivedBytes < MUCH.length)
        })
      }
    }),
  )

  test(`S123: the peer of an abort is told (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), closing(), function* ({ ours, theirs, transport }) {
        transport.write(HELLO)
        yield* untilTrue(() => theirs.receivedBytes === 5)
        transport.abort()
        yield* untilTrue(() => ours.lost && theirs.lost)
        if (kind.resets) {
          assert.equal((theirs.error as NodeJS.ErrnoException | null)?.code, 'ECONNRESET')
          assert.equal(theirs.told.includes('eof'), false)
        } else {
          assert.equal(theirs.error, null)
        }
      }),
    ),
  )

  test(`S123: both ends close at once (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, theirs, transport, peer }) {
        transport.write(HELLO)
        peer.write(HELLO)
        yield* untilTrue(() => ours.receivedBytes === 5 && theirs.receivedBytes === 5)
        transport.close()
        peer.close()
        yield* untilTrue(() => ours.lost && theirs.lost)
        assert.equal(ours.error, null)
        assert.equal(theirs.error, null)
      }),
    ),
  )

  test(`S123: both ends abort at once, with much on the way in both directions (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, theirs, transport, peer }) {
        for (const one of [transport, peer]) {
          one.pauseReading()
          one.write(MUCH)
        }
        yield* settle()
        transport.abort()
        peer.abort()
        yield* untilTrue(() => ours.lost && theirs.lost)
        assert.equal(ours.error, null)
        assert.equal(theirs.error, null)
      }),
    ),
  )

  test(`S123: writing to a peer that is gone ends with an error, once (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, theirs, transport, peer }) {
        peer.close()
        yield* untilTrue(() => theirs.lost && ours.told.includes('eof'))
        yield* untilTrue(() => {
          transport.write(HELLO)
          return ours.lost
        })
        assert.ok(ours.error instanceof Error)
        assert.match((ours.error as NodeJS.ErrnoException).code!, /^(ECONNRESET|EPIPE)$/)
        assert.equal(transport.closing, true)
      }),
    ),
  )

  test(
    `S123 (ours): what resumeWriting writes after close is dropped: close means all that was written (${name})`,
    options,
    () =>
      kind.run(() =>
        withProtocols(
          kind,
          new Recorder({ resume: () => late.transport.write(HELLO) }),
          closing(),
          function* ({ ours, theirs, transport, peer }) {
            late = ours
            peer.pauseReading()
            transport.write(MUCH)
            transport.close()
            peer.resumeReading()
            yield* untilTrue(() => ours.lost && theirs.lost)
            assert.equal(theirs.receivedBytes, MUCH.length)
          },
        ),
      ),
  )
  let late!: Recorder

  // ------------------------------------------------------------------ S124

  test(
    `S124: the default marks are 64 and 16 KiB; pause strictly above high, resume at or below low (${name})`,
    options,
    () =>
      kind.run(() =>
        withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, transport, peer }) {
          assert.deepEqual(transport.writeMarks, { highWaterBytes: 65_536, lowWaterBytes: 16_384 })
          peer.pauseReading()
          transport.write(MUCH.subarray(0, 1_000))
          transport.write(MUCH)
          assert.deepEqual(ours.told, ['made', 'pause'], 'told at once')
          transport.write(HELLO)
          yield* settle()
          assert.deepEqual(ours.told, ['made', 'pause'], 'told once')
          peer.resumeReading()
          yield* untilTrue(() => ours.told.includes('resume'))
          assert.ok(transport.bufferedBytes <= 16_384)
          assert.deepEqual(ours.told, ['made', 'pause', 'resume'])
        }),
      ),
  )

  test(`S124: exactly the high mark does not pause, one byte more does (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, transport }) {
        transport.writeMarks = { highWaterBytes: 10, lowWaterBytes: 10 }
        transport.write(MUCH.subarray(0, 10))
        assert.equal(transport.bufferedBytes, 10)
        assert.deepEqual(ours.told, ['made'])
        transport.write(MUCH.subarray(0, 1))
        assert.deepEqual(ours.told, ['made', 'pause'])
        yield* untilTrue(() => ours.told.includes('resume'))
        assert.deepEqual(ours.told, ['made', 'pause', 'resume'])
      }),
    ),
  )

  test(
    `S124: setting the marks re-checks at once, both ways, also while much is under way (${name})`,
    options,
    () =>
      kind.run(() =>
        withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, theirs, transport, peer }) {
          peer.pauseReading()
          transport.write(MUCH)
          assert.deepEqual(ours.told, ['made', 'pause'])
          yield* settle()
          transport.writeMarks = { highWaterBytes: 4 * MUCH.length, lowWaterBytes: 2 * MUCH.length }
          assert.deepEqual(ours.told, ['made', 'pause', 'resume'])
          transport.writeMarks = { highWaterBytes: 4, lowWaterBytes: 1 }
          assert.deepEqual(ours.told, ['made', 'pause', 'resume', 'pause'])
          transport.writeMarks = { highWaterBytes: 8, lowWaterBytes: 2 }
          assert.deepEqual(ours.told, ['made', 'pause', 'resume', 'pause'])
          peer.resumeReading()
          yield* untilTrue(() => ours.told.length === 5 && theirs.receivedBytes === MUCH.length)
          assert.deepEqual(ours.told, ['made', 'pause', 'resume', 'pause', 'resume'])
        }),
      ),
  )

  test(`S124: setting the marks re-checks at once, before anything was sent (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, theirs, transport }) {
        transport.write(HELLO)
        transport.writeMarks = { highWaterBytes: 5, lowWaterBytes: 5 }
        assert.deepEqual(ours.told, ['made'], 'exactly the mark is not above it')
        transport.writeMarks = { highWaterBytes: 4, lowWaterBytes: 1 }
        assert.deepEqual(ours.told, ['made', 'pause'])
        transport.writeMarks = { highWaterBytes: 100, lowWaterBytes: 5 }
        assert.deepEqual(ours.told, ['made', 'pause', 'resume'])
        transport.writeMarks = { highWaterBytes: 4, lowWaterBytes: 1 }
        yield* untilTrue(() => theirs.receivedBytes === 5)
        yield* untilTrue(() => ours.told.length === 5)
        assert.deepEqual(ours.told, ['made', 'pause', 'resume', 'pause', 'resume'])
      }),
    ),
  )

  test(`S124: a low mark above the high one is refused, and nothing changes (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ transport }) {
        assert.throws(() => {
          transport.writeMarks = { highWaterBytes: 1, lowWaterBytes: 2 }
        }, RangeError)
        assert.deepEqual(transport.writeMarks, { highWaterBytes: 65_536, lowWaterBytes: 16_384 })
      }),
    ),
  )

  test(
    `S124: a protocol that writes again in resumeWriting goes on until all is through (${name})`,
    options,
    () =>
      kind.run(function* () {
        let rest = 40
        const block = MUCH.subarray(0, 100_000)
        const recorder = new Recorder({
          resume() {
            while (rest > 0 && recorder.told.at(-1) !== 'pause') {
              rest--
              recorder.transport.write(block)
            }
          },
        })
        yield* withProtocols(kind, recorder, new Recorder(), function* ({ theirs, transport }) {
          transport.write(block)
          yield* untilTrue(() => theirs.receivedBytes === 41 * block.length)
          assert.equal(rest, 0)
        })
      }),
  )

  // ------------------------------------------------------------------ S125

  test(`S125: empty writes are none; small ones leave in one go, all in order (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ theirs, transport }) {
        transport.write(Buffer.alloc(0))
        transport.writeLines([])
        transport.writeLines([Buffer.alloc(0), Buffer.alloc(0)])
        assert.equal(transport.bufferedBytes, 0)
        transport.writeLines([Buffer.from('a'), Buffer.alloc(0), new Uint8Array([98])])
        for (let i = 0; i < 100; i++) transport.write(HELLO)
        assert.equal(transport.bufferedBytes, 502)
        yield* untilTrue(() => theirs.receivedBytes === 502)
        assert.equal(theirs.received.toString(), `ab${'hello'.repeat(100)}`)
        if (kind.whole) assert.equal(theirs.chunks.length, 1)
      }),
    ),
  )

  test(`S125: writes of every size arrive in order (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ theirs, transport }) {
        const parts: Buffer[] = []
        for (const size of [1, 10, 65_536, 3, 65_535, 1, 200_000, 70_000, 5, 65_537, 0, 32_768, 32_768, 9]) {
          parts.push(Buffer.alloc(size, parts.length + 1))
        }
        for (const part of parts) transport.write(part)
        const all = Buffer.concat(parts)
        yield* untilTrue(() => theirs.receivedBytes === all.length)
        assert.ok(theirs.received.equals(all))
      }),
    ),
  )

  test(
    `S125: writes after the loss are dropped; at the fifth it is told, once (${name})`,
    options,
    async () => {
      const reports: ExceptionContext[] = []
      await kind.run(
        () =>
          withProtocols(kind, new Recorder(), closing(), function* ({ ours, transport }) {
            transport.abort()
            yield* untilTrue(() => ours.lost)
            for (let i = 0; i < 4; i++) transport.write(HELLO)
            assert.equal(reports.length, 0)
            for (let i = 0; i < 20; i++) transport.writeLines([HELLO])
            assert.equal(transport.bufferedBytes, 0)
          }),
        { reports },
      )
      assert.equal(reports.length, 1)
      assert.match(
        reports[0]!.message,
        /^5 writes to .* were dropped: expected an open connection, found it lost$/,
      )
    },
  )

  // ------------------------------------------------------------------ S126

  test(
    `S126: eofReceived that returns nothing closes, after sending what is buffered (${name})`,
    options,
    () =>
      kind.run(() =>
        withProtocols(
          kind,
          new Recorder({
            eof() {
              answering.transport.write(MUCH)
            },
          }),
          new Recorder(),
          function* ({ ours, theirs, peer }) {
            answering = ours
            peer.writeEof()
            yield* untilTrue(() => ours.lost && theirs.lost)
            assert.equal(theirs.receivedBytes, MUCH.length)
            assert.equal(ours.error, null)
            assert.deepEqual(theirs.told, ['made', 'data', 'eof', 'lost'])
          },
        ),
      ),
  )
  let answering!: Recorder

  test(`S126: eofReceived that returns true keeps the other direction open (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, theirs, transport, peer }) {
        peer.write(HELLO)
        peer.writeEof()
        yield* untilTrue(() => ours.told.includes('eof'))
        yield* settle()
        assert.deepEqual(ours.told, ['made', 'data', 'eof'])
        assert.equal(transport.closing, false)
        transport.write(MUCH)
        yield* untilTrue(() => theirs.receivedBytes === MUCH.length)
        assert.equal(ours.lost, false)
        transport.close()
        yield* untilTrue(() => ours.lost && theirs.lost)
        assert.equal(ours.error, null)
        assert.equal(theirs.error, null)
        assert.deepEqual(
          theirs.told.filter((what) => what !== 'data'),
          ['made', 'eof', 'lost'],
        )
      }),
    ),
  )

  // ------------------------------------------------------------------ S127

  test(`S127: writeEof waits for the buffer, acts once, and reading goes on (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, theirs, transport, peer }) {
        assert.equal(transport.canWriteEof, true)
        peer.pauseReading()
        transport.write(MUCH)
        transport.writeEof()
        transport.writeEof()
        assert.throws(
          () => transport.write(HELLO),
          (error) =>
            error instanceof ClosedError && /found that writeEof\(\) was called$/.test(error.message),
        )
        peer.write(HELLO)
        yield* untilTrue(() => ours.receivedBytes === 5)
        peer.resumeReading()
        yield* untilTrue(() => theirs.told.includes('eof'))
        assert.equal(theirs.receivedBytes, MUCH.length)
        assert.equal(ours.lost, false)
        peer.write(HELLO)
        yield* untilTrue(() => ours.receivedBytes === 10)
      }),
    ),
  )

  test(`S127: writeEof after close and after the end does nothing (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), closing(), function* ({ ours, transport }) {
        transport.close()
        transport.writeEof()
        yield* untilTrue(() => ours.lost)
        transport.writeEof()
      }),
    ),
  )

  test(`S127: close after writeEof sends what is left (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), closing(), function* ({ ours, theirs, transport, peer }) {
        peer.pauseReading()
        transport.write(MUCH)
        transport.writeEof()
        transport.close()
        yield* settle()
        peer.resumeReading()
        yield* untilTrue(() => ours.lost && theirs.lost)
        assert.equal(theirs.receivedBytes, MUCH.length)
        assert.equal(ours.error, null)
      }),
    ),
  )

  test(`S127: when both directions have ended the connection is gone, in good order (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, theirs, transport, peer }) {
        transport.write(HELLO)
        transport.writeEof()
        yield* untilTrue(() => theirs.told.includes('eof'))
        peer.write(HELLO)
        peer.writeEof()
        yield* untilTrue(() => ours.lost && theirs.lost)
        for (const one of [ours, theirs]) {
          assert.deepEqual(one.told, ['made', 'data', 'eof', 'lost'])
          assert.equal(one.error, null)
        }
      }),
    ),
  )

  test(`S127: what is buffered when writeEof is called is told as taken, too (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, transport, peer }) {
        peer.pauseReading()
        transport.write(MUCH)
        transport.writeEof()
        assert.deepEqual(ours.told, ['made', 'pause'])
        peer.resumeReading()
        yield* untilTrue(() => ours.told.includes('resume'))
        assert.deepEqual(ours.told, ['made', 'pause', 'resume'])
      }),
    ),
  )

  // ------------------------------------------------------------------ S128

  const failure = new Error('a bug in a protocol')
  const fail = (): never => {
    throw failure
  }
  for (const [callback, reactions, provoke] of [
    ['connectionMade', { made: fail }, () => {}],
    ['dataReceived', { data: fail }, (_, peer) => peer.write(HELLO)],
    ['eofReceived', { eof: fail }, (_, peer) => peer.writeEof()],
    [
      'pauseWriting',
      { pause: fail },
      (transport, peer) => {
        peer.pauseReading()
        transport.write(MUCH)
      },
    ],
    ['resumeWriting', { resume: fail }, (transport) => transport.write(MUCH)],
    ['connectionLost', { lost: fail }, (transport) => transport.close()],
  ] as readonly [string, Reactions, (transport: Transport, peer: Transport) => void][]) {
    test(
      `S128: an error of ${callback} is fatal for the connection and reported (${name})`,
      options,
      async () => {
        const reports: ExceptionContext[] = []
        await kind.run(
          () =>
            withProtocols(
              kind,
              new Recorder(reactions),
              new Recorder({ eof: () => false }),
              function* (pair) {
                const { ours, theirs, transport, peer } = pair
                provoke(transport, peer)
                yield* untilTrue(() => ours.lost)
                peer.resumeReading()
                yield* untilTrue(() => theirs.lost)
                assert.equal(ours.error, callback === 'connectionLost' ? null : failure)
                assert.equal(transport.closing, true)
              },
            ),
          { reports },
        )
        assert.equal(reports.length, 1)
        assert.equal(reports[0]!.error, failure)
        assert.match(
          reports[0]!.message,
          new RegExp(`^${callback}\\(\\) of the protocol of .* threw; the connection is closed$`),
        )
      },
    )
  }

  test(`S128: an error of a server's protocol ends that connection alone (${name})`, options, async () => {
    const reports: ExceptionContext[] = []
    await kind.run(
      function* () {
        const server = yield* createServer(() => new Recorder({ data: fail, eof: () => false }), kind.place())
        const bad = new Recorder({ eof: () => false })
        const good = new Recorder({ eof: () => false })
        const first = yield* createConnection(() => bad, placeOf(server.address))
        const second = yield* createConnection(() => good, placeOf(server.address))
        yield* untilTrue(() => server.protocols.length === 2)
        first.transport.write(HELLO)
        yield* untilTrue(() => bad.lost)
        yield* untilTrue(() => server.protocols.length === 1)
        assert.equal(good.lost, false)
        assert.equal(server.isServing(), true)
        second.transport.abort()
        server.close()
        yield* server.waitClosed()
        yield* untilTrue(() => good.lost)
      },
      { reports },
    )
    assert.deepEqual(
      reports.map(({ error }) => error),
      [failure],
    )
  })

  test(`S128: errors of the system are not reported, only told to the protocol (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), closing(), function* ({ ours, peer, transport }) {
        transport.write(HELLO)
        peer.abort()
        yield* untilTrue(() => {
          transport.write(HELLO)
          return ours.lost
        })
        transport.abort()
      }),
    ),
  )

  // ------------------------------------------------------------------ protocols

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

  test(
    `S128: a BufferedProtocol that gives no memory is told so, and its connection ends (${name})`,
    options,
    async () => {
      const reports: ExceptionContext[] = []
      await kind.run(
        () =>
          withProtocols(kind, new Pieces(0), closing(), function* ({ theirs, peer }) {
            peer.write(HELLO)
            yield* untilTrue(() => theirs.lost)
          }),
        { reports },
      )
      assert.equal(reports.length, 1)
      assert.match(String(reports[0]!.error), /getBuffer\(\): expected memory of 1 byte or more/)
    },
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

  test(`S139: a protocol factory that throws leaves nothing open (${name})`, options, async () => {
    const reports: ExceptionContext[] = []
    await kind.run(
      function* () {
        let makes = 0
        const server = yield* createServer(() => {
          if (++makes === 1) throw failure
          return new Recorder({ eof: () => false })
        }, kind.place())
        const where = placeOf(server.address)
        assert.equal(yield* thrownBy(createConnection(() => fail(), where)), failure)
        const wrong = yield* thrownBy(createConnection(() => ({}) as Protocol, where))
        assert.ok(wrong instanceof MisuseError)
        assert.equal(makes, 0, 'the server never saw a connection')

        const refused = new Recorder({ eof: () => false })
        try {
          yield* createConnection(() => refused, where)
          yield* untilTrue(() => refused.lost)
        } catch (error) {
          // The reset may come before the connection is made here.
          assert.ok(error instanceof ConnectError)
        }
        const served = new Recorder({ eof: () => false })
        const { transport } = yield* createConnection(() => served, where)
        yield* untilTrue(() => server.protocols.length === 1)
        transport.abort()
        server.close()
        yield* server.waitClosed()
        yield* untilTrue(() => served.lost)
      },
      { reports },
    )
    assert.deepEqual(
      reports.map(({ error }) => error),
      [failure],
    )
  })
}
