/** Reading, without a connection: every read, cut at every byte, cancelled at every suspension. On the virtual clock. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  BusyError,
  createTask,
  IncompleteReadError,
  LimitError,
  sleep,
  StreamReader,
  timeout,
  TimeoutError,
  type Operation,
  type Suspension,
} from 'cede'
import { simulate } from '../support/sim.ts'
import { thrownBy, thrownOf } from '../support/thrown-by.ts'
import { readable, READS, type ReadCase } from './reads.ts'

/** A reader and how often its source was told to pause and to go on. */
function watched(limitBytes: number) {
  const reader = new StreamReader({ limitBytes })
  const source = {
    remoteAddress: { host: 'the-test', port: 1 },
    paused: false,
    changes: 0,
    pauseReading() {
      assert.equal(this.paused, false)
      this.paused = true
      this.changes++
    },
    resumeReading() {
      assert.equal(this.paused, true)
      this.paused = false
      this.changes++
    },
  }
  reader.attach(source)
  return { reader, source }
}

function* result(one: ReadCase, reader: StreamReader): Generator<Suspension, unknown> {
  return readable(yield* one.read(reader))
}

function feed(reader: StreamReader, bytes: Buffer): void {
  if (bytes.length > 0) reader.feedData(bytes)
}

for (const one of READS) {
  const bytes = Buffer.from(one.sent)

  test(`S115: ${one.name} gives the same however what comes is cut in two`, () =>
    simulate(function* () {
      for (let cut = 0; cut <= bytes.length; cut++) {
        const reader = new StreamReader()
        if (one.takesAnything === true && cut > 0 && cut < bytes.length) continue
        const task = createTask(result(one, reader))
        yield* sleep(0)
        feed(reader, bytes.subarray(0, cut))
        yield* sleep(0)
        feed(reader, bytes.subarray(cut))
        if (one.needsEnd === true) reader.feedEof()
        assert.deepEqual(yield* task, one.gives, `cut at ${cut}`)
      }
    }))

  if (one.takesAnything !== true) {
    test(`S115: ${one.name} gives the same byte by byte`, () =>
      simulate(function* () {
        const reader = new StreamReader()
        const task = createTask(result(one, reader))
        for (const byte of bytes) {
          yield* sleep(0)
          reader.feedData(Buffer.of(byte))
        }
        reader.feedEof()
        assert.deepEqual(yield* task, one.gives)
      }))
  }

  test(`a cancelled ${one.name} has taken nothing, wherever it is cancelled`, () =>
    simulate(function* () {
      for (let cut = 0; cut <= bytes.length; cut++) {
        const reader = new StreamReader()
        const task = createTask(result(one, reader))
        feed(reader, bytes.subarray(0, cut))
        yield* sleep(0)
        const waits = !task.done()
        // Whole lines that forEachLine gave to its body are taken.
        const taken = bytes.length - bytes.subarray(cut).length - reader.bufferedBytes
        task.cancel()
        const { status } = yield* task.join()
        assert.equal(status, waits ? 'cancelled' : 'done', `cut at ${cut}`)
        if (!waits) continue
        assert.equal(reader.pending, null)
        feed(reader, bytes.subarray(cut))
        reader.feedEof()
        if (one.name === 'forEachLine') {
          assert.equal((yield* reader.read())?.toString() ?? '', bytes.subarray(taken).toString())
        } else {
          assert.equal(taken, 0)
          assert.deepEqual(yield* result(one, reader), one.gives, `cut at ${cut}`)
        }
      }
    }))

  test(`a ${one.name} whose bytes came in the pass of its cancel gets them`, () =>
    simulate(function* () {
      const reader = new StreamReader()
      const task = createTask(result(one, reader))
      yield* sleep(0)
      reader.feedData(bytes)
      if (one.needsEnd === true) reader.feedEof()
      task.cancel()
      const outcome = yield* task.join()
      // The lines go to the body one after the other, with a wait in between that the cancel meets.
      if (one.name === 'forEachLine') assert.equal(outcome.status, 'cancelled')
      else assert.deepEqual(outcome, { status: 'done', value: one.gives })
    }))

  test(`S117: a ${one.name} beside another read is refused, and the other one is unharmed`, () =>
    simulate(function* () {
      const reader = new StreamReader()
      const task = createTask(result(one, reader), { name: 'first' })
      yield* sleep(0)
      for (const other of READS) {
        const error = yield* thrownOf(BusyError, other.read(reader))
        assert.match(error.message, /found task first waiting for /)
      }
      reader.feedData(bytes)
      if (one.needsEnd === true) reader.feedEof()
      assert.deepEqual(yield* task, one.gives)
    }))

  test(`S117: setException fails a waiting ${one.name} and all later ones, also when it was cancelled meanwhile`, () =>
    simulate(function* () {
      for (const cancelled of [false, true]) {
        const reader = new StreamReader()
        const failure = new Error('no more')
        const task = createTask(result(one, reader))
        yield* sleep(0)
        if (cancelled) task.cancel()
        reader.setException(failure)
        if (cancelled) assert.equal((yield* task.join()).status, 'cancelled')
        else assert.equal(yield* thrownBy(task), failure)
        for (const other of READS) assert.equal(yield* thrownBy(other.read(reader)), failure)
        assert.equal(reader.exception(), failure)
      }
    }))

  test(`a timeout around ${one.name} takes nothing`, () =>
    simulate(function* (sim) {
      const reader = new StreamReader()
      if (one.takesAnything !== true) reader.feedData(bytes.subarray(0, 1))
      yield* thrownOf(TimeoutError, timeout(10, result(one, reader)))
      assert.equal(sim.now(), 10)
      reader.feedData(one.takesAnything === true ? bytes : bytes.subarray(1))
      reader.feedEof()
      assert.deepEqual(yield* result(one, reader), one.gives)
    }))
}

test('S115: self-overlapping separators, at every cut and byte by byte', () =>
  simulate(function* () {
    for (const [text, separator, gives] of [
      ['aaab', 'aab', 'aaab'],
      ['abababac', 'abac', 'abababac'],
      ['\r\r\n', '\r\n', '\r\r\n'],
      ['--\r\n--\r\n\r\n', '\r\n\r\n', '--\r\n--\r\n\r\n'],
      ['aaaa', 'aa', 'aa'],
    ] as const) {
      for (let first = 0; first <= text.length; first++) {
        for (let second = first; second <= text.length; second++) {
          const reader = new StreamReader()
          const task = createTask(reader.readUntil(separator))
          for (const part of [text.slice(0, first), text.slice(first, second), text.slice(second)]) {
            yield* sleep(0)
            feed(reader, Buffer.from(part))
          }
          assert.equal((yield* task).toString(), gives, `${text} cut at ${first} and ${second}`)
        }
      }
    }
  }))

test('S115: of separators of different lengths the one that ends first wins, wherever the chunks are cut', () =>
  simulate(function* () {
    for (const [text, separators, gives] of [
      ['one;two\r\n', ['\r\n', ';'], 'one;'],
      ['xaby', ['ab', 'xab'], 'xab'],
      ['xaby', ['xab', 'ab'], 'xab'],
      ['xaby', ['xaby', 'a'], 'xa'],
      ['xaby', ['a', 'ab'], 'xa'],
      ['xaby', ['ab', 'a'], 'xa'],
      ['--end--', ['--end--', 'nd'], '--end'],
      ['a\nb', ['\n', '\r\n'], 'a\n'],
    ] as const) {
      for (let cut = 0; cut <= text.length; cut++) {
        const reader = new StreamReader()
        feed(reader, Buffer.from(text.slice(0, cut)))
        const task = createTask(reader.readUntil(separators))
        yield* sleep(0)
        feed(reader, Buffer.from(text.slice(cut)))
        assert.equal((yield* task).toString(), gives, `${text} cut at ${cut}`)
      }
    }
  }))

test('S112: reading pauses strictly above twice the limit, and goes on at the limit', () =>
  simulate(function* () {
    const { reader, source } = watched(10)
    reader.feedData(Buffer.alloc(20))
    assert.equal(source.paused, false)
    reader.feedData(Buffer.alloc(1))
    assert.equal(source.paused, true)
    yield* reader.read(10)
    assert.equal(source.paused, true, '11 are left')
    yield* reader.read(1)
    assert.equal(source.paused, false, '10 are left')
    assert.equal(source.changes, 2)
  }))

test('S112: a read that needs more than is allowed to wait lets it come', () =>
  simulate(function* () {
    const { reader, source } = watched(10)
    reader.feedData(Buffer.alloc(21))
    assert.equal(source.paused, true)
    const task = createTask(reader.readExactly(100))
    yield* sleep(0)
    assert.equal(source.paused, false)
    for (let i = 0; i < 7; i++) {
      reader.feedData(Buffer.alloc(10))
      assert.equal(source.paused, false, 'still needed')
    }
    reader.feedData(Buffer.alloc(50))
    assert.equal((yield* task).length, 100)
  }))

test('S112: after the cancel of a read that let more come, reading pauses with the next chunk', () =>
  simulate(function* () {
    const { reader, source } = watched(10)
    const task = createTask(reader.readExactly(100))
    yield* sleep(0)
    reader.feedData(Buffer.alloc(50))
    assert.equal(source.paused, false)
    task.cancel()
    yield* task.join()
    reader.feedData(Buffer.alloc(1))
    assert.equal(source.paused, true)
    assert.equal((yield* reader.readExactly(51)).length, 51)
    assert.equal(source.paused, false)
  }))

test('S112: peek and dropping what a limit refused resume as well', () =>
  simulate(function* () {
    const { reader, source } = watched(4)
    reader.feedData(Buffer.from('much too long\n'))
    assert.equal(source.paused, true)
    assert.equal((yield* reader.peek(4))?.toString(), 'much')
    assert.equal(source.paused, true)
    const error = yield* thrownOf(LimitError, reader.readLine())
    yield* reader.readExactly(error.consumedBytes)
    assert.equal(source.paused, false)
  }))

test('S113, S114: exactly the limit fits, one byte more does not; the separator does not count', () =>
  simulate(function* () {
    for (const [read, ending] of [
      [(reader: StreamReader): Operation<unknown> => reader.readLine(), '\n'],
      [(reader: StreamReader): Operation<unknown> => reader.readTextLine(), '\n'],
      [(reader: StreamReader): Operation<unknown> => reader.readUntil('<end>'), '<end>'],
      [(reader: StreamReader): Operation<unknown> => reader.readUntil(['<end>', '#']), '#'],
    ] as const) {
      for (const together of [true, false]) {
        const { reader } = watched(8)
        const fits = createTask(read(reader))
        yield* sleep(0)
        feed(reader, Buffer.from('12345678'))
        if (!together) yield* sleep(0)
        feed(reader, Buffer.from(`${ending}123456789`))
        yield* fits
        feed(reader, Buffer.from(ending))
        const error = yield* thrownOf(LimitError, read(reader))
        assert.equal(error.limitBytes, 8)
        assert.equal(reader.bufferedBytes, 9 + ending.length, 'nothing was taken')
        assert.match(error.message, /within 8 bytes \(option limitBytes\)/)
        assert.ok(error.consumedBytes === 9 || error.consumedBytes === 9 + ending.length)
      }
    }
  }))

test('S116: the end of the stream before completion', () =>
  simulate(function* () {
    const ended = (text: string): StreamReader => {
      const reader = new StreamReader()
      feed(reader, Buffer.from(text))
      reader.feedEof()
      return reader
    }
    const exactly = ended('abc')
    const short = yield* thrownOf(IncompleteReadError, exactly.readExactly(5))
    assert.deepEqual([short.partial.toString(), short.expected], ['abc', 5])
    assert.equal(exactly.atEof(), true)
    const until = yield* thrownOf(IncompleteReadError, ended('abc').readUntil(';'))
    assert.deepEqual([until.partial.toString(), until.expected], ['abc', undefined])
    assert.equal((yield* ended('abc').readLine())?.toString(), 'abc')
    assert.equal(yield* ended('abc').readTextLine(), 'abc')
    assert.equal((yield* ended('abc').peek(10))?.toString(), 'abc')
    const nothing = ended('')
    assert.equal(yield* nothing.readLine(), null)
    assert.equal(yield* nothing.readTextLine(), null)
    assert.equal(yield* nothing.read(), null)
    assert.equal(yield* nothing.read(5), null)
    assert.equal(yield* nothing.readText(), null)
    assert.equal(yield* nothing.readText(5), null)
    assert.equal(yield* nothing.peek(5), null)
    assert.deepEqual(yield* nothing.lines().next(), { done: true, value: undefined })
    assert.equal((yield* thrownOf(IncompleteReadError, nothing.readExactly(1))).partial.length, 0)
    assert.equal((yield* nothing.readExactly(0)).length, 0)
  }))

test('readText never cuts a character, and says U+FFFD for what is none', () =>
  simulate(function* () {
    const text = 'aé€👋z'
    const bytes = Buffer.from(text)
    for (let size = 4; size <= 12; size++) {
      const reader = new StreamReader()
      let got = ''
      const collecting = createTask(
        (function* () {
          for (let part = yield* reader.readText(size); part !== null; part = yield* reader.readText(size)) {
            assert.ok(part.length > 0)
            assert.doesNotMatch(part, /\ufffd/)
            got += part
          }
        })(),
      )
      for (const byte of bytes) {
        reader.feedData(Buffer.of(byte))
        yield* sleep(0)
      }
      reader.feedEof()
      yield* collecting
      assert.equal(got, text)
    }
    const broken = new StreamReader()
    broken.feedData(Buffer.from([0x61, 0xff, 0x62, 0xe2, 0x82]))
    assert.equal(yield* broken.readText(100), 'a\ufffdb')
    broken.feedEof()
    assert.equal(yield* broken.readText(100), '\ufffd', 'the rest will not come')
    assert.equal(yield* broken.readText(100), null)
  }))

test('forEachLine ends at the end of the stream, at false, and when the body throws; the rest stays', () =>
  simulate(function* () {
    const reader = new StreamReader()
    feed(reader, Buffer.from('a\nstop\nb\nthrow\nc'))
    reader.feedEof()
    const seen: string[] = []
    const body = function* (line: string) {
      seen.push(line)
      yield* sleep(1)
      if (line === 'throw') throw new Error(line)
      return line !== 'stop'
    }
    yield* reader.forEachLine(body)
    assert.deepEqual(seen, ['a', 'stop'])
    assert.equal(((yield* thrownBy(reader.forEachLine(body))) as Error).message, 'throw')
    yield* reader.forEachLine(body)
    assert.deepEqual(seen, ['a', 'stop', 'b', 'throw', 'c'])
    assert.throws(() => reader.forEachLine(null as never), /a coroutine function/)
  }))

test('wrong sizes are refused at the call', () =>
  simulate(function* () {
    const reader = new StreamReader()
    for (const call of [
      () => reader.read(-1),
      () => reader.read(1.5),
      () => reader.readExactly(-1),
      () => reader.readExactly(Number.NaN),
      () => reader.peek(0),
      () => reader.readText(3),
      () => reader.chunks(0),
    ]) {
      assert.throws(call, RangeError)
    }
    assert.throws(() => reader.readUntil([]), /a separator of 1 byte or more/)
    assert.throws(() => reader.readUntil(['x', '']), /a separator of 1 byte or more/)
    assert.throws(() => reader.readUntil(''), /a separator of 1 byte or more/)
  }))
