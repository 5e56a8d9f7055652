/** Readers and writers over real sockets. */
import assert from 'node:assert/strict'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'
import {
  ClosedError,
  ConnectError,
  ConnectionLostError,
  createTask,
  currentTask,
  gather,
  LimitError,
  openConnection,
  run,
  sleep,
  startServer,
  timeout,
  TimeoutError,
  until,
  type Connection,
  type Operation,
  type StreamOptions,
  type StreamReader,
  type StreamWriter,
} from 'cede'
import { SimDriver } from 'cede/lowlevel'
import { HOST, online } from './online.ts'

function* echo(reader: StreamReader, writer: StreamWriter) {
  for (let line = yield* reader.readLine(); line !== null; line = yield* reader.readLine())
    yield* writer.send(line)
}

/** Both ends of one connection; `use` gets the client's and the server's. */
function* connected<T>(
  use: (client: Connection, peer: Connection) => Operation<T>,
  options: { readonly client?: StreamOptions; readonly server?: StreamOptions } = {},
) {
  let peer: Connection | null = null
  let release = (): void => {}
  const server = yield* startServer(
    function* (reader, writer) {
      peer = { reader, writer }
      yield* until(new Promise<void>((resolve) => (release = resolve)))
    },
    { host: HOST, port: 0, ...options.server },
  )
  const client = yield* openConnection({ host: HOST, port: server.port, ...options.client })
  while (peer === null) yield* sleep(0)
  try {
    return yield* use(client, peer)
  } finally {
    client.writer.abort()
    release()
    yield* server.shutdown()
  }
}

/** A socket of Node's own as the peer of one connection of ours. */
function* withRawPeer<T>(use: (ours: Connection, raw: Socket) => Operation<T>) {
  const listener = createServer({ allowHalfOpen: true }).listen(0, HOST)
  yield* until(once(listener, 'listening'))
  const accepted = once(listener, 'connection') as Promise<[Socket]>
  const ours = yield* openConnection({ host: HOST, port: (listener.address() as AddressInfo).port })
  const [raw] = yield* until(accepted)
  raw.on('error', () => {})
  try {
    return yield* use(ours, raw)
  } finally {
    ours.writer.abort()
    raw.destroy()
    listener.close()
  }
}

function* thrownBy(operation: Operation<unknown>) {
  try {
    yield* operation
  } catch (error) {
    return error
  }
  throw new Error('expected an error, found none')
}

function* drain(writer: StreamWriter) {
  yield* writer.drain()
}

/** Writes without draining until the peer's and the system's buffers are full, and some is left here. */
function* fill(writer: StreamWriter) {
  const block = Buffer.alloc(65_536, 'x')
  let written = 0
  for (let still = 0, last = 0; still < 20;) {
    writer.write(block)
    written += block.length
    yield* sleep(1)
    still = writer.bufferedBytes > last ? still + 1 : 0
    last = writer.bufferedBytes
  }
  return written
}

test('a line goes there and comes back', () =>
  online(function* () {
    const server = yield* startServer(echo, { host: HOST, port: 0 })
    const { reader, writer } = yield* openConnection({ host: HOST, port: server.port })
    writer.write('grüße\n')
    yield* writer.drain()
    assert.equal((yield* reader.readLine())?.toString(), 'grüße\n')
    assert.equal(writer.remoteAddress.port, server.port)
    writer.close()
    yield* writer.waitClosed()
    yield* server.shutdown()
  }))

test('every byte comes through unchanged, in any cutting', () =>
  online(() =>
    connected(function* (client, peer) {
      const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
      const big = Buffer.concat(Array.from({ length: 2_000 }, () => all))
      createTask(
        (function* () {
          for (let at = 0, size = 1; at < big.length; at += size, size = (size * 7) % 1_999) {
            yield* client.writer.send(big.subarray(at, at + size))
          }
          client.writer.writeEof()
        })(),
      )
      assert.ok(big.equals((yield* peer.reader.read())!))
    }),
  ))

test('one byte at a time', () =>
  online(() =>
    withRawPeer(function* ({ reader }, raw) {
      raw.setNoDelay(true)
      const task = createTask(reader.readLine())
      for (const byte of 'slowly\n') {
        raw.write(byte)
        yield* sleep(0)
      }
      assert.equal((yield* task)?.toString(), 'slowly\n')
    }),
  ))

test('half close: the end of one direction leaves the other open', () =>
  online(() =>
    connected(function* (client, peer) {
      client.writer.write('question\n')
      client.writer.writeEof()
      client.writer.writeEof()
      assert.equal((yield* peer.reader.read())?.toString(), 'question\n')
      assert.equal(peer.reader.atEof(), true)
      yield* peer.writer.send('answer\n')
      assert.equal((yield* client.reader.readLine())?.toString(), 'answer\n')
      assert.throws(
        () => client.writer.write('more'),
        (error) => error instanceof ClosedError && /found that writeEof\(\) was called/.test(error.message),
      )
      assert.equal(client.writer.closing, false)
    }),
  ))

test('many small writes of one pass leave in one go, after the pass', () =>
  online(() =>
    withRawPeer(function* ({ writer }, raw) {
      const received: number[] = []
      raw.on('data', (chunk: Buffer) => received.push(chunk.length))
      for (let i = 0; i < 100; i++) writer.write('0123456789')
      assert.equal(writer.bufferedBytes, 1_000)
      while (received.length === 0) yield* sleep(1)
      assert.deepEqual(received, [1_000])
    }),
  ))

test('S118: drain below the high-water mark does not suspend', () =>
  online(() =>
    connected(function* ({ writer }) {
      let passed = false
      createTask(
        (function* () {
          passed = true
          yield* sleep(0)
        })(),
      )
      writer.write(Buffer.alloc(1_000))
      yield* writer.drain()
      yield* writer.send('x')
      assert.equal(passed, false)
    }),
  ))

test('S118, S124: drain waits above the high mark, to the low mark; all that wait go on together', () =>
  online(() =>
    connected(function* (client, peer) {
      const written = yield* fill(client.writer)
      const buffered = client.writer.bufferedBytes
      assert.ok(buffered > 65_536)
      let drained = 0
      const drains = Array.from({ length: 3 }, () =>
        createTask(
          (function* () {
            yield* client.writer.drain()
            drained++
            return client.writer.bufferedBytes
          })(),
        ),
      )
      yield* sleep(5)
      assert.equal(drained, 0)
      assert.match(drains[0]!.waitsFor()!.what, /127\.0\.0\.1:\d+ to take \d+ buffered bytes/)
      yield* peer.reader.readExactly(written)
      for (const left of yield* gather(drains)) assert.ok(left <= 16_384)
    }),
  ))

test('a drain that is cancelled is forgotten; the bytes are sent all the same', () =>
  online(() =>
    connected(function* (client, peer) {
      const written = yield* fill(client.writer)
      const cancelled = createTask(client.writer.drain())
      const patient = createTask(client.writer.drain())
      yield* sleep(0)
      cancelled.cancel()
      yield* cancelled.join()
      assert.equal((yield* peer.reader.readExactly(written)).length, written)
      yield* patient
    }),
  ))

test('S124: the marks can be moved, and are checked at once', () =>
  online(() =>
    connected(function* ({ writer }) {
      const drained = createTask(writer.drain())
      yield* drained
      writer.setWaterMarks({ highWaterBytes: 8 })
      writer.write('0123456789')
      const waits = createTask(writer.drain(), { eager: true })
      assert.equal(waits.status, 'waiting')
      yield* waits
      writer.setWaterMarks({ lowWaterBytes: 100 })
      writer.write(Buffer.alloc(400))
      yield* writer.drain()
      assert.throws(() => writer.setWaterMarks({ highWaterBytes: 8, lowWaterBytes: 9 }), RangeError)
      assert.throws(() => writer.setWaterMarks({ highWaterBytes: 0 }), RangeError)
    }),
  ))

test('a peer that never reads: memory is bounded by drain, and by the hard limit without it', () =>
  online(() =>
    connected(
      function* ({ writer }) {
        const block = Buffer.alloc(10_000)
        const sending = timeout(
          50,
          (function* () {
            for (;;) yield* writer.send(block)
          })(),
        )
        assert.ok((yield* thrownBy(sending)) instanceof TimeoutError)
        assert.ok(writer.bufferedBytes <= 65_536 + 2 * block.length)
        let error: unknown = null
        try {
          for (;;) writer.write(block)
        } catch (thrown) {
          error = thrown
        }
        assert.ok(error instanceof LimitError)
        assert.equal(error.limitBytes, 200_000)
        assert.match(error.message, /option hardLimitBytes.*yield\* writer\.drain\(\)/s)
        assert.ok(writer.bufferedBytes <= 200_000)
      },
      { client: { hardLimitBytes: 200_000 } },
    ),
  ))

test('a reader that does not read stops the sender', () =>
  online(() =>
    connected(
      function* (client, peer) {
        const written = yield* fill(client.writer)
        const received = peer.reader.queue.length
        assert.ok(received > 2_000 && received < 400_000, `${received} bytes were taken into memory`)
        assert.equal((yield* peer.reader.readExactly(written)).length, written)
      },
      { server: { limitBytes: 1_000 } },
    ),
  ))

test('a read cut by its timeout keeps its bytes, on a real socket', () =>
  online(() =>
    withRawPeer(function* ({ reader }, raw) {
      raw.write('half a ')
      while (reader.queue.length === 0) yield* sleep(1)
      assert.ok((yield* thrownBy(timeout(5, reader.readLine()))) instanceof TimeoutError)
      raw.write('line\n')
      assert.equal((yield* reader.readLine())?.toString(), 'half a line\n')
    }),
  ))

test('S118: a reset mid-line is told to the read, to drain and to every later write', () =>
  online(() =>
    withRawPeer(function* ({ reader, writer }, raw) {
      raw.write('whole\npart')
      while (reader.queue.length < 10) yield* sleep(1)
      const reading = createTask(
        (function* () {
          assert.equal((yield* reader.readLine())?.toString(), 'whole\n')
          return yield* reader.readLine()
        })(),
      )
      yield* sleep(0)
      raw.resetAndDestroy()
      const error = yield* thrownBy(reading)
      assert.ok(error instanceof ConnectionLostError)
      assert.equal(error.systemCode, 'ECONNRESET')
      assert.match(
        error.message,
        /^readLine\(\) from 127\.0\.0\.1:\d+: expected a line, found the connection lost/,
      )
      assert.equal((yield* reader.read(100))?.toString(), 'part', 'nothing that came is lost')
      assert.ok((yield* thrownBy(writer.drain())) instanceof ConnectionLostError)
      assert.ok((yield* thrownBy(writer.send('x'))) instanceof ConnectionLostError)
      assert.throws(() => writer.write('x'), ConnectionLostError)
      assert.ok((yield* thrownBy(writer.waitClosed())) instanceof ConnectionLostError)
      assert.equal(writer.closing, true)
      writer.close()
      writer.abort()
    }),
  ))

test('S118: a drain that waits is told when the connection breaks', () =>
  online(() =>
    withRawPeer(function* ({ writer }, raw) {
      raw.pause()
      yield* fill(writer)
      const draining = createTask(drain(writer))
      yield* sleep(0)
      raw.resetAndDestroy()
      const error = yield* thrownBy(draining)
      assert.ok(error instanceof ConnectionLostError)
      assert.match(
        error.message,
        /^drain\(\) to 127\.0\.0\.1:\d+: expected an open connection, found the connection lost/,
      )
      assert.match(error.stack!, /streams\.test\.ts/)
    }),
  ))

test('S123: close sends what is buffered; the peer gets all of it and then the end', () =>
  online(() =>
    connected(function* (client, peer) {
      const written = yield* fill(client.writer)
      client.writer.close()
      client.writer.close()
      assert.equal(client.writer.closing, true)
      const everything = yield* peer.reader.read()
      assert.equal(everything?.length, written)
      yield* client.writer.waitClosed()
      yield* client.writer.waitClosed()
      assert.throws(
        () => client.writer.write('x'),
        (error) => error instanceof ClosedError && /found that it was closed/.test(error.message),
      )
      assert.ok((yield* thrownBy(client.writer.drain())) instanceof ClosedError)
      client.writer.writeEof()
    }),
  ))

test('S119: closing ends also with unread input, and the local reader is at its end', () =>
  online(() =>
    connected(function* (client, peer) {
      const waiting = createTask(client.reader.readExactly(100_000))
      yield* peer.writer.send('unread\n')
      while (client.reader.queue.length === 0) yield* sleep(1)
      client.writer.close()
      yield* client.writer.waitClosed()
      assert.ok((yield* thrownBy(waiting)) instanceof Error)
      assert.equal(yield* client.reader.readLine(), null)
      assert.equal(client.reader.atEof(), true)
    }),
  ))

test('S123: abort drops what is buffered, and tells whoever waits here', () =>
  online(() =>
    connected(function* (client) {
      yield* fill(client.writer)
      const draining = createTask(drain(client.writer))
      const reading = createTask(client.reader.readLine())
      yield* sleep(0)
      client.writer.abort()
      assert.equal(draining.done(), false, 'nothing is told from inside abort()')
      assert.ok((yield* thrownBy(draining)) instanceof ClosedError)
      assert.equal(yield* reading, null)
      yield* client.writer.waitClosed()
      assert.equal(client.writer.bufferedBytes, 0)
    }),
  ))

// The peer must have read everything: libuv reports a reset behind unread data as an ordinary end.
test('abort resets: the peer is told that the connection is lost', () =>
  online(() =>
    connected(function* (client, peer) {
      const reading = createTask(peer.reader.read())
      yield* client.writer.send('half an answer')
      while (peer.reader.queue.length === 0) yield* sleep(1)
      client.writer.abort()
      const error = yield* thrownBy(reading)
      assert.ok(error instanceof ConnectionLostError)
      assert.equal(error.systemCode, 'ECONNRESET')
      assert.equal((yield* peer.reader.read(100))?.toString(), 'half an answer')
    }),
  ))

test('writes that are neither strings nor bytes are refused', () =>
  online(() =>
    connected(function* ({ writer }) {
      assert.throws(
        () => writer.write(42 as unknown as string),
        /write\(\): expected a string or a Uint8Array, found a number \(42\)/,
      )
      // At the call, so that a lost star cannot hide it; null too.
      for (const data of [42, null, undefined]) {
        assert.throws(
          () => void writer.send(data as unknown as string),
          /send\(\): expected a string or a Uint8Array, found/,
        )
      }
      writer.write('')
      assert.equal(writer.bufferedBytes, 0)
      yield* writer.drain()
    }),
  ))

test('a cancelled task sends nothing more', () =>
  online(() =>
    connected(function* (client, peer) {
      const task = createTask(cancelThenSend(client.writer))
      yield* task.join()
      assert.equal(task.status, 'cancelled')
      yield* client.writer.send('sent')
      assert.equal((yield* peer.reader.readExactly(4)).toString(), 'sent')
    }),
  ))

function* cancelThenSend(writer: StreamWriter) {
  currentTask()!.cancel()
  yield* writer.send('never')
}

test('`using` closes a writer', () =>
  online(() =>
    connected(function* (client, peer) {
      {
        using writer = client.writer
        writer.write('bye')
      }
      assert.equal((yield* peer.reader.read())?.toString(), 'bye')
    }),
  ))

test('nobody listens: one error with the address in it', () =>
  online(function* () {
    const server = yield* startServer(echo, { host: HOST, port: 0 })
    yield* server.shutdown()
    const error = yield* thrownBy(openConnection({ host: HOST, port: server.port }))
    assert.ok(error instanceof ConnectError)
    assert.equal(error.code, 'CEDE_CONNECT')
    assert.equal(error.systemCode, 'ECONNREFUSED')
    assert.equal(
      error.message,
      `connect to 127.0.0.1:${server.port}: expected a server, found nobody listening (ECONNREFUSED)`,
    )
    assert.match(error.stack!, /streams\.test\.ts/)
  }))

test('connecting is cancelled: the socket is gone, the server sees nothing of it', () =>
  online(function* () {
    const server = yield* startServer(echo, { host: HOST, port: 0 })
    const opening = createTask(openConnection({ host: HOST, port: server.port }), { eager: true })
    assert.match(opening.waitsFor()!.what, /a connection to 127\.0\.0\.1:\d+/)
    opening.cancel()
    yield* opening.join()
    yield* server.shutdown()
  }))

test('ports and sizes that are none are refused at the call', () => {
  assert.throws(() => openConnection({ port: 65_536 }), RangeError)
  assert.throws(() => openConnection({ port: 1, limitBytes: -1 }), RangeError)
  assert.throws(() => openConnection({ port: 1, highWaterBytes: 1, lowWaterBytes: 2 }), RangeError)
  assert.throws(() => startServer(echo, { port: Number.NaN }), RangeError)
  assert.throws(() => startServer(echo, { port: 0, maxConnections: 0 }), RangeError)
  assert.throws(
    () => startServer(undefined as unknown as typeof echo, { port: 0 }),
    /a coroutine function for each/,
  )
})

test('a driver without a network says so', async () => {
  await assert.rejects(
    run(
      function* () {
        yield* startServer(echo, { port: 0 })
      },
      { driver: Object.assign(new SimDriver(), { name: 'mine' }) },
    ),
    /startServer\(\): a driver with a network was expected, found `mine`/,
  )
})

test('no event of a socket ends the process: errors after everybody has left', () =>
  online(() =>
    withRawPeer(function* ({ writer }, raw) {
      raw.resetAndDestroy()
      for (let i = 0; i < 50 && !writer.closing; i++) {
        writer.write('into the void')
        yield* sleep(1)
      }
      assert.equal(writer.closing, true)
    }),
  ))

test('connect() of Node reaches our server', () =>
  online(function* () {
    const server = yield* startServer(echo, { host: HOST, port: 0 })
    const raw = connect({ host: HOST, port: server.port })
    raw.end('hello\n')
    const [data] = (yield* until(once(raw, 'data'))) as [Buffer]
    assert.equal(data.toString(), 'hello\n')
    yield* server.shutdown()
  }))
