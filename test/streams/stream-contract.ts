/** What readers and writers promise over every kind of transport: S111 to S120, S123, S126, S127, for one kind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  BusyError,
  ClosedError,
  ConnectionLostError,
  createTask,
  gather,
  IncompleteReadError,
  LimitError,
  MisuseError,
  openConnection,
  sleep,
  sleepForever,
  startServer,
  type Connection,
  type ExceptionContext,
  type Operation,
  type StreamWriter,
  type Suspension,
  type Task,
} from 'cede'
import { Protocol } from 'cede/lowlevel'
import { thrownBy, thrownOf } from '../support/thrown-by.ts'
import { connectTo, MUCH, placeOf, settle, untilTrue, withServer, withStreams, type Kind } from './kinds.ts'
import { readable, READS } from './reads.ts'

/** A task that has begun to wait. */
function* waiting<T>(operation: Operation<T>): Generator<Suspension, Task<T>> {
  const task = createTask(
    (function* () {
      return yield* operation
    })(),
  )
  yield* untilTrue(() => task.status === 'waiting')
  return task
}

function* cancelled(task: Task): Generator<Suspension, void> {
  task.cancel()
  assert.equal((yield* task.join()).status, 'cancelled')
}

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

export function streamContract(kind: Kind): void {
  const { name, skip } = kind
  const options = { skip }

  /** A test whose main is given both ends of a connection. */
  function pairTest(
    title: string,
    use: (ours: Connection, theirs: Connection) => Operation<unknown>,
    sizes: Parameters<typeof withStreams>[2] = {},
  ): void {
    void test(`${title} (${name})`, options, async () => {
      await kind.run(() => withStreams(kind, use, sizes))
    })
  }

  // ------------------------------------------------------------------ reading

  for (const one of READS) {
    pairTest(`a cancelled ${one.name} keeps its bytes, and the next one gets them`, function* (ours, theirs) {
      const bytes = Buffer.from(one.sent)
      const half = one.takesAnything === true || one.name === 'forEachLine' ? 0 : Math.floor(bytes.length / 3)
      theirs.writer.write(bytes.subarray(0, half))
      yield* untilTrue(() => ours.reader.bufferedBytes >= Math.min(half, 2))
      const task = yield* waiting(one.read(ours.reader))
      assert.ok(task.waitsFor()!.what.length > 0)
      yield* cancelled(task)
      theirs.writer.write(bytes.subarray(half))
      theirs.writer.writeEof()
      assert.deepEqual(readable(yield* one.read(ours.reader)), one.gives)
    })

    pairTest(`data and the end of the stream together: ${one.name}`, function* (ours, theirs) {
      const task = yield* waiting(one.read(ours.reader))
      theirs.writer.write(one.sent)
      theirs.writer.close()
      assert.deepEqual(readable(yield* task), one.gives)
    })
  }

  pairTest('byte by byte: what was sent is what is read', function* (ours, theirs) {
    const text = 'grüße 👋\r\nline\n\nEND'
    const sending = createTask(
      (function* () {
        for (const byte of Buffer.from(text)) {
          yield* theirs.writer.send(Buffer.of(byte))
          yield* sleep(0)
        }
        theirs.writer.writeEof()
      })(),
    )
    const lines: string[] = []
    yield* ours.reader.forEachLine(function* (line) {
      lines.push(line)
    })
    assert.deepEqual(lines, ['grüße 👋', 'line', '', 'END'])
    yield* sending
  })

  pairTest('a character in two chunks: readText holds its first bytes back', function* (ours, theirs) {
    const [a, b] = [Buffer.from('a👋').subarray(0, 3), Buffer.from('a👋').subarray(3)]
    theirs.writer.write(a)
    assert.equal(yield* ours.reader.readText(100), 'a')
    const task = yield* waiting(ours.reader.readText(100))
    theirs.writer.write(b)
    assert.equal(yield* task, '👋')
  })

  pairTest(
    'S115: separators in two chunks are found, self-overlapping ones and several too',
    function* (ours, theirs) {
      for (const [first, second, separators, gives] of [
        ['aa', 'ab', 'aab', 'aaab'],
        ['x\r', '\n', ['\r\n', ';;'], 'x\r\n'],
        ['y;', ';z\r\n', ['\r\n', ';;'], 'y;;'],
      ] as const) {
        theirs.writer.write(first)
        const task = yield* waiting(ours.reader.readUntil(separators))
        yield* untilTrue(() => ours.reader.bufferedBytes >= first.length)
        theirs.writer.write(second)
        assert.equal((yield* task).toString(), gives)
        yield* settle()
        yield* ours.reader.readExactly(ours.reader.bufferedBytes)
      }
    },
  )

  pairTest(
    'S111: the limit binds lines and separators, not read and readExactly',
    function* (ours, theirs) {
      theirs.writer.write(MUCH.subarray(0, 100_000))
      assert.equal((yield* ours.reader.readExactly(50_000)).length, 50_000)
      yield* untilTrue(() => ours.reader.bufferedBytes > 8)
      assert.ok((yield* ours.reader.read(100_000))!.length > 4)
      yield* thrownOf(LimitError, ours.reader.readLine())
    },
    { client: { limitBytes: 4 } },
  )

  pairTest(
    'S112: reading pauses above twice the limit: a fast writer waits for a slow reader',
    function* (ours, theirs) {
      const { transport } = ours.writer
      const sending = createTask(theirs.writer.send(MUCH))
      yield* untilTrue(() => !transport.reading)
      yield* settle()
      assert.ok(ours.reader.bufferedBytes > 2_000)
      assert.ok(ours.reader.bufferedBytes <= 2_000 + 65_536, `${ours.reader.bufferedBytes} wait`)
      assert.equal(sending.done(), false)
      let received = 0
      while (received < MUCH.length) received += (yield* ours.reader.read(1_000_000))!.length
      yield* sending
      assert.equal(transport.reading, true)
    },
    { client: { limitBytes: 1_000 } },
  )

  pairTest(
    'S112: readExactly of more than the limit, and of more than all buffers hold, does not deadlock',
    function* (ours, theirs) {
      const sending = createTask(theirs.writer.send(MUCH))
      yield* untilTrue(() => !ours.writer.transport.reading)
      assert.ok((yield* ours.reader.readExactly(MUCH.length)).equals(MUCH))
      yield* sending
    },
    { client: { limitBytes: 1_000 } },
  )

  pairTest(
    'S113, S114: over the limit nothing is thrown away',
    function* (ours, theirs) {
      theirs.writer.write('123456789\nshort\n')
      const line = yield* thrownOf(LimitError, ours.reader.readLine())
      assert.deepEqual([line.limitBytes, line.consumedBytes], [8, 10])
      yield* untilTrue(() => ours.reader.bufferedBytes === 16)
      const until = yield* thrownOf(LimitError, ours.reader.readUntil('\n'))
      assert.deepEqual([until.limitBytes, until.consumedBytes], [8, 9])
      assert.equal((yield* ours.reader.read(line.consumedBytes))?.toString(), '123456789\n')
      assert.equal((yield* ours.reader.readLine())?.toString(), 'short\n')
      theirs.writer.write('no end in sight')
      const none = yield* thrownOf(LimitError, ours.reader.readLine())
      assert.match(none.message, /found none in \d+ bytes$/)
      assert.equal((yield* ours.reader.readExactly(15)).toString(), 'no end in sight')
    },
    { client: { limitBytes: 8 } },
  )

  pairTest('S116: the end of the stream before completion', function* (ours, theirs) {
    theirs.writer.write('abc')
    theirs.writer.close()
    const error = yield* thrownOf(IncompleteReadError, ours.reader.readExactly(5))
    assert.deepEqual([error.partial.toString(), error.expected], ['abc', 5])
    assert.equal(yield* ours.reader.read(), null)
    assert.equal(yield* ours.reader.readLine(), null)
    assert.equal(ours.reader.atEof(), true)
  })

  pairTest('S117: one read at a time; the other one is unharmed', function* (ours, theirs) {
    const first = yield* waiting(ours.reader.readLine())
    yield* thrownOf(BusyError, ours.reader.read(1))
    theirs.writer.write('line\n')
    assert.equal((yield* first)?.toString(), 'line\n')
  })

  pairTest('S117: an exception set by hand fails the waiting read and all later ones', function* (ours) {
    const failure = new Error('enough')
    const task = yield* waiting(ours.reader.readLine())
    ours.reader.setException(failure)
    assert.equal(yield* thrownBy(task), failure)
    assert.equal(yield* thrownBy(ours.reader.read(1)), failure)
  })

  // ------------------------------------------------------------------ writing

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

  // ------------------------------------------------------------------ ends

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

  // ------------------------------------------------------------------ opening

  test(`a cancelled openConnection leaves nothing open, wherever it is (${name})`, options, () =>
    kind.run(() =>
      withServer(
        kind,
        function* (reader) {
          yield* reader.read()
        },
        function* (server) {
          for (let passes = 0; passes < 6; passes++) {
            const opening = createTask(connectTo(server))
            for (let i = 0; i < passes; i++) yield* sleep(i < 3 ? 0 : 1)
            opening.cancel()
            const outcome = yield* opening.join()
            if (outcome.status === 'done') outcome.value.writer.close()
          }
          yield* untilTrue(() => server.connections.length === 0)
        },
      ),
    ),
  )

  test(`a cancelled startServer leaves nothing open: the place is free (${name})`, options, () =>
    kind.run(function* () {
      const place = kind.place()
      for (let passes = 0; passes < 4; passes++) {
        const starting = createTask(startServer(() => sleepForever(), place))
        for (let i = 0; i < passes; i++) yield* sleep(0)
        starting.cancel()
        const outcome = yield* starting.join()
        if (outcome.status === 'done') yield* outcome.value.shutdown({ graceMs: 0 })
      }
      const server = yield* startServer(() => sleepForever(), place)
      const { writer } = yield* openConnection(placeOf(server.address))
      writer.abort()
      yield* server.shutdown({ graceMs: 0 })
    }),
  )

  test(`nobody listens: one error with the address in it (${name})`, options, () =>
    kind.run(function* () {
      const server = yield* startServer(() => sleepForever(), kind.place())
      const where = placeOf(server.address)
      yield* server.shutdown({ graceMs: 0 })
      const error = yield* thrownBy(openConnection(where))
      assert.match(String(error), /^ConnectError: connect to .+: expected /)
    }),
  )

  test(
    `S120: a handler that throws is reported and its connection closed; a cancelled one only closes (${name})`,
    options,
    async () => {
      const reports: ExceptionContext[] = []
      const failure = new Error('a bug in a handler')
      await kind.run(
        () =>
          withServer(
            kind,
            function* (reader, writer: StreamWriter) {
              writer.write('ready\n')
              if ((yield* reader.readTextLine()) === 'fail') throw failure
              yield* sleepForever()
            },
            function* (server) {
              const failing = yield* connectTo(server)
              yield* failing.writer.send('fail\n')
              assert.equal((yield* failing.reader.read())?.toString(), 'ready\n')
              const ended = yield* connectTo(server)
              yield* ended.reader.readLine()
              server.connections.at(-1)!.task!.cancel()
              assert.equal(yield* ended.reader.read(), null)
              failing.writer.close()
              ended.writer.close()
              yield* untilTrue(() => server.connections.length === 0)
              assert.equal(server.isServing(), true)
            },
          ),
        { reports },
      )
      assert.equal(reports.length, 1)
      assert.equal(reports[0]!.error, failure)
      assert.match(reports[0]!.message, /^the handler of conn-1 .+ failed; its connection is closed$/)
    },
  )

  test(
    `S120: a handler that throws before it waits, and one that is no coroutine (${name})`,
    options,
    async () => {
      const reports: ExceptionContext[] = []
      let calls = 0
      await kind.run(
        () =>
          withServer(
            kind,
            () => {
              if (++calls === 1) throw new Error('at once')
              return undefined as never
            },
            function* (server) {
              for (let i = 0; i < 2; i++) {
                const { reader, writer } = yield* connectTo(server)
                assert.equal(yield* reader.read(), null)
                writer.close()
              }
            },
          ),
        { reports },
      )
      assert.deepEqual(
        reports.map(({ error }) => (error as Error).message.slice(0, 42)),
        ['at once', 'the handler of startServer(): expected an '],
      )
    },
  )
}
