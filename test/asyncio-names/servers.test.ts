// The names of asyncio's servers. Over real sockets on the loopback interface; nothing here waits for time to pass.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createTask,
  openConnection,
  run,
  Server,
  startServer,
  type StreamReader,
  type StreamWriter,
} from 'cede'

function* echo(reader: StreamReader, writer: StreamWriter) {
  for (let line = yield* reader.readLine(); line !== null; line = yield* reader.readLine()) {
    yield* writer.send(line)
  }
}
const onLoopback = { host: '127.0.0.1', port: 0 }

test('startServer, openConnection: a line there and back', () =>
  run(function* () {
    const server = yield* startServer(echo, onLoopback)
    assert.ok(server instanceof Server)
    const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
    yield* writer.send('hello\n')
    assert.equal(String(yield* reader.readLine()), 'hello\n')
    writer.close()
    yield* server.shutdown()
  }))

test('Server: address, isServing, close, waitClosed', () =>
  run(function* () {
    const server = yield* startServer(echo, onLoopback)
    assert.equal(server.isServing(), true)
    assert.equal(server.address.host, '127.0.0.1')
    assert.ok(server.address.port > 0)
    server.close()
    assert.equal(server.isServing(), false)
    yield* server.waitClosed()
  }))

test('Server: closeClients ends the connections', () =>
  run(function* () {
    const server = yield* startServer(echo, onLoopback)
    const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
    yield* writer.send('hello\n')
    yield* reader.readLine()
    assert.equal(server.connections.length, 1)
    server.closeClients()
    assert.equal(yield* reader.readLine(), null)
    writer.close()
    server.close()
    yield* server.waitClosed()
    assert.equal(server.connections.length, 0)
  }))

test('Server: abortClients cuts the connections', () =>
  run(function* () {
    const server = yield* startServer(echo, onLoopback)
    const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
    yield* writer.send('hello\n')
    yield* reader.readLine()
    server.close()
    server.abortClients()
    yield* server.waitClosed()
    assert.equal(server.connections.length, 0)
    writer.abort()
  }))

test('Server: serveForever serves until it is cancelled, and closes', () =>
  run(function* () {
    const server = yield* startServer(echo, onLoopback)
    const serving = createTask(server.serveForever())
    const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
    yield* writer.send('hello\n')
    assert.equal(String(yield* reader.readLine()), 'hello\n')
    serving.cancel()
    assert.equal((yield* serving.join()).status, 'cancelled')
    assert.equal(server.isServing(), false)
    writer.abort()
  }))

test('Server: shutdown in place of `async with server`', () =>
  run(function* () {
    const server = yield* startServer(echo, onLoopback)
    yield* server.shutdown({ graceMs: 0 })
    assert.equal(server.isServing(), false)
  }))
