/** The echo server with its limits, the one in callbacks, and the echo client, against each other and against nc. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import {
  checkMessages,
  Client,
  example,
  missing,
  runCommand,
  ServerProcess,
  Spawned,
} from './server-process.ts'

const STREAMS = example('echo-server.ts')
const CALLBACKS = example('callback-echo-server.ts')
const CLIENT = example('echo-client.ts')

for (const [name, command] of [
  ['coroutines', STREAMS],
  ['callbacks', CALLBACKS],
] as const) {
  test(`${name}: nc`, { skip: missing('nc', 'netcat-openbsd') }, async () => {
    const server = await ServerProcess.start(command)
    const { stdout } = await runCommand(['nc', '-N', '127.0.0.1', String(server.port)], 'one\ntwo\nthe last')
    assert.equal(stdout, 'one\ntwo\nthe last')
    assert.match(await server.stop(), /127\.0\.0\.1:\d+ is here\n.*127\.0\.0\.1:\d+ has left\n/s)
  })

  test(`${name}: a byte at a time, binary, BYE in the middle`, async () => {
    const server = await ServerProcess.start(command)
    const client = new Client(server.port)
    const line = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => (i === 10 ? 11 : i))) + '\n'
    for (const byte of line) {
      client.type(byte)
      await new Promise(setImmediate)
    }
    await client.hears(line)
    client.type('more\nBYE\nnot this\n')
    await client.closed
    assert.equal(client.heard, line + 'more\n')
    assert.match(await server.stop(), /127\.0\.0\.1:\d+ said BYE\n/)
  })

  test(`${name}: a line without end is told`, async () => {
    const server = await ServerProcess.start(command)
    const client = new Client(server.port)
    client.type('fine\n' + 'x'.repeat(65_537))
    await client.closed
    assert.equal(client.heard, 'fine\na line may have 65536 bytes, goodbye\n')
    assert.match(await server.stop(), /127\.0\.0\.1:\d+ sent a line that is too long\n/)
  })

  test(`${name}: a peer that is gone, and one that reads nothing, hold up nobody`, async () => {
    const server = await ServerProcess.start(command)
    const gone = new Client(server.port)
    gone.type('here\nhalf a li')
    await gone.hears('here\n')
    gone.socket.resetAndDestroy()
    const greedy = new Client(server.port)
    greedy.socket.pause()
    greedy.type(('x'.repeat(60_000) + '\n').repeat(200))
    const other = new Client(server.port)
    other.type('still\n')
    await other.hears('still\n')
    greedy.socket.destroy()
    other.socket.end()
    await other.closed
    await server.stop()
  })

  test(`${name}: our client`, async () => {
    const server = await ServerProcess.start(command)
    const to = ['127.0.0.1', String(server.port)]
    const said = await runCommand([...CLIENT, ...to, 'hello', 'world'])
    assert.deepEqual(said, { code: 0, signal: null, stdout: 'hello\nworld\n', stderr: '' })
    const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i}\n`).join('')
    const much = await runCommand([...CLIENT, ...to], lines)
    assert.deepEqual(much, { code: 0, signal: null, stdout: lines, stderr: '' })
    await server.stop()
  })
}

test('--line-limit and --max-connections', async () => {
  const server = await ServerProcess.start(STREAMS, '--line-limit', '10', '--max-connections', '2')
  const clients = [new Client(server.port), new Client(server.port)] as const
  for (const client of clients) {
    client.type('0123456789\n')
    await client.hears('0123456789\n')
  }
  const third = new Client(server.port)
  await third.closed
  assert.equal(third.heard, '2 connections are open already, goodbye\n')
  clients[0].type('0123456789+\n')
  await clients[0].closed
  assert.equal(clients[0].heard, '0123456789\na line may have 10 bytes, goodbye\n')
  clients[1].socket.end()
  await clients[1].closed
  await server.printed(/has left/)
  const next = new Client(server.port)
  next.type('room\n')
  await next.hears('room\n')
  next.type('BYE\n')
  await next.closed
  assert.match(await server.stop(), /conn-3 127\.0\.0\.1:\d+ is refused: 2 are here already\n/)
})

test('the client ends when the server closes, though the keyboard does not', async () => {
  const server = await ServerProcess.start(STREAMS)
  const client = new Spawned([...CLIENT, '127.0.0.1', String(server.port)], null)
  client.type('hello\n')
  await client.printed(/hello\n/)
  client.type('BYE\n')
  assert.deepEqual(await client.ended, { code: 0, signal: null, stdout: 'hello\n', stderr: '' })
  await server.stop()
})

test('the client: Ctrl-C while it waits for the keyboard', async () => {
  const server = await ServerProcess.start(STREAMS)
  const client = new Spawned([...CLIENT, '127.0.0.1', String(server.port)], null)
  client.type('hello\n')
  await client.printed(/hello\n/)
  client.kill('SIGINT')
  assert.deepEqual(await client.ended, { code: null, signal: 'SIGINT', stdout: 'hello\n', stderr: '' })
  await server.stop()
})

test('the client tells in one line what went wrong', async () => {
  const held: Socket[] = []
  const silent = createServer({ allowHalfOpen: true }, (socket) =>
    held.push(socket.on('error', () => {}).resume()),
  )
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const port = String((silent.address() as AddressInfo).port)
  const mute = await runCommand([...CLIENT, '--timeout', '0.2', '127.0.0.1', port, 'hello'])
  assert.deepEqual(mute, {
    code: 1,
    signal: null,
    stdout: '',
    stderr: 'echo-client: read: expected more or an end within 0.2 s, found none\n',
  })
  for (const socket of held) socket.destroy()
  silent.close()
  await once(silent, 'close')
  const refused = await runCommand([...CLIENT, '127.0.0.1', port, 'hello'])
  assert.equal(refused.code, 1)
  assert.equal(
    refused.stderr,
    `echo-client: connect to 127.0.0.1:${port}: expected a server, found nobody listening (ECONNREFUSED)\n`,
  )
  const resetting = createServer((socket) =>
    socket.on('error', () => {}).once('data', () => socket.resetAndDestroy()),
  )
  resetting.listen(0, '127.0.0.1')
  await once(resetting, 'listening')
  const reset = new Spawned([...CLIENT, '127.0.0.1', String((resetting.address() as AddressInfo).port)], null)
  reset.type('hello\n')
  const { code, stderr } = await reset.ended
  assert.equal(code, 1)
  assert.match(stderr, /^echo-client: .*found the connection lost.*\n$/)
  resetting.close()
  for (const args of [[], ['127.0.0.1'], ['127.0.0.1', 'x'], ['--timeout', '0', '127.0.0.1', '1']]) {
    const wrong = await runCommand([...CLIENT, ...args])
    assert.equal(wrong.code, 2)
    assert.match(wrong.stderr, /^echo-client: .*expected .*\nSee npx tsx examples\/echo-client\.ts --help\n$/)
  }
})

test('mistakes are told in one line', () => checkMessages('callback-echo-server.ts'))
