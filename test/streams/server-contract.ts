/** What every kind of server promises: S133 to S136, for one kind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ClosedError,
  ContextVar,
  createTask,
  InvalidStateError,
  sleep,
  sleepForever,
  startServer,
  type Connection,
  type ExceptionContext,
  type Server,
  type StreamReader,
  type StreamWriter,
} from 'cede'
import { createConnection, createServer } from 'cede/lowlevel'
import { thrownBy, thrownOf } from '../support/thrown-by.ts'
import { connectTo, MUCH, placeOf, Recorder, settle, untilTrue, withServer, type Kind } from './kinds.ts'

function* echo(reader: StreamReader, writer: StreamWriter) {
  for (let line = yield* reader.readLine(); line !== null; line = yield* reader.readLine()) {
    yield* writer.send(line)
  }
}

function* hold() {
  yield* sleepForever()
}

/** Connects, and waits until the server has the connection and its handler has begun. */
function* served(server: Server) {
  const before = new Set(server.connections)
  const connection = yield* connectTo(server)
  yield* untilTrue(
    () =>
      server.connections.some((one) => !before.has(one)) &&
      server.connections.every(({ task }) => task !== null && task.status !== 'ready'),
  )
  return connection
}

function* answers({ reader, writer }: Connection) {
  yield* writer.send('still there?\n')
  assert.equal((yield* reader.readLine())?.toString(), 'still there?\n')
}

export function serverContract(kind: Kind): void {
  const { name, skip } = kind
  const options = { skip }

  // ------------------------------------------------------------------ S133

  test(`S133: close refuses new clients at once and leaves old ones (${name})`, options, () =>
    kind.run(() =>
      withServer(kind, echo, function* (server) {
        const client = yield* served(server)
        const { address } = server
        server.close()
        server.close()
        assert.equal(server.isServing(), false)
        assert.deepEqual(server.address, address)
        assert.match(String(yield* thrownBy(connectTo(server))), /^ConnectError: /)
        yield* answers(client)
        client.writer.close()
        yield* server.waitClosed()
        assert.equal(server.connections.length, 0)
      }),
    ),
  )

  test(
    `S133: waitClosed ends when it is closed and the last client is gone, in either order, and at once later (${name})`,
    options,
    () =>
      kind.run(function* () {
        for (const closesFirst of [true, false]) {
          yield* withServer(kind, echo, function* (server) {
            const client = yield* served(server)
            const waiting = [createTask(server.waitClosed()), createTask(server.waitClosed())]
            const end = function* () {
              client.writer.close()
              yield* untilTrue(() => server.connections.length === 0)
            }
            if (closesFirst) server.close()
            else yield* end()
            yield* settle()
            assert.deepEqual(
              waiting.map((task) => task.done()),
              [false, false],
            )
            if (closesFirst) yield* end()
            else server.close()
            for (const task of waiting) yield* task
            yield* server.waitClosed()
          })
        }
      }),
  )

  test(
    `S133: waitClosed of a server without clients; a cancelled waitClosed changes nothing (${name})`,
    options,
    () =>
      kind.run(function* () {
        const server = yield* startServer(echo, kind.place())
        const task = createTask(server.waitClosed())
        yield* sleep(0)
        assert.match(task.waitsFor()!.what, /^the server on .+ to be closed$/)
        task.cancel()
        yield* task.join()
        assert.equal(server.isServing(), true)
        server.close()
        yield* server.waitClosed()
      }),
  )

  test(
    `S133: a connection is there until its handler has ended and its socket is gone (${name})`,
    options,
    () =>
      kind.run(() =>
        withServer(
          kind,
          function* (reader) {
            yield* reader.read()
            yield* sleep(3)
          },
          function* (server) {
            const client = yield* served(server)
            assert.equal(server.connections[0]!.task!.status, 'waiting')
            assert.match(server.connections[0]!.name, /^conn-1 /)
            client.writer.close()
            server.close()
            yield* server.waitClosed()
            assert.equal(server.connections.length, 0)
          },
        ),
      ),
  )

  // ------------------------------------------------------------------ S134

  test(`S134: closeClients closes politely: what is buffered is sent (${name})`, options, () =>
    kind.run(() =>
      withServer(
        kind,
        function* (_reader, writer) {
          writer.write(MUCH)
          yield* sleepForever()
        },
        function* (server) {
          const { reader, writer } = yield* served(server)
          server.closeClients()
          assert.equal((yield* reader.read())?.length, MUCH.length)
          writer.close()
          assert.equal(server.isServing(), true)
          server.connections[0]!.task!.cancel()
          yield* untilTrue(() => server.connections.length === 0)
        },
      ),
    ),
  )

  test(
    `S134: abortClients works with unsent data and a peer that does not read (${name})`,
    options,
    async () => {
      const reports: ExceptionContext[] = []
      await kind.run(
        () =>
          withServer(
            kind,
            function* (_reader, writer) {
              yield* writer.send(MUCH)
            },
            function* (server) {
              const clients = [yield* served(server), yield* served(server)]
              yield* settle()
              assert.deepEqual(
                server.connections.map(({ task }) => task!.status),
                ['waiting', 'waiting'],
              )
              server.close()
              server.closeClients()
              yield* settle()
              assert.equal(server.connections.length, 2)
              server.abortClients()
              yield* server.waitClosed()
              for (const { writer } of clients) writer.abort()
            },
          ),
        { reports },
      )
      assert.equal(reports.length, 2)
      for (const { error } of reports)
        assert.ok(error instanceof ClosedError, 'what the drains of the handlers met')
    },
  )

  // ------------------------------------------------------------------ S135

  test(
    `S135: cancelling serveForever closes the server and its clients, waits for the handlers, then unwinds (${name})`,
    options,
    () =>
      kind.run(function* () {
        const diary: string[] = []
        const server = yield* startServer(function* () {
          try {
            yield* sleepForever()
          } finally {
            yield* sleep(2)
            diary.push('handler ended')
          }
        }, kind.place())
        const serving = createTask(
          (function* () {
            try {
              yield* server.serveForever()
            } finally {
              diary.push('unwound')
            }
          })(),
        )
        const { reader, writer } = yield* served(server)
        serving.cancel()
        assert.equal((yield* serving.join()).status, 'cancelled')
        assert.deepEqual(diary, ['handler ended', 'unwound'])
        assert.equal(server.isServing(), false)
        assert.equal(server.connections.length, 0)
        assert.equal(yield* reader.read(), null)
        writer.close()
        yield* server.waitClosed()
      }),
  )

  test(
    `S135: a second serveForever and one of a closed server are errors; close ends the first (${name})`,
    options,
    () =>
      kind.run(function* () {
        const server = yield* startServer(echo, kind.place())
        const serving = createTask(server.serveForever())
        const { writer } = yield* served(server)
        const second = yield* thrownOf(InvalidStateError, server.serveForever())
        assert.match(second.message, /found one that is served already$/)
        server.close()
        yield* settle()
        assert.equal(serving.done(), false, 'a client is left')
        writer.close()
        yield* serving
        const closed = yield* thrownOf(InvalidStateError, server.serveForever())
        assert.match(closed.message, /found one that is closed$/)
      }),
  )

  test(
    `S135: after a cancelled serveForever nobody is left, also with a peer that does not read (${name})`,
    options,
    () =>
      kind.run(function* () {
        const server = yield* startServer(function* (_reader, writer) {
          writer.write(MUCH)
          yield* sleepForever()
        }, kind.place())
        const serving = createTask(server.serveForever())
        const { writer } = yield* served(server)
        yield* settle()
        serving.cancel()
        yield* serving.join()
        assert.equal(server.connections.length, 0)
        writer.abort()
      }),
  )

  // ------------------------------------------------------------------ S136

  test(
    `S136: each handler runs in a copy of its own of the context in which the server was started (${name})`,
    options,
    () =>
      kind.run(function* () {
        const who = new ContextVar<string>('who')
        who.set('starter')
        const seen: string[] = []
        const server = yield* startServer(function* (reader) {
          const line = (yield* reader.readTextLine())!
          seen.push(who.get('nobody'))
          who.set(line)
          yield* sleep(0)
          seen.push(who.get('nobody'))
        }, kind.place())
        who.set('client')
        for (const line of ['first', 'second']) {
          const { reader, writer } = yield* connectTo(server)
          yield* writer.send(`${line}\n`)
          assert.equal(yield* reader.read(), null)
          writer.close()
        }
        assert.deepEqual(seen, ['starter', 'first', 'starter', 'second'])
        assert.equal(who.get(), 'client')
        yield* server.shutdown()
      }),
  )

  test(`S136: so does each protocol (${name})`, options, () =>
    kind.run(function* () {
      const who = new ContextVar<string>('who')
      who.set('starter')
      const seen: string[] = []
      const server = yield* createServer(
        () =>
          new Recorder({
            made: () => {
              seen.push(who.get('nobody'))
              who.set(`changed ${seen.length}`)
            },
            data: () => void seen.push(who.get('nobody')),
            eof: () => false,
          }),
        kind.place(),
      )
      for (let i = 0; i < 2; i++) {
        const recorder = new Recorder()
        const { transport } = yield* createConnection(() => recorder, placeOf(server.address))
        transport.write(Buffer.from('x'))
        transport.writeEof()
        yield* untilTrue(() => recorder.lost)
      }
      assert.deepEqual(seen, ['starter', 'changed 1', 'starter', 'changed 3'])
      server.close()
      yield* server.waitClosed()
    }),
  )

  // ------------------------------------------------------------------ shutdown, limits

  test(`shutdown lets connections finish within the grace, then cancels, then cuts (${name})`, options, () =>
    kind.run(function* () {
      const ends: string[] = []
      let heard = 0
      const server = yield* startServer(function* (reader, writer) {
        const line = yield* reader.readTextLine()
        heard++
        try {
          if (line !== 'quick') yield* sleepForever()
          while (server.isServing()) yield* sleep(1)
          ends.push('finished')
        } finally {
          if (line !== 'quick') {
            ends.push('cancelled')
            writer.write(line === 'polite' ? 'bye\n' : MUCH)
          }
        }
      }, kind.place())
      const clients: Connection[] = []
      for (let i = 0; i < 3; i++) clients.push(yield* served(server))
      for (const [i, line] of ['quick', 'polite', 'deaf'].entries())
        yield* clients[i]!.writer.send(`${line}\n`)
      yield* untilTrue(() => heard === 3)
      yield* server.shutdown({ graceMs: 50 })
      assert.deepEqual(ends.sort(), ['cancelled', 'cancelled', 'finished'])
      assert.equal((yield* clients[1]!.reader.readLine())?.toString(), 'bye\n')
      assert.equal(server.isServing(), false)
      for (const { writer } of clients) writer.abort()
    }),
  )

  test(`a cancelled shutdown still ends the server (${name})`, options, () =>
    kind.run(function* () {
      const server = yield* startServer(hold, kind.place())
      const { writer } = yield* served(server)
      const task = createTask(server.shutdown({ graceMs: 60_000 }))
      yield* settle()
      assert.equal(task.done(), false)
      task.cancel()
      assert.equal((yield* task.join()).status, 'cancelled')
      assert.equal(server.connections.length, 0)
      yield* server.waitClosed()
      writer.abort()
    }),
  )

  test(`shutdown twice at once, and again when all is over (${name})`, options, () =>
    kind.run(function* () {
      const server = yield* startServer(hold, kind.place())
      const { writer } = yield* served(server)
      const slow = createTask(server.shutdown({ graceMs: 60_000 }))
      yield* sleep(0)
      yield* server.shutdown({ graceMs: 0 })
      yield* slow
      yield* server.shutdown()
      writer.abort()
    }),
  )

  test(`shutdown of a server of protocols closes them (${name})`, options, () =>
    kind.run(function* () {
      const served = new Recorder({ made: (transport) => transport.write(Buffer.from('last words')) })
      const server = yield* createServer(() => served, kind.place())
      const client = new Recorder({ eof: () => false })
      yield* createConnection(() => client, placeOf(server.address))
      yield* untilTrue(() => server.protocols.length === 1)
      assert.equal(server.protocols[0], served)
      assert.equal(server.transports[0]!.protocol, served)
      yield* server.shutdown({ graceMs: 0 })
      yield* untilTrue(() => client.lost)
      assert.equal(client.received.toString(), 'last words')
      assert.equal(served.error, null)
      assert.equal(server.protocols.length, 0)
    }),
  )

  test(`above maxConnections connections are refused and counted (${name})`, options, () =>
    kind.run(() =>
      withServer(
        kind,
        echo,
        function* (server) {
          const first = yield* served(server)
          const refused = yield* thrownBy(
            (function* () {
              const { reader } = yield* connectTo(server)
              if ((yield* reader.read()) === null) throw new Error('closed')
            })(),
          )
          assert.match(String(refused), /ConnectionLostError|ConnectError|closed/)
          assert.equal(server.refused, 1)
          yield* answers(first)
          server.maxConnections = 2
          yield* answers(yield* served(server))
        },
        { maxConnections: 1 },
      ),
    ),
  )

  test(`servers of several places at once: all are closed together (${name})`, options, () =>
    kind.run(function* () {
      const server = yield* startServer(echo, [kind.place(), kind.place()])
      assert.equal(server.addresses.length, 2)
      for (const address of server.addresses) {
        const client = yield* connectTo({ address })
        yield* answers(client)
        client.writer.close()
      }
      yield* server.shutdown()
      for (const address of server.addresses) {
        assert.match(String(yield* thrownBy(connectTo({ address }))), /^ConnectError/)
      }
    }),
  )

  test(`of several places, one that is taken: nothing is left of the others (${name})`, options, () =>
    kind.run(() =>
      withServer(kind, echo, function* (taken) {
        const other = kind.place()
        const error = yield* thrownBy(startServer(echo, [other, placeOf(taken.address)]))
        assert.match(String(error), /^ListenError: listen on .+: expected .+ \(EADDRINUSE\)$/)
        const again = yield* startServer(echo, other)
        yield* again.shutdown()
        yield* answers(yield* served(taken))
      }),
    ),
  )

  test(`100 clients at once (${name})`, options, () =>
    kind.run(() =>
      withServer(kind, echo, function* (server) {
        const clients = Array.from({ length: 100 }, () => createTask(connectTo(server)))
        for (const client of clients) yield* answers(yield* client)
        assert.equal(server.connections.length, 100)
        for (const client of clients) client.result().writer.close()
        yield* untilTrue(() => server.connections.length === 0)
      }),
    ),
  )
}
