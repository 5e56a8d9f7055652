/** What a transport does when its protocol throws: S128 and S139, for one kind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectError, MisuseError, type ExceptionContext } from 'cede'
import { createConnection, createServer, type Protocol, type Transport } from 'cede/lowlevel'
import { thrownBy } from '../support/thrown-by.ts'
import { MUCH, placeOf, Recorder, untilTrue, withProtocols, type Kind, type Reactions } from './kinds.ts'
import { closing, HELLO, Pieces } from './protocols.ts'

export function errorsContract(kind: Kind): void {
  const { name, skip } = kind
  const options = { skip }

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
