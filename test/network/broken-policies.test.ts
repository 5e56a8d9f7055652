/** Policies of a program that throw: the connection is refused or ended, and told; nothing else suffers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ConnectError,
  ConnectionLostError,
  createTask,
  limitConnections,
  ListenError,
  openConnection,
  sleep,
  sleepForever,
  startServer,
  type Endpoint,
  type ExceptionContext,
  type Policy,
} from 'cede'
import { createServer, Protocol, TransportLayer, type TransportEvents } from 'cede/lowlevel'
import { simulate } from '../support/sim.ts'
import { thrownOf } from '../support/thrown-by.ts'
import { HOST } from './online.ts'

const broken = new Error('broken')

function breaks(): never {
  throw broken
}

/** A policy whose layer does something else at one place. */
function layer(methods: Partial<TransportEvents>): Policy {
  return { name: 'broken', wrap: (events) => Object.assign(new TransportLayer(events), methods) }
}

const WHERE = { host: HOST, port: 80 }

for (const [method, policy] of Object.entries<Policy>({
  admit: { name: 'broken', admit: breaks },
  wrap: { name: 'broken', wrap: breaks },
  connectionMade: layer({ connectionMade: breaks }),
})) {
  for (const kind of ['startServer', 'createServer'] as const) {
    test(`a policy whose ${method}() throws: ${kind}() refuses the connection, reports, and can end`, () => {
      const reports: ExceptionContext[] = []
      return simulate(
        function* () {
          const limit = limitConnections({ total: 10 })
          const policies = [limit, policy]
          const server =
            kind === 'startServer'
              ? yield* startServer(function* () {}, { ...WHERE, policies })
              : yield* createServer(() => new Protocol(), { ...WHERE, policies })
          const { reader, writer } = yield* openConnection(WHERE)
          yield* thrownOf(ConnectionLostError, reader.read(1))
          writer.abort()
          assert.deepEqual(
            reports.map(({ error }) => error),
            [broken],
          )
          assert.equal(limit.open, 0)
          assert.equal(server.refused, 1)
          yield* server.shutdown()
        },
        { reports },
      )
    })
  }
}

test('a client finds out that its own policy throws when it is connected', () =>
  simulate(function* () {
    const server = yield* startServer(function* (reader) {
      yield* thrownOf(ConnectionLostError, reader.read())
    }, WHERE)
    const policies = [layer({ connectionMade: breaks })]
    const error = yield* thrownOf(ConnectError, openConnection({ ...WHERE, policies }))
    assert.equal(error.cause, broken)
    yield* sleep(1)
    assert.equal(server.connections.length, 0)
    yield* server.shutdown()
  }))

for (const method of ['dataReceived', 'eofReceived'] as const) {
  test(`a policy whose ${method}() throws ends its connection, and its handler is told why`, () => {
    const reports: ExceptionContext[] = []
    return simulate(
      function* () {
        const found: unknown[] = []
        const server = yield* startServer(
          function* (reader) {
            const error = yield* thrownOf(ConnectionLostError, reader.readLine())
            found.push(error.cause)
          },
          { ...WHERE, policies: [layer({ [method]: breaks })] },
        )
        const { writer } = yield* openConnection(WHERE)
        if (method === 'dataReceived') writer.write('some')
        else writer.writeEof()
        yield* sleep(1)
        assert.deepEqual(found, [broken])
        assert.deepEqual(
          reports.map(({ error }) => error),
          [broken],
        )
        assert.equal(server.connections.length, 0)
        writer.abort()
        yield* server.shutdown()
      },
      { reports },
    )
  })
}

for (const method of ['pauseWriting', 'resumeWriting'] as const) {
  test(`a policy whose ${method}() throws ends its connection, and who writes is told why`, () => {
    const reports: ExceptionContext[] = []
    return simulate(
      function* () {
        const found: unknown[] = []
        const server = yield* startServer(
          function* (_reader, writer) {
            writer.write(Buffer.alloc(500_000))
            const error = yield* thrownOf(ConnectionLostError, writer.waitClosed())
            found.push(error.cause)
          },
          { ...WHERE, policies: [layer({ [method]: breaks })] },
        )
        const { reader, writer } = yield* openConnection(WHERE)
        yield* thrownOf(ConnectionLostError, reader.readExactly(1_000_000))
        writer.abort()
        yield* sleep(1)
        assert.deepEqual(found, [broken])
        assert.deepEqual(
          reports.map(({ error }) => error),
          [broken],
        )
        yield* server.shutdown()
      },
      { reports },
    )
  })
}

test('a policy whose release() throws is reported, and the others are released', () => {
  const reports: ExceptionContext[] = []
  return simulate(
    function* () {
      const limit = limitConnections({ total: 10 })
      const server = yield* startServer(function* () {}, {
        ...WHERE,
        policies: [{ name: 'broken', release: breaks }, limit],
      })
      const { reader, writer } = yield* openConnection(WHERE)
      assert.equal(yield* reader.read(), null)
      writer.close()
      yield* sleep(1)
      assert.deepEqual(
        reports.map(({ error }) => error),
        [broken],
      )
      assert.equal(limit.open, 0)
      yield* server.shutdown()
    },
    { reports },
  )
})

test('a start that fails at its second place ends what serves the connections of the first', () =>
  simulate(function* () {
    const ended: string[] = []
    function* handler() {
      try {
        yield* sleepForever()
      } finally {
        ended.push('handler')
      }
    }
    const fails: Endpoint = {
      address: 'nowhere',
      *connect() {},
      *listen() {
        yield* sleep(10)
        throw new ListenError('nowhere', new Error('expected a place, found none'))
      },
    }
    const client = createTask(
      (function* () {
        yield* sleep(1)
        const { reader, writer } = yield* openConnection(WHERE)
        yield* thrownOf(ConnectionLostError, reader.read())
        writer.abort()
      })(),
    )
    yield* thrownOf(ListenError, startServer(handler, ['tcp://127.0.0.1:80', fails]))
    yield* client
    yield* sleep(1)
    assert.deepEqual(ended, ['handler'])
  }))
