/** What readers promise over every kind of transport: S111 to S117, for one kind. */
import assert from 'node:assert/strict'
import { BusyError, createTask, IncompleteReadError, LimitError, sleep } from 'cede'
import { thrownBy, thrownOf } from '../support/thrown-by.ts'
import { MUCH, settle, untilTrue, type Kind } from './kinds.ts'
import { readable, READS } from './reads.ts'
import { cancelled, pairTestOf, waiting } from './stream-pair.ts'

export function streamReadingContract(kind: Kind): void {
  const pairTest = pairTestOf(kind)

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
}
