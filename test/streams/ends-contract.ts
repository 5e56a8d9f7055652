/** How connections end, and halves of them: S123, S126 and S127, for one kind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClosedError } from 'cede'
import { MUCH, Recorder, settle, untilTrue, withProtocols, type Kind } from './kinds.ts'
import { closing, HELLO } from './protocols.ts'

export function endsContract(kind: Kind): void {
  const { name, skip } = kind
  const options = { skip }

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
}
