/**
 * What must not happen when something goes wrong: descriptors are not used once they are closed, nothing that has come
 * is forgotten, nothing is left of what failed, and no bytes of one connection reach another.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setImmediate as polled } from 'node:timers/promises'
import {
  ConnectError,
  ConnectionLostError,
  createTask,
  Future,
  getRunningLoop,
  ListenError,
  openConnection,
  run,
  sleep,
  startServer,
  timeout,
  type ExceptionContext,
  type Policy,
  type StreamWriter,
  type Suspension,
} from 'cede'
import { createServer, Protocol, TransportLayer, type InnerTransport, type Transport } from 'cede/lowlevel'
import { EpollDriver } from '../../packages/cede/src/drivers/epoll.ts'
import { EAGAIN, URGENT, type Shim } from '../../packages/cede/src/drivers/shim.ts'
import { shim, skip } from '../support/shim.ts'
import { thrownOf } from '../support/thrown-by.ts'
import { echo, HOST, onOwnDriver } from './own-driver.ts'

const ENOSPC = 28
const ENOTCONN = 107

const folder = mkdtempSync(join(tmpdir(), 'cede-robust-'))
after(() => rmSync(folder, { recursive: true }))

type Call = (...args: unknown[]) => number

/** The shim, which writes down each use of a socket that is not open. */
function watchful(calls: Partial<Shim>, misuses: string[]): Shim {
  const open = new Set<unknown>()
  const all = { ...shim, ...calls } as unknown as Record<keyof Shim, Call>
  const made = { ...all }
  for (const name of ['listenTcp', 'listenUnix', 'accept', 'connectTcp', 'connectUnix'] as const) {
    made[name] = (...args) => {
      const socket = all[name](...args)
      if (socket >= 0) open.add(socket)
      return socket
    }
  }
  for (const name of [
    ...(['read', 'write', 'writeMany', 'endWriting', 'close', 'reset', 'socketError'] as const),
    ...(['setNoDelay', 'setKeepAlive', 'localAddress', 'remoteAddress'] as const),
  ]) {
    made[name] = (...args) => {
      if (!open.has(args[0])) misuses.push(name)
      if (name === 'close' || name === 'reset') open.delete(args[0])
      return all[name](...args)
    }
  }
  return made
}

/** Runs `main` on a driver of its own, whose shim has some calls replaced; nothing may be left, or used once closed. */
async function on(
  calls: Partial<Shim>,
  main: (driver: EpollDriver) => Generator<Suspension, void>,
  reports: ExceptionContext[] = [],
): Promise<void> {
  const misuses: string[] = []
  await onOwnDriver(main, { calls: watchful(calls, misuses), reports })
  assert.deepEqual(misuses, [])
}

function* untilTrue(condition: () => boolean): Generator<Suspension, void> {
  while (!condition()) yield* sleep(1)
}

// -------------------------------------------------------------------- closed once, and not used any more

/** Writes something, and fails before the connection is made. */
class Breaks extends TransportLayer {
  override connectionMade(transport: InnerTransport): void {
    super.connectionMade(transport)
    transport.write(Buffer.from('greeting'))
    throw new Error('mine')
  }
}

const breaks: Policy = { name: 'breaks', wrap: (events) => new Breaks(events) }

test('a policy that throws when a connection is made: what it wrote goes nowhere', { skip }, () =>
  on({}, function* () {
    const server = yield* startServer(echo, { host: HOST, port: 0 })
    const error = yield* thrownOf(
      ConnectError,
      openConnection({ host: HOST, port: server.port, policies: [breaks] }),
    )
    assert.equal((error.cause as Error).message, 'mine')
    const { reader, writer } = yield* openConnection({ host: HOST, port: server.port })
    yield* writer.send('hello\n')
    assert.equal(yield* reader.readTextLine(), 'hello')
    writer.close()
    yield* server.shutdown()
  }),
)

test('the same of a server', { skip }, () => {
  const reports: ExceptionContext[] = []
  return on(
    {},
    function* () {
      const server = yield* startServer(echo, { host: HOST, port: 0, policies: [breaks] })
      try {
        // It may be reset before it is seen to be made.
        const { reader, writer } = yield* openConnection({ host: HOST, port: server.port })
        writer.close()
        assert.equal(yield* reader.readLine(), null)
      } catch (error) {
        assert.ok(error instanceof ConnectError || error instanceof ConnectionLostError)
      }
      yield* server.shutdown()
      assert.equal(reports.length, 1)
    },
    reports,
  )
})

test('one that is refused with an answer, and cannot be watched, is reset', { skip }, () => {
  let accepted = 0
  let refused = 0
  const calls: Partial<Shim> = {
    accept(listener, address) {
      const socket = shim.accept(listener, address)
      if (socket >= 0) accepted = socket
      return socket
    },
    watch(poller, descriptor, bits, token) {
      if (descriptor !== accepted || accepted === 0) return shim.watch(poller, descriptor, bits, token)
      refused++
      return -ENOSPC
    },
  }
  const answer = Buffer.from('no\n')
  return on(calls, function* () {
    const policies = [{ name: 'closed', admit: () => ({ reason: 'closed', answer }) }]
    const server = yield* startServer(echo, { host: HOST, port: 0, policies })
    try {
      const { writer } = yield* openConnection({ host: HOST, port: server.port })
      writer.abort()
    } catch (error) {
      assert.ok(error instanceof ConnectError)
    }
    for (let i = 0; i < 100 && refused === 0; i++) yield* sleep(1)
    assert.equal(refused, 1)
    yield* server.shutdown()
  })
})

class Keeps extends Protocol {
  transport!: Transport
  received = ''
  lost: Error | null | undefined = undefined

  override connectionMade(transport: Transport): void {
    this.transport = transport
  }

  override dataReceived(chunk: Buffer): void {
    this.received += chunk.toString('latin1')
  }

  override connectionLost(error: Error | null): void {
    this.lost = error
  }
}

/** More than the system takes. */
class SaysMuch extends Keeps {
  override connectionMade(transport: Transport): void {
    super.connectionMade(transport)
    transport.write(Buffer.alloc(32_000_000))
  }
}

test(
  'a connection that cannot be watched, and has much to say: it is lost, and nobody else is',
  { skip },
  () => {
    let accepted = 0
    const calls: Partial<Shim> = {
      accept(listener, address) {
        const socket = shim.accept(listener, address)
        if (socket >= 0) accepted++
        return socket
      },
      // The first one that is accepted.
      watch: (...args) => (accepted === 1 ? -ENOSPC : shim.watch(...args)),
    }
    return onOwnDriver(
      function* (driver) {
        const made: SaysMuch[] = []
        const makeProtocol = (): SaysMuch => {
          const protocol = new SaysMuch()
          made.push(protocol)
          return protocol
        }
        const server = yield* createServer(makeProtocol, { host: HOST, port: 0 })
        const first = shim.connectTcp(HOST, server.port, '', 0, true, -1)
        yield* untilTrue(() => made.length === 1 && made[0]!.lost !== undefined)
        assert.equal((made[0]!.lost as NodeJS.ErrnoException).code, 'ENOSPC')
        assert.equal(driver.watched, 1)
        const second = shim.connectTcp(HOST, server.port, '', 0, true, -1)
        yield* untilTrue(() => made.length === 2)
        assert.equal(driver.watched, 2)
        shim.write(second, Buffer.from('hello'), 0, 5)
        yield* untilTrue(() => made[1]!.received === 'hello')
        for (const socket of [first, second]) shim.reset(socket)
        yield* untilTrue(() => made[1]!.lost !== undefined)
        server.close()
        yield* server.waitClosed()
      },
      { calls },
    )
  },
)

test('a Unix socket that cannot be watched leaves no file', { skip }, async () => {
  const inside = mkdtempSync(join(folder, 'empty-'))
  await on({ watch: () => -ENOSPC }, function* () {
    yield* thrownOf(ListenError, startServer(echo, { path: join(inside, 'socket') }))
  })
  assert.deepEqual(readdirSync(inside), [])
})

test('a peer that is gone in the moment it is reached has no address, not that of another', { skip }, () =>
  on({ remoteAddress: () => -ENOTCONN }, function* () {
    const server = yield* startServer(echo, { host: HOST, port: 0 })
    const { writer } = yield* openConnection({ host: HOST, port: server.port })
    assert.deepEqual(writer.remoteAddress, { host: '', port: 0 })
    writer.close()
    yield* server.shutdown()
  }),
)

// -------------------------------------------------------------------- a read that stops in the middle

/** Each read gives a few bytes, as where the kernel stops: at urgent data, or behind passed descriptors. */
const stops: Partial<Shim> = {
  read: (socket, memory, start, length) => shim.read(socket, memory, start, Math.min(length, 5)),
}
/** And tells of urgent data with each event. */
const stopsAtUrgent: Partial<Shim> = {
  ...stops,
  openPoller: (events, callback) =>
    shim.openPoller(events, (count) => {
      for (let i = 0; i < count; i++) events[2 * i + 1]! |= URGENT
      return callback(count)
    }),
}

type At = { readonly path: string } | { readonly host: string; readonly port: number }

function* everythingIsRead(at: At): Generator<Suspension, void> {
  const server = yield* startServer(echo, at)
  const { reader, writer } = yield* openConnection('path' in at ? at : { host: HOST, port: server.port })
  for (let round = 0; round < 3; round++) {
    const lines = ['one', 'two and three', 'four, five and six']
    writer.writeLines(lines.map((line) => `${line}\n`))
    for (const line of lines) assert.equal(yield* timeout(10_000, reader.readTextLine()), line)
  }
  writer.close()
  yield* server.shutdown()
}

test('a Unix socket: what came behind passed descriptors is read without another event', { skip }, () =>
  on(stops, () => everythingIsRead({ path: join(folder, 'passes') })),
)

test('what came behind urgent data is read without another event', { skip }, () =>
  on(stopsAtUrgent, () => everythingIsRead({ host: HOST, port: 0 })),
)

// -------------------------------------------------------------------- memory that is taken back

interface Resizable extends ArrayBuffer {
  resize(bytes: number): void
}
const ResizableBuffer = ArrayBuffer as unknown as new (
  bytes: number,
  options: { maxByteLength: number },
) => Resizable

/** Memory of `bytes` letters `B`, and how it is spoiled. */
const spoiled: Readonly<Record<string, (bytes: number) => readonly [Uint8Array, () => void]>> = {
  'given away'(bytes) {
    const memory = new Uint8Array(bytes).fill(66)
    return [memory, () => void structuredClone(memory, { transfer: [memory.buffer] })]
  },
  'made smaller'(bytes) {
    const memory = new ResizableBuffer(bytes, { maxByteLength: 2 * bytes })
    return [new Uint8Array(memory).fill(66), () => memory.resize(10)]
  },
  'made larger'(bytes) {
    const memory = new ResizableBuffer(bytes, { maxByteLength: 200_000 })
    return [new Uint8Array(memory).fill(66), () => memory.resize(200_000)]
  },
}

for (const [how, spoil] of Object.entries(spoiled)) {
  for (const bytes of [1_000, 20_000]) {
    test(`what was written and then ${how} (${bytes} bytes) breaks its own connection only`, { skip }, () =>
      on({}, function* () {
        const received: Buffer[] = []
        const server = yield* startServer(
          function* (reader) {
            const first = yield* reader.readTextLine()
            try {
              for (let chunk = yield* reader.read(4_096); chunk !== null; chunk = yield* reader.read(4_096)) {
                if (first === 'public') received.push(chunk)
              }
            } catch (error) {
              assert.ok(error instanceof ConnectionLostError)
            }
          },
          { host: HOST, port: 0 },
        )
        const secret = yield* openConnection({ host: HOST, port: server.port })
        const open = yield* openConnection({ host: HOST, port: server.port })
        open.writer.write('public\n')
        // Joined, where small pieces of all connections are.
        secret.writer.writeLines(['secret\n', ...Array.from({ length: 40 }, () => 'S'.repeat(1_500))])
        yield* sleep(20) // real sockets
        const [memory, act] = spoil(bytes)
        open.writer.writeLines(['A'.repeat(bytes), memory])
        act()
        yield* sleep(20) // real sockets
        open.writer.close()
        yield* thrownOf(ConnectionLostError, open.writer.waitClosed())
        secret.writer.close()
        yield* secret.writer.waitClosed()
        yield* server.shutdown()
        assert.ok(!Buffer.concat(received).includes('S'))
      }),
    )
  }
}

/** A protocol whose peer reads nothing yet, and more is written than the system takes. */
function* withFullSystem(
  use: (transport: Transport, written: number, peer: number) => Generator<Suspension, void>,
): Generator<Suspension, void> {
  const made: Keeps[] = []
  const server = yield* createServer(
    () => {
      const protocol = new Keeps()
      made.push(protocol)
      return protocol
    },
    { host: HOST, port: 0 },
  )
  const peer = shim.connectTcp(HOST, server.port, '', 0, true, -1)
  yield* untilTrue(() => made.length === 1)
  const { transport } = made[0]!
  let written = 0
  // It takes more for a while.
  for (let rounds = 0; rounds < 10; rounds = transport.bufferedBytes > 0 ? rounds + 1 : 0) {
    if (transport.bufferedBytes === 0) {
      transport.write(Buffer.alloc(1_000_000, 'f'))
      written += 1_000_000
    }
    yield* sleep(1)
  }
  yield* use(transport, written, peer)
  shim.close(peer)
  yield* untilTrue(() => made[0]!.lost !== undefined)
  server.close()
  yield* server.waitClosed()
}

/** What comes until there are `bytes`. */
function* readAll(socket: number, bytes: number): Generator<Suspension, Buffer> {
  const memory = Buffer.alloc(bytes)
  for (let end = 0; end < bytes;) {
    const count = shim.read(socket, memory, end, bytes - end)
    assert.ok(count > 0 || count === -EAGAIN)
    if (count > 0) end += count
    else yield* sleep(1)
  }
  return memory
}

test('memory that grows while it waits: what was written is sent, and counted', { skip }, () =>
  on({}, () =>
    withFullSystem(function* (transport, written, peer) {
      const before = transport.bufferedBytes
      for (const bytes of [1_000, 20_000]) {
        const memory = new ResizableBuffer(bytes, { maxByteLength: 200_000 })
        transport.write(new Uint8Array(memory).fill(66))
        yield* sleep(1)
        memory.resize(200_000)
      }
      assert.equal(transport.bufferedBytes, before + 21_000)
      const got = yield* readAll(peer, written + 21_000)
      assert.equal(got.indexOf(66), written)
      assert.equal(got.lastIndexOf(66), written + 20_999)
      yield* untilTrue(() => transport.bufferedBytes <= 0)
      assert.equal(transport.bufferedBytes, 0)
    }),
  ),
)

test(
  'what waits for a peer that does not read keeps little memory alive, and leaves in few sends',
  { skip },
  () => {
    const memories = new Set<ArrayBufferLike>()
    let sends = 0
    const calls: Partial<Shim> = {
      writeMany(socket, list, first, start) {
        sends++
        memories.clear()
        for (const { buffer } of list.slice(first)) memories.add(buffer)
        return shim.writeMany(socket, list, first, start)
      },
    }
    return on(calls, () =>
      withFullSystem(function* (transport, written, peer) {
        // Lines that came in slabs with those of others.
        for (let n = 0; n < 5_000; n++) {
          transport.write(
            Buffer.allocUnsafeSlow(16_384)
              .fill(n % 256, 0, 1)
              .subarray(0, 1),
          )
          if (n % 50 === 0) yield* sleep(0)
        }
        yield* sleep(1)
        sends = 0
        const got = yield* readAll(peer, written + 5_000)
        for (let n = 0; n < 5_000; n++) assert.equal(got[written + n], n % 256)
        yield* untilTrue(() => transport.bufferedBytes === 0)
        let kept = 0
        for (const { byteLength } of memories) kept += byteLength
        assert.ok(kept < 20_000 + 1_000_000, `${kept} bytes`)
        assert.ok(sends < 40, `${sends} sends`)
      }),
    )
  },
)

// -------------------------------------------------------------------- a send that fails while reading is paused

/** The connection of a server whose peer has said `words` and reset it, before anybody read; and a write has failed. */
function* brokenWhilePaused(
  driver: EpollDriver,
  words: string,
  use: (kept: Keeps) => Generator<Suspension, void>,
): Generator<Suspension, void> {
  // A machine that is busy for a while must not look like a program that does not read.
  const now = driver.now.bind(driver)
  const start = now()
  driver.now = () => start + (now() - start) / 10
  class Pauses extends Keeps {
    override connectionMade(transport: Transport): void {
      super.connectionMade(transport)
      transport.pauseReading()
    }
  }
  const made: Keeps[] = []
  const server = yield* createServer(
    () => {
      const protocol = new Pauses()
      made.push(protocol)
      return protocol
    },
    { host: HOST, port: 0 },
  )
  const peer = shim.connectTcp(HOST, server.port, '', 0, true, -1)
  yield* untilTrue(() => made.length === 1)
  assert.equal(shim.write(peer, Buffer.from(words), 0, words.length), words.length)
  shim.reset(peer)
  const kept = made[0]!
  for (let n = 0; n < 5; n++) {
    kept.transport.write(Buffer.from('an answer'))
    yield* sleep(1)
  }
  yield* use(kept)
  yield* untilTrue(() => kept.lost !== undefined)
  server.close()
  yield* server.waitClosed()
}

const gone = /^write (EPIPE|ECONNRESET)$/

test('a send fails while reading is paused: what the peer has said is read when it goes on', { skip }, () =>
  on({}, (driver) =>
    brokenWhilePaused(driver, 'last words', function* (kept) {
      assert.equal(kept.lost, undefined)
      kept.transport.resumeReading()
      yield* untilTrue(() => kept.lost !== undefined)
      assert.equal(kept.received, 'last words')
      assert.match(kept.lost!.message, gone)
    }),
  ),
)

for (const end of ['close', 'abort'] as const) {
  test(`a send fails while reading is paused, then ${end}(): it ends at once`, { skip }, () =>
    on({}, (driver) =>
      brokenWhilePaused(driver, 'last words', function* (kept) {
        assert.equal(kept.lost, undefined)
        kept.transport[end]()
        yield* sleep(0)
        assert.notEqual(kept.lost, undefined)
        assert.equal(kept.received, '')
      }),
    ),
  )
}

test('a send fails while reading is paused, and nobody reads: the loss is told after a while', { skip }, () =>
  on({}, (driver) =>
    brokenWhilePaused(driver, 'last words', function* (kept) {
      assert.equal(kept.lost, undefined)
      const now = driver.now.bind(driver)
      driver.now = () => now() + 5_000
      yield* untilTrue(() => kept.lost !== undefined)
      assert.match(kept.lost!.message, gone)
      assert.equal(kept.received, '')
    }),
  ),
)

test(
  'a send fails while much waits to be read: all of it is read, whoever drains goes on to read',
  { skip },
  () =>
    on({}, function* () {
      const outcomes: unknown[] = []
      let peer = -1
      const server = yield* startServer(
        function* (reader, writer) {
          yield* untilTrue(() => !writer.transport.reading)
          // More than the system takes: it drains, and fails.
          writer.write(Buffer.alloc(10_000_000))
          const reset = createTask(
            (function* () {
              yield* sleep(1)
              shim.reset(peer)
            })(),
          )
          yield* writer.drain()
          yield* reset
          let bytes = 0
          try {
            for (let chunk = yield* reader.read(500); chunk !== null; chunk = yield* reader.read(500))
              bytes += chunk.length
          } catch (error) {
            assert.ok(error instanceof ConnectionLostError)
            outcomes.push(bytes, error.systemCode)
          }
        },
        { host: HOST, port: 0, limitBytes: 1_000 },
      )
      peer = shim.connectTcp(HOST, server.port, '', 0, true, -1)
      yield* untilTrue(() => server.connections.length === 1)
      assert.equal(shim.write(peer, Buffer.alloc(40_000), 0, 40_000), 40_000)
      yield* untilTrue(() => server.connections.length === 0)
      assert.deepEqual(outcomes, [40_000, 'ECONNRESET'])
      yield* server.shutdown()
    }),
)

// -------------------------------------------------------------------- the end

test('a peer that has reset while its input waits unread is not waited for', { skip }, () =>
  on({}, function* () {
    const hold = new Future<void>()
    const writers: StreamWriter[] = []
    const server = yield* startServer(
      function* (_reader, writer) {
        writers.push(writer)
        yield* hold
      },
      { host: HOST, port: 0, limitBytes: 1_000 },
    )
    const { writer } = yield* openConnection({ host: HOST, port: server.port })
    writer.write(Buffer.alloc(40_000))
    yield* sleep(20) // real sockets
    writer.abort()
    yield* sleep(20)
    const there = writers[0]!
    assert.equal(there.transport.reading, false)
    there.close()
    // Less than it waits for a peer that may still read.
    yield* timeout(1_000, there.waitClosed())
    hold.setResult()
    yield* server.shutdown()
  }),
)

test('readers do not outlive the run that they were added in', { skip }, async () => {
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  const both = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  const driver = new EpollDriver(shim)
  let calls = 0
  await run(
    function* () {
      const loop = getRunningLoop()
      loop.addReader(both, () => calls++)
      loop.addReader(both, () => calls++)
      yield* sleep(1)
      loop.addWriter(both, () => loop.removeWriter(both))
      yield* sleep(1)
    },
    { driver },
  )
  writeSync(both, 'x')
  for (let round = 0; round < 5; round++) await polled()
  assert.equal(calls, 0)
  assert.equal(driver.watched, 0)
  driver.close()
  closeSync(both)
})
