/** Our streams against programs that others wrote: netcat, and Python's asyncio as client and as server. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ConnectionLostError,
  createTask,
  openConnection,
  sleep,
  startServer,
  timeoutOr,
  type Operation,
  type Server,
  type StreamReader,
  type StreamWriter,
} from 'cede'
import { HOST, online } from './online.ts'
import { Program, python } from './program.ts'

function* echoUntilBye(reader: StreamReader, writer: StreamWriter) {
  for (;;) {
    const line = yield* timeoutOr(60_000, reader.readLine(), null)
    if (line === null || line.toString().trimEnd() === 'BYE') return
    yield* writer.send(line)
  }
}

function* idleAfter100Ms(reader: StreamReader, writer: StreamWriter) {
  // The program must have come far enough to say something before its silence is measured.
  let patienceMs = 60_000
  for (;;) {
    const line = yield* timeoutOr(patienceMs, reader.readLine(), 'idle' as const)
    patienceMs = 100
    if (line === 'idle') {
      writer.write('idle, goodbye\n')
      return
    }
    if (line === null) return
    yield* writer.send(line)
  }
}

function* serving(
  handler: (reader: StreamReader, writer: StreamWriter) => Operation<unknown>,
  talk: (server: Server) => Operation<void>,
) {
  const server = yield* startServer(handler, { host: HOST, port: 0 })
  yield* talk(server)
  yield* server.shutdown()
}

function nc({ port }: Server, ...args: readonly string[]): Program {
  return new Program('nc', [...args, HOST, String(port)])
}

test('nc: lines come back, and BYE ends the connection', () =>
  online(() =>
    serving(echoUntilBye, function* (server) {
      const client = nc(server)
      client.type('hello\n')
      yield* client.untilPrinted('hello\n')
      client.type('grüße\r\nBYE\n')
      yield* closedByServer(server)
      client.endInput()
      const { code, stdout } = yield* client.ended
      assert.equal(code, 0)
      assert.equal(stdout.toString(), 'hello\ngrüße\r\n')
    }),
  ))

test('nc -N: half close, all that was asked is answered, also the last line without a newline', () =>
  online(() =>
    serving(echoUntilBye, function* (server) {
      const client = nc(server, '-N')
      client.type('one\ntwo\nthree')
      client.endInput()
      const { code, stdout } = yield* client.ended
      assert.equal(code, 0)
      assert.equal(stdout.toString(), 'one\ntwo\nthree')
    }),
  ))

test('nc: binary comes back as it was', () =>
  online(() =>
    serving(echoUntilBye, function* (server) {
      const bytes = Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * 7) % 256))
      const client = nc(server, '-N')
      client.type(bytes)
      client.endInput()
      const { stdout } = yield* client.ended
      assert.ok(stdout.equals(bytes))
    }),
  ))

test('nc: an idle connection is told and closed', () =>
  online(() =>
    serving(idleAfter100Ms, function* (server) {
      const client = nc(server)
      client.type('hello\n')
      yield* client.untilPrinted('idle, goodbye\n')
      yield* closedByServer(server)
      client.endInput()
      const { stdout } = yield* client.ended
      assert.equal(stdout.toString(), 'hello\nidle, goodbye\n')
    }),
  ))

test('nc as the server: what it is typed reaches our reader', () =>
  online(function* () {
    const taken = yield* startServer(echoUntilBye, { host: HOST, port: 0 })
    const { port } = taken
    yield* taken.shutdown()
    const server = new Program('nc', ['-l', HOST, String(port)])
    let connection = null
    while (connection === null) {
      try {
        connection = yield* openConnection({ host: HOST, port })
      } catch (error) {
        if (server.ended.done()) throw error
      }
    }
    const { reader, writer } = connection
    yield* writer.send('to nc\n')
    yield* server.untilPrinted('to nc\n')
    server.type('from nc\n')
    assert.equal((yield* reader.readLine())?.toString(), 'from nc\n')
    writer.close()
    yield* writer.waitClosed()
    server.endInput()
    yield* server.ended
  }))

/** netcat itself stays until its own input ends. */
function* closedByServer(server: Server) {
  while (server.connections.length > 0) yield* sleep(2)
}

const asyncioClient = `
import asyncio, sys
async def talk(port):
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    for i in range(1000):
        writer.write(b'line %d\\n' % i)
    await writer.drain()
    for i in range(1000):
        assert await reader.readline() == b'line %d\\n' % i
    blob = bytes(range(256)) * 4
    for byte in blob.replace(b'\\n', b'') + b'\\n':
        writer.write(bytes([byte]))
        await writer.drain()
    assert await reader.readline() == blob.replace(b'\\n', b'') + b'\\n'
    writer.write_eof()
    assert await reader.read() == b''
    writer.close()
    await writer.wait_closed()
    print('done')
asyncio.run(talk(int(sys.argv[1])))
`

test('asyncio as client: pipelined lines, single bytes, binary, half close', () =>
  online(() =>
    serving(echoUntilBye, function* (server) {
      const { code, stdout, stderr } = yield* python(asyncioClient, String(server.port)).ended
      assert.equal(stderr, '')
      assert.equal(stdout.toString(), 'done\n')
      assert.equal(code, 0)
    }),
  ))

const hundredClients = `
import asyncio, sys
async def one(port, i):
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    writer.write(b'client %d\\n' % i)
    answer = await reader.readline()
    writer.write(b'BYE\\n')
    rest = await reader.read()
    writer.close()
    return answer == b'client %d\\n' % i and rest == b''
async def main(port):
    print(sum(await asyncio.gather(*(one(port, i) for i in range(100)))))
asyncio.run(main(int(sys.argv[1])))
`

test('asyncio as client: a hundred at once', () =>
  online(() =>
    serving(echoUntilBye, function* (server) {
      const { stdout, stderr } = yield* python(hundredClients, String(server.port)).ended
      assert.equal(stderr, '')
      assert.equal(stdout.toString(), '100\n')
    }),
  ))

const resettingClient = `
import socket, struct, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.sendall(b'whole\\nhalf a li')
assert s.recv(100) == b'whole\\n'
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
s.close()
`

test('a client that resets mid-line is told to the handler, which has what came before', () =>
  online(function* () {
    let told: unknown = null
    let rest: Buffer | null = null
    yield* serving(
      function* (reader, writer) {
        try {
          for (;;) yield* writer.send((yield* reader.readLine())!)
        } catch (error) {
          told = error
          rest = yield* reader.read(100)
        }
      },
      function* (server) {
        yield* python(resettingClient, String(server.port)).ended
        yield* createTask(server.shutdown())
      },
    )
    assert.ok(told instanceof ConnectionLostError)
    assert.equal((rest as Buffer | null)?.toString(), 'half a li')
  }))

const asyncioServer = `
import asyncio
async def handle(reader, writer):
    size = int(await reader.readline())
    body = await reader.readexactly(size)
    writer.write(b'%d\\n' % sum(body) + body)
    writer.write_eof()
    rest = await reader.read()
    print('rest', rest.decode())
    writer.close()
    server.close()
async def main():
    global server
    server = await asyncio.start_server(handle, '127.0.0.1', 0)
    print(server.sockets[0].getsockname()[1])
    try:
        await server.serve_forever()
    except asyncio.CancelledError:
        pass
asyncio.run(main())
`

test('asyncio as server: a megabyte there and back, half close on both sides', () =>
  online(function* () {
    const server = python(asyncioServer)
    yield* server.untilPrinted('\n')
    const { reader, writer } = yield* openConnection({ host: HOST, port: Number(server.printed) })
    const body = Buffer.alloc(1_000_000, 3)
    writer.write(`${body.length}\n`)
    yield* writer.send(body)
    assert.equal((yield* reader.readLine())?.toString(), '3000000\n')
    assert.ok((yield* reader.readExactly(body.length)).equals(body))
    assert.equal(yield* reader.read(), null)
    writer.write('the end')
    writer.writeEof()
    yield* server.untilPrinted('rest the end\n')
    writer.close()
    yield* writer.waitClosed()
    yield* server.ended
  }))
