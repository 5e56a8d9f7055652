/** What writers promise: S118, marks, limits, and what cannot be written, for one kind. */
import assert from 'node:assert/strict'
import { ClosedError, ConnectionLostError, createTask, LimitError, MisuseError, sleep, type Task } from 'cede'
import { Protocol } from 'cede/lowlevel'
import { thrownBy, thrownOf } from '../support/thrown-by.ts'
import { MUCH, settle, type Kind } from './kinds.ts'
import { cancelled, pairTestOf, waiting } from './stream-pair.ts'

export function streamWritingContract(kind: Kind): void {
  const pairTest = pairTestOf(kind)

  pairTest(
    'S118: drain below the high mark does not suspend; above it waits for the low mark',
    function* (ours, theirs) {
      ours.writer.setWaterMarks({ highWaterBytes: 1_000 })
      assert.deepEqual(ours.writer.transport.writeMarks, { highWaterBytes: 1_000, lowWaterBytes: 250 })
      let passes = 0
      const counting = createTask(
        (function* () {
          for (;;) {
            yield* sleep(0)
            passes++
          }
        })(),
      )
      yield* sleep(0)
      const before = passes
      ours.writer.write(MUCH.subarray(0, 1_000))
      yield* ours.writer.drain()
      assert.equal(passes, before)
      yield* cancelled(counting)
      ours.writer.write(MUCH)
      const task = yield* waiting(ours.writer.drain())
      yield* settle()
      assert.equal(task.done(), false)
      const reading = createTask(theirs.reader.readExactly(1_000 + MUCH.length))
      yield* task
      assert.ok(ours.writer.bufferedBytes <= 250)
      yield* reading
    },
  )

  pairTest('S118: all that drain wake together; one that was cancelled does not', function* (ours, theirs) {
    ours.writer.write(MUCH)
    const tasks: Task[] = []
    for (let i = 0; i < 5; i++) tasks.push(yield* waiting(ours.writer.drain()))
    assert.match(tasks[0]!.waitsFor()!.what, /to take \d+ buffered bytes/)
    yield* cancelled(tasks[2]!)
    const reading = createTask(theirs.reader.readExactly(MUCH.length))
    yield* tasks[0]!
    yield* sleep(0)
    assert.deepEqual(
      tasks.map(({ status }) => status),
      ['done', 'done', 'cancelled', 'done', 'done'],
    )
    yield* reading
  })

  pairTest(
    'a cancelled drain and a cancelled send leave what was written in the buffer',
    function* (ours, theirs) {
      const sending = yield* waiting(ours.writer.send(MUCH))
      yield* cancelled(sending)
      ours.writer.write('more')
      const draining = yield* waiting(ours.writer.drain())
      yield* cancelled(draining)
      assert.ok((yield* theirs.reader.readExactly(MUCH.length)).equals(MUCH))
      assert.equal((yield* theirs.reader.readExactly(4)).toString(), 'more')
      yield* ours.writer.drain()
      assert.equal(ours.writer.bufferedBytes, 0)
    },
  )

  pairTest('S118: the end of the connection wakes drains with an error: cut by us', function* (ours) {
    ours.writer.write(MUCH)
    const task = yield* waiting(ours.writer.drain())
    ours.writer.abort()
    assert.equal(task.done(), false)
    yield* thrownOf(ClosedError, task)
    yield* thrownOf(ClosedError, ours.writer.drain())
    yield* thrownOf(ClosedError, ours.writer.send('x'))
    assert.throws(() => ours.writer.write('x'), ClosedError)
  })

  pairTest(
    'S118: the end of the connection wakes drains with an error: cut by the peer',
    function* (ours, theirs) {
      ours.writer.write(MUCH)
      const task = yield* waiting(ours.writer.drain())
      theirs.writer.abort()
      const error = yield* thrownOf(ConnectionLostError, task)
      assert.match(error.systemCode!, /^(ECONNRESET|EPIPE)$/)
      assert.match(error.message, /^drain\(\) to .+: expected an open connection, found the connection lost/)
      yield* thrownOf(ConnectionLostError, ours.writer.drain())
      assert.throws(() => ours.writer.write('x'), ConnectionLostError)
      yield* thrownOf(ConnectionLostError, ours.writer.waitClosed())
      assert.equal(ours.writer.closing, true)
    },
  )

  pairTest('S118: a loop of writes and drains to a peer that is gone ends', function* (ours, theirs) {
    theirs.writer.close()
    const error = yield* thrownBy(
      (function* () {
        for (;;) {
          ours.writer.write('x')
          yield* ours.writer.drain()
          yield* sleep(1)
        }
      })(),
    )
    assert.ok(error instanceof ConnectionLostError)
  })

  pairTest('writing after close and after writeEof throws, and says which', function* (ours, theirs) {
    ours.writer.writeEof()
    ours.writer.writeEof()
    assert.throws(
      () => ours.writer.write('x'),
      /expected an open connection, found that writeEof\(\) was called$/,
    )
    yield* thrownOf(ClosedError, ours.writer.send('x'))
    yield* ours.writer.drain()
    assert.equal(ours.writer.closing, false)
    theirs.writer.close()
    assert.throws(() => theirs.writer.write('x'), /expected an open connection, found that it was closed$/)
    assert.throws(() => theirs.writer.writeLines(['x']), ClosedError)
    theirs.writer.writeEof()
    theirs.writer.close()
    assert.equal(theirs.writer.closing, true)
  })

  pairTest('what is no data is refused, and nothing of it is sent', function* (ours, theirs) {
    assert.throws(() => ours.writer.write(42 as never), MisuseError)
    assert.throws(() => ours.writer.writeLines(['a', null as never, 'c']), MisuseError)
    ours.writer.write('b')
    assert.equal((yield* theirs.reader.readExactly(2)).toString(), 'ab')
  })

  pairTest(
    'the hard limit: what is beyond it throws and is not written; one single write may be larger',
    function* (ours, theirs) {
      ours.writer.write(MUCH)
      const error = yield* thrownOf(
        LimitError,
        (function* () {
          for (;;) {
            ours.writer.write('x')
          }
        })(),
      )
      assert.equal(error.limitBytes, 1_000_000)
      assert.match(error.message, /option hardLimitBytes/)
      assert.ok((yield* theirs.reader.readExactly(MUCH.length)).equals(MUCH))
      ours.writer.write('last')
      ours.writer.close()
      assert.equal((yield* theirs.reader.read())?.toString(), 'last')
    },
    { client: { hardLimitBytes: 1_000_000 } },
  )

  pairTest(
    'marks: one alone sets the other; wrong ones are refused and change nothing',
    function* ({ writer }) {
      assert.deepEqual(writer.transport.writeMarks, { highWaterBytes: 65_536, lowWaterBytes: 16_384 })
      writer.setWaterMarks({ lowWaterBytes: 10 })
      assert.deepEqual(writer.transport.writeMarks, { highWaterBytes: 40, lowWaterBytes: 10 })
      writer.setWaterMarks({ highWaterBytes: 100 })
      assert.deepEqual(writer.transport.writeMarks, { highWaterBytes: 100, lowWaterBytes: 25 })
      writer.setWaterMarks({ highWaterBytes: 7, lowWaterBytes: 7 })
      assert.throws(() => writer.setWaterMarks({ highWaterBytes: 7, lowWaterBytes: 8 }), RangeError)
      assert.throws(() => writer.setWaterMarks({ highWaterBytes: 0 }), RangeError)
      assert.deepEqual(writer.transport.writeMarks, { highWaterBytes: 7, lowWaterBytes: 7 })
      yield* writer.drain()
    },
  )

  pairTest(
    'S124: a drain that waits goes on when the marks are moved above what is buffered',
    function* ({ writer }) {
      writer.write(MUCH)
      const task = yield* waiting(writer.drain())
      yield* settle()
      writer.setWaterMarks({ highWaterBytes: 4 * MUCH.length, lowWaterBytes: 2 * MUCH.length })
      yield* task
      assert.ok(writer.bufferedBytes > 0)
    },
  )

  pairTest('the protocol of a stream cannot be exchanged', function* ({ writer }) {
    assert.throws(() => {
      writer.transport.protocol = new Protocol()
    }, MisuseError)
    yield* writer.drain()
  })
}
