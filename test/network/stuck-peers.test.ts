/** Peers that do not do their part: they take nothing, say nothing, or send for ever. They are waited for, then cut. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import {
  ConnectionLostError,
  createTask,
  LimitError,
  openConnection,
  sleep,
  startServer,
  until,
  type ExceptionContext,
} from 'cede'
import { simulate } from '../support/sim.ts'
import { thrownBy } from '../support/thrown-by.ts'
import { echo, onBoth, rawTo, untilTrue, wait } from './fault-support.ts'
import { HOST, online } from './online.ts'

test('a peer that never reads: one handler drains and waits, one does not and fails at the limit; both can be ended', async () => {
  const reports: ExceptionContext[] = []
  await online(
    function* () {
      const block = Buffer.alloc(50_000)
      let mostBytes = 0
      const server = yield* startServer(
        function* (reader, writer) {
          const drains = (yield* reader.readLine())?.toString() === 'drain\n'
          for (;;) {
            writer.write(block)
            mostBytes = Math.max(mostBytes, writer.bufferedBytes)
            if (drains) yield* writer.drain()
          }
        },
        { host: HOST, port: 0, hardLimitBytes: 400_000 },
      )
      const polite = rawTo(server).pause()
      polite.write('drain\n')
      yield* untilTrue(
        () => server.connections[0]?.task?.waitsFor()?.what.includes('buffered bytes') === true,
      )
      assert.ok(server.connections[0]!.writer.bufferedBytes <= 65_536 + block.length)
      const rude = rawTo(server).pause()
      rude.write('do not\n')
      yield* untilTrue(() => reports.length === 1)
      assert.ok(reports[0]!.error instanceof LimitError)
      assert.ok(mostBytes <= 400_000 + block.length, `${mostBytes} bytes were buffered`)
      assert.equal(server.connections.length, 2, 'what is buffered is still to be sent')
      yield* server.shutdown({ graceMs: 5 })
      assert.deepEqual(server.connections, [])
      polite.destroy()
      rude.destroy()
    },
    { reports },
  )
  assert.equal(reports.length, 1)
})

onBoth('a handler that answers without having read: the answer arrives whole', function* (kind) {
  const answer = Buffer.alloc(1_000_000, 'a')
  const { server, where } = yield* kind.start(function* (reader, writer) {
    // So much has come that the rest stays in the system.
    while (reader.bufferedBytes <= 2 * reader.limitBytes) yield* sleep(1)
    yield* sleep(5)
    yield* writer.send(answer)
  })
  const raw = rawTo(where).pause()
  raw.write(Buffer.alloc(3_000_000))
  // As much of the answer as fits is in the system's hands, and nobody has read a byte.
  yield* untilTrue(() => {
    const { task } = server.connections[0] ?? {}
    return task?.done() === true || task?.waitsFor()?.what.includes('buffered bytes') === true
  })
  let bytes = 0
  raw.on('data', (chunk) => void (bytes += chunk.length)).resume()
  yield* until(once(raw, 'end'))
  assert.equal(bytes, answer.length)
  raw.destroy()
  yield* untilTrue(() => server.connections.length === 0)
  yield* server.shutdown()
})

onBoth('a peer that sends for ever after we have closed is cut after a while', function* (kind) {
  const { server, where } = yield* kind.start(function* (reader) {
    while (reader.bufferedBytes <= 2 * reader.limitBytes) yield* sleep(1)
  })
  const raw = rawTo(where)
  const block = Buffer.alloc(100_000)
  const sendMore = (): void => void raw.write(block, (error) => error == null && sendMore())
  sendMore()
  yield* untilTrue(() => server.connections.length === 1)
  yield* untilTrue(() => server.connections.length === 0)
  raw.destroy()
  yield* server.shutdown()
})

test('after its handler a peer that takes nothing is cut after flushMs, and that is told', async () => {
  const reports: ExceptionContext[] = []
  await online(
    function* () {
      const server = yield* startServer(
        function* (_, writer) {
          writer.write(Buffer.alloc(12_000_000))
        },
        { host: HOST, port: 0, flushMs: 30 },
      )
      const deaf = rawTo(server).pause()
      yield* untilTrue(() => reports.length === 1)
      yield* untilTrue(() => server.connections.length === 0)
      deaf.destroy()
      yield* server.shutdown()
    },
    { reports },
  )
  assert.equal(reports.length, 1)
  assert.match(reports[0]!.message, /^conn-1 127\.0\.0\.1:\d+ was cut$/)
  assert.equal(reports[0]!.fromOutside, true)
  assert.match(
    (reports[0]!.error as Error).message,
    /^after close\(\) the peer took nothing for 30 ms \(option flushMs\); \d+ bytes are dropped$/,
  )
})

test('a writer that was closed by hand is told at waitClosed that the peer took nothing', () =>
  online(function* () {
    const server = yield* startServer(wait, { host: HOST, port: 0, limitBytes: 1_000 })
    const { writer } = yield* openConnection({ host: HOST, port: server.port, flushMs: 30 })
    writer.write(Buffer.alloc(12_000_000))
    writer.close()
    const error = yield* thrownBy(writer.waitClosed())
    assert.ok(error instanceof ConnectionLostError)
    assert.equal(error.systemCode, 'ETIMEDOUT')
    yield* server.shutdown({ graceMs: 0 })
  }))

test('a run whose connection nobody reads from lets the process end', async () => {
  const deaf = createServer({ pauseOnConnect: true }).listen(0, HOST)
  await once(deaf, 'listening')
  const accepted = once(deaf, 'connection') as Promise<[Socket]>
  await online(function* () {
    const { writer } = yield* openConnection({
      host: HOST,
      port: (deaf.address() as AddressInfo).port,
      flushMs: 30,
    })
    writer.write(Buffer.alloc(12_000_000))
    const [peer] = yield* until(accepted)
    // It is there for as long as it likes: ours goes.
    peer.on('error', () => {}).unref()
  }).catch(() => {})
  const ours = (): boolean =>
    process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length > 0
  // After the run, and of the system's sockets: there is no virtual clock.
  while (ours()) await new Promise((resolve) => setTimeout(resolve, 5))
  const [peer] = await accepted
  peer.destroy()
  deaf.close()
})

test('a peer that is slow but takes something is not cut, however long it takes', () =>
  simulate(function* (sim) {
    const server = yield* startServer(
      function* (_, writer) {
        writer.write(Buffer.alloc(2_000_000))
      },
      'memory://slow',
      { flushMs: 1_000 },
    )
    const { reader, writer } = yield* openConnection('memory://slow', { limitBytes: 1_000 })
    let bytes = 0
    for (let chunk = yield* reader.read(65_536); chunk !== null; chunk = yield* reader.read(65_536)) {
      bytes += chunk.length
      yield* sleep(900)
    }
    assert.equal(bytes, 2_000_000)
    assert.ok(sim.now() > 10_000)
    writer.close()
    yield* server.shutdown()
  }))

onBoth('a client that connects and says nothing is sent away when the server shuts down', function* (kind) {
  const { server, where } = yield* kind.start(echo)
  const silent = yield* openConnection(where)
  yield* untilTrue(() => server.connections[0]?.task?.status === 'waiting')
  const reading = createTask(silent.reader.readLine())
  yield* server.shutdown({ graceMs: 5 })
  assert.equal(yield* reading, null)
  silent.writer.close()
})
