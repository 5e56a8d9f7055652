/** Servers that are stopped by their own handlers: nobody waits for himself, and the others are waited for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  cancelAndWait,
  createTask,
  gather,
  getRunningLoop,
  openConnection,
  sleep,
  sleepForever,
  startServer,
  taskGroup,
  timeoutOr,
  type Coroutine,
  type Operation,
  type Server,
  type StreamReader,
  type StreamWriter,
} from 'cede'
import { createServer, Protocol, type Transport } from 'cede/lowlevel'
import { HOST, online } from './online.ts'

const anyPort = { host: HOST, port: 0 } as const

/** Longer than any test: whoever waits for it waits for ever. */
const LONG_MS = 600_000

function* untilTrue(condition: () => boolean) {
  while (!condition()) yield* sleep(1)
}

/** Does what each line says; `do` waits for the end of a server. Other lines are echoed. */
function commands(how: Readonly<Record<string, () => Operation<unknown>>>) {
  return function* (reader: StreamReader, writer: StreamWriter) {
    for (let line; (line = yield* reader.readTextLine()) !== null;) {
      const act = how[line]
      if (act === undefined) {
        yield* writer.send(`${line}\n`)
        continue
      }
      try {
        yield* act()
        yield* writer.send(`done: ${line}\n`)
        return
      } finally {
        writer.write('bye\n')
      }
    }
  }
}

class Client {
  readonly #reader: StreamReader
  readonly #writer: StreamWriter

  constructor({ reader, writer }: { reader: StreamReader; writer: StreamWriter }) {
    this.#reader = reader
    this.#writer = writer
  }

  *say(line: string): Coroutine<void> {
    yield* this.#writer.send(`${line}\n`)
  }

  /** Sends a line and waits for its echo: the handler has begun. */
  *meet(): Coroutine<void> {
    yield* this.say('hello')
    assert.equal(yield* this.#reader.readTextLine(), 'hello')
  }

  *rest(): Coroutine<string> {
    const text = yield* this.#reader.readText()
    this.#writer.close()
    return text ?? ''
  }
}

function* clientOf(server: { readonly port: number }): Coroutine<Client> {
  return new Client(yield* openConnection({ host: HOST, port: server.port }))
}

const ENDINGS: Readonly<Record<string, (server: Server) => Operation<unknown>>> = {
  'shutdown()': (server) => server.shutdown({ graceMs: LONG_MS }),
  'shutdown({ graceMs: 0 })': (server) => server.shutdown({ graceMs: 0 }),
  'close() and waitClosed()': function* (server) {
    server.close()
    yield* server.waitClosed()
  },
  'shutdown() in a task group': (server) =>
    taskGroup(function* (group) {
      group.createTask(
        (function* () {
          yield* createTask(server.shutdown({ graceMs: LONG_MS }))
        })(),
      )
      yield* sleep(0)
    }),
  'shutdown() in a callback of the loop': function* (server) {
    let stopping: Operation<void> | null = null
    getRunningLoop().callSoon(() => {
      stopping = createTask(server.shutdown({ graceMs: LONG_MS }))
    })
    yield* untilTrue(() => stopping !== null)
    yield* stopping!
  },
}

for (const [name, end] of Object.entries(ENDINGS)) {
  test(`a handler that calls ${name} of its own server goes on, and serveForever ends with it`, () =>
    online(function* () {
      const server: Server = yield* startServer(commands({ stop: () => end(server) }), anyPort)
      const client = yield* clientOf(server)
      yield* client.say('stop')
      yield* server.serveForever()
      assert.equal(yield* client.rest(), 'done: stop\nbye\n')
      assert.deepEqual(server.connections, [])
    }))
}

test('the others are waited for, and cancelled after the grace; the one that calls is not', () =>
  online(function* () {
    const server: Server = yield* startServer(
      commands({ stop: () => server.shutdown({ graceMs: 20 }), idle: sleepForever }),
      anyPort,
    )
    const idle = yield* clientOf(server)
    yield* idle.meet()
    yield* idle.say('idle')
    const admin = yield* clientOf(server)
    const startedMs = getRunningLoop().time()
    yield* admin.say('stop')
    yield* server.waitClosed()
    assert.ok(getRunningLoop().time() - startedMs >= 20)
    assert.equal(yield* idle.rest(), 'bye\n')
    assert.equal(yield* admin.rest(), 'done: stop\nbye\n')
  }))

test('main still waits for the handler that has stopped the server', () =>
  online(function* () {
    const order: string[] = []
    const server: Server = yield* startServer(function* (reader, writer) {
      yield* reader.readLine()
      yield* server.shutdown()
      order.push('shutdown has returned')
      yield* sleep(5)
      order.push('the handler returns')
      yield* writer.send('stopped\n')
    }, anyPort)
    const client = yield* clientOf(server)
    yield* client.say('stop')
    yield* server.serveForever()
    order.push('serveForever has returned')
    assert.deepEqual(order, ['shutdown has returned', 'the handler returns', 'serveForever has returned'])
    assert.equal(yield* client.rest(), 'stopped\n')
  }))

for (const graceMs of [0, LONG_MS]) {
  test(`handlers that stop their server at the same moment do not wait for each other (graceMs ${graceMs})`, () =>
    online(function* () {
      let ready = 0
      const server: Server = yield* startServer(
        commands({
          *stop() {
            ready++
            yield* untilTrue(() => ready === 3)
            yield* server.shutdown({ graceMs })
          },
        }),
        anyPort,
      )
      const clients = yield* gather([1, 2, 3].map(() => clientOf(server)))
      for (const client of clients) yield* client.say('stop')
      yield* server.serveForever()
      const heard = yield* gather(clients.map((client) => client.rest()))
      // The first one that wants no grace cuts those that have not called yet.
      const cut = graceMs === 0 ? 'bye\n' : 'done: stop\nbye\n'
      assert.deepEqual(heard.sort(), [cut, cut, 'done: stop\nbye\n'].sort())
    }))
}

test('handlers that stop their server at the same moment have their say when the others were cancelled', () =>
  online(function* () {
    let ready = 0
    const server: Server = yield* startServer(
      commands({
        *stop() {
          ready++
          yield* untilTrue(() => ready === 3)
          yield* server.shutdown({ graceMs: 10 })
          yield* sleep(5)
        },
        idle: sleepForever,
      }),
      anyPort,
    )
    const idle = yield* clientOf(server)
    yield* idle.meet()
    yield* idle.say('idle')
    const clients = yield* gather([1, 2, 3].map(() => clientOf(server)))
    for (const client of clients) yield* client.say('stop')
    yield* server.serveForever()
    assert.equal(yield* idle.rest(), 'bye\n')
    for (const client of clients) assert.equal(yield* client.rest(), 'done: stop\nbye\n')
  }))

test('one that waits for the end and gives up is ended like the others', () =>
  online(function* () {
    let stopping = false
    const server: Server = yield* startServer(
      commands({
        *stop() {
          stopping = true
          yield* server.shutdown({ graceMs: 0 })
        },
        *wait() {
          assert.equal(yield* timeoutOr(20, server.waitClosed(), 'gave up'), 'gave up')
          yield* sleepForever()
        },
        *slow() {
          try {
            yield* sleepForever()
          } finally {
            yield* untilTrue(() => server.connections.length === 2)
          }
        },
      }),
      anyPort,
    )
    const [waits, slow, stops] = yield* gather([1, 2, 3].map(() => clientOf(server)))
    yield* slow!.meet()
    yield* slow!.say('slow')
    yield* waits!.meet()
    yield* waits!.say('wait')
    yield* sleep(1)
    yield* stops!.say('stop')
    yield* untilTrue(() => stopping)
    yield* server.waitClosed()
    assert.equal(yield* waits!.rest(), 'bye\n')
    assert.equal(yield* slow!.rest(), 'bye\n')
    assert.equal(yield* stops!.rest(), 'done: stop\nbye\n')
  }))

test('handlers of two servers that each stop both do not wait for each other', () =>
  online(function* () {
    let ready = 0
    const servers: Server[] = []
    const stop = function* () {
      ready++
      yield* untilTrue(() => ready === 2)
      for (const server of servers) yield* server.shutdown({ graceMs: LONG_MS })
    }
    for (let i = 0; i < 2; i++) servers.push(yield* startServer(commands({ stop }), anyPort))
    const clients = yield* gather(servers.map(clientOf))
    for (const client of clients) yield* client.say('stop')
    yield* gather(servers.map((server) => server.serveForever()))
    for (const client of clients) assert.equal(yield* client.rest(), 'done: stop\nbye\n')
  }))

test('handlers that each stop the server of the other, at once, do not wait for each other', () =>
  online(function* () {
    let ready = 0
    const servers: Server[] = []
    const stopping = (which: number) =>
      commands({
        *stop() {
          ready++
          yield* untilTrue(() => ready === 2)
          yield* servers[which]!.shutdown({ graceMs: LONG_MS })
        },
      })
    servers.push(yield* startServer(stopping(1), anyPort), yield* startServer(stopping(0), anyPort))
    const clients = yield* gather(servers.map(clientOf))
    for (const client of clients) yield* client.say('stop')
    yield* gather(servers.map((server) => server.waitClosed()))
    for (const client of clients) assert.equal(yield* client.rest(), 'done: stop\nbye\n')
  }))

test('a handler waits for the connections of another server as anybody does', () =>
  online(function* () {
    const other = yield* startServer(commands({ idle: sleepForever }), anyPort)
    const server = yield* startServer(commands({ stop: () => other.shutdown({ graceMs: 10 }) }), anyPort)
    const idle = yield* clientOf(other)
    yield* idle.meet()
    yield* idle.say('idle')
    const client = yield* clientOf(server)
    yield* client.say('stop')
    assert.equal(yield* client.rest(), 'done: stop\nbye\n')
    assert.deepEqual(other.connections, [])
    assert.equal(yield* idle.rest(), 'bye\n')
    assert.equal(server.isServing(), true)
    yield* server.shutdown()
  }))

test('a server that a handler has started: its handlers stop it, and the one around it', () =>
  online(function* () {
    let inner: Server | null = null
    const outer: Server = yield* startServer(
      commands({
        *nest() {
          inner = yield* startServer(
            commands({
              *stop() {
                yield* outer.shutdown({ graceMs: 0 })
                yield* inner!.shutdown({ graceMs: 0 })
              },
            }),
            anyPort,
          )
          yield* inner.serveForever()
        },
        idle: sleepForever,
      }),
      anyPort,
    )
    const [idle, nests] = yield* gather([clientOf(outer), clientOf(outer)])
    yield* idle.meet()
    yield* idle.say('idle')
    yield* nests.say('nest')
    yield* untilTrue(() => inner !== null)
    const stops = yield* clientOf(inner!)
    yield* stops.say('stop')
    yield* outer.serveForever()
    assert.equal(yield* idle.rest(), 'bye\n')
    assert.equal(yield* stops.rest(), 'done: stop\nbye\n')
    assert.equal(yield* nests.rest(), 'done: nest\nbye\n')
  }))

test('serveForever, cancelled, cuts also a handler that waits for the end', () =>
  online(function* () {
    const server: Server = yield* startServer(
      commands({ stop: () => server.shutdown({ graceMs: LONG_MS }), idle: sleepForever }),
      anyPort,
    )
    const [idle, admin] = yield* gather([clientOf(server), clientOf(server)])
    const serving = createTask(server.serveForever())
    yield* idle.meet()
    yield* idle.say('idle')
    yield* admin.say('stop')
    yield* untilTrue(() => !server.isServing())
    yield* cancelAndWait(serving)
    assert.equal(yield* idle.rest(), 'bye\n')
    assert.equal(yield* admin.rest(), 'bye\n')
  }))

test('what a handler has left behind waits for all, once its connection has ended', () =>
  online(function* () {
    let stopping: Operation<void> | null = null
    const server: Server = yield* startServer(
      commands({
        *leave() {
          stopping = createTask(
            (function* () {
              yield* untilTrue(() => server.connections.length === 1)
              yield* server.shutdown({ graceMs: 10 })
            })(),
          )
          yield* sleep(0)
        },
        idle: sleepForever,
      }),
      anyPort,
    )
    const [idle, leaves] = yield* gather([clientOf(server), clientOf(server)])
    yield* idle.meet()
    yield* idle.say('idle')
    yield* leaves.say('leave')
    assert.equal(yield* leaves.rest(), 'done: leave\nbye\n')
    yield* untilTrue(() => stopping !== null)
    yield* stopping!
    assert.equal(yield* idle.rest(), 'bye\n')
    assert.deepEqual(server.connections, [])
  }))

test('a server of callbacks has no handlers: its connections are closed, also that of whoever stops it', () =>
  online(function* () {
    class Stops extends Protocol {
      override dataReceived() {
        this.#transport!.write(Buffer.from('stopping\n'))
        createTask(server.shutdown({ graceMs: 0 }))
      }
      override connectionMade(transport: Transport) {
        this.#transport = transport
      }
      #transport: Transport | null = null
    }
    const server = yield* createServer(() => new Stops(), anyPort)
    const client = yield* clientOf(server)
    yield* client.say('stop')
    yield* server.serveForever()
    assert.equal(yield* client.rest(), 'stopping\n')
  }))
