/** The reader's logic without a socket: fed by hand, on the virtual clock. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { checkpoint, createTask, currentTask, run, sleep, timeout, TimeoutError, type Operation } from 'cede'
import { SimDriver } from 'cede/lowlevel'
import { simulate } from '../../../../test/support/sim.ts'
import { BusyError, ConnectionLostError, IncompleteReadError, LimitError } from './errors.ts'
import { StreamReader, type StreamReaderOptions } from './stream-reader.ts'

/** A reader whose source counts how often it was paused. */
function sourced(options?: StreamReaderOptions): { reader: StreamReader; source: FakeSource } {
  const reader = new StreamReader(options)
  const source = new FakeSource()
  reader.attach(source)
  return { reader, source }
}

class FakeSource {
  readonly remoteAddress = { host: 'the-test', port: 1 }
  paused = false
  pauses = 0
  pauseReading(): void {
    this.paused = true
    this.pauses++
  }
  resumeReading(): void {
    this.paused = false
  }
}

function fed(text: string, options?: StreamReaderOptions): StreamReader {
  const reader = new StreamReader(options)
  reader.feedData(Buffer.from(text))
  reader.feedEof()
  return reader
}

function* text(read: Operation<Buffer | null>) {
  return (yield* read)?.toString() ?? null
}

function* thrownBy(operation: Operation<unknown>) {
  try {
    yield* operation
  } catch (error) {
    return error
  }
  throw new Error('expected an error, found none')
}

test('lines come with their newline, the rest without, then null', () =>
  simulate(function* () {
    const reader = fed('one\r\n\nthree')
    assert.equal(yield* text(reader.readLine()), 'one\r\n')
    assert.equal(yield* text(reader.readLine()), '\n')
    assert.equal(reader.atEof(), false)
    assert.equal(yield* text(reader.readLine()), 'three')
    assert.equal(yield* text(reader.readLine()), null)
    assert.equal(yield* text(reader.readLine()), null)
    assert.equal(reader.atEof(), true)
  }))

test('read gives what is there; without a size everything; 0 nothing', () =>
  simulate(function* () {
    const reader = fed('abcdef')
    assert.equal(yield* text(reader.read(2)), 'ab')
    assert.equal(yield* text(reader.read(0)), '')
    assert.equal(yield* text(reader.read()), 'cdef')
    assert.equal(yield* reader.read(), null)
    assert.equal(yield* reader.read(5), null)
    assert.equal(yield* text(reader.read(0)), '')
  }))

test('a read that has what it needs does not suspend, up to the 128th', () =>
  simulate(function* () {
    const reader = fed('x\n'.repeat(200))
    let others = 0
    let reading = true
    createTask(
      (function* () {
        while (reading) {
          others++
          yield* sleep(0)
        }
      })(),
    )
    yield* sleep(0)
    const before = others
    for (let i = 0; i < 100; i++) yield* reader.readLine()
    assert.equal(others, before)
    for (let i = 0; i < 100; i++) yield* reader.readLine()
    assert.equal(others, before + 1)
    reading = false
  }))

test('a read that gave way looks again: somebody else may have read meanwhile', () =>
  simulate(function* () {
    for (const readAgain of [
      (reader: StreamReader) => reader.readLine(),
      (reader: StreamReader) => reader.readUntil('\n'),
    ]) {
      const { reader } = sourced({ limitBytes: 4 })
      reader.feedData(Buffer.from('12345'))
      const patient = createTask(afterManyOperations(readAgain(reader)))
      createTask(
        (function* () {
          yield* reader.read(5)
          reader.feedData(Buffer.from('ab\ncd'))
        })(),
      )
      assert.equal(yield* text(patient), 'ab\n')
    }
  }))

function* afterManyOperations<T>(operation: Operation<T>) {
  for (let i = 0; i < 128; i++) yield* checkpoint()
  return yield* operation
}

test('a task that waits is woken once per read, not once per chunk', () =>
  simulate(function* (sim) {
    const { reader } = sourced()
    let resumed = 0
    const off = sim.loop.addInstrument({
      resumed: (task) => (resumed += task.name === 'reading' ? 1 : 0),
    })
    const task = createTask(reader.readExactly(10), { name: 'reading' })
    for (let i = 0; i < 10; i++) {
      yield* sleep(1)
      reader.feedData(Buffer.from('x'))
    }
    assert.equal((yield* task).toString(), 'x'.repeat(10))
    assert.equal(resumed, 1)
    off()
  }))

test('a read that is cancelled has taken nothing', () =>
  simulate(function* () {
    const { reader } = sourced()
    reader.feedData(Buffer.from('half'))
    assert.ok((yield* thrownBy(timeout(5, reader.readLine()))) instanceof TimeoutError)
    assert.ok((yield* thrownBy(timeout(5, reader.readUntil('zz')))) instanceof TimeoutError)
    assert.ok((yield* thrownBy(timeout(5, reader.readExactly(100)))) instanceof TimeoutError)
    assert.ok((yield* thrownBy(timeout(5, reader.read()))) instanceof TimeoutError)
    reader.feedData(Buffer.from(' and half\n'))
    assert.equal(yield* text(timeout(5, reader.readLine())), 'half and half\n')
  }))

test('a line that has come is delivered although the deadline comes in the same moment', () =>
  simulate(function* (sim) {
    const { reader } = sourced()
    sim.loop.callLater(10, () => reader.feedData(Buffer.from('in time\n')))
    const task = createTask(reader.readLine())
    sim.loop.callLater(10, () => task.cancel())
    assert.equal(yield* text(task), 'in time\n')
  }))

test('in a cancelled scope a read takes nothing, even if all is there', () =>
  simulate(function* () {
    const reader = fed('line\n')
    const task = createTask(
      (function* () {
        currentTask()!.cancel()
        yield* reader.readLine()
      })(),
    )
    yield* task.join()
    assert.equal(task.status, 'cancelled')
    assert.equal(yield* text(reader.readLine()), 'line\n')
  }))

test('S117: a second read while one waits is refused and says who waits for what', () =>
  simulate(function* () {
    const { reader } = sourced()
    const first = createTask(reader.readLine(), { name: 'first' })
    yield* sleep(0)
    for (const second of [reader.readLine(), reader.read(1), reader.readExactly(1), reader.readUntil(';')]) {
      const error = yield* thrownBy(second)
      assert.ok(error instanceof BusyError)
      assert.equal(error.code, 'CEDE_BUSY')
      assert.match(
        error.message,
        /no other read was expected to be under way, found task first waiting for a line/,
      )
    }
    reader.feedData(Buffer.from('x\n'))
    // Woken, and not yet stepped: what it waits for belongs to it.
    assert.ok((yield* thrownBy(reader.read(1))) instanceof BusyError)
    assert.equal(yield* text(first), 'x\n')
  }))

test('S117: an error fails the read that waits and all that need more, but not what came before', () =>
  simulate(function* () {
    const { reader } = sourced()
    reader.feedData(Buffer.from('whole\npart'))
    const waiting = createTask(reader.readExactly(100))
    yield* sleep(0)
    const failure = new Error('the cable')
    reader.setException(failure)
    assert.equal(yield* thrownBy(waiting), failure)
    assert.equal(reader.exception(), failure)
    assert.equal(yield* text(reader.readLine()), 'whole\n')
    assert.equal(yield* thrownBy(reader.readLine()), failure)
    assert.equal(yield* text(reader.read(100)), 'part')
    assert.equal(yield* thrownBy(reader.read(100)), failure)
    assert.equal(yield* thrownBy(reader.read()), failure)
  }))

test('S117: an error that comes after the waiting read was cancelled fails the next one', () =>
  simulate(function* () {
    const { reader } = sourced()
    const cancelled = createTask(reader.readLine())
    yield* sleep(0)
    cancelled.cancel()
    const failure = new Error('the cable')
    reader.setException(failure)
    yield* cancelled.join()
    assert.equal(cancelled.status, 'cancelled')
    assert.equal(yield* thrownBy(reader.readLine()), failure)
  }))

test('S111: the limit binds lines and separators, not read and readExactly', () =>
  simulate(function* () {
    const reader = fed('0123456789', { limitBytes: 4 })
    assert.equal(yield* text(reader.readExactly(6)), '012345')
    assert.equal(yield* text(reader.read(100)), '6789')
    assert.equal(yield* text(fed('0123456789', { limitBytes: 4 }).read()), '0123456789')
  }))

test('S112: reading pauses above twice the limit and goes on at the limit', () =>
  simulate(function* () {
    const { reader, source } = sourced({ limitBytes: 4 })
    reader.feedData(Buffer.from('12345678'))
    assert.equal(source.paused, false)
    reader.feedData(Buffer.from('9'))
    assert.equal(source.paused, true)
    yield* reader.read(4)
    assert.equal(source.paused, true, '5 bytes are above the limit')
    yield* reader.read(1)
    assert.equal(source.paused, false)
  }))

test('S112: reading goes on when a read has to wait for more than twice the limit', () =>
  simulate(function* () {
    const { reader, source } = sourced({ limitBytes: 4 })
    reader.feedData(Buffer.alloc(20))
    assert.equal(source.paused, true)
    const task = createTask(reader.readExactly(50))
    yield* sleep(0)
    assert.equal(source.paused, false)
    reader.feedData(Buffer.alloc(20))
    assert.equal(source.paused, false, 'it still waits for more')
    reader.feedData(Buffer.alloc(20))
    assert.equal(source.paused, true)
    assert.equal((yield* task).length, 50)
    assert.equal(source.pauses, 2)
  }))

test('S113: a line over the limit throws, keeps the bytes and names the option', () =>
  simulate(function* () {
    const { reader } = sourced({ limitBytes: 4 })
    reader.feedData(Buffer.from('1234\n12345\nok\n'))
    assert.equal(yield* text(reader.readLine()), '1234\n', 'the newline does not count')
    for (let again = 0; again < 2; again++) {
      const error = yield* thrownBy(reader.readLine())
      assert.ok(error instanceof LimitError)
      assert.equal(error.code, 'CEDE_LIMIT')
      assert.equal(error.limitBytes, 4)
      assert.equal(error.consumedBytes, 6)
      assert.match(
        error.message,
        /readLine\(\) from the-test:1: expected a line within 4 bytes \(option limitBytes\), found one of 5/,
      )
    }
    assert.equal(yield* text(reader.read(6)), '12345\n')
    assert.equal(yield* text(reader.readLine()), 'ok\n')
  }))

test('S113: a line without an end throws as soon as it is over the limit, also while it is waited for', () =>
  simulate(function* () {
    const { reader } = sourced({ limitBytes: 4 })
    const task = createTask(reader.readLine())
    yield* sleep(0)
    reader.feedData(Buffer.from('1234'))
    yield* sleep(0)
    assert.equal(task.done(), false)
    reader.feedData(Buffer.from('5'))
    const error = yield* thrownBy(task)
    assert.ok(error instanceof LimitError)
    assert.equal(error.consumedBytes, 5)
    assert.equal(yield* text(reader.read(error.consumedBytes)), '12345')
  }))

test('S114: readUntil over the limit keeps the bytes, whether the separator was found or not', () =>
  simulate(function* () {
    const { reader } = sourced({ limitBytes: 4 })
    reader.feedData(Buffer.from('12345;;'))
    const found = yield* thrownBy(reader.readUntil(';;'))
    assert.ok(found instanceof LimitError)
    assert.equal(found.consumedBytes, 5)
    yield* reader.readExactly(7)
    reader.feedData(Buffer.from('123456;'))
    const none = yield* thrownBy(reader.readUntil(';;'))
    assert.ok(none instanceof LimitError)
    assert.equal(none.consumedBytes, 6, 'the last byte may be the beginning of the separator')
    yield* reader.readExactly(none.consumedBytes)
    reader.feedData(Buffer.from(';'))
    assert.equal(yield* text(reader.readUntil(';;')), ';;')
  }))

test('S115: of several separators the one that ends first counts, even if it is longer', () =>
  simulate(function* () {
    assert.equal(yield* text(fed('one--two-').readUntil(['-', '--'])), 'one-')
    assert.equal(yield* text(fed('abcdXY').readUntil(['dXY', 'bcd'])), 'abcd')
    assert.equal(yield* text(fed('xabcy').readUntil(['abc', 'c'])), 'xabc')
    assert.equal(yield* text(fed('a\r\nb').readUntil(['\n', '\r\n'])), 'a\r\n')
    assert.equal(yield* text(fed('aé;').readUntil(new Uint8Array([0xa9]))), 'aé')
  }))

test('S115: different lengths do not break the search that goes on', () =>
  simulate(function* () {
    const { reader } = sourced()
    const task = createTask(reader.readUntil(['EOL!', '#']))
    for (const chunk of ['dataE', 'O', 'L', '!', 'rest']) {
      yield* sleep(0)
      reader.feedData(Buffer.from(chunk))
    }
    assert.equal(yield* text(task), 'dataEOL!')
    assert.equal(yield* text(reader.read(10)), 'rest')
  }))

test('S115: self-overlapping separators are found over chunks', () =>
  simulate(function* () {
    const { reader } = sourced()
    const task = createTask(reader.readUntil('aab'))
    for (const chunk of ['a', 'a', 'a', 'b', 'c']) {
      yield* sleep(0)
      reader.feedData(Buffer.from(chunk))
    }
    assert.equal(yield* text(task), 'aaab')
  }))

test('S115: an empty separator and an empty list are refused at the call', () => {
  const reader = new StreamReader()
  assert.throws(
    () => reader.readUntil(''),
    /a separator of 1 byte or more, or several, found a string \(""\)/,
  )
  assert.throws(() => reader.readUntil([]), /a separator of 1 byte or more/)
  assert.throws(() => reader.readUntil(['\n', new Uint8Array()]), /a separator of 1 byte or more/)
  assert.throws(() => reader.read(-1), RangeError)
  assert.throws(() => reader.readExactly(1.5), RangeError)
  assert.throws(() => new StreamReader({ limitBytes: 0 }), RangeError)
})

test('S116: the end before completion throws with what came, and empties the buffer', () =>
  simulate(function* () {
    const short = fed('abc')
    const exactly = yield* thrownBy(short.readExactly(5))
    assert.ok(exactly instanceof IncompleteReadError)
    assert.equal(exactly.code, 'CEDE_INCOMPLETE_READ')
    assert.equal(exactly.partial.toString(), 'abc')
    assert.equal(exactly.expected, 5)
    assert.equal(short.atEof(), true)
    const until = yield* thrownBy(fed('abc').readUntil(';'))
    assert.ok(until instanceof IncompleteReadError)
    assert.equal(until.partial.toString(), 'abc')
    assert.equal(until.expected, undefined)
  }))

test('a broken connection is told with what was attempted, each time anew', () =>
  simulate(function* () {
    const { reader } = sourced()
    reader.feedData(Buffer.from('par'))
    const cause = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    reader.setException(new ConnectionLostError('read from the-test:1: expected more', cause))
    const error = yield* thrownBy(reader.readLine())
    assert.ok(error instanceof ConnectionLostError)
    assert.equal(
      error.message,
      'readLine() from the-test:1: expected a line, found the connection lost (read ECONNRESET)',
    )
    assert.equal(error.systemCode, 'ECONNRESET')
    assert.equal(error.cause, cause)
    assert.notEqual(yield* thrownBy(reader.readLine()), error)
    assert.equal(yield* text(reader.read(3)), 'par')
  }))

test('while a read waits, a part that has come keeps no slab alive', () =>
  simulate(function* () {
    const reader = new StreamReader()
    const slab = Buffer.alloc(16_384, 'a')
    const kept = (): number => reader.queue.peek(1).buffer.byteLength
    // It comes while the read waits; and it is there when the next one begins to.
    const line = createTask(reader.readLine())
    yield* sleep(1)
    reader.feedData(slab.subarray(0, 10))
    assert.equal(kept(), 10)
    reader.feedData(Buffer.from('\n'))
    assert.equal((yield* line)?.toString(), 'aaaaaaaaaa\n')
    reader.feedData(slab.subarray(20, 30))
    assert.equal(kept(), 16_384)
    const rest = createTask(reader.readExactly(11))
    yield* sleep(1)
    assert.equal(kept(), 10)
    reader.feedData(Buffer.from('b'))
    assert.equal((yield* rest).toString(), 'aaaaaaaaaab')
  }))

test('what a read waits for stands in dumps', () =>
  simulate(function* () {
    const { reader } = sourced()
    const task = createTask(reader.readLine())
    yield* sleep(0)
    assert.equal(task.waitsFor()?.what, 'a line from the-test:1')
    task.cancel()
  }))

test('async functions iterate over the lines', async () => {
  const lines: string[] = []
  let reading: Promise<void> = Promise.resolve()
  const driver = new SimDriver()
  await run(
    function* () {
      const { reader } = sourced()
      const done = createTask(sleep(100))
      reading = (async () => {
        for await (const line of reader) lines.push(line.toString())
      })()
      yield* sleep(5)
      reader.feedData(Buffer.from('a\nb\nc'))
      yield* sleep(5)
      reader.feedEof()
      yield* done
    },
    { driver },
  )
  await reading
  assert.deepEqual(lines, ['a\n', 'b\n', 'c'])
})

// ---------------------------------------------------------------------- against a naive model

type Request =
  | { readonly read: 'line' }
  | { readonly read: 'exactly'; readonly size: number }
  | { readonly read: 'some'; readonly size: number }
  | { readonly read: 'until'; readonly separators: readonly string[] }

const request: fc.Arbitrary<Request> = fc.oneof(
  fc.record({ read: fc.constant('line' as const) }),
  fc.record({ read: fc.constant('exactly' as const), size: fc.integer({ min: 0, max: 9 }) }),
  fc.record({ read: fc.constant('some' as const), size: fc.integer({ min: 1, max: 9 }) }),
  fc.record({
    read: fc.constant('until' as const),
    separators: fc.array(fc.stringMatching(/^[ab\n]{1,3}$/), { minLength: 1, maxLength: 3 }),
  }),
)

/** Chunks of a text of few letters: long ones, short ones, single bytes. */
const chunks = fc.array(fc.stringMatching(/^[ab\n]{1,12}$/), { maxLength: 30 })

const LIMIT = 6

/** What a read finds in the whole text at once: what it returns or how it fails, and how many bytes it takes. */
function modelled(whole: string, asked: Request): { outcome: string; taken: number } {
  if (asked.read === 'some') {
    // How much is there depends on the chunks; only the order of the bytes is checked.
    return { outcome: whole === '' ? 'null' : 'some', taken: 0 }
  }
  if (asked.read === 'exactly') {
    if (whole.length >= asked.size) return took(whole, asked.size)
    return { outcome: `incomplete ${whole}`, taken: whole.length }
  }
  const separators = asked.read === 'line' ? ['\n'] : asked.separators
  let best: { at: number; end: number } | null = null
  for (const separator of separators) {
    const at = whole.indexOf(separator)
    const end = at + separator.length
    if (at !== -1 && (best === null || end < best.end)) best = { at, end }
  }
  if (best !== null && best.at <= LIMIT) return took(whole, best.end)
  const none = Math.max(0, whole.length - Math.max(...separators.map(({ length }) => length)) + 1)
  if (best !== null || none > LIMIT) return { outcome: 'over limit', taken: 0 }
  if (asked.read === 'until') return { outcome: `incomplete ${whole}`, taken: whole.length }
  return whole === '' ? { outcome: 'null', taken: 0 } : took(whole, whole.length)
}

function took(whole: string, count: number): { outcome: string; taken: number } {
  return { outcome: `got ${whole.slice(0, count)}`, taken: count }
}

function operationOf(reader: StreamReader, asked: Request): Operation<Buffer | null> {
  switch (asked.read) {
    case 'line':
      return reader.readLine()
    case 'exactly':
      return reader.readExactly(asked.size)
    case 'some':
      return reader.read(asked.size)
    case 'until':
      return reader.readUntil(asked.separators)
  }
}

function* observe(reader: StreamReader, asked: Request) {
  try {
    const got = yield* operationOf(reader, asked)
    return got === null ? 'null' : `got ${got.toString()}`
  } catch (error) {
    if (error instanceof LimitError) return 'over limit'
    if (error instanceof IncompleteReadError) return `incomplete ${error.partial.toString()}`
    throw error
  }
}

/** Feeds the chunks one by one, with `gaps` passes between them, and then the end. */
function* feed(reader: StreamReader, list: readonly string[], gaps: readonly number[]) {
  for (const [i, chunk] of list.entries()) {
    for (let pass = gaps[i % gaps.length] ?? 0; pass > 0; pass--) yield* sleep(0)
    reader.feedData(Buffer.from(chunk))
  }
  reader.feedEof()
}

test('for every chunking, timing and order of reads it gives what the whole text gives', async () => {
  await fc.assert(
    fc.asyncProperty(
      chunks,
      fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 5 }),
      fc.array(fc.record({ asked: request, cancelFirst: fc.boolean() }), { maxLength: 20 }),
      (list, gaps, requests) =>
        simulate(function* () {
          const reader = new StreamReader({ limitBytes: LIMIT })
          let rest = list.join('')
          const feeding = createTask(feed(reader, list, gaps))
          const check = (asked: Request, outcome: string): void => {
            const expected = modelled(rest, asked)
            if (expected.outcome !== 'some') {
              assert.equal(outcome, expected.outcome)
              rest = rest.slice(expected.taken)
              return
            }
            const got = outcome.slice('got '.length)
            assert.ok(
              outcome.startsWith('got ') && got.length > 0 && rest.startsWith(got),
              `${outcome} of ${rest}`,
            )
            rest = rest.slice(got.length)
          }
          for (const { asked, cancelFirst } of requests) {
            if (cancelFirst) {
              const outcome = yield* cancelledAfterOnePass(reader, asked)
              if (outcome !== null) check(asked, outcome)
            }
            check(asked, yield* observe(reader, asked))
          }
          yield* feeding
          assert.equal((yield* text(reader.read())) ?? '', rest, 'all that was not read is still there')
        }),
    ),
    { numRuns: 300 },
  )
})

/** Begins a read in another task, lets one pass go by, and cancels it: null, unless it had what it wanted by then. */
function* cancelledAfterOnePass(reader: StreamReader, asked: Request) {
  const task = createTask(observe(reader, asked), { eager: true })
  yield* sleep(0)
  task.cancel()
  const ended = yield* task.join()
  return ended.status === 'done' ? ended.value : null
}

test('the error of a read in a timeout names the lines that wait for it', () =>
  simulate(function* () {
    const reader = new StreamReader()
    function* readTheHeader() {
      return yield* timeout(100, reader.readExactly(10))
    }
    const reading = createTask(timeout(200, () => readTheHeader()))
    yield* sleep(0)
    reader.feedData(Buffer.from('ab'))
    reader.feedEof()
    const outcome = yield* reading.join()
    assert.ok(outcome.status === 'failed' && outcome.error instanceof IncompleteReadError)
    assert.match(outcome.error.stack!, /at readTheHeader /)
    assert.doesNotMatch(outcome.error.stack!, /answerProbe/)
  }))

test('without a limit for lines, reading pauses all the same, and goes on for a line that needs more', () =>
  simulate(function* () {
    const { reader, source } = sourced({ limitBytes: Infinity })
    reader.feedData(Buffer.alloc(200_000, 'x'))
    assert.equal(source.paused, true)
    const reading = createTask(reader.readLine())
    yield* sleep(0)
    assert.equal(source.paused, false)
    reader.feedData(Buffer.from('\n'))
    assert.equal((yield* reading)!.length, 200_001)
  }))
