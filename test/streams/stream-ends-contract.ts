/** How streams end, and halves of them: S119, S123, S126 and S127, for one kind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectionLostError, gather, IncompleteReadError, type Connection, type Suspension } from 'cede'
import { thrownOf } from '../support/thrown-by.ts'
import { MUCH, settle, untilTrue, withStreams, type Kind } from './kinds.ts'
import { cancelled, pairTestOf, waiting } from './stream-pair.ts'

/** More than one read gives, and less than all that buffers hold. */
const SOME = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251))

/** Reads to the end, or to the loss; closes, and waits until all is over. */
function* ended({ reader, writer }: Connection): Generator<Suspension, Buffer> {
  const chunks: Buffer[] = []
  try {
    for (let chunk = yield* reader.read(65_536); chunk !== null; chunk = yield* reader.read(65_536)) {
      chunks.push(chunk)
    }
    writer.close()
    yield* writer.waitClosed()
  } catch (error) {
    if (!(error instanceof ConnectionLostError)) throw error
  }
  return Buffer.concat(chunks)
}

function assertBeginning(received: Buffer, wasSent: boolean): void {
  assert.ok(wasSent || received.length === 0)
  assert.ok(received.equals(SOME.subarray(0, received.length)))
}

export function streamEndsContract(kind: Kind): void {
  const { name, skip } = kind
  const options = { skip }
  const pairTest = pairTestOf(kind)

  pairTest(
    'S126, S127: half close: after writeEof the answer still comes, both ways',
    function* (ours, theirs) {
      ours.writer.write('question')
      ours.writer.writeEof()
      assert.equal((yield* theirs.reader.read())?.toString(), 'question')
      yield* settle()
      assert.equal(theirs.writer.closing, false, 'a peer that has said all may still listen')
      theirs.writer.write(MUCH)
      theirs.writer.writeEof()
      assert.equal((yield* ours.reader.read())?.length, MUCH.length)
      yield* gather([ours.writer.waitClosed(), theirs.writer.waitClosed()])
    },
  )

  pairTest('S127: writeEof waits for the buffer', function* (ours, theirs) {
    ours.writer.write(MUCH)
    ours.writer.writeEof()
    assert.equal((yield* theirs.reader.read())?.length, MUCH.length)
    assert.equal(theirs.reader.atEof(), true)
  })

  pairTest('S123: close sends what is buffered; waitClosed ends when it is sent', function* (ours, theirs) {
    ours.writer.write(MUCH)
    ours.writer.close()
    const closed = yield* waiting(ours.writer.waitClosed())
    assert.match(closed.waitsFor()!.what, /the end of the connection to .+, \d+ bytes to send/)
    yield* settle()
    assert.equal(closed.done(), false)
    assert.equal((yield* theirs.reader.read())?.length, MUCH.length)
    yield* closed
    yield* ours.writer.waitClosed()
  })

  pairTest('a cancelled waitClosed changes nothing', function* (ours, theirs) {
    yield* cancelled(yield* waiting(ours.writer.waitClosed()))
    assert.equal(ours.writer.closing, false)
    ours.writer.write(MUCH)
    ours.writer.close()
    yield* cancelled(yield* waiting(ours.writer.waitClosed()))
    assert.equal((yield* theirs.reader.read())?.length, MUCH.length)
    yield* ours.writer.waitClosed()
  })

  pairTest('S119: waitClosed ends with unread input, and the reader is at its end', function* (ours, theirs) {
    theirs.writer.write('unread')
    yield* untilTrue(() => ours.reader.bufferedBytes === 6)
    ours.writer.close()
    yield* ours.writer.waitClosed()
    assert.equal((yield* ours.reader.read())?.toString(), 'unread')
    assert.equal(yield* ours.reader.readLine(), null)
    assert.equal(ours.reader.atEof(), true)
  })

  pairTest(
    'S119: waitClosed ends with input that is held back',
    function* (ours, theirs) {
      theirs.writer.write(MUCH)
      yield* untilTrue(() => !ours.writer.transport.reading)
      ours.writer.close()
      yield* ours.writer.waitClosed()
      const rest = yield* ours.reader.read()
      assert.ok(rest!.length > 0 && rest!.length < MUCH.length)
      assert.equal(ours.reader.atEof(), true)
    },
    { client: { limitBytes: 1_000 } },
  )

  for (const how of ['close', 'abort'] as const) {
    pairTest(
      `S119: a read that waits is at the end of the stream when this end ends it: ${how}`,
      function* (ours) {
        const reading = yield* waiting(ours.reader.readLine())
        ours.writer[how]()
        assert.equal(reading.done(), false)
        assert.equal(yield* reading, null)
        yield* thrownOf(IncompleteReadError, ours.reader.readExactly(1))
      },
    )
  }

  pairTest('S123: abort drops what is buffered; the peer misses it', function* (ours, theirs) {
    yield* ours.writer.send('arrives')
    yield* untilTrue(() => theirs.reader.bufferedBytes === 7)
    ours.writer.abort()
    ours.writer.abort()
    yield* ours.writer.waitClosed()
    assert.equal((yield* theirs.reader.readExactly(7)).toString(), 'arrives')
    if (kind.resets) {
      const error = yield* thrownOf(ConnectionLostError, theirs.reader.readLine())
      assert.equal(error.systemCode, 'ECONNRESET')
      assert.match(error.message, /^readLine\(\) from .+: expected a line, found the connection lost/)
    } else {
      assert.equal(yield* theirs.reader.readLine(), null)
    }
  })

  pairTest('S123: abort after close, with a peer that does not read, ends it', function* (ours, theirs) {
    ours.writer.write(MUCH)
    ours.writer.close()
    yield* settle()
    ours.writer.abort()
    yield* ours.writer.waitClosed()
    assert.equal(ours.writer.bufferedBytes, 0)
    assert.ok(theirs.reader.bufferedBytes < MUCH.length)
  })

  pairTest('S123: abort right after close, with nothing to send, ends it too', function* (ours, theirs) {
    ours.writer.close()
    ours.writer.abort()
    yield* ours.writer.waitClosed()
    theirs.writer.close()
    yield* untilTrue(() => theirs.writer.transport.closing)
  })

  pairTest('both ends close at once, with much on the way in both directions', function* (ours, theirs) {
    ours.writer.write(MUCH)
    theirs.writer.write(MUCH)
    const [first, second] = yield* gather([ours.reader.readExactly(10), theirs.reader.readExactly(10)])
    assert.deepEqual([first.length, second.length], [10, 10])
    ours.writer.close()
    theirs.writer.close()
    // Neither reads the rest: who has not sent all when the other end has gone is told.
    yield* settle()
    ours.writer.abort()
    theirs.writer.abort()
    for (const { writer } of [ours, theirs]) {
      try {
        yield* writer.waitClosed()
      } catch (error) {
        assert.ok(error instanceof ConnectionLostError)
      }
    }
  })

  for (const how of ['close', 'writeEof', 'abort'] as const) {
    for (const first of ['one end', 'both ends'] as const) {
      test(
        `every order of ends, with data on the way in either direction: ${first}, ${how} (${name})`,
        options,
        () =>
          kind.run(function* () {
            for (const [weSend, theySend] of [
              [false, false],
              [true, false],
              [false, true],
              [true, true],
            ] as const) {
              yield* withStreams(kind, function* (ours, theirs) {
                if (weSend) ours.writer.write(SOME)
                if (theySend) theirs.writer.write(SOME)
                ours.writer[how]()
                if (first === 'both ends') theirs.writer[how]()
                const [toUs, toThem] = yield* gather([ended(ours), ended(theirs)])
                assertBeginning(toUs, theySend)
                assertBeginning(toThem, weSend)
                // Who reads on gets everything. But one that still sends to an end which has closed may be reset, and miss what
                // it had not read.
                if (how === 'writeEof') assert.equal(toUs.length, theySend ? SOME.length : 0)
                if (how === 'writeEof' || (how === 'close' && first === 'one end' && !theySend)) {
                  assert.equal(toThem.length, weSend ? SOME.length : 0)
                }
              })
            }
          }),
      )
    }
  }

  pairTest('S118: a peer that vanished before all was sent: waitClosed says so', function* (ours, theirs) {
    ours.writer.write(MUCH)
    ours.writer.close()
    yield* settle()
    theirs.writer.abort()
    const error = yield* thrownOf(ConnectionLostError, ours.writer.waitClosed())
    assert.match(
      error.message,
      /^waitClosed\(\) to .+: expected an open connection, found the connection lost/,
    )
  })
}
