/** What only sockets of the epoll driver do: slabs, sends that take a part, and a system that cannot accept. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as polled } from 'node:timers/promises'
import {
  gather,
  openConnection,
  sleep,
  startServer,
  timeout,
  until,
  type Connection,
  type ExceptionContext,
  type Server,
  type Suspension,
} from 'cede'
import { EINVAL, HUNG_UP, type Shim } from '../../packages/cede/src/drivers/shim.ts'
import { shim, skip } from '../support/shim.ts'
import { echo, HOST, onOwnDriver } from './own-driver.ts'

/** The largest slab that small reads are views of; a line that came in two pieces is in Node's pool. */
const SLAB_BYTES = Math.max(16_384, Buffer.poolSize)

/** Runs `main` on a driver of its own, whose shim has some calls replaced; nothing may be left. */
function on(
  calls: Partial<Shim>,
  main: () => Generator<Suspension, void>,
  reports: ExceptionContext[] = [],
): Promise<void> {
  return onOwnDriver(main, { calls, reports })
}

function connect(server: Server) {
  return openConnection({ host: HOST, port: server.port })
}

function* ask({ reader, writer }: Connection, line: string) {
  yield* writer.send(`${line}\n`)
  return yield* reader.readTextLine()
}

function* closed({ writer }: Connection): Generator<Suspension, void> {
  writer.close()
  yield* writer.waitClosed()
}

test('lines that are kept stay as they are, and keep no more than a small slab each', { skip }, () =>
  on({}, function* () {
    const kept: { line: Buffer; text: string }[] = []
    const server = yield* startServer(
      function* (reader, writer) {
        for (let line = yield* reader.readLine(); line !== null; line = yield* reader.readLine()) {
          kept.push({ line, text: line.toString('latin1') })
          yield* writer.send('ok\n')
        }
      },
      { host: HOST, port: 0 },
    )
    yield* gather(
      Array.from({ length: 10 }, function* (_, client) {
        const connection = yield* connect(server)
        for (let n = 0; n < 300; n++) {
          assert.equal(yield* ask(connection, `${client}:${n}:`.padEnd(1 + ((n * 37) % 3_000), 'x')), 'ok')
        }
        yield* closed(connection)
      }),
    )
    assert.equal(kept.length, 3_000)
    const slabs = new Set(kept.map(({ line }) => line.buffer))
    for (const { line, text } of kept) assert.equal(line.toString('latin1'), text)
    for (const slab of slabs) assert.ok(slab.byteLength <= SLAB_BYTES, `${slab.byteLength} bytes are kept`)
    assert.ok(slabs.size < kept.length / 3, `${slabs.size} slabs for ${kept.length} lines`)
    yield* server.shutdown()
  }),
)

test('a slab cannot be given away with the bytes of others in it', { skip }, () =>
  on({}, function* () {
    const server = yield* startServer(echo, { host: HOST, port: 0 })
    const connection = yield* connect(server)
    yield* connection.writer.send('hello\n')
    const line = (yield* connection.reader.readLine())!
    const { port1, port2 } = new MessageChannel()
    try {
      // Some versions of Node throw, others send a copy.
      port1.postMessage(line, [line.buffer as ArrayBuffer])
    } catch (error) {
      assert.equal((error as Error).name, 'DataCloneError')
    }
    assert.equal(line.toString(), 'hello\n')
    port1.close()
    port2.close()
    assert.equal(yield* ask(connection, 'goes on'), 'goes on')
    yield* closed(connection)
    yield* server.shutdown()
  }),
)

test('sends that take only a part: everything arrives, in order', { skip }, () => {
  let sends = 0
  const part = (length: number): number => Math.min(length, 1 + ((sends++ * 7_919) % 5_000))
  const calls: Partial<Shim> = {
    write: (socket, memory, start, length) => shim.write(socket, memory, start, part(length)),
    writeMany(socket, list, first, start) {
      const piece = list[first]!
      return shim.write(socket, piece, start, part(piece.length - start))
    },
  }
  return on(calls, function* () {
    const server = yield* startServer(
      function* (reader, writer) {
        for (let chunk = yield* reader.read(65_536); chunk !== null; chunk = yield* reader.read(65_536)) {
          yield* writer.send(chunk)
        }
      },
      { host: HOST, port: 0 },
    )
    const { reader, writer } = yield* connect(server)
    const lines = Array.from({ length: 20_000 }, (_, n) => `${n} ${'x'.repeat(n % 100)}\n`)
    const [, got] = yield* gather([
      (function* () {
        for (const line of lines) yield* writer.send(line)
        writer.writeEof()
      })(),
      reader.readText(),
    ])
    assert.equal(got, lines.join(''))
    assert.ok(sends > 500)
    yield* server.shutdown()
  })
})

test(
  'S137: without a descriptor for the next connection it is told, and tried again after a second',
  { skip },
  () => {
    let fails = true
    let asked = 0
    const calls: Partial<Shim> = {
      accept(socket, address) {
        asked++
        return fails ? -24 : shim.accept(socket, address)
      },
    }
    const reports: ExceptionContext[] = []
    return on(
      calls,
      function* () {
        const server = yield* startServer(echo, { host: HOST, port: 0 })
        const connection = yield* connect(server)
        yield* sleep(50) // real sockets
        assert.equal(asked, 1, 'it does not ask again and again')
        assert.equal(reports.length, 1)
        assert.match(reports[0]!.message, /^the server on .+ cannot accept a connection$/)
        assert.equal((reports[0]!.error as NodeJS.ErrnoException).code, 'EMFILE')
        fails = false
        assert.equal(yield* ask(connection, 'still there?'), 'still there?')
        yield* closed(connection)
        yield* server.shutdown()
      },
      reports,
    )
  },
)

test('a server that cannot accept can be closed meanwhile', { skip }, () =>
  on({ accept: () => -24 }, function* () {
    const server = yield* startServer(echo, { host: HOST, port: 0 })
    const connection = yield* connect(server)
    yield* sleep(20) // real sockets
    yield* server.shutdown()
    connection.writer.abort()
  }),
)

/** An `accept` that always fails, and counts how often it was asked. */
function failingAccept(errno: number) {
  const failing = {
    asked: 0,
    calls: {
      accept() {
        failing.asked++
        return -errno
      },
    } satisfies Partial<Shim>,
  }
  return failing
}

for (const [code, errno, accepts] of [
  ['ENOSYS', 38, 1],
  // It may be one peer that a firewall does not want.
  ['EPERM', 1, 64],
] as const) {
  test(
    `accept fails again and again with ${code}: it is told, and does not keep the process busy`,
    { skip },
    () => {
      const failing = failingAccept(errno)
      const reports: ExceptionContext[] = []
      return on(
        failing.calls,
        function* () {
          const server = yield* startServer(echo, { host: HOST, port: 0 })
          const client = shim.connectTcp(HOST, server.port, '', 0, true, -1)
          for (let n = 0; n < 1_000 && reports.length === 0; n++) yield* sleep(1)
          for (let n = 0; n < 10; n++) yield* sleep(1)
          assert.deepEqual([failing.asked, reports.length], [accepts, 1])
          assert.equal((reports[0]!.error as NodeJS.ErrnoException).code, code)
          assert.equal(server.isServing(), true)
          shim.close(client)
          yield* server.shutdown()
        },
        reports,
      )
    },
  )
}

test(
  'a listening socket that somebody has shut down: it is told once, and the server is closed',
  { skip },
  () => {
    const failing = failingAccept(EINVAL)
    const reports: ExceptionContext[] = []
    return on(
      failing.calls,
      function* () {
        const server = yield* startServer(echo, { host: HOST, port: 0 })
        const client = shim.connectTcp(HOST, server.port, '', 0, true, -1)
        yield* timeout(10_000, server.serveForever())
        for (let n = 0; n < 10; n++) yield* sleep(1)
        assert.deepEqual([failing.asked, reports.length], [1, 1])
        assert.match(reports[0]!.message, /^the server on .+ cannot accept a connection$/)
        assert.equal((reports[0]!.error as NodeJS.ErrnoException).code, 'EINVAL')
        assert.equal(server.isServing(), false)
        shim.close(client)
      },
      reports,
    )
  },
)

test('one that is shut down while it rests: the same, and nothing is asked for later', { skip }, () => {
  const sent: { tell: (token: number, bits: number) => void }[] = []
  const watched = new Map<number, number>()
  const rewatched: number[] = []
  let listening = -1
  const calls: Partial<Shim> = {
    accept: () => -24,
    openPoller(events, callback) {
      const tell = (token: number, bits: number): void => {
        events.set([token, bits])
        callback(1)
      }
      sent.push({ tell })
      return shim.openPoller(events, callback)
    },
    listenTcp: (...args) => (listening = shim.listenTcp(...args)),
    watch(poller, descriptor, bits, token) {
      watched.set(descriptor, token)
      return shim.watch(poller, descriptor, bits, token)
    },
    rewatch(poller, descriptor, bits, token) {
      if (descriptor === listening) rewatched.push(bits)
      return shim.rewatch(poller, descriptor, bits, token)
    },
  }
  const reports: ExceptionContext[] = []
  return onOwnDriver(
    function* (driver) {
      const server = yield* startServer(echo, { host: HOST, port: 0 })
      const client = shim.connectTcp(HOST, server.port, '', 0, true, -1)
      for (let n = 0; n < 1_000 && reports.length === 0; n++) yield* sleep(1)
      yield* until(polled())
      // As the system does it, whatever was asked for.
      for (let look = 0; look < 3; look++) sent[0]!.tell(watched.get(listening)!, HUNG_UP)
      assert.deepEqual(
        reports.map(({ error }) => (error as NodeJS.ErrnoException).code),
        ['EMFILE', 'EINVAL'],
      )
      yield* server.waitClosed()
      // The time of its rest is over.
      const now = driver.now.bind(driver)
      driver.now = () => now() + 5_000
      yield* sleep(1)
      assert.deepEqual(rewatched, [0])
      shim.close(client)
    },
    { calls, reports },
  )
})

test('a connection that was gone before it was accepted is passed over', { skip }, () => {
  let gone = 3
  const calls: Partial<Shim> = {
    accept: (socket, address) => (gone-- > 0 ? -103 : shim.accept(socket, address)),
  }
  const reports: ExceptionContext[] = []
  return on(
    calls,
    function* () {
      const server = yield* startServer(echo, { host: HOST, port: 0 })
      const connection = yield* connect(server)
      assert.equal(yield* ask(connection, 'hello'), 'hello')
      yield* closed(connection)
      yield* server.shutdown()
      assert.deepEqual(reports, [])
    },
    reports,
  )
})

test('a connection that cannot be watched is lost, with the reason', { skip }, () => {
  let watches = 0
  const calls: Partial<Shim> = {
    // The listener, the client, and then the accepted connection.
    watch: (...args) => (++watches === 3 ? -28 : shim.watch(...args)),
  }
  return on(calls, function* () {
    const outcomes: unknown[] = []
    const server = yield* startServer(
      function* (reader) {
        try {
          yield* reader.read()
        } catch (error) {
          outcomes.push((error as { systemCode?: string }).systemCode)
        }
      },
      { host: HOST, port: 0 },
    )
    try {
      const { reader } = yield* connect(server)
      yield* reader.read()
    } catch (error) {
      outcomes.push((error as { systemCode?: string }).systemCode)
    }
    yield* server.shutdown()
    assert.deepEqual(outcomes.sort(), ['ECONNRESET', 'ENOSPC'])
  })
})

test('one that floods does not keep the others waiting: each is served in every round', { skip }, () => {
  /** Reads, by socket. */
  const reads: number[] = []
  const calls: Partial<Shim> = {
    read(socket, memory, start, length) {
      reads.push(socket)
      return shim.read(socket, memory, start, length)
    },
  }
  return on(calls, function* () {
    const server = yield* startServer(
      function* (reader, writer) {
        const polite = (yield* reader.readLine())!.toString() === 'polite\n'
        if (polite) yield* echo(reader, writer)
        else while ((yield* reader.read(1_000_000)) !== null);
      },
      { host: HOST, port: 0 },
    )
    const flood = yield* connect(server)
    const polite = yield* connect(server)
    yield* polite.writer.send('polite\n')
    flood.writer.write(Buffer.concat([Buffer.from('flood\n'), Buffer.alloc(8_000_000)]))
    for (let n = 0; n < 20; n++) assert.equal(yield* ask(polite, `line ${n}`), `line ${n}`)
    yield* closed(flood)
    yield* closed(polite)
    yield* server.shutdown()
    let longest = 0
    for (let i = 0, row = 0; i < reads.length; i++) {
      row = reads[i] === reads[i - 1] ? row + 1 : 1
      if (i < reads.length / 2) longest = Math.max(longest, row)
    }
    assert.ok(reads.length > 60)
    assert.ok(longest < 60, `${longest} reads of one socket in a row`)
  })
})
