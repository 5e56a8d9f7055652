import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  ClosedError,
  ConnectError,
  ConnectionLostError,
  createTask,
  DeadlockError,
  ListenError,
  memoryStreamPair,
  openConnection,
  run,
  sleep,
  sleepForever,
  startServer,
  timeoutOr,
  type Connection,
  type ConnectionHandler,
  type Operation,
  type StreamReader,
  type StreamWriter,
  type Suspension,
} from 'cede'
import { createConnection, createServer, Protocol, SimDriver } from 'cede/lowlevel'
import { simulate, type Sim, type SimOptions } from '../../../../test/support/sim.ts'

function* echo(reader: StreamReader, writer: StreamWriter): Generator<Suspension, void> {
  for (;;) {
    const bytes = yield* reader.read(65_536)
    if (bytes === null) return
    yield* writer.send(bytes)
  }
}

/** Says something, and gives back what comes of it. */
function* ask({ reader, writer }: Connection, text: string): Generator<Suspension, string | undefined> {
  writer.write(text)
  writer.writeEof()
  const answer = yield* reader.read()
  writer.close()
  return answer?.toString()
}

function* code(operation: Operation<unknown>): Generator<Suspension, string | undefined> {
  try {
    yield* operation
  } catch (error) {
    if (
      error instanceof ConnectError ||
      error instanceof ListenError ||
      error instanceof ConnectionLostError
    ) {
      return error.systemCode
    }
    throw error
  }
  return undefined
}

suite('places on the sim driver', () => {
  test('a host and a port: the server takes a free one, and both ends know each other', () =>
    simulate(function* () {
      let seen: unknown
      const handler: ConnectionHandler = function* (reader, writer) {
        seen = [writer.localAddress, writer.remoteAddress]
        yield* echo(reader, writer)
      }
      const server = yield* startServer(handler, { host: '127.0.0.1', port: 0 })
      assert.ok(server.port > 0)
      const connection = yield* openConnection({ host: '127.0.0.1', port: server.port })
      const { localAddress, remoteAddress } = connection.writer
      assert.deepEqual(remoteAddress, { host: '127.0.0.1', port: server.port })
      assert.equal(localAddress.host, '127.0.0.1')
      assert.notEqual(localAddress.port, server.port)
      assert.equal(yield* ask(connection, 'hello'), 'hello')
      assert.deepEqual(seen, [remoteAddress, localAddress])
      yield* server.shutdown()
    }))

  for (const [listens, connects] of [
    ['localhost', '127.0.0.1'],
    ['127.0.0.1', '::1'],
    [undefined, 'localhost'],
    [undefined, 'database.example'],
    ['database.example', 'database.example'],
  ] as const) {
    test(`who connects to ${connects} reaches who listens on ${listens ?? 'every host'}`, () =>
      simulate(function* () {
        const server = yield* startServer(echo, {
          ...(listens === undefined ? {} : { host: listens }),
          port: 80,
        })
        assert.equal(yield* ask(yield* openConnection({ host: connects, port: 80 }), 'hello'), 'hello')
        yield* server.shutdown()
      }))
  }

  test('other hosts have other ports; each has an address of both kinds', () =>
    simulate(function* () {
      const name: (text: string) => ConnectionHandler = (text) =>
        function* (_reader, writer) {
          yield* writer.send(text)
        }
      const servers = [
        yield* startServer(name('one'), { host: 'one.example', port: 80 }),
        yield* startServer(name('two'), { host: 'two.example', port: 80 }),
      ]
      for (const family of [4, 6] as const) {
        for (const host of ['one', 'two']) {
          // A server listens on the kind of address that it asked for; a host is one machine.
          const connection = yield* openConnection({ host: `${host}.example`, port: 80, family })
          assert.equal(yield* ask(connection, ''), host)
        }
      }
      assert.equal(yield* code(openConnection({ host: 'three.example', port: 80 })), 'ECONNREFUSED')
      for (const server of servers) yield* server.shutdown()
    }))

  test('a path, with the errors of files', () =>
    simulate(function* () {
      assert.equal(yield* code(openConnection({ path: '/run/x' })), 'ENOENT')
      const server = yield* startServer(echo, { path: '/run/x' })
      assert.equal(yield* code(startServer(echo, { path: '/run/x' })), 'EADDRINUSE')
      const connection = yield* openConnection({ path: '/run/x' })
      assert.equal(connection.writer.remoteAddress.path, '/run/x')
      assert.equal(yield* ask(connection, 'hello'), 'hello')
      yield* server.shutdown()
      assert.equal(yield* code(openConnection({ path: '/run/x' })), 'ENOENT')
      const leaves = yield* startServer(echo, { path: '/run/x', removeFile: false })
      yield* leaves.shutdown()
      assert.equal(yield* code(openConnection({ path: '/run/x' })), 'ECONNREFUSED')
      yield* (yield* startServer(echo, { path: '/run/x' })).shutdown()
    }))

  test('a port in use is told, and is free again when the server has closed', () =>
    simulate(function* () {
      const server = yield* startServer(echo, { host: '127.0.0.1', port: 80 })
      assert.equal(yield* code(startServer(echo, { host: 'localhost', port: 80 })), 'EADDRINUSE')
      assert.equal(yield* code(startServer(echo, { port: 80 })), 'EADDRINUSE')
      assert.equal(yield* code(startServer(echo, 'memory://80')), undefined)
      server.close()
      yield* (yield* startServer(echo, { port: 80 })).shutdown()
      assert.equal(yield* code(openConnection({ host: '127.0.0.1', port: 80 })), 'ECONNREFUSED')
    }))

  test('servers that share a port have their turns', () =>
    simulate(function* () {
      const name: (text: string) => ConnectionHandler = (text) =>
        function* (_reader, writer) {
          yield* writer.send(text)
        }
      const servers = [
        yield* startServer(name('one'), { port: 80, reusePort: true }),
        yield* startServer(name('two'), { port: 80, reusePort: true }),
      ]
      const answers: (string | undefined)[] = []
      for (let i = 0; i < 4; i++) answers.push(yield* ask(yield* openConnection({ port: 80 }), ''))
      assert.deepEqual(answers, ['one', 'two', 'one', 'two'])
      for (const server of servers) yield* server.shutdown()
    }))

  test('a name is known within its loop alone', async () => {
    await simulate(function* () {
      yield* startServer(echo, 'memory://name')
      assert.equal(yield* ask(yield* openConnection('memory://name'), 'hello'), 'hello')
      assert.equal(yield* code(openConnection('memory://other')), 'ECONNREFUSED')
    })
    await run(function* () {
      assert.equal(yield* code(openConnection('memory://name')), 'ECONNREFUSED')
    })
  })
})

suite('listening and connecting', () => {
  test('more connects than the backlog holds wait until they are accepted', () =>
    simulate(function* () {
      const server = yield* startServer(echo, { port: 80, backlog: 2 })
      const asked = Array.from({ length: 20 }, (_, i) =>
        createTask(
          (function* () {
            return yield* ask(yield* openConnection({ port: 80 }), String(i))
          })(),
        ),
      )
      for (const [i, task] of asked.entries()) assert.equal(yield* task, String(i))
      yield* server.shutdown()
    }))

  test('an attempt that is given up leaves nothing, however far it is', async () => {
    for (let ms = 0; ms < 8; ms++) {
      await simulate(
        function* () {
          const server = yield* startServer(echo, { port: 80, backlog: 1 })
          const attempts = [1, 2, 3].map(() => createTask(openConnection({ port: 80 })))
          yield* sleep(ms)
          for (const task of attempts) task.cancel()
          yield* sleep(10)
          yield* server.shutdown()
        },
        { network: { delayMs: [2, 3], seed: ms } },
      )
    }
  })

  test('closing a server refuses those that wait, and resets those that it has not accepted', () =>
    simulate(function* () {
      const transports: Recorder[] = []
      const server = yield* createServer(() => new Recorder(), { port: 80, backlog: 1 })
      const attempts = [1, 2].map(() =>
        createTask(
          createConnection(
            () => {
              const recorder = new Recorder()
              transports.push(recorder)
              return recorder
            },
            { port: 80 },
          ),
        ),
      )
      // In the pass in which the first has connected it is not accepted yet.
      while (!transports.some(({ told }) => told.length > 0)) yield* sleep(0)
      server.close()
      const codes = []
      for (const task of attempts) codes.push(yield* code(task))
      yield* sleep(1)
      assert.ok(
        codes.includes('ECONNREFUSED') || transports.some(({ told }) => told.at(-1) === 'lost ECONNRESET'),
      )
      for (const { transport } of transports) transport?.abort()
    }))

  test('a connection that is refused as soon as it was made is told to the server as reset', () =>
    simulate(function* () {
      const told: Recorder[] = []
      const server = yield* createServer(
        () => {
          told.push(new Recorder())
          return told.at(-1)!
        },
        { port: 80 },
      )
      const { transport } = yield* createConnection(() => new Recorder({ made: (one) => one.abort() }), {
        port: 80,
      })
      yield* sleep(1)
      assert.equal(transport.closing, true)
      assert.deepEqual(
        told.map(({ told: events }) => events),
        [['made', 'lost ECONNRESET']],
      )
      yield* server.shutdown()
    }))

  test('a peer that is refused with an answer can read it, whatever it has sent', () =>
    simulate(function* () {
      const full = { name: 'full', admit: () => ({ reason: 'full', answer: Buffer.from('come later\n') }) }
      const server = yield* startServer(echo, { port: 80, policies: [full] })
      const { reader, writer } = yield* openConnection({ port: 80 })
      writer.write('hello')
      yield* sleep(1)
      writer.write('hello again')
      assert.equal((yield* reader.readLine())?.toString(), 'come later\n')
      assert.equal(yield* reader.readLine(), null)
      // But not for ever.
      assert.match(String(yield* code(writeForEver(writer))), /^(EPIPE|ECONNRESET)$/)
      yield* server.shutdown()
    }))
})

function* writeForEver(writer: StreamWriter): Generator<Suspension, never> {
  for (;;) yield* writer.send(Buffer.alloc(10_000))
}

/** Writes down what it is told. */
class Recorder extends Protocol {
  readonly told: string[] = []
  readonly #made: ((transport: Recorder['transport'] & object) => void) | undefined
  transport: Parameters<Protocol['connectionMade']>[0] | null = null

  constructor({ made }: { made?: (transport: Parameters<Protocol['connectionMade']>[0]) => void } = {}) {
    super()
    this.#made = made
  }

  override connectionMade(transport: Parameters<Protocol['connectionMade']>[0]): void {
    this.transport = transport
    this.told.push('made')
    this.#made?.(transport)
  }

  override dataReceived(chunk: Buffer): void {
    this.told.push(chunk.toString())
  }

  override connectionLost(error: Error | null): void {
    this.told.push(error === null ? 'lost' : `lost ${(error as NodeJS.ErrnoException).code}`)
  }
}

suite('a stream pair', () => {
  test('carries lines both ways', () =>
    simulate(function* () {
      const [ours, theirs] = memoryStreamPair()
      const answer = createTask(
        (function* () {
          yield* echo(theirs.reader, theirs.writer)
          theirs.writer.close()
          yield* theirs.writer.waitClosed()
        })(),
      )
      assert.equal(yield* ask(ours, 'hello'), 'hello')
      yield* answer
    }))

  test('takes the sizes of streams, and refuses wrong ones and places outside of a run', async () => {
    assert.throws(() => memoryStreamPair(), ClosedError)
    await simulate(function* () {
      assert.throws(() => memoryStreamPair({ limitBytes: 0 }), RangeError)
      const [ours, theirs] = memoryStreamPair({ limitBytes: 5, highWaterBytes: 10 })
      assert.equal(theirs.reader.limitBytes, 5)
      assert.deepEqual(ours.writer.transport.writeMarks, { highWaterBytes: 10, lowWaterBytes: 2 })
      yield* sleep(0)
    })
  })

  test('what nobody closes is closed with its run', async () => {
    let writer!: StreamWriter
    await simulate(function* () {
      ;[{ writer }] = memoryStreamPair()
      writer.write(Buffer.alloc(1_000_000))
      yield* sleep(1)
    })
    assert.equal(writer.closing, true)
    assert.equal(writer.bufferedBytes, 0)
  })

  test('bytes are copied when the system takes them: not before, and not later', () =>
    simulate(function* () {
      const [ours, theirs] = memoryStreamPair()
      const bytes = Buffer.from('first')
      ours.writer.write(bytes)
      bytes.write('again')
      yield* sleep(0)
      yield* sleep(0)
      bytes.write('never')
      assert.equal((yield* theirs.reader.readExactly(5)).toString(), 'again')
    }))

  test('a peer that does not read: what it has no room for stays with the writer', () =>
    simulate(function* () {
      const [ours, theirs] = memoryStreamPair({ limitBytes: 1_000 })
      ours.writer.write(Buffer.alloc(1_000_000))
      assert.equal(yield* timeoutOr(1_000, ours.writer.drain(), 'full'), 'full')
      // The reader holds a chunk and the system as much again.
      assert.equal(ours.writer.bufferedBytes, 1_000_000 - 2 * 65_536)
      assert.equal((yield* theirs.reader.readExactly(1_000_000)).length, 1_000_000)
      yield* ours.writer.drain()
    }))

  test('closing with unread bytes resets the peer, which learns it when it writes', () =>
    simulate(function* () {
      const [ours, theirs] = memoryStreamPair({ limitBytes: 1 })
      ours.writer.write(Buffer.alloc(200_000))
      theirs.writer.write('last words')
      yield* sleep(1)
      theirs.writer.close()
      assert.match(String(yield* code(ours.writer.drain())), /^(EPIPE|ECONNRESET)$/)
      yield* theirs.writer.waitClosed()
    }))

  test('two that close and do not read are both gone', () =>
    simulate(function* () {
      const [ours, theirs] = memoryStreamPair({ limitBytes: 1 })
      for (const { writer } of [ours, theirs]) writer.write(Buffer.alloc(1_000_000))
      yield* sleep(1)
      for (const { writer } of [ours, theirs]) writer.close()
      for (const { writer } of [ours, theirs]) {
        assert.match(String(yield* code(writer.waitClosed())), /^(EPIPE|ECONNRESET)$/)
      }
    }))
})

suite('deadlocks', () => {
  function* waitsForEver(): Generator<Suspension, void> {
    const [ours] = memoryStreamPair()
    yield* ours.reader.readLine()
  }

  test('who waits for what nobody sends is told so on the sim driver', () =>
    assert.rejects(run(waitsForEver, { driver: new SimDriver() }), (error) => {
      assert.ok(error instanceof DeadlockError)
      assert.match(error.message, /memory:unnamed/)
      return true
    }))

  test('what is under way is no deadlock', () =>
    simulate(
      function* (sim) {
        const [ours, theirs] = memoryStreamPair()
        ours.writer.write('hello\n')
        yield* theirs.reader.readLine()
        assert.equal(sim.now(), 60_000)
      },
      { network: { delayMs: [60_000, 60_000] } },
    ))
})

suite('conditions of the sim driver', () => {
  /** What a client sees of a server that echoes, with times. */
  async function traceOf(network: SimOptions['network'], bytes = 1_000): Promise<readonly string[]> {
    const trace: string[] = []
    await simulate(
      function* (sim: Sim) {
        const server = yield* startServer(echo, { port: 80 })
        try {
          const { reader, writer } = yield* openConnection({ port: 80 })
          writer.write(Buffer.from(Array.from({ length: bytes }, (_, i) => i & 255)))
          writer.writeEof()
          for (let at = 0; ;) {
            const chunk = yield* reader.read(65_536)
            trace.push(`${sim.now()} ${chunk?.length ?? 'end'}`)
            if (chunk === null) break
            for (const byte of chunk) assert.equal(byte, at++ & 255)
          }
          writer.close()
        } catch (error) {
          trace.push(`${sim.now()} ${String(error)}`)
        }
        yield* server.shutdown()
      },
      // A handler may lose its connection.
      { network, reports: [] },
    )
    return trace
  }

  test('nothing is said: no time passes, nothing is cut', async () => {
    assert.deepEqual(await traceOf(undefined), ['0 1000', '0 end'])
  })

  test('pieces and delays come from the seed', async () => {
    const network = { seed: 5, delayMs: [1, 50], largestPieceBytes: 100 } as const
    const trace = await traceOf(network)
    assert.ok(trace.length > 10, trace.join())
    assert.deepEqual(await traceOf(network), trace)
    assert.notDeepEqual(await traceOf({ ...network, seed: 6 }), trace)
  })

  test('to connect takes a way there and back; so does an echo', async () => {
    assert.deepEqual(await traceOf({ delayMs: [10, 10] }), ['40 1000', '40 end'])
  })

  test('connections are refused and reset as often as it says', async () => {
    assert.match((await traceOf({ refuseChance: 1 })).join(), /^0 ConnectError: .*ECONNREFUSED/)
    assert.match((await traceOf({ resetChance: 1 })).join(), /^0 ConnectionLostError: .*ECONNRESET/)
    let reset = 0
    for (let seed = 0; seed < 100; seed++) {
      const trace = await traceOf({ seed, resetChance: 0.1 })
      if (trace.at(-1)!.includes('ECONNRESET')) reset++
    }
    // An echo is four pieces.
    assert.ok(reset > 15 && reset < 60, `${reset} of 100 were reset`)
  })

  test('wrong numbers are refused', () => {
    for (const network of [
      { delayMs: [2, 1] },
      { delayMs: [-1, 1] },
      { delayMs: [0, Infinity] },
      { largestPieceBytes: 0 },
      { bufferBytes: 1.5 },
      { resetChance: 2 },
      { refuseChance: Number.NaN },
    ] as SimOptions['network'][]) {
      assert.throws(
        () => new SimDriver({ network }),
        /^RangeError: SimDriver: network\.\w+ was expected to be/,
      )
    }
  })

  test('a server that sleeps for hours is simulated in no time', () =>
    simulate(function* (sim) {
      const server = yield* startServer(
        function* (reader, writer) {
          yield* reader.readLine()
          yield* sleep(3_600_000)
          yield* writer.send('done\n')
        },
        { port: 80 },
      )
      assert.equal(yield* ask(yield* openConnection({ port: 80 }), 'work\n'), 'done\n')
      assert.equal(sim.now(), 3_600_000)
      server.close()
      yield* timeoutOr(1, sleepForever(), undefined)
    }))
})
