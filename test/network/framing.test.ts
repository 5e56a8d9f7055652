/** Frames over real sockets. */
import assert from 'node:assert/strict'
import { createServer as createNodeServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import {
  ConnectionLostError,
  createTask,
  framed,
  Future,
  IncompleteReadError,
  jsonLines,
  lengthPrefixed,
  netstrings,
  openConnection,
  ProtocolError,
  startServer,
  until,
  type Operation,
  type StreamReader,
  type StreamWriter,
} from 'cede'
import { createServer, FrameReceiver } from 'cede/lowlevel'
import { thrownOf } from '../support/thrown-by.ts'
import { HOST, online } from './online.ts'

test('a thousand values go both ways, many at a time, by a slow reader', () =>
  online(function* () {
    function* double(reader: StreamReader, writer: StreamWriter) {
      const frames = framed({ reader, writer }, jsonLines())
      for (let value; (value = yield* frames.read()) !== null;) {
        yield* frames.send({ twice: [value, value] })
      }
    }
    const server = yield* startServer(double, { host: HOST, port: 0, highWaterBytes: 1_000, limitBytes: 500 })
    const frames = framed(
      yield* openConnection({ host: HOST, port: server.port, highWaterBytes: 1_000 }),
      jsonLines(),
    )
    const value = (i: number) => ({ id: i, text: 'é😀'.repeat(i % 50) })
    const sending = createTask(
      (function* () {
        for (let i = 0; i < 1_000; i++) yield* frames.send(value(i))
        frames.writer.writeEof()
      })(),
    )
    for (let i = 0; i < 1_000; i++) {
      assert.deepEqual(yield* frames.read(), { twice: [value(i), value(i)] })
    }
    yield* sending
    assert.equal(yield* frames.read(), null)
    frames.close()
    yield* server.shutdown()
  }))

test('a frame of a megabyte arrives whole', () =>
  online(function* () {
    const codec = lengthPrefixed({ prefix: 'varint' })
    const body = Buffer.alloc(1_048_576)
    for (let i = 0; i < body.length; i++) body[i] = i * 31
    const server = yield* startServer(
      function* (reader, writer) {
        const frames = framed({ reader, writer }, codec)
        const frame = yield* frames.read()
        yield* frames.send('got it')
        yield* frames.send(frame!)
      },
      { host: HOST, port: 0 },
    )
    const frames = framed(yield* openConnection({ host: HOST, port: server.port }), codec)
    yield* frames.send(body)
    assert.equal((yield* frames.read())?.toString(), 'got it')
    assert.ok((yield* frames.read())?.equals(body))
    assert.equal(yield* frames.read(), null)
    frames.close()
    yield* server.shutdown()
  }))

/** What our end reads from a socket of Node's own, which `send` makes use of; then it is cut by `end`. */
function* fromNode<T>(
  send: (socket: Socket) => void,
  use: (frames: { read(): Operation<Buffer | null> }, end: () => void) => Operation<T>,
) {
  let peer: Socket | null = null
  const server = createNodeServer((socket) => {
    peer = socket
    socket.on('error', () => {})
    send(socket)
  })
  yield* until(new Promise<void>((resolve) => void server.listen(0, HOST, resolve)))
  const connection = yield* openConnection({ host: HOST, port: (server.address() as AddressInfo).port })
  try {
    return yield* use(framed(connection, netstrings()), () => peer!.resetAndDestroy())
  } finally {
    connection.writer.abort()
    server.close()
  }
}

test('a reset in the middle of a frame is told, and so is an end', () =>
  online(function* () {
    yield* fromNode(
      (socket) => socket.write('2:ok,5:he'),
      function* (frames, end) {
        assert.equal(String(yield* frames.read()), 'ok')
        end()
        yield* thrownOf(ConnectionLostError, frames.read())
      },
    )
    yield* fromNode(
      (socket) => socket.end('2:ok,5:he'),
      function* (frames) {
        assert.equal(String(yield* frames.read()), 'ok')
        const error = yield* thrownOf(IncompleteReadError, frames.read())
        assert.equal(error.partial.toString(), '5:he')
        assert.equal(error.expected, 8)
      },
    )
  }))

test('a receiver answers, and what is no frame ends its connection with the error, unreported', () =>
  online(function* () {
    const lost = new Future<Error | null>()
    class Echo extends FrameReceiver<Buffer, string | Uint8Array> {
      override frameReceived(frame: Buffer): void {
        this.send(frame)
      }
      override connectionLost(error: Error | null): void {
        lost.setResult(error)
      }
    }
    const server = yield* createServer(() => new Echo(netstrings()), { host: HOST, port: 0 })
    const connection = yield* openConnection({ host: HOST, port: server.port })
    const frames = framed(connection, netstrings())
    yield* frames.send('one')
    yield* frames.send('two')
    assert.equal(String(yield* frames.read()), 'one')
    assert.equal(String(yield* frames.read()), 'two')
    yield* connection.writer.send('nonsense')
    yield* thrownOf(ConnectionLostError, frames.read())
    const error = yield* lost
    assert.ok(error instanceof ProtocolError)
    assert.equal(error.received.toString(), 'n')
    frames.close()
    server.close()
    yield* server.waitClosed()
  }))
