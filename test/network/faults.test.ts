/** Faults of the network and of handlers: a clear error, nothing lost, and the process goes on. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  ConnectError,
  ConnectionLostError,
  createTask,
  IncompleteReadError,
  LimitError,
  ListenError,
  openConnection,
  sleep,
  sleepForever,
  startServer,
  timeout,
  TimeoutError,
  until,
  type ConnectionHandler,
  type ExceptionContext,
  type Operation,
  type OpenConnectionOptions,
  type OpenUnixConnectionOptions,
  type Resolver,
  type Server,
  type ServerOptions,
  type StreamReader,
  type StreamWriter,
  type Suspension,
} from 'cede'
import { Child } from '../support/child.ts'
import { simulate } from '../support/sim.ts'
import { HOST, online } from './online.ts'

const PROGRAMS = join(dirname(fileURLToPath(import.meta.url)), 'fault-programs.ts')
const onWindows = process.platform === 'win32'

/** A folder for sockets, gone afterwards. */
async function inFolder(use: (folder: string) => Promise<unknown>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cede-'))
  try {
    await use(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

type Where = OpenConnectionOptions | OpenUnixConnectionOptions

interface Kind {
  readonly name: string
  /** Starts a server of this kind. */
  start(
    handler: ConnectionHandler,
    options?: ServerOptions,
  ): Generator<Suspension, { server: Server; where: Where }>
}

/** The same test over TCP and over a Unix socket. */
function onBoth(title: string, main: (kind: Kind) => Operation<void>): void {
  const tcp: Kind = {
    name: 'TCP',
    *start(handler, options) {
      const server = yield* startServer(handler, { ...options, host: HOST, port: 0 })
      return { server, where: { host: HOST, port: server.port } }
    },
  }
  test(`${title} (TCP)`, () => online(() => main(tcp)))
  test(`${title} (Unix)`, { skip: onWindows }, () =>
    inFolder((folder) => {
      const path = join(folder, 'socket')
      const unix: Kind = {
        name: 'Unix',
        *start(handler, options) {
          return { server: yield* startServer(handler, { ...options, path }), where: { path } }
        },
      }
      return online(() => main(unix))
    }),
  )
}

/** A socket of Node's own to a server of ours. */
function rawTo(where: { readonly port: number } | { readonly path: string }): Socket {
  const place = 'path' in where ? { path: where.path } : { host: HOST, port: where.port }
  return connect({ ...place, allowHalfOpen: true }).on('error', () => {})
}

function* thrownBy(operation: Operation<unknown>) {
  try {
    yield* operation
  } catch (error) {
    return error
  }
  throw new Error('expected an error, found none')
}

function* untilTrue(condition: () => boolean) {
  while (!condition()) yield* sleep(1)
}

function* echo(reader: StreamReader, writer: StreamWriter) {
  for (let line = yield* reader.readLine(); line !== null; line = yield* reader.readLine())
    yield* writer.send(line)
}

function* wait(_reader: StreamReader, _writer: StreamWriter) {
  yield* sleepForever()
}

/** The server still does its work. */
function* servesStill(where: Where) {
  const { reader, writer } = yield* openConnection(where)
  yield* writer.send('still here\n')
  assert.equal(yield* reader.readTextLine(), 'still here')
  writer.close()
}

const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, i) => i))

// -------------------------------------------------------------------- what peers do

test('a reset mid-line: the handler has what came, the error names peer and cause, and it is told in one line', async () => {
  const reports: ExceptionContext[] = []
  let rest: Buffer | null = null
  await online(
    function* () {
      const server = yield* startServer(
        function* (reader, writer) {
          try {
            yield* echo(reader, writer)
          } catch (error) {
            rest = yield* reader.read(100)
            throw error
          }
        },
        { host: HOST, port: 0 },
      )
      const raw = rawTo(server)
      yield* until(once(raw, 'connect'))
      const { localPort } = raw
      raw.write('whole\nhalf a li')
      yield* until(once(raw, 'data'))
      raw.resetAndDestroy()
      yield* untilTrue(() => reports.length > 0)
      const [{ message, error, fromOutside } = {}] = reports
      assert.equal(message, `conn-1 127.0.0.1:${localPort} was lost`)
      assert.equal(fromOutside, true)
      assert.equal(
        (error as Error).message,
        `readLine() from 127.0.0.1:${localPort}: expected a line, found the connection lost (read ECONNRESET)`,
      )
      yield* servesStill({ host: HOST, port: server.port })
      yield* server.shutdown()
    },
    { reports },
  )
  assert.equal(reports.length, 1)
  assert.equal((rest as Buffer | null)?.toString(), 'half a li')
})

onBoth('half close by the client: what it asked is answered after its end', function* (kind) {
  const { server, where } = yield* kind.start(function* (reader, writer) {
    const asked = yield* reader.read()
    assert.equal(reader.atEof(), true)
    yield* sleep(5)
    yield* writer.send(`${asked?.length} bytes\n`)
  })
  const { reader, writer } = yield* openConnection(where)
  writer.write(Buffer.alloc(300_000))
  writer.writeEof()
  assert.equal(yield* reader.readTextLine(), '300000 bytes')
  assert.equal(yield* reader.readTextLine(), null)
  writer.close()
  yield* server.shutdown()
})

onBoth('half close by the server: it still gets what the client says after that', function* (kind) {
  let heard: Buffer | null = null
  const { server, where } = yield* kind.start(function* (reader, writer) {
    writer.write('only this')
    writer.writeEof()
    heard = yield* reader.read()
  })
  const { reader, writer } = yield* openConnection(where)
  assert.equal(yield* reader.readText(), 'only this')
  yield* writer.send(Buffer.alloc(300_000))
  writer.close()
  yield* untilTrue(() => server.connections.length === 0)
  assert.equal((heard as Buffer | null)?.length, 300_000)
  yield* server.shutdown()
})

onBoth('100 KiB of all byte values, one byte at a time, come whole and in order', function* (kind) {
  const sent = Buffer.concat(Array.from({ length: 400 }, () => ALL_BYTES))
  let received: Buffer | null = null
  const { server, where } = yield* kind.start(function* (reader) {
    received = yield* reader.readExactly(sent.length)
    assert.equal(yield* reader.read(1), null)
  })
  const raw = rawTo(where).setNoDelay(true)
  for (let i = 0; i < sent.length; i++) {
    raw.write(sent.subarray(i, i + 1))
    // Its own queue would join what it cannot send at once.
    if (i % 64 === 0) yield* sleep(0)
  }
  raw.end()
  yield* untilTrue(() => received !== null)
  assert.ok(sent.equals(received!))
  yield* server.shutdown()
})

onBoth('binary: separators of any bytes, cut anywhere', function* (kind) {
  const separator = Buffer.from([0xff, 0x00, 0xff])
  // Each record ends as a separator begins, which must not be taken for one.
  const records = Array.from({ length: 50 }, (_, i) =>
    Buffer.concat([ALL_BYTES.subarray(i), Buffer.from([0xff, 0x00])]),
  )
  const found: Buffer[] = []
  const { server, where } = yield* kind.start(function* (reader) {
    for (let i = 0; i < records.length; i++) found.push(yield* reader.readUntil(separator))
    const rest = yield* thrownBy(reader.readUntil(separator))
    assert.ok(rest instanceof IncompleteReadError)
    assert.equal(rest.partial.toString(), 'rest')
  })
  const stream = Buffer.concat([
    ...records.flatMap((record) => [record, Buffer.from([1]), separator]),
    Buffer.from('rest'),
  ])
  const raw = rawTo(where).setNoDelay(true)
  for (let at = 0, size = 1; at < stream.length; at += size, size = (size % 7) + 1) {
    raw.write(stream.subarray(at, at + size))
    if (at % 5 === 0) yield* sleep(0)
  }
  raw.end()
  yield* untilTrue(() => found.length === records.length)
  found.forEach((record, i) =>
    assert.ok(record.equals(Buffer.concat([records[i]!, Buffer.from([1]), separator])), `record ${i}`),
  )
  yield* server.shutdown()
})

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
      yield* untilTrue(() => server.connections.length === 1)
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

test('clients that reset at once: the server goes on, and nothing is told of those it never met', async () => {
  const reports: ExceptionContext[] = []
  await online(
    function* () {
      const server = yield* startServer(echo, { host: HOST, port: 0 })
      for (let i = 0; i < 50; i++) {
        const raw = rawTo(server)
        raw.once('connect', () => raw.resetAndDestroy())
        yield* until(once(raw, 'close'))
      }
      yield* servesStill({ host: HOST, port: server.port })
      yield* untilTrue(() => server.connections.length === 0)
      yield* server.shutdown()
    },
    { reports },
  )
  // The handler of one that was accepted in time has met the reset: one line each.
  for (const { message, fromOutside } of reports) {
    assert.match(message, /^conn-\d+ (127\.0\.0\.1:\d+|unknown) was lost$/)
    assert.equal(fromOutside, true)
  }
})

onBoth('a client that connects and says nothing is sent away when the server shuts down', function* (kind) {
  const { server, where } = yield* kind.start(echo)
  const silent = yield* openConnection(where)
  yield* untilTrue(() => server.connections[0]?.task?.status === 'waiting')
  const reading = createTask(silent.reader.readLine())
  yield* server.shutdown({ graceMs: 5 })
  assert.equal(yield* reading, null)
  silent.writer.close()
})

onBoth('a cancelled read keeps its bytes, also while more is coming', function* (kind) {
  let got = ''
  const { server, where } = yield* kind.start(function* (reader) {
    let cut = 0
    for (;;) {
      try {
        const line = yield* timeout(2, reader.readLine())
        if (line === null) break
        got += line.toString()
      } catch (error) {
        if (!(error instanceof TimeoutError)) throw error
        cut++
      }
    }
    assert.ok(cut > 0)
  })
  const raw = rawTo(where)
  let sent = ''
  for (let i = 0; i < 20; i++) {
    for (const part of [`line ${i} `, 'goes ', 'on\n']) {
      sent += part
      raw.write(part)
      yield* sleep(3)
    }
  }
  raw.end()
  yield* untilTrue(() => server.connections.length === 0)
  assert.equal(got, sent)
  yield* server.shutdown()
})

// -------------------------------------------------------------------- many

const MANY = 5_000

/** So many connects at once, from two processes; counted by what they met. */
async function flooded(port: number): Promise<Record<string, number>> {
  const half = String(MANY / 2)
  const fates: Record<string, number> = {}
  const ended = await Promise.all([0, 1].map(() => new Child(PROGRAMS, ['flood', String(port), half]).ended))
  for (const { stdout, stderr } of ended) {
    assert.equal(stderr, '')
    for (const [fate, count] of Object.entries(JSON.parse(stdout) as Record<string, number>)) {
      fates[fate] = (fates[fate] ?? 0) + count
    }
  }
  return fates
}

test(`${MANY} connects at once are all served`, { skip: onWindows }, () =>
  online(function* () {
    const server = yield* startServer(echo, { host: HOST, port: 0, backlog: MANY })
    assert.deepEqual(yield* until(flooded(server.port)), { served: MANY })
    yield* server.shutdown()
    assert.equal(server.refused, 0)
  }),
)

test(
  `${MANY} connects at once to a server for 100: each is served or told, and counted`,
  { skip: onWindows },
  () =>
    online(function* () {
      const server = yield* startServer(echo, { host: HOST, port: 0, backlog: MANY, maxConnections: 100 })
      const { served = 0, reset = 0, ...others } = yield* until(flooded(server.port))
      assert.deepEqual(others, {})
      assert.equal(served + reset, MANY)
      assert.equal(server.refused, reset)
      assert.ok(served >= 100, `${served} were served`)
      yield* servesStill({ host: HOST, port: server.port })
      yield* server.shutdown()
    }),
)

test(
  'Ctrl-C with 100 open connections: each handler cleans up and says its last word, and the signal ends the process',
  {
    skip: onWindows,
  },
  async () => {
    const server = new Child(PROGRAMS, ['serve'])
    const { sockets, heard } = await hundredClients(server)
    server.kill('SIGINT')
    const { signal, stdout } = await server.ended
    assert.equal(signal, 'SIGINT')
    assert.match(stdout, /100 of 100 handlers have cleaned up\n$/)
    for (const socket of sockets) if (!socket.closed) await once(socket, 'close')
    assert.deepEqual(new Set(heard), new Set(['welcome\ngoodbye\n']))
  },
)

test('a second Ctrl-C ends it at once, with handlers that would never end', { skip: onWindows }, async () => {
  const server = new Child(PROGRAMS, ['serve', 'stubborn'])
  const { sockets } = await hundredClients(server)
  server.kill('SIGINT')
  // Nothing is printed that could be waited for: the listening socket is gone when the first signal has arrived.
  const port = sockets[0]!.remotePort!
  while (await connects(port)) await new Promise((resolve) => setTimeout(resolve, 5))
  server.kill('SIGINT')
  const { signal, stderr } = await server.ended
  assert.equal(signal, 'SIGINT')
  assert.match(stderr, /SIGINT again: ending at once. Where every task is:/)
  assert.match(stderr, /100 tasks|conn-1 /)
  for (const socket of sockets) socket.destroy()
})

async function connects(port: number): Promise<boolean> {
  const socket = connect({ host: HOST, port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.on('error', () => {}).destroy()
  }
}

async function hundredClients(server: Child): Promise<{ sockets: Socket[]; heard: string[] }> {
  await server.printed('.')
  const port = Number(/port (\d+)\./.exec(server.stdout)![1])
  const heard: string[] = []
  const sockets = Array.from({ length: 100 }, (_, i) => {
    heard[i] = ''
    return connect({ host: HOST, port })
      .on('error', () => {})
      .on('data', (chunk) => void (heard[i] += chunk.toString()))
  })
  while (heard.some((text) => !text.includes('welcome\n')))
    await new Promise((resolve) => setTimeout(resolve, 5))
  return { sockets, heard }
}

// -------------------------------------------------------------------- places that are none

const failing = (error: unknown): Resolver =>
  function* () {
    throw error
  }

const returning = (found: unknown): Resolver =>
  function* () {
    return found as never
  }

function* refused(operation: Operation<unknown>, message: string | RegExp, systemCode?: string) {
  const error = yield* thrownBy(operation)
  assert.ok(error instanceof ConnectError || error instanceof ListenError, String(error))
  if (typeof message === 'string') assert.equal(error.message, message)
  else assert.match(error.message, message)
  assert.equal(error.systemCode, systemCode)
  assert.match(error.stack!, /faults\.test\.ts/)
}

test('hosts that are unknown: one error with the address, and what the resolver said', () =>
  online(function* () {
    const to = (resolver: Resolver) => ({ host: 'db.example', port: 5432, resolver })
    yield* refused(
      openConnection(to(failing(Object.assign(new Error('the directory is down'), { code: 'ESERVFAIL' })))),
      'connect to db.example:5432: expected the resolver to find db.example, found the directory is down (ESERVFAIL)',
      'ESERVFAIL',
    )
    yield* refused(
      startServer(wait, to(failing(new Error('the directory is down')))),
      'listen on db.example:5432: expected the resolver to find db.example, found the directory is down',
    )
    yield* refused(
      openConnection(to(failing('down'))),
      'connect to db.example:5432: expected the resolver to find db.example, found down',
    )
    yield* refused(
      openConnection(to(returning([]))),
      'connect to db.example:5432: expected an address of db.example, found none (ENOTFOUND)',
      'ENOTFOUND',
    )
    for (const rubbish of [
      undefined,
      'db',
      [{ address: 'db', family: 4 }],
      [{ address: '::1', family: 4 }],
    ]) {
      yield* refused(
        openConnection(to(returning(rubbish))),
        /^connect to db\.example:5432: expected the resolver to return addresses as .* found /,
      )
    }
    // Without any network the name servers do not answer either.
    const real = yield* thrownBy(openConnection({ host: 'no-such-host.invalid', port: 80 }))
    assert.ok(real instanceof ConnectError)
    assert.match(
      real.message,
      /^connect to no-such-host\.invalid:80: expected (a host that is known, found no address for it \(ENOTFOUND\)|the name servers to answer, found that they do not \(EAI_AGAIN\))$/,
    )
  }))

test('several addresses, none of which answers: one error that names each', () =>
  online(function* () {
    const server = yield* startServer(wait, { host: HOST, port: 0 })
    const { port } = server
    yield* server.shutdown()
    const resolver = returning([
      { address: HOST, family: 4 },
      { address: '127.0.0.2', family: 4 },
    ])
    yield* refused(
      openConnection({ host: 'db.example', port, resolver }),
      `connect to db.example:${port}: expected one of 2 addresses to answer, found ` +
        `127.0.0.1:${port}: expected a server, found nobody listening (ECONNREFUSED); ` +
        `127.0.0.2:${port}: expected a server, found nobody listening (ECONNREFUSED)`,
      'ECONNREFUSED',
    )
  }))

test('a local address or port that cannot be had', () =>
  online(function* () {
    const server = yield* startServer(wait, { host: HOST, port: 0 })
    const { port } = server
    yield* refused(
      openConnection({ host: HOST, port, localHost: '192.0.2.1' }),
      `connect to 127.0.0.1:${port}: expected a local address and port to connect from, found none (EADDRNOTAVAIL)`,
      'EADDRNOTAVAIL',
    )
    yield* refused(
      openConnection({ host: HOST, port, localHost: HOST, localPort: port }),
      `connect to 127.0.0.1:${port}: expected a free local port to connect from, found it in use (EADDRINUSE)`,
      'EADDRINUSE',
    )
    yield* server.shutdown({ graceMs: 0 })
  }))

test(
  'paths that lead to no socket: missing, a file, a folder, through a file, too long',
  { skip: onWindows },
  () =>
    inFolder((folder) => {
      const path = (...names: readonly string[]): string => join(folder, ...names)
      writeFileSync(path('file'), 'x')
      const long = path('x'.repeat(120))
      return online(function* () {
        for (const [to, found, code] of [
          [path('none'), 'expected a socket, found no file (ENOENT)', 'ENOENT'],
          [
            path('file'),
            'expected a socket on which somebody listens, found none (ECONNREFUSED)',
            'ECONNREFUSED',
          ],
          [folder, 'expected a socket on which somebody listens, found none (ECONNREFUSED)', 'ECONNREFUSED'],
          [
            path('file', 'x'),
            'expected a socket, found a file in place of its directory (ENOTDIR)',
            'ENOTDIR',
          ],
          [
            long,
            `expected a path of at most 107 bytes, found ${Buffer.byteLength(long)} (ENAMETOOLONG)`,
            'ENAMETOOLONG',
          ],
        ] as const) {
          yield* refused(openConnection({ path: to }), `connect to unix:${to}: ${found}`, code)
        }
        for (const [at, found, code] of [
          [
            path('file'),
            'expected a socket or nothing, found another kind of file (EADDRINUSE)',
            'EADDRINUSE',
          ],
          [folder, 'expected a socket or nothing, found another kind of file (EADDRINUSE)', 'EADDRINUSE'],
          [path('none', 'x'), 'expected a directory for the socket, found none (ENOENT)', 'ENOENT'],
          [
            path('file', 'x'),
            'expected a directory for the socket, found a file in its place (ENOTDIR)',
            'ENOTDIR',
          ],
        ] as const) {
          yield* refused(startServer(wait, { path: at }), `listen on unix:${at}: ${found}`, code)
        }
        yield* refused(
          startServer(wait, { path: long }),
          /expected a path of at most 107 bytes/,
          'ENAMETOOLONG',
        )
      })
    }),
)

test('sockets and folders this user has no right to', { skip: onWindows }, () =>
  inFolder((folder) => {
    const path = join(folder, 'socket')
    return online(function* () {
      const server = yield* startServer(wait, { path, mode: 0o600 })
      chmodSync(folder, 0o555)
      chmodSync(path, 0o000)
      // Nothing is forbidden to root.
      const isRoot = process.geteuid?.() === 0
      if (isRoot) process.seteuid!(65_534)
      try {
        yield* refused(
          openConnection({ path }),
          `connect to unix:${path}: expected a socket this user may write to, found permission denied (EACCES)`,
          'EACCES',
        )
        yield* refused(
          startServer(wait, { path: `${path}2` }),
          `listen on unix:${path}2: expected a directory in which this user may make files, found permission denied (EACCES)`,
          'EACCES',
        )
      } finally {
        if (isRoot) process.seteuid!(0)
        chmodSync(folder, 0o755)
      }
      yield* server.shutdown({ graceMs: 0 })
    })
  }),
)
