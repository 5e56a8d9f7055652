/** Policies over real sockets, alone and together, on servers and on clients, with streams and with protocols. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { suite, test } from 'node:test'
import {
  ConnectError,
  ConnectionLostError,
  createTask,
  gather,
  getRunningLoop,
  idleTimeout,
  lifetime,
  limitConnections,
  openConnection,
  rateLimit,
  Runner,
  sleep,
  sleepForever,
  startServer,
  TimeoutError,
  TokenBucket,
  until,
  type ConnectionHandler,
  type ConnectionOptions,
  type ExceptionContext,
  type Policy,
  type Server,
  type StreamReader,
  type StreamWriter,
  type Suspension,
} from 'cede'
import { createConnection, createServer, Protocol, type Transport } from 'cede/lowlevel'
import { Child } from '../support/child.ts'
import { thrownBy, thrownOf } from '../support/thrown-by.ts'
import { HOST, online } from './online.ts'

function* echo(reader: StreamReader, writer: StreamWriter): Generator<Suspension, void> {
  for (let line = yield* reader.readLine(); line !== null; line = yield* reader.readLine())
    yield* writer.send(line)
}

function at(policies: readonly Policy[]) {
  return { host: HOST, port: 0, policies }
}

function open(server: { readonly port: number }, options: ConnectionOptions = {}) {
  return openConnection({ host: HOST, port: server.port, ...options })
}

function* untilTrue(condition: () => boolean): Generator<Suspension, void> {
  while (!condition()) yield* sleep(1)
}

/** Reads what the peer sends until it ends or resets. */
function* readToEnd(reader: StreamReader): Generator<Suspension, string> {
  let text = ''
  try {
    for (let part = yield* reader.read(65_536); part !== null; part = yield* reader.read(65_536)) {
      text += part.toString()
    }
  } catch (error) {
    if (!(error instanceof ConnectionLostError)) throw error
  }
  return text
}

// -------------------------------------------------------------------- limits

test('above the limit of its peer a client finds the answer, and the others go on', () =>
  online(function* () {
    const limit = limitConnections({ perPeer: 2, answer: 'busy, try later\n' })
    const server = yield* startServer(echo, at([limit]))
    const kept = [yield* open(server), yield* open(server)]
    const refused = yield* open(server)
    assert.equal(yield* refused.reader.readTextLine(), 'busy, try later')
    assert.equal(yield* refused.reader.readTextLine(), null)
    refused.writer.close()
    assert.deepEqual([limit.open, limit.refused, server.refused], [2, 1, 1])
    yield* kept[0]!.writer.send('still here\n')
    assert.equal(yield* kept[0]!.reader.readTextLine(), 'still here')
    kept[0]!.writer.close()
    yield* untilTrue(() => limit.open === 1)
    const again = yield* open(server)
    yield* again.writer.send('welcome\n')
    assert.equal(yield* again.reader.readTextLine(), 'welcome')
    for (const { writer } of [kept[1]!, again]) writer.close()
    yield* server.shutdown()
    assert.equal(limit.open, 0)
  }))

test('the answer is readable by a client that has sent much before it looks', () =>
  online(function* () {
    const server = yield* startServer(echo, at([limitConnections({ total: 1, answer: 'busy\n' })]))
    const first = yield* open(server)
    const second = yield* open(server)
    second.writer.write(Buffer.alloc(300_000, 'x'))
    yield* sleep(20)
    assert.equal(yield* second.reader.readTextLine(), 'busy')
    first.writer.close()
    second.writer.close()
    yield* server.shutdown()
  }))

test('a client that goes on sending after its refusal is cut, and holds no connection', () =>
  online(function* () {
    const limit = limitConnections({ total: 1, answer: 'busy\n' })
    const server = yield* startServer(echo, at([limit]))
    const first = yield* open(server)
    const raw = connect({ host: HOST, port: server.port, allowHalfOpen: true }).on('error', () => {})
    const closed = new Promise<void>((resolve) => void raw.on('close', resolve))
    const sending = setInterval(() => raw.write('more'), 20)
    yield* until(closed)
    clearInterval(sending)
    assert.equal(limit.refused, 1)
    first.writer.close()
    yield* server.shutdown()
  }))

test('a flood from one peer: as many as it may have are served, the rest refused, and nothing is left', () =>
  online(function* () {
    const limit = limitConnections({ total: 100, perPeer: 10 })
    const server = yield* startServer(echo, { ...at([limit]), backlog: 1_000 })
    const attempt = function* () {
      try {
        const { reader, writer } = yield* open(server)
        try {
          yield* writer.send('x\n')
          return yield* reader.readTextLine()
        } finally {
          yield* sleep(50)
          writer.close()
        }
      } catch (error) {
        if (error instanceof ConnectionLostError || error instanceof ConnectError) return 'refused'
        throw error
      }
    }
    const outcomes = yield* gather(Array.from({ length: 200 }, () => attempt()))
    const served = outcomes.filter((outcome) => outcome === 'x').length
    assert.ok(served >= 10, String(served))
    assert.equal(served + limit.refused, 200)
    assert.equal(outcomes.filter((outcome) => outcome === 'refused').length, limit.refused)
    yield* untilTrue(() => limit.open === 0)
    yield* server.shutdown()
  }))

test('one limit of several servers counts the connections of all', () =>
  online(function* () {
    const limit = limitConnections({ total: 2, answer: 'full\n' })
    const one = yield* startServer(echo, at([limit]))
    const other = yield* createServer(() => new Protocol(), at([limit]))
    const first = yield* open(one)
    const second = yield* open(other)
    const third = yield* open(one)
    assert.equal(yield* third.reader.readTextLine(), 'full')
    assert.deepEqual([limit.open, limit.refused], [2, 1])
    for (const { writer } of [first, second, third]) writer.close()
    yield* one.shutdown()
    other.close()
    yield* other.waitClosed()
    assert.equal(limit.open, 0)
  }))

test('one that a later policy refuses is not counted by an earlier one', () =>
  online(function* () {
    const limit = limitConnections({ total: 10 })
    const never: Policy = { name: 'never', admit: () => ({ reason: 'never', answer: Buffer.from('no\n') }) }
    const server = yield* startServer(echo, at([limit, never]))
    const { reader, writer } = yield* open(server)
    assert.equal(yield* reader.readTextLine(), 'no')
    writer.close()
    assert.deepEqual([limit.open, limit.refused, server.refused], [0, 0, 1])
    yield* server.shutdown()
  }))

// -------------------------------------------------------------------- times

test('an idle client: its handler is told, the client reset, and one that talks goes on', async () => {
  const reports: ExceptionContext[] = []
  await online(
    function* () {
      const server = yield* startServer(echo, at([idleTimeout(1_000)]))
      const silent = yield* open(server)
      const busy = yield* open(server)
      let over = false
      const talk = createTask(
        (function* () {
          for (let i = 0; !over; i++) {
            yield* busy.writer.send(`${i}\n`)
            assert.equal(yield* busy.reader.readTextLine(), String(i))
            yield* sleep(10)
          }
        })(),
      )
      yield* thrownOf(ConnectionLostError, silent.reader.readLine())
      over = true
      yield* talk
      busy.writer.close()
      yield* server.shutdown()
    },
    { reports },
  )
  assert.equal(reports.length, 1)
  const { message, error, fromOutside } = reports[0]!
  assert.match(message, /^conn-1 127\.0\.0\.1:\d+ was lost$/)
  assert.equal(fromOutside, true)
  assert.ok(error instanceof ConnectionLostError)
  assert.ok(error.cause instanceof TimeoutError)
  assert.match(error.message, /\(idleTimeout\(1000\): expected a byte within 1000 ms, found none\)$/)
})

test('a peer that never reads is idle, though it is sent megabytes', () =>
  online(function* () {
    let found: unknown
    const server = yield* startServer(
      function* (_reader, writer) {
        found = yield* thrownBy(
          (function* () {
            for (;;) yield* writer.send(Buffer.alloc(100_000))
          })(),
        )
      },
      at([idleTimeout(100)]),
    )
    const { writer } = yield* open(server, { limitBytes: 1_000 })
    yield* untilTrue(() => found !== undefined)
    assert.ok(found instanceof ConnectionLostError)
    assert.match(found.message, /and \d+ buffered bytes that the peer does not take/)
    writer.abort()
    yield* server.shutdown()
  }))

test('one long write that the peer takes slowly is traffic while it lasts', () =>
  online(function* () {
    const bytes = 20_000_000
    const server = yield* startServer(
      function* (_reader, writer) {
        yield* writer.send(Buffer.alloc(bytes))
      },
      at([idleTimeout(1_000)]),
    )
    const { reader, writer } = yield* open(server)
    let count = 0
    for (let i = 0; i < 12; i++) {
      count += (yield* reader.readExactly(1_000_000)).length
      yield* sleep(150)
    }
    while (count < bytes) count += (yield* reader.readExactly(1_000_000)).length
    assert.equal(count, bytes)
    writer.close()
    yield* server.shutdown()
  }))

test('a lifetime ends a connection that is never idle', () =>
  online(function* () {
    let found: unknown
    const server = yield* startServer(
      function* (reader, writer) {
        found = yield* thrownBy(echo(reader, writer))
      },
      at([lifetime(1_000)]),
    )
    const { reader, writer } = yield* open(server)
    let echoed = 0
    yield* thrownBy(
      (function* () {
        for (;;) {
          yield* writer.send('x\n')
          if ((yield* reader.readLine()) === null) throw new Error('the end')
          echoed++
        }
      })(),
    )
    assert.ok(echoed > 0)
    yield* untilTrue(() => found !== undefined)
    assert.ok(found instanceof ConnectionLostError && found.cause instanceof TimeoutError)
    writer.close()
    yield* server.shutdown()
  }))

test('a client has policies of its own: a server that says nothing is left', () =>
  online(function* () {
    const server = yield* startServer(function* (reader) {
      yield* readToEnd(reader)
    }, at([]))
    const { reader, writer } = yield* open(server, { policies: [idleTimeout(30)] })
    const error = yield* thrownOf(ConnectionLostError, reader.readLine())
    assert.ok(error.cause instanceof TimeoutError)
    assert.match(
      error.message,
      /^readLine\(\) from 127\.0\.0\.1:\d+: expected a line, found the connection lost \(idleTimeout/,
    )
    writer.close()
    yield* server.shutdown()
  }))

test('policies keep no process alive, and no run', async () => {
  const { code, stdout } = await new Child('test/network/policies-program.ts', []).ended
  assert.equal(code, 0)
  assert.equal(stdout, 'done\n')
})

// -------------------------------------------------------------------- rates

/** Bytes as a handler writes them, and how long the client waited for them. */
function* fetched(server: Server, options: ConnectionOptions = {}) {
  const { reader, writer } = yield* open(server, options)
  const loop = getRunningLoop()
  const startedMs = loop.time()
  const text = yield* readToEnd(reader)
  writer.close()
  return { text, tookMs: loop.time() - startedMs }
}

const numbers = Array.from({ length: 4_000 }, (_, i) => `${i}\n`).join('')

const giveNumbers: ConnectionHandler = function* (_reader, writer) {
  yield* writer.send(numbers)
}

suite('a rate is never passed, and everything arrives in order', () => {
  const perSecond = 100_000
  const burst = 1_000
  const leastMs = ((numbers.length - burst) / perSecond) * 1_000

  /** No machine is too slow for this: it is the rate that takes the time. How exact it is, the virtual clock tells. */
  function assertSlow(tookMs: number): void {
    assert.ok(tookMs >= leastMs - 2, `${String(tookMs)} ms, at least ${String(leastMs)} were expected`)
  }

  test('written by a server', () =>
    online(function* () {
      const limit = rateLimit({ writeBytesPerSecond: perSecond, burstBytes: burst })
      const server = yield* startServer(giveNumbers, at([limit]))
      const { text, tookMs } = yield* fetched(server)
      assert.equal(text, numbers)
      assertSlow(tookMs)
      yield* server.shutdown()
    }))

  test('read by a client', () =>
    online(function* () {
      const limit = rateLimit({ readBytesPerSecond: perSecond, burstBytes: burst })
      const server = yield* startServer(giveNumbers, at([]))
      const { text, tookMs } = yield* fetched(server, { policies: [limit] })
      assert.equal(text, numbers)
      assertSlow(tookMs)
      yield* server.shutdown()
    }))

  test('by several connections of a shared bucket', () =>
    online(function* () {
      const limit = rateLimit({ bucket: new TokenBucket({ perSecond: 3 * perSecond, burst: 3 * burst }) })
      const server = yield* startServer(giveNumbers, at([limit]))
      const all = yield* gather(Array.from({ length: 3 }, () => fetched(server)))
      for (const { text } of all) assert.equal(text, numbers)
      const tookMs = Math.max(...all.map((one) => one.tookMs))
      assertSlow(tookMs)
      yield* server.shutdown()
    }))

  test('in both directions at once, behind every other policy, with protocols', () =>
    online(function* () {
      const policies = [
        limitConnections({ perPeer: 5 }),
        idleTimeout(10_000),
        rateLimit({ readBytesPerSecond: perSecond, writeBytesPerSecond: perSecond, burstBytes: burst }),
        lifetime(20_000),
      ]
      class Echo extends Protocol {
        #transport!: Transport
        override connectionMade(transport: Transport): void {
          this.#transport = transport
        }
        override dataReceived(chunk: Buffer): void {
          this.#transport.write(chunk)
        }
        override eofReceived(): void {}
      }
      class Sink extends Protocol {
        text = ''
        ended = false
        override dataReceived(chunk: Buffer): void {
          this.text += chunk.toString()
        }
        override connectionLost(error: Error | null): void {
          assert.equal(error, null)
          this.ended = true
        }
      }
      for (const order of [policies, [...policies].reverse()]) {
        const server = yield* createServer(() => new Echo(), at(order))
        const { transport, protocol } = yield* createConnection(() => new Sink(), {
          host: HOST,
          port: server.port,
          policies: [...order].reverse(),
        })
        const loop = getRunningLoop()
        const startedMs = loop.time()
        transport.write(Buffer.from(numbers))
        transport.writeEof()
        yield* untilTrue(() => protocol.ended)
        assert.equal(protocol.text, numbers)
        assertSlow(loop.time() - startedMs)
        server.close()
        yield* server.waitClosed()
      }
    }))
})

test('a read that is cancelled in the middle of a slow line loses nothing of it', () =>
  online(function* () {
    const limit = rateLimit({ readBytesPerSecond: 2_000, burstBytes: 20 })
    let goesOn = false
    const server = yield* startServer(function* (_reader, writer) {
      yield* writer.send('x'.repeat(100))
      yield* untilTrue(() => goesOn)
      yield* writer.send(`${'x'.repeat(100)}\nsecond\n`)
    }, at([]))
    const { reader, writer } = yield* open(server, { policies: [limit] })
    const task = createTask(reader.readLine())
    yield* untilTrue(() => reader.bufferedBytes > 20)
    task.cancel()
    yield* task.join()
    goesOn = true
    assert.equal((yield* reader.readTextLine())?.length, 200)
    assert.equal(yield* reader.readTextLine(), 'second')
    writer.close()
    yield* server.shutdown()
  }))

test('drain waits for what a rate delays, and can be cancelled; all is sent in the end', () =>
  online(function* () {
    const limit = rateLimit({ writeBytesPerSecond: 400_000, burstBytes: 100 })
    let received = ''
    const server = yield* startServer(function* (reader) {
      received = yield* readToEnd(reader)
    }, at([]))
    const { writer } = yield* open(server, { policies: [limit] })
    // Looked at before any time has passed.
    const drained = createTask(writer.send('x'.repeat(80_000)), { eager: true })
    assert.equal(drained.done(), false)
    drained.cancel()
    yield* drained.join()
    yield* writer.drain()
    assert.ok(writer.bufferedBytes <= 16_384)
    writer.close()
    yield* writer.waitClosed()
    yield* untilTrue(() => received !== '')
    assert.equal(received.length, 80_000)
    yield* server.shutdown()
  }))

test('a server that shuts down in grace sends what is delayed; at the end of its patience it drops it', () =>
  online(function* () {
    const limit = rateLimit({ writeBytesPerSecond: 20_000, burstBytes: 100 })
    const server = yield* startServer(
      function* (_reader, writer) {
        writer.write('x'.repeat(4_000))
      },
      at([limit]),
    )
    const fetching = createTask(fetched(server))
    yield* untilTrue(() => server.connections.length === 1)
    yield* server.shutdown()
    assert.equal((yield* fetching).text.length, 4_000)

    const slow = yield* startServer(
      function* (_reader, writer) {
        writer.write('x'.repeat(4_000_000))
        yield* sleepForever()
      },
      at([limit]),
    )
    const cut = createTask(fetched(slow))
    yield* untilTrue(() => slow.connections.length === 1)
    yield* slow.shutdown({ graceMs: 10 })
    const { length } = (yield* cut).text
    assert.ok(length > 0 && length < 400_000, String(length))
  }))

test('what a client has not sent when the run ends is handed to the system', async () => {
  let received = ''
  const { createServer: createNodeServer } = await import('node:net')
  const peer = createNodeServer((socket) => {
    socket.setEncoding('utf8').on('data', (text: string) => void (received += text))
  }).listen(0, HOST)
  await new Promise((resolve) => peer.once('listening', resolve))
  const { port } = peer.address() as { port: number }
  await online(function* () {
    const limit = rateLimit({ writeBytesPerSecond: 10, burstBytes: 1 })
    const { writer } = yield* openConnection({ host: HOST, port, policies: [limit] })
    writer.write('last words\n')
  })
  while (received.length < 11) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(received, 'last words\n')
  await new Promise((resolve) => peer.close(resolve))
})

// -------------------------------------------------------------------- how it is told

test("a client's reset is told in one line, and the exception handler gets the error", async (t) => {
  const printed = t.mock.method(console, 'error', () => {})
  const reports: ExceptionContext[] = []
  for (const told of [reports, null]) {
    const runner = new Runner(told === null ? {} : { exceptionHandler: (context) => void told.push(context) })
    await runner.run(function* () {
      const server = yield* startServer(echo, at([]))
      const { writer } = yield* open(server)
      yield* writer.send('no newline')
      // A reset that overtakes them may look like an ordinary end.
      yield* untilTrue(() => server.connections[0]?.reader.bufferedBytes === 10)
      writer.abort()
      yield* untilTrue(() => server.connections.length === 0)
      yield* server.shutdown()
    })
    await runner.close()
  }
  assert.equal(reports.length, 1)
  assert.ok(reports[0]!.error instanceof ConnectionLostError)
  assert.equal(reports[0]!.fromOutside, true)
  assert.match(reports[0]!.task!.name, /^conn-1 /)
  const lines = printed.mock.calls.map(({ arguments: [line] }) => line as unknown)
  assert.equal(lines.length, 1)
  assert.match(
    String(lines[0]),
    /^cede: conn-1 127\.0\.0\.1:\d+ was lost: readLine\(\) from .*, found the connection lost \(read ECONNRESET\)$/,
  )
})

test('so is what a write finds; but another connection that a handler loses is its own affair', async () => {
  const reports: ExceptionContext[] = []
  await online(
    function* () {
      const resets = yield* startServer(function* (reader, writer) {
        yield* reader.readLine()
        writer.abort()
      }, at([]))
      const writing = yield* startServer(function* (reader, writer) {
        yield* thrownOf(ConnectionLostError, reader.readLine())
        yield* writer.send('too late')
      }, at([]))
      const proxy = yield* startServer(function* () {
        const upstream = yield* open(resets)
        yield* upstream.writer.send('x\n')
        yield* upstream.reader.readLine()
      }, at([]))
      const { writer } = yield* open(writing)
      yield* untilTrue(() => writing.connections[0]?.task?.status === 'waiting')
      writer.abort()
      yield* untilTrue(() => reports.length === 1)
      const { reader } = yield* open(proxy)
      assert.equal(yield* reader.readLine(), null)
      for (const server of [resets, writing, proxy]) yield* server.shutdown({ graceMs: 0 })
    },
    { reports },
  )
  assert.deepEqual(
    reports.map(({ message, fromOutside = false }) => [
      message.replace(/\d+\.\d+\.\d+\.\d+:\d+/, '…'),
      fromOutside,
    ]),
    [
      ['conn-1 … was lost', true],
      ['the handler of conn-1 … failed; its connection is closed', false],
    ],
  )
})
