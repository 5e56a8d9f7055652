/** The names of streams, each used once. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  openConnection,
  run,
  sleep,
  sleepForever,
  startServer,
  StreamReader,
  StreamWriter,
  until,
  type Connection,
  type Operation,
  type Suspension,
} from 'cede'

/** Both ends of a connection in memory. */
function* withPair(
  use: (ours: Connection, theirs: Connection) => Operation<void>,
): Generator<Suspension, void> {
  let theirs: Connection | null = null
  const server = yield* startServer(function* (reader, writer) {
    theirs = { reader, writer }
    yield* sleepForever()
  }, 'memory://names')
  const ours = yield* openConnection('memory://names')
  while (theirs === null) yield* sleep(1)
  yield* use(ours, theirs)
  ours.writer.abort()
  yield* server.shutdown({ graceMs: 0 })
}

/** A reader that has all it will ever get. */
function fed(text: string): StreamReader {
  const reader = new StreamReader()
  reader.feedData(Buffer.from(text))
  reader.feedEof()
  return reader
}

test('openConnection, startServer over a Unix socket', { skip: process.platform === 'win32' }, () =>
  run(function* () {
    const folder = mkdtempSync(join(tmpdir(), 'cede-'))
    const path = join(folder, 'x.sock')
    const server = yield* startServer(
      function* (_reader, writer) {
        yield* writer.send('hello\n')
      },
      { path, mode: 0o600, removeFile: true },
    )
    const { reader, writer } = yield* openConnection({ path })
    assert.equal(yield* reader.readTextLine(), 'hello')
    writer.close()
    yield* server.shutdown()
    assert.equal(existsSync(path), false)
    rmSync(folder, { recursive: true })
  }),
)

test('StreamReader: read, readLine, readExactly, readUntil, atEof', () =>
  run(function* () {
    const reader = new StreamReader({ limitBytes: 100 })
    reader.feedData(Buffer.from('a line\n1234key=value;the rest'))
    reader.feedEof()
    assert.equal((yield* reader.readLine())?.toString(), 'a line\n')
    assert.equal((yield* reader.readExactly(4)).toString(), '1234')
    assert.equal((yield* reader.readUntil(['=', ';'])).toString(), 'key=')
    assert.equal((yield* reader.read(6))?.toString(), 'value;')
    assert.equal(reader.atEof(), false)
    assert.equal((yield* reader.read())?.toString(), 'the rest')
    assert.equal(reader.atEof(), true)
    assert.equal(yield* reader.read(1), null)
  }))

async function collect(lines: AsyncIterable<Buffer>): Promise<string[]> {
  const collected: string[] = []
  for await (const line of lines) collected.push(line.toString())
  return collected
}

test('StreamReader: lines, forEachLine, Symbol.asyncIterator', () =>
  run(function* () {
    const lines = fed('one\ntwo\n').lines()
    assert.deepEqual(yield* lines.next(), { done: false, value: Buffer.from('one\n') })
    const seen: string[] = []
    yield* fed('one\ntwo\n').forEachLine(function* (line) {
      seen.push(line)
    })
    assert.deepEqual(seen, ['one', 'two'])
    const reader = fed('one\ntwo\n')
    const collected = yield* until(collect(reader[Symbol.asyncIterator]()))
    assert.deepEqual(collected, ['one\n', 'two\n'])
  }))

test('StreamReader: feedData, feedEof, exception, setException', () =>
  run(function* () {
    const reader = new StreamReader()
    assert.equal(reader.exception(), null)
    reader.feedData(Buffer.from('x'))
    const failure = new Error('no more')
    reader.setException(failure)
    assert.equal(reader.exception(), failure)
    assert.equal((yield* reader.readExactly(1)).toString(), 'x')
    try {
      yield* reader.readExactly(1)
      assert.fail('an error was expected')
    } catch (error) {
      assert.equal(error, failure)
    }
    const ended = new StreamReader()
    ended.feedEof()
    assert.equal(yield* ended.readLine(), null)
  }))

test('StreamWriter: write, writeLines, drain, send', () =>
  run(() =>
    withPair(function* ({ writer }, theirs) {
      assert.ok(writer instanceof StreamWriter)
      writer.write('one\n')
      writer.writeLines(['two\n', Buffer.from('three\n')])
      yield* writer.drain()
      yield* writer.send('four\n')
      assert.equal((yield* theirs.reader.readUntil('four\n')).toString(), 'one\ntwo\nthree\nfour\n')
    }),
  ))

test('StreamWriter: close, closing, waitClosed', () =>
  run(() =>
    withPair(function* ({ writer }, theirs) {
      assert.equal(writer.closing, false)
      writer.write('last words')
      writer.close()
      assert.equal(writer.closing, true)
      yield* writer.waitClosed()
      assert.equal((yield* theirs.reader.read())?.toString(), 'last words')
    }),
  ))

test('StreamWriter: canWriteEof, writeEof', () =>
  run(() =>
    withPair(function* (ours, theirs) {
      assert.equal(ours.writer.canWriteEof, true)
      ours.writer.write('question')
      ours.writer.writeEof()
      assert.equal((yield* theirs.reader.read())?.toString(), 'question')
      yield* theirs.writer.send('answer\n')
      assert.equal(yield* ours.reader.readTextLine(), 'answer')
    }),
  ))

test('StreamWriter: transport, remoteAddress, localAddress, peer', () =>
  run(() =>
    withPair(function* ({ writer }) {
      assert.equal(writer.transport.remoteAddress, writer.remoteAddress)
      assert.equal(writer.remoteAddress.memory, 'names')
      assert.equal(writer.localAddress.port, 0)
      assert.equal(writer.peer, 'memory:names')
      yield* writer.drain()
    }),
  ))
