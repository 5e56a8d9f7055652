/** What a peer or the system does to sockets of the epoll driver, counted in calls of the shim. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ConnectError,
  ConnectionLostError,
  createTask,
  gather,
  ListenError,
  openConnection,
  sleep,
  startServer,
  type ExceptionContext,
  type Operation,
} from 'cede'
import { createServer, Protocol, type Transport } from 'cede/lowlevel'
import type { Shim } from '../../packages/cede/src/drivers/shim.ts'
import { shim, skip } from '../support/shim.ts'
import { echo, HOST, onOwnDriver } from './own-driver.ts'

const EPIPE = 32
const EMFILE = 24

function* untilTrue(condition: () => boolean) {
  while (!condition()) yield* sleep(1)
}

function* thrownBy(operation: Operation<unknown>) {
  try {
    yield* operation
  } catch (error) {
    return error
  }
  throw new Error('expected an error, found none')
}

/** A socket that nobody watches: what it does is done at once. */
function rawTo(port: number): number {
  const socket = shim.connectTcp(HOST, port, '', 0, true, -1)
  assert.ok(socket >= 0)
  return socket
}

function say(socket: number, text: string): void {
  assert.equal(shim.write(socket, Buffer.from(text), 0, text.length), text.length)
}

/** Counts calls between two looks of the driver; `endRound` also where something else of the host comes. */
class Rounds {
  readonly #most = new Map<string, number>()
  #now = new Map<string, number>()
  #ticking = false

  count(what: string): void {
    const count = (this.#now.get(what) ?? 0) + 1
    this.#now.set(what, count)
    if (count > (this.#most.get(what) ?? 0)) this.#most.set(what, count)
  }

  most(what: string): number {
    return this.#most.get(what) ?? 0
  }

  readonly endRound = (): void => {
    this.#now = new Map()
    if (this.#ticking) setImmediate(this.endRound)
  }

  /** Rounds of the host end them as well, until `stop`. */
  start(): void {
    this.#ticking = true
    this.endRound()
  }

  stop(): void {
    this.#ticking = false
  }

  /** A shim whose looks end rounds. */
  readonly openPoller: Shim['openPoller'] = (events, callback) =>
    shim.openPoller(events, (count) => {
      this.#now = new Map()
      return callback(count)
    })
}

// -------------------------------------------------------------------- one's turn

test('one that floods is read a few times, then the others have their turn', { skip }, () => {
  const rounds = new Rounds()
  const log: number[] = []
  const calls: Partial<Shim> = {
    openPoller: rounds.openPoller,
    read(socket, memory, start, length) {
      rounds.count(`read ${socket}`)
      log.push(socket)
      return shim.read(socket, memory, start, length)
    },
  }
  return onOwnDriver(
    function* () {
      let flooded = 0
      const server = yield* startServer(
        function* (reader, writer) {
          if ((yield* reader.readLine())!.toString() === 'polite\n') return yield* echo(reader, writer)
          for (let chunk = yield* reader.read(65_536); chunk !== null; chunk = yield* reader.read(65_536))
            flooded += chunk.length
        },
        // So that no full buffer ends its turn.
        { host: HOST, port: 0, limitBytes: 10_000_000 },
      )
      const where = { host: HOST, port: server.port }
      const [flood, polite] = yield* gather([openConnection(where), openConnection(where)])
      rounds.start()
      yield* polite.writer.send('polite\n')
      const block = Buffer.alloc(1_000_000)
      const flooding = createTask(
        (function* () {
          yield* flood.writer.send('flood\n')
          for (let i = 0; i < 30; i++) yield* flood.writer.send(block)
        })(),
      )
      let rounded = 0
      while (!flooding.done()) {
        yield* polite.writer.send(`${rounded}\n`)
        assert.equal(yield* polite.reader.readTextLine(), String(rounded))
        rounded++
      }
      yield* untilTrue(() => flooded === 30 * block.length)
      rounds.stop()
      assert.ok(rounded > 20, `the polite one was served ${rounded} times beside ${flooded} bytes`)
      for (const socket of new Set(log)) {
        // Two when it is told, two when it goes on.
        const most = rounds.most(`read ${socket}`)
        assert.ok(most <= 4, `${most} reads of one socket in a row`)
      }
      flood.writer.close()
      polite.writer.close()
      yield* server.shutdown()
    },
    { calls },
  )
})

test(
  'a crowd that comes at once is let in bit by bit, and those inside are served meanwhile',
  { skip },
  () => {
    const rounds = new Rounds()
    const log: string[] = []
    let inside = -1
    const calls: Partial<Shim> = {
      openPoller: rounds.openPoller,
      accept(socket, address) {
        const accepted = shim.accept(socket, address)
        if (accepted >= 0) {
          rounds.count('accept')
          log.push('accepted')
          if (inside === -1) inside = accepted
        }
        return accepted
      },
      read(socket, memory, start, length) {
        if (socket === inside) log.push('served')
        return shim.read(socket, memory, start, length)
      },
    }
    return onOwnDriver(
      function* () {
        const server = yield* startServer(echo, { host: HOST, port: 0, backlog: 500 })
        const first = rawTo(server.port)
        yield* untilTrue(() => server.connections.length === 1)
        const crowd = Array.from({ length: 300 }, () => rawTo(server.port))
        say(first, 'hello\n')
        yield* untilTrue(() => server.connections.length === 301)
        assert.ok(rounds.most('accept') <= 64, `${rounds.most('accept')} were accepted in a row`)
        assert.ok(log.indexOf('served') < log.lastIndexOf('accepted') - 150, 'the one inside did not wait')
        // What is not read would reset it.
        assert.equal(shim.read(first, Buffer.alloc(6), 0, 6), 6)
        for (const socket of [first, ...crowd]) shim.close(socket)
        yield* untilTrue(() => server.connections.length === 0)
        yield* server.shutdown()
      },
      { calls },
    )
  },
)

// -------------------------------------------------------------------- numbers that are used again

class Listening extends Protocol {
  transport: Transport | null = null
  received = ''
  lost: Error | null | undefined = undefined
  onData = (): void => {}

  override connectionMade(transport: Transport): void {
    this.transport = transport
  }

  override dataReceived(chunk: Buffer): void {
    this.received += chunk.toString()
    this.onData()
  }

  override connectionLost(error: Error | null): void {
    this.lost = error
  }
}

test(
  'in one batch a connection ends, its number is a new one, and its event comes: nobody gets it',
  { skip },
  () => {
    let accepted: number[] = []
    let reads: number[] = []
    let batches: number[][] = []
    const tokens = new Map<number, number>()
    const calls: Partial<Shim> = {
      openPoller: (events, callback) =>
        shim.openPoller(events, (count) => {
          batches.push([...events.subarray(0, 2 * count)].filter((_, i) => i % 2 === 0))
          return callback(count)
        }),
      accept(socket, address) {
        const result = shim.accept(socket, address)
        if (result >= 0) accepted.push(result)
        return result
      },
      read(socket, memory, start, length) {
        reads.push(socket)
        return shim.read(socket, memory, start, length)
      },
      watch(poller, descriptor, bits, token) {
        tokens.set(descriptor, token)
        return shim.watch(poller, descriptor, bits, token)
      },
    }
    return onOwnDriver(
      function* () {
        let made: Listening[] = []
        const server = yield* createServer(
          () => {
            const protocol = new Listening()
            made.push(protocol)
            return protocol
          },
          { host: HOST, port: 0 },
        )
        const { port } = server.addresses[0]!

        /** @returns true if the system told all of it at once, and the number was used again */
        const attempt = function* () {
          made = []
          accepted = []
          const first = rawTo(port)
          yield* untilTrue(() => accepted.length === 1)
          const second = rawTo(port)
          yield* untilTrue(() => accepted.length === 2)
          const both = accepted.map((socket) => tokens.get(socket)!)
          made[0]!.onData = () => made[1]!.transport!.abort()
          batches = []
          reads = []
          // Three events, in this order: the first ends the second, the listener accepts, and the second has something.
          say(first, 'end the other')
          const third = rawTo(port)
          say(second, 'for the second')
          yield* untilTrue(() => accepted.length === 3 && made[1]!.lost !== undefined)
          yield* sleep(1)
          const atOnce =
            // Somebody else of this process may have taken the number, or given a lower one back.
            accepted[2] === accepted[1] &&
            batches.some((batch) => both.every((token) => batch.includes(token)))
          if (atOnce) {
            assert.deepEqual(reads, [accepted[0]], 'nobody looks for what was meant for the second')
            assert.deepEqual(
              made.map(({ received }) => received),
              ['end the other', '', ''],
            )
            assert.deepEqual(
              made.map(({ lost }) => lost),
              [undefined, null, undefined],
            )
          }
          say(third, 'for the third')
          yield* untilTrue(() => made[2]!.received !== '')
          assert.equal(made[2]!.received, 'for the third')
          for (const socket of [first, second, third]) shim.close(socket)
          yield* untilTrue(() => made.every(({ lost }) => lost !== undefined))
          return atOnce
        }

        let seen = 0
        for (let n = 0; n < 200 && seen < 5; n++) if (yield* attempt()) seen++
        assert.equal(seen, 5, 'it has come to that')
        server.close()
        yield* server.waitClosed()
      },
      { calls },
    )
  },
)

// -------------------------------------------------------------------- writing

test('what is written in one pass leaves in one call of the system', { skip }, () => {
  const calls: string[] = []
  const counting: Partial<Shim> = {
    write(socket, memory, start, length) {
      calls.push(`write ${length}`)
      return shim.write(socket, memory, start, length)
    },
    writeMany(socket, list, first, start) {
      calls.push(`writeMany ${list.length}`)
      return shim.writeMany(socket, list, first, start)
    },
  }
  return onOwnDriver(
    function* () {
      const server = yield* startServer(
        function* (reader, writer) {
          const [count = 0, size = 0] = (yield* reader.readTextLine())!.split(' ').map(Number)
          calls.length = 0
          for (let i = 0; i < count; i++) writer.write(Buffer.alloc(size, i))
        },
        { host: HOST, port: 0 },
      )
      for (const [count, size, expected] of [
        [1, 10, ['write 10']],
        [500, 10, ['write 5000']],
        [2, 10_000, ['writeMany 2']],
        [15, 4_000, ['writeMany 15']],
        // As soon as it is much.
        [20, 10_000, ['writeMany 7', 'writeMany 7', 'writeMany 6']],
      ] as const) {
        const { reader, writer } = yield* openConnection({ host: HOST, port: server.port })
        yield* writer.send(`${count} ${size}\n`)
        const got = (yield* reader.read())!
        assert.deepEqual(calls, expected)
        assert.equal(got.length, count * size)
        for (let i = 0; i < count; i++) assert.equal(got[i * size], i % 256)
        writer.close()
      }
      yield* server.shutdown()
    },
    { calls: counting },
  )
})

test(
  'a reset while we write: what the peer has said before is read first, then the loss is told',
  { skip },
  () => {
    const reports: ExceptionContext[] = []
    return onOwnDriver(
      function* () {
        const heard: unknown[] = []
        let raw = -1
        const server = yield* startServer(
          function* (reader, writer) {
            heard.push(yield* reader.readTextLine())
            say(raw, 'last words\nand ha')
            shim.reset(raw)
            writer.write('an answer')
            heard.push(yield* reader.readTextLine())
            const error = yield* thrownBy(reader.readTextLine())
            assert.ok(error instanceof ConnectionLostError)
            heard.push(/^(EPIPE|ECONNRESET)$/.test(error.systemCode!))
            heard.push((yield* thrownBy(writer.drain())) instanceof ConnectionLostError)
          },
          { host: HOST, port: 0 },
        )
        raw = rawTo(server.port)
        say(raw, 'hello\n')
        yield* untilTrue(() => server.connections.length === 0 && heard.length > 0)
        assert.deepEqual(heard, ['hello', 'last words', true, true])
        yield* server.shutdown()
      },
      { reports },
    )
  },
)

test('EPIPE: whoever drains is told, and the process has no SIGPIPE', { skip }, () => {
  let broken = false
  const calls: Partial<Shim> = {
    write: (socket, memory, start, length) => (broken ? -EPIPE : shim.write(socket, memory, start, length)),
  }
  const reports: ExceptionContext[] = []
  return onOwnDriver(
    function* () {
      const server = yield* startServer(echo, { host: HOST, port: 0 })
      const { writer } = yield* openConnection({ host: HOST, port: server.port })
      broken = true
      writer.write('x\n')
      yield* untilTrue(() => writer.closing)
      const error = yield* thrownBy(writer.drain())
      assert.ok(error instanceof ConnectionLostError)
      assert.equal(error.systemCode, 'EPIPE')
      yield* server.shutdown()
    },
    { calls, reports },
  )
})

// -------------------------------------------------------------------- no descriptor left

test(
  'EMFILE for a socket of our own: connecting and listening fail, and go on working later',
  { skip },
  () => {
    let spent = false
    const calls: Partial<Shim> = {
      connectTcp: (...args) => (spent ? -EMFILE : shim.connectTcp(...args)),
      listenTcp: (...args) => (spent ? -EMFILE : shim.listenTcp(...args)),
    }
    return onOwnDriver(
      function* () {
        const server = yield* startServer(echo, { host: HOST, port: 0 })
        const where = { host: HOST, port: server.port }
        spent = true
        const refused = yield* thrownBy(openConnection(where))
        assert.ok(refused instanceof ConnectError)
        assert.equal(refused.systemCode, 'EMFILE')
        const unheard = yield* thrownBy(startServer(echo, { host: HOST, port: 0 }))
        assert.ok(unheard instanceof ListenError)
        assert.equal(unheard.systemCode, 'EMFILE')
        spent = false
        const { reader, writer } = yield* openConnection(where)
        yield* writer.send('hello\n')
        assert.equal(yield* reader.readTextLine(), 'hello')
        writer.close()
        yield* server.shutdown()
      },
      { calls },
    )
  },
)

test('a peer that has ended before it is accepted is served what it sent, or passed over', { skip }, () => {
  const reports: ExceptionContext[] = []
  return onOwnDriver(
    function* () {
      const lines: string[] = []
      const server = yield* startServer(
        function* (reader) {
          lines.push((yield* reader.readTextLine()) ?? 'nothing')
        },
        { host: HOST, port: 0 },
      )
      const gone = rawTo(server.port)
      const ended = rawTo(server.port)
      const silent = rawTo(server.port)
      shim.reset(gone)
      say(ended, 'said and gone\n')
      shim.close(ended)
      shim.close(silent)
      yield* untilTrue(() => lines.length >= 2)
      yield* untilTrue(() => server.connections.length === 0)
      assert.deepEqual(lines.slice(-2).sort(), ['nothing', 'said and gone'])
      // The one that was reset may have been accepted before.
      for (const { fromOutside } of reports) assert.equal(fromOutside, true)
      yield* server.shutdown()
    },
    { reports },
  )
})
