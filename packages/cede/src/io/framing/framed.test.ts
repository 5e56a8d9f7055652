/** Frames over a reader that is fed by hand, and over a writer whose transport keeps what it is given. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  BusyError,
  checkpoint,
  ClosedError,
  ConnectionLostError,
  createTask,
  currentTask,
  framed,
  IncompleteReadError,
  jsonLines,
  lengthPrefixed,
  LimitError,
  lines,
  MisuseError,
  netstrings,
  ProtocolError,
  run,
  sleep,
  StreamReader,
  StreamWriter,
  timeout,
  TimeoutError,
  type FrameCodec,
  type Operation,
} from 'cede'
import { SimDriver } from 'cede/lowlevel'
import { NotingTransport } from '../../../../../test/support/noting-transport.ts'
import { simulate } from '../../../../../test/support/sim.ts'
import { thrownBy, thrownOf } from '../../../../../test/support/thrown-by.ts'

function fed(...chunks: (string | Uint8Array)[]): StreamReader {
  const reader = new StreamReader()
  for (const chunk of chunks) reader.feedData(Buffer.from(chunk as string))
  return reader
}

function* all<T>(frames: { read(): Operation<T | null> }) {
  const list: T[] = []
  for (let frame; (frame = yield* frames.read()) !== null;) list.push(frame)
  return list
}

test('frames come one by one, then null', () =>
  simulate(function* () {
    const reader = fed('one\ntw', 'o\r\n\nthree')
    reader.feedEof()
    const frames = framed({ reader }, lines())
    assert.equal(yield* frames.read(), 'one')
    assert.deepEqual(yield* all(frames), ['two', '', 'three'])
    assert.equal(yield* frames.read(), null)
    assert.equal(reader.atEof(), true)
  }))

test('characters and prefixes may be split over chunks', () =>
  simulate(function* () {
    for (const [codec, bytes] of [
      [lines(), 'é€😀\nü\n'],
      [jsonLines(), '"é€😀"\n"ü"\n'],
    ] as const) {
      const reader = new StreamReader()
      const reading = createTask(all(framed({ reader }, codec as FrameCodec<unknown>)))
      for (const byte of Buffer.from(bytes)) {
        yield* sleep(0)
        reader.feedData(Uint8Array.of(byte))
      }
      reader.feedEof()
      assert.deepEqual(yield* reading, ['é€😀', 'ü'])
    }
    const reader = new StreamReader()
    const reading = createTask(all(framed({ reader }, lengthPrefixed({ prefix: 'uint32' }))))
    for (const byte of Buffer.from('000000026869000000000000000121', 'hex')) {
      yield* sleep(0)
      reader.feedData(Uint8Array.of(byte))
    }
    reader.feedEof()
    assert.deepEqual((yield* reading).map(String), ['hi', '', '!'])
  }))

test('the end in the middle of a frame throws with what came', () =>
  simulate(function* () {
    for (const [codec, text, expected] of [
      [lengthPrefixed({ prefix: 'uint8' }), '\x05hel', 6],
      [lengthPrefixed({ prefix: 'uint16' }), '\0', 2],
      [netstrings(), '12:abc', 16],
      [netstrings(), '12', 3],
    ] as const) {
      const reader = fed(text)
      const frames = framed({ reader }, codec)
      const waiting = createTask(frames.read())
      yield* sleep(0)
      reader.feedEof()
      const error = yield* thrownOf(IncompleteReadError, waiting)
      assert.equal(error.partial.toString(), text)
      assert.equal(error.expected, expected)
      assert.match(
        error.message,
        /^read\(\) from a stream: expected a frame \(.+\), found the end of the stream after \d+ bytes$/,
      )
      assert.equal(yield* frames.read(), null)
    }
  }))

test('a read that is cancelled has taken nothing', () =>
  simulate(function* () {
    const reader = fed('half')
    const frames = framed({ reader }, lines())
    yield* thrownOf(TimeoutError, timeout(5, frames.read()))
    reader.feedData(Buffer.from(' and half\nnext\n'))
    const cancelled = createTask(
      (function* () {
        currentTask()!.cancel()
        yield* frames.read()
      })(),
    )
    yield* cancelled.join()
    assert.equal(yield* frames.read(), 'half and half')
    assert.equal(yield* frames.read(), 'next')
  }))

test('a frame that has come is delivered although the deadline comes in the same moment', () =>
  simulate(function* (sim) {
    const reader = new StreamReader()
    sim.loop.callLater(10, () => reader.feedData(Buffer.from('in time\n')))
    const task = createTask(framed({ reader }, lines()).read())
    sim.loop.callLater(10, () => task.cancel())
    assert.equal(yield* task, 'in time')
  }))

test('one read waits at a time, and a dump says for what', () =>
  simulate(function* () {
    const reader = new StreamReader()
    const frames = framed({ reader }, lines())
    const first = createTask(frames.read(), { name: 'first' })
    yield* sleep(0)
    assert.equal(first.waitsFor()?.what, 'a frame (lines) from a stream')
    for (const second of [frames.read(), reader.readLine(), framed({ reader }, netstrings()).read()]) {
      const error = yield* thrownOf(BusyError, second)
      assert.match(error.message, /found task first waiting for a frame \(lines\)/)
    }
    reader.feedData(Buffer.from('x\n'))
    assert.equal(yield* first, 'x')
  }))

test('a read that gave way looks again: somebody else may have read meanwhile', () =>
  simulate(function* () {
    for (const [codec, frame] of [
      [lines(), 'cd'],
      [jsonLines(), 5],
    ] as const) {
      const reader = fed('ab\n')
      const patient = createTask(
        (function* () {
          for (let i = 0; i < 128; i++) yield* checkpoint()
          return yield* framed({ reader }, codec as FrameCodec<unknown>).read()
        })(),
      )
      createTask(
        (function* () {
          yield* reader.readLine()
          reader.feedData(Buffer.from(`${String(frame)}\n`))
        })(),
      )
      assert.equal(yield* patient, frame)
    }
  }))

test('a frame over the limit throws, keeps the bytes, and can be got past', () =>
  simulate(function* () {
    const reader = fed('12345\nok\n')
    const frames = framed({ reader }, lines({ limitBytes: 4 }))
    yield* thrownOf(LimitError, frames.read())
    const error = yield* thrownOf(LimitError, frames.read())
    assert.equal((yield* reader.read(error.consumedBytes))?.toString(), '12345\n')
    assert.equal(yield* frames.read(), 'ok')
  }))

test('what is no frame throws, keeps the bytes, and can be got past', () =>
  simulate(function* () {
    const reader = new StreamReader()
    const frames = framed({ reader }, jsonLines())
    function* impatient() {
      return yield* frames.read()
    }
    const waiting = createTask(impatient())
    yield* sleep(0)
    reader.feedData(Buffer.from('{,}\n[1]\n'))
    const error = yield* thrownOf(ProtocolError, waiting)
    assert.match(error.stack ?? '', /impatient/, 'the stack leads to the read, not to what brought the bytes')
    assert.equal(error.received.toString(), '{,}\n')
    assert.ok(error.cause instanceof SyntaxError)
    yield* thrownOf(ProtocolError, frames.read())
    yield* reader.read(error.consumedBytes)
    assert.deepEqual(yield* frames.read(), [1])
  }))

test('a length above the limit is refused before the body comes', () =>
  simulate(function* () {
    const reader = new StreamReader()
    const waiting = createTask(framed({ reader }, lengthPrefixed({ prefix: 'uint32' })).read())
    yield* sleep(0)
    reader.feedData(Buffer.from('ffffffff', 'hex'))
    assert.equal((yield* thrownOf(LimitError, waiting)).consumedBytes, 4)
  }))

test('when the connection breaks, whole frames are still given out, and half a line is none', () =>
  simulate(function* () {
    const reader = fed('one\ntwo\nthr')
    reader.setException(new ConnectionLostError('read: expected more', new Error('the cable')))
    const frames = framed({ reader }, lines())
    assert.equal(yield* frames.read(), 'one')
    assert.equal(yield* frames.read(), 'two')
    const error = yield* thrownOf(ConnectionLostError, frames.read())
    assert.equal(
      error.message,
      'read() from a stream: expected a frame (lines), found the connection lost (the cable)',
    )
    assert.notEqual(yield* thrownBy(frames.read()), error)
    assert.equal((yield* reader.read(100))?.toString(), 'thr')
    assert.ok((yield* thrownBy(frames.read())) instanceof ConnectionLostError)
  }))

test('between two frames the stream may be read otherwise', () =>
  simulate(function* () {
    const reader = fed('4\nbody2:hi,{"a":1}\n')
    const size = yield* framed({ reader }, lines()).read()
    assert.equal((yield* reader.readExactly(Number(size))).toString(), 'body')
    assert.equal(String(yield* framed({ reader }, netstrings()).read()), 'hi')
    assert.deepEqual(yield* framed({ reader }, jsonLines()).read(), { a: 1 })
  }))

test('a task is woken once per frame, and a codec that knows what it needs is not asked before', () =>
  simulate(function* (sim) {
    let asked = 0
    const inner = lengthPrefixed({ prefix: 'uint32' })
    const codec: FrameCodec<Buffer, never> = {
      name: 'counted',
      encode: () => '',
      decode(...given) {
        asked++
        return inner.decode(...given)
      },
    }
    let resumed = 0
    const off = sim.loop.addInstrument({
      resumed: (task) => (resumed += task.name === 'reading' ? 1 : 0),
    })
    const reader = new StreamReader()
    const task = createTask(framed({ reader }, codec).read(), { name: 'reading' })
    for (const byte of Buffer.concat([Buffer.from([0, 0, 3, 232]), Buffer.alloc(1_000)])) {
      yield* sleep(0)
      reader.feedData(Uint8Array.of(byte))
    }
    assert.equal((yield* task)?.length, 1_000)
    assert.equal(resumed, 1)
    assert.equal(asked, 3, 'with the first byte, with the length, with the last byte')
    off()
  }))

test('a frame larger than the limit of the reader is read, and reading goes on when it was taken', () =>
  simulate(function* () {
    const reader = new StreamReader({ limitBytes: 10 })
    const source = {
      paused: false,
      remoteAddress: { host: '127.0.0.1', port: 1 },
      pauseReading: () => void (source.paused = true),
      resumeReading: () => void (source.paused = false),
    }
    reader.attach(source)
    reader.feedData(Buffer.from('100:0123456789abcdefg'))
    assert.equal(source.paused, true)
    const reading = createTask(framed({ reader }, netstrings()).read())
    yield* sleep(0)
    assert.equal(source.paused, false, 'a read waits that needs more')
    reader.feedData(Buffer.from(`${'x'.repeat(83)},`))
    assert.equal((yield* reading)?.length, 100)
    reader.feedData(Buffer.from('15:123456789012345,2:no'))
    assert.equal(source.paused, true)
    yield* framed({ reader }, netstrings()).read()
    assert.equal(source.paused, false)
  }))

test('a codec that gives no sense is told so, and nothing is lost', () =>
  simulate(function* () {
    const reader = fed('abc')
    for (const [answer, message] of [
      [3, /more than 3, found a number \(3\)$/],
      [NaN, /found a number \(NaN\)/],
      [{ frame: 'x', consumedBytes: 0 }, /takes 1 to 3 bytes.*found a number \(0\)/],
      [{ frame: 'x', consumedBytes: 4 }, /found a number \(4\)/],
      [{ frame: 'x', consumedBytes: 0.5 }, /found a number \(0\.5\)/],
      [{ frame: null, consumedBytes: 1 }, /a frame other than null.*found a frame that is null/],
    ] as const) {
      const codec: FrameCodec<string | null, never> = { name: 'odd', encode: () => '', decode: () => answer }
      const error = yield* thrownOf(MisuseError, framed({ reader }, codec).read())
      assert.match(error.message, /^decode\(\) of odd: expected/)
      assert.match(error.message, message)
    }
    assert.equal((yield* reader.read(5))?.toString(), 'abc')
  }))

test('what a codec throws reaches the read unaltered, also if it throws only once', () =>
  simulate(function* () {
    const reader = new StreamReader()
    const failure = new Error('mine')
    let thrown = false
    const codec: FrameCodec<string, never> = {
      name: 'moody',
      encode: () => '',
      decode() {
        if (thrown) return { frame: 'x', consumedBytes: 1 }
        thrown = true
        throw failure
      },
    }
    const waiting = createTask(framed({ reader }, codec).read())
    yield* sleep(0)
    reader.feedData(Buffer.from('abc'))
    assert.equal(yield* thrownBy(waiting), failure)
    assert.equal(yield* framed({ reader }, codec).read(), 'x')
    assert.equal((yield* reader.read(5))?.toString(), 'bc')
  }))

test('async functions iterate over the frames', async () => {
  const values: unknown[] = []
  let reading: Promise<void> = Promise.resolve()
  await run(
    function* () {
      const reader = new StreamReader()
      const done = createTask(sleep(100))
      reading = (async () => {
        // Also outside of any step.
        await Promise.resolve()
        for await (const value of framed({ reader }, jsonLines())) values.push(value)
      })()
      yield* sleep(5)
      reader.feedData(Buffer.from('1\n[2'))
      yield* sleep(5)
      reader.feedData(Buffer.from(']\nfalse'))
      reader.feedEof()
      yield* done
    },
    { driver: new SimDriver() },
  )
  await reading
  assert.deepEqual(values, [1, [2], false])
})

test('for await needs a reader made inside a run', async () => {
  const frames = framed({ reader: new StreamReader() }, lines())
  await assert.rejects(async () => {
    for await (const frame of frames) assert.fail(frame)
  }, /a reader made inside a run/)
})

/** A writer, and what was written. */
function written() {
  const transport = new NotingTransport()
  return { writer: new StreamWriter(transport), chunks: transport.writes, closed: () => transport.closing }
}

test('frames are written whole', () =>
  simulate(function* () {
    const { writer, chunks } = written()
    const frames = framed({ writer }, lengthPrefixed({ prefix: 'uint32' }))
    frames.write('one')
    yield* frames.drain()
    yield* frames.send('two')
    frames.write(Buffer.alloc(100_000, 'x'))
    assert.deepEqual(chunks, ['\0\0\0\x03one', '\0\0\0\x03two', `\0\x01\x86\xa0${'x'.repeat(100_000)}`])
  }))

test('a frame that cannot be written throws at the call, and nothing is written', () =>
  simulate(function* () {
    const { writer, chunks } = written()
    const frames = framed({ writer }, lines({ limitBytes: 4 }))
    assert.throws(() => frames.write('12345'), LimitError)
    assert.throws(() => void frames.send('a\nb'), MisuseError)
    yield* sleep(0)
    assert.deepEqual(chunks, [])
  }))

test('a cancelled task sends nothing', () =>
  simulate(function* () {
    const { writer, chunks } = written()
    const frames = framed({ writer }, lines())
    const task = createTask(
      (function* () {
        currentTask()!.cancel()
        yield* frames.send('x')
      })(),
    )
    yield* task.join()
    assert.deepEqual(chunks, [])
  }))

test('using closes the writer, and so does close', () =>
  simulate(function* () {
    const first = written()
    {
      using frames = framed({ writer: first.writer }, lines())
      yield* frames.send('bye')
    }
    assert.equal(first.closed(), true)
    const second = written()
    const frames = framed({ reader: new StreamReader(), writer: second.writer }, lines())
    frames.close()
    assert.equal(second.closed(), true)
    assert.throws(() => frames.write('x'), ClosedError)
    framed({ reader: new StreamReader() }, lines())[Symbol.dispose]()
  }))

test('wrong streams and codecs are refused at the call', () => {
  const reader = new StreamReader()
  assert.throws(
    () => framed({ reader }, lines as never),
    /expected a codec, found a function \(lines\); write .*parentheses/,
  )
  assert.throws(
    () => framed({} as never, lines()),
    /a stream with a reader, a writer, or both, found an object/,
  )
  assert.throws(() => framed(undefined as never, lines()), MisuseError)
  assert.throws(() => framed({ reader: {} } as never, lines()), MisuseError)
  // @ts-expect-error -- there is nothing to write to
  assert.throws(() => framed({ reader }, lines()).write('x'), /expected a writer, found undefined/)
  assert.throws(() => framed({ writer: written().writer }, lines()).read(), /expected a reader/)
})
