/**
 * Where to listen and where to connect: S137 to S141. Unix socket files, hosts with several addresses, resolvers.
 *
 * Addresses of 127.0.0.0/8 are all of this machine: a port on which a server listens at 127.0.0.1 alone refuses on the
 * others.
 */
import assert from 'node:assert/strict'
import { existsSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  ConnectError,
  ConnectionLostError,
  createTask,
  ListenError,
  MisuseError,
  openConnection,
  resolverVar,
  sleep,
  sleepForever,
  startServer,
  timeout,
  TimeoutError,
  type OpenConnectionOptions,
  type Operation,
  type OpenUnixConnectionOptions,
  type ResolvedAddress,
  type Resolver,
  type Server,
  type StreamReader,
  type StreamWriter,
  type Suspension,
} from 'cede'
import { createConnection, type Endpoint, type NewConnection, type Protocol } from 'cede/lowlevel'
import { MemoryEndpoint } from '../../packages/cede/src/io/endpoints.ts'
import { HOST, online } from '../network/online.ts'
import { Diary } from '../support/diary.ts'
import { simulate } from '../support/sim.ts'
import { thrownBy, thrownOf } from '../support/thrown-by.ts'
import { closedPort, freshPath, Recorder, untilTrue } from './kinds.ts'

const unix = { skip: process.platform === 'win32' ? 'no Unix sockets' : false }

function* greet(_reader: StreamReader, writer: StreamWriter) {
  yield* writer.send('hello\n')
}

type Where = string | URL | Endpoint | OpenConnectionOptions | OpenUnixConnectionOptions

function* greeted(where: Where) {
  const { reader, writer } = yield* openConnection(where as OpenConnectionOptions)
  assert.equal((yield* reader.read())?.toString(), 'hello\n')
  writer.close()
}

function inode(path: string): number {
  return statSync(path).ino
}

// -------------------------------------------------------------------- S138: the file of a Unix socket

test('S138: the file is there while it listens, and removed on close', unix, () =>
  online(function* () {
    const path = freshPath()
    const server = yield* startServer(greet, { path })
    assert.deepEqual(server.address, { host: '', port: 0, path })
    assert.equal(server.port, 0)
    assert.equal(statSync(path).isSocket(), true)
    yield* greeted({ path })
    server.close()
    assert.equal(existsSync(path), false)
    yield* server.waitClosed()
  }),
)

test('S138: a stale file is replaced', unix, () =>
  online(function* () {
    const path = freshPath()
    const dead = yield* startServer(greet, { path, removeFile: false })
    yield* dead.shutdown()
    const before = inode(path)
    const error = yield* thrownOf(ConnectError, openConnection({ path }))
    assert.equal(error.systemCode, 'ECONNREFUSED')
    const server = yield* startServer(greet, { path })
    assert.notEqual(inode(path), before)
    yield* greeted({ path })
    yield* server.shutdown()
  }),
)

test('S138: a live one is refused, and goes on', unix, () =>
  online(function* () {
    const path = freshPath()
    const server = yield* startServer(greet, { path })
    const error = yield* thrownOf(ListenError, startServer(greet, { path }))
    assert.equal(error.systemCode, 'EADDRINUSE')
    assert.ok(error.message.startsWith(`listen on unix:${path}: expected `), error.message)
    assert.equal(error.address, `unix:${path}`)
    yield* greeted({ path })
    yield* server.shutdown()
  }),
)

test('S138: a regular file gives address in use, and is left alone', unix, () =>
  online(function* () {
    const path = freshPath()
    writeFileSync(path, 'precious')
    const error = yield* thrownOf(ListenError, startServer(greet, { path }))
    assert.equal(error.systemCode, 'EADDRINUSE')
    assert.match(error.message, /another kind of file/)
    assert.equal(statSync(path).isFile(), true)
  }),
)

test('S138: a file that a newer server has replaced is not removed by the older one', unix, () =>
  online(function* () {
    const path = freshPath()
    const older = yield* startServer(greet, { path })
    renameSync(path, `${path}.old`)
    const newer = yield* startServer(greet, { path })
    older.close()
    assert.equal(existsSync(path), true)
    yield* greeted({ path })
    yield* older.waitClosed()
    yield* newer.shutdown()
    assert.equal(existsSync(path), false)
  }),
)

test('S138: a file that is gone, and one that is kept by `removeFile: false`', unix, () =>
  online(function* () {
    const path = freshPath()
    const gone = yield* startServer(greet, { path })
    renameSync(path, `${path}.gone`)
    yield* gone.shutdown()
    assert.equal(existsSync(`${path}.gone`), true)
    const kept = yield* startServer(greet, { path, removeFile: false })
    yield* kept.shutdown()
    assert.equal(statSync(path).isSocket(), true)
  }),
)

test('S138: the mode of the file', unix, () =>
  online(function* () {
    for (const where of [{ path: freshPath(), mode: 0o640 }, `unix://${freshPath()}?mode=640`]) {
      const server = yield* startServer(greet, where)
      assert.equal(statSync(server.address.path!).mode & 0o777, 0o640)
      yield* server.shutdown()
    }
    assert.throws(() => startServer(greet, { path: freshPath(), mode: 0o1000 }), RangeError)
    assert.throws(() => startServer(greet, { path: freshPath(), mode: 1.5 }), RangeError)
  }),
)

test('S138: a server that is started in the place of one that just closed', unix, () =>
  online(function* () {
    const path = freshPath()
    for (let i = 0; i < 5; i++) {
      const server = yield* startServer(greet, { path })
      yield* greeted({ path })
      server.close()
    }
  }),
)

test('S138: of two that start at once one or both listen, and the file leads to one that does', unix, () =>
  online(function* () {
    const path = freshPath()
    const tasks = [createTask(startServer(greet, { path })), createTask(startServer(greet, { path }))]
    const servers: Server[] = []
    for (const task of tasks) {
      const outcome = yield* task.join()
      if (outcome.status === 'done') servers.push(outcome.value)
      else assert.ok(outcome.status === 'failed' && outcome.error instanceof ListenError)
    }
    assert.ok(servers.length > 0)
    yield* greeted({ path })
    for (const server of servers) yield* server.shutdown()
    assert.equal(existsSync(path), false)
  }),
)

test(
  'paths that are too long, that lead nowhere, and that are no sockets: one error with the path in it',
  unix,
  () =>
    online(function* () {
      const long = join(freshPath(), 'x'.repeat(200))
      const nowhere = join(freshPath(), 'x.sock')
      const file = freshPath()
      writeFileSync(file, '')
      for (const path of [long, nowhere, file]) {
        const connecting = yield* thrownOf(ConnectError, openConnection({ path }))
        assert.ok(connecting.message.startsWith(`connect to unix:${path}: expected `), connecting.message)
        assert.match(connecting.systemCode!, /^E[A-Z]+$/)
        const listening = yield* thrownOf(ListenError, startServer(greet, { path }))
        assert.ok(listening.message.startsWith(`listen on unix:${path}: expected `), listening.message)
        assert.match(listening.systemCode!, /^(ENAMETOOLONG|ENOENT|EADDRINUSE)$/)
      }
    }),
)

test('both ends of a Unix connection say their addresses', unix, () =>
  online(function* () {
    const path = freshPath()
    let seen = ''
    const server = yield* startServer(
      function* (_reader, writer) {
        seen = writer.peer
      },
      { path },
    )
    const { reader, writer } = yield* openConnection({ path })
    assert.equal(writer.peer, `unix:${path}`)
    assert.deepEqual(writer.remoteAddress, { host: '', port: 0, path })
    assert.equal(yield* reader.read(), null)
    assert.equal(seen, 'unix:unnamed')
    writer.close()
    yield* server.shutdown()
  }),
)

// -------------------------------------------------------------------- S139 to S141: addresses

function resolved(...addresses: readonly string[]): readonly ResolvedAddress[] {
  return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
}

/** A resolver that knows one answer, and counts how often it is asked. */
function fixed(...addresses: readonly string[]) {
  const asked: string[] = []
  const resolver: Resolver = function* (host, { family }) {
    asked.push(`${host} ${String(family)}`)
    yield* sleep(0)
    return resolved(...addresses)
  }
  return { resolver, asked }
}

test('S139: every address is tried in order; one that refuses is followed by the next', () =>
  online(function* () {
    const server = yield* startServer(greet, { host: HOST, port: 0 })
    const { resolver, asked } = fixed('127.0.0.2', '127.0.0.3', HOST)
    yield* greeted({ host: 'several.test', port: server.port, resolver })
    assert.deepEqual(asked, ['several.test 0'])
    yield* server.shutdown()
  }))

test('S139: one error is told as it is, several as one with all of them', async () => {
  const port = await closedPort()
  await online(function* () {
    const one = yield* thrownOf(ConnectError, openConnection({ host: HOST, port }))
    assert.equal(
      one.message,
      `connect to ${HOST}:${port}: expected a server, found nobody listening (ECONNREFUSED)`,
    )
    assert.equal(one.attempts.length, 1)
    const { resolver } = fixed('127.0.0.2', '127.0.0.3')
    const all = yield* thrownOf(ConnectError, openConnection({ host: 'all.test', port, resolver }))
    assert.equal(all.systemCode, 'ECONNREFUSED')
    assert.equal(all.address, `all.test:${port}`)
    assert.equal(
      all.message,
      `connect to all.test:${port}: expected one of 2 addresses to answer, found ` +
        `127.0.0.2:${port}: expected a server, found nobody listening (ECONNREFUSED); ` +
        `127.0.0.3:${port}: expected a server, found nobody listening (ECONNREFUSED)`,
    )
    assert.deepEqual(
      all.attempts.map((error) => error instanceof ConnectError && error.address),
      [`127.0.0.2:${port}`, `127.0.0.3:${port}`],
    )
    assert.equal(all.cause, all.attempts[0])
  })
})

test('S139: a protocol factory that throws opens nothing', () =>
  online(function* () {
    const server = yield* startServer(greet, { host: HOST, port: 0 })
    const failure = new Error('no protocol')
    const where = { host: HOST, port: server.port }
    const failing = createConnection((): Protocol => {
      throw failure
    }, where)
    assert.equal(yield* thrownBy(failing), failure)
    yield* sleep(5)
    assert.equal(server.connections.length, 0)
    yield* server.shutdown()
  }))

test('S139: an unknown host, a resolver that throws, one that finds nothing', () =>
  online(function* () {
    const failure = Object.assign(new Error('the resolver is broken'), { code: 'EBROKEN' })
    const throwing: Resolver = function* () {
      yield* sleep(0)
      throw failure
    }
    const broken = yield* thrownOf(
      ConnectError,
      openConnection({ host: 'broken.test', port: 1, resolver: throwing }),
    )
    assert.equal((broken.cause as Error).cause, failure)
    assert.equal(broken.systemCode, 'EBROKEN')
    assert.match(
      broken.message,
      /^connect to broken\.test:1: expected the resolver to find broken\.test, found the resolver is broken/,
    )
    const promising = (async () => []) as unknown as Resolver
    const misused = yield* thrownOf(
      ConnectError,
      openConnection({ host: 'async.test', port: 1, resolver: promising }),
    )
    assert.match(
      misused.message,
      /^connect to async\.test:1: the resolver: expected an operation, found a promise; make the async function a `function\*`/,
    )
    const { resolver } = fixed()
    const empty = yield* thrownOf(ConnectError, openConnection({ host: 'empty.test', port: 1, resolver }))
    assert.equal(empty.systemCode, 'ENOTFOUND')
    const listening = yield* thrownOf(
      ListenError,
      startServer(greet, { host: 'empty.test', port: 0, resolver }),
    )
    assert.equal(listening.systemCode, 'ENOTFOUND')
    assert.match(listening.message, /^listen on empty\.test:0: expected /)
  }))

test('S140: two that succeed: one winner, and the socket of the other is closed', () =>
  online(function* () {
    const server = yield* startServer(
      function* (reader, writer) {
        try {
          yield* writer.send(`${writer.localAddress.host}\n`)
          yield* reader.read()
        } catch (error) {
          // The loser is closed without reading: a greeting that reached it before is answered by a reset.
          if (!(error instanceof ConnectionLostError)) throw error
        }
      },
      { host: [HOST, '127.0.0.2'], port: 0 },
    )
    const { resolver } = fixed(HOST, '127.0.0.2')
    // So short that both are under way at once.
    for (let i = 0; i < 5; i++) {
      const { reader, writer } = yield* openConnection({
        host: 'both.test',
        port: server.port,
        resolver,
        attemptDelayMs: 0.001,
      })
      assert.equal(yield* reader.readTextLine(), writer.remoteAddress.host)
      writer.close()
      yield* untilTrue(() => server.connections.length === 0)
    }
    yield* server.shutdown()
  }))

test('S140: while nobody answers the next address is tried as well; whoever answers first is taken', () =>
  simulate(
    function* (sim) {
      const seen: string[] = []
      const server = yield* startServer(
        function* (reader, writer) {
          seen.push(writer.localAddress.host)
          yield* writer.send('hello\n')
          yield* reader.read()
        },
        { port: 80 },
      )
      const { resolver } = fixed('10.0.0.1', '10.0.0.2', '10.0.0.3')
      const startedMs = sim.now()
      const { reader, writer } = yield* openConnection({ host: 'slow.test', port: 80, resolver })
      // There and back; by then all three were under way.
      assert.equal(sim.now() - startedMs, 800)
      assert.equal(writer.remoteAddress.host, '10.0.0.1')
      assert.equal(yield* reader.readTextLine(), 'hello')
      writer.close()
      yield* untilTrue(() => server.connections.length === 0)
      assert.equal(seen[0], '10.0.0.1')
      yield* server.shutdown()
    },
    { network: { delayMs: [400, 400] }, reports: [] },
  ))

test('S140: an outside cancel in the middle of the race leaves nothing open', () =>
  simulate(
    function* (sim) {
      const server = yield* startServer(greet, { port: 80 })
      const { resolver } = fixed('10.0.0.1', 'fd00::2', '10.0.0.3', 'fd00::4')
      for (const afterMs of [0, 100, 249, 250, 251, 500, 799, 800]) {
        const startedMs = sim.now()
        const opening = createTask(openConnection({ host: 'slow.test', port: 80, resolver }))
        yield* sleep(afterMs)
        opening.cancel()
        const { status } = yield* opening.join()
        assert.equal(status, 'cancelled', `after ${afterMs} ms`)
        assert.ok(sim.now() - startedMs >= afterMs)
      }
      yield* untilTrue(() => server.connections.length === 0)
      yield* server.shutdown()
    },
    { network: { delayMs: [400, 400] }, reports: [] },
  ))

test('S140: an outside cancel and a timeout reach the resolver and all attempts', () =>
  online(function* () {
    const diary = new Diary()
    const slow: Resolver = function* () {
      try {
        return yield* sleepForever() as Operation<never>
      } finally {
        diary.write('the resolver is stopped')
      }
    }
    yield* thrownOf(TimeoutError, timeout(1, openConnection({ host: 'slow.test', port: 1, resolver: slow })))
    diary.expect('the resolver is stopped')
    const starting = createTask(startServer(greet, { host: 'slow.test', port: 0, resolver: slow }))
    yield* sleep(0)
    starting.cancel()
    yield* starting.join()
    diary.expect('the resolver is stopped')
  }))

test('S140: which family', () =>
  online(function* () {
    const server = yield* startServer(greet, { host: HOST, port: 0 })
    const { resolver, asked } = fixed(HOST)
    yield* greeted({ host: 'kind.test', port: server.port, resolver, family: 4 })
    assert.deepEqual(asked, ['kind.test 4'])
    assert.throws(() => openConnection({ host: HOST, port: 1, family: 5 as 4 }), RangeError)
    yield* server.shutdown()
  }))

test('S141: a numeric host never asks the resolver', () =>
  online(function* () {
    const { resolver, asked } = fixed('127.0.0.9')
    resolverVar.set(resolver)
    const server = yield* startServer(greet, { host: HOST, port: 0 })
    yield* greeted({ host: HOST, port: server.port })
    yield* greeted(`tcp://${HOST}:${server.port}`)
    yield* thrownOf(ConnectError, openConnection({ host: '::1', port: server.port, family: 6 }))
    assert.deepEqual(asked, [])
    yield* thrownOf(ConnectError, openConnection({ host: 'asked.test', port: server.port }))
    assert.deepEqual(asked, ['asked.test 0'])
    yield* server.shutdown()
  }))

test('the resolver of the options goes before that of the context', () =>
  online(function* () {
    const server = yield* startServer(greet, { host: HOST, port: 0 })
    const outer = fixed('127.0.0.9')
    const inner = fixed(HOST)
    resolverVar.set(outer.resolver)
    yield* greeted({ host: 'x.test', port: server.port, resolver: inner.resolver })
    assert.deepEqual([outer.asked.length, inner.asked.length], [0, 1])
    assert.throws(() => openConnection({ host: 'x', port: 1, resolver: 'x' as never }), MisuseError)
    yield* server.shutdown()
  }))

test('one server on several addresses: the same port everywhere, duplicates once', () =>
  online(function* () {
    const { resolver } = fixed('127.0.0.2', HOST, '127.0.0.2')
    const server = yield* startServer(greet, { host: [HOST, 'two.test'], port: 0, resolver })
    assert.deepEqual(
      server.addresses.map(({ host }) => host),
      [HOST, '127.0.0.2'],
    )
    assert.equal(new Set(server.addresses.map(({ port }) => port)).size, 1)
    for (const { host, port } of server.addresses) yield* greeted({ host, port })
    yield* server.shutdown()
  }))

test('connecting from a given address and port', () =>
  online(function* () {
    const server = yield* startServer(greet, { host: HOST, port: 0 })
    const { reader, writer } = yield* openConnection({
      host: HOST,
      port: server.port,
      localHost: '127.0.0.3',
    })
    assert.equal(writer.localAddress.host, '127.0.0.3')
    yield* reader.read()
    writer.close()
    const error = yield* thrownOf(
      ConnectError,
      openConnection({ host: HOST, port: server.port, localHost: '192.0.2.1' }),
    )
    assert.equal(error.systemCode, 'EADDRNOTAVAIL')
    assert.throws(
      () => openConnection({ host: HOST, port: server.port, localHost: 'no-address' }),
      /expected localHost to be an address of this machine, found a string \("no-address"\)/,
    )
    yield* server.shutdown()
  }))

test('S137: clients that are gone before they are accepted do no harm', () =>
  online(
    function* () {
      const server = yield* startServer(greet, { host: HOST, port: 0 })
      const { port } = server
      for (let i = 0; i < 20; i++) {
        const { writer } = yield* openConnection({ host: HOST, port })
        writer.abort()
      }
      yield* greeted({ host: HOST, port })
      yield* untilTrue(() => server.connections.length === 0)
      yield* server.shutdown()
    },
    { reports: [] },
  ))

// -------------------------------------------------------------------- what is given as a place

test('an endpoint of the program takes the place of any other', () =>
  simulate(function* () {
    const diary = new Diary()
    const farSide = new MemoryEndpoint('the-far-side', {})
    const through: Endpoint = {
      address: 'a tunnel',
      *connect(take: (connection: NewConnection) => void): Generator<Suspension, void> {
        diary.write('dig')
        yield* farSide.connect(take)
      },
      *listen(events) {
        diary.write('open')
        return yield* farSide.listen(events)
      },
    }
    const server = yield* startServer(greet, through)
    yield* greeted(through)
    const recorder = new Recorder({ eof: () => false })
    yield* createConnection(() => recorder, through)
    yield* untilTrue(() => recorder.lost)
    assert.equal(recorder.received.toString(), 'hello\n')
    diary.expect('open', 'dig', 'dig')
    yield* server.shutdown()
  }))

test('URLs name the same places as objects', () =>
  online(function* () {
    const server = yield* startServer(greet, [`tcp://${HOST}:0`, new URL('memory://by-url')])
    yield* greeted(`tcp://${HOST}:${server.port}`)
    yield* greeted(new URL(`tcp://${HOST}:${server.port}`))
    yield* greeted('memory://by-url')
    yield* server.shutdown()
  }))

test('S141: what is no place is refused at the call, with what to write', () => {
  for (const [where, message] of [
    [undefined, /^openConnection\(\): expected a place /],
    [null, /^openConnection\(\): expected a place /],
    [80, /^openConnection\(\): expected a place /],
    ['localhost:80', /expected a URL that begins with tcp:/],
    ['example.com', /expected a URL, found a string \("example.com"\)/],
    [{ host: '', port: 80 }, /expected a host that is a name or an address, found/],
    [{ host: 7, port: 80 }, /expected a host that is a name or an address, found/],
    [{ host: [], port: 80 }, /expected one host, found an array/],
    [{ path: '' }, /expected a path/],
    [{ path: 7 }, /expected a path/],
    [{ path: '/x', port: 80 }, /expected a path alone/],
    [{ path: '/x', host: 'x' }, /expected a path alone/],
  ] as const) {
    assert.throws(
      () => openConnection(where as never),
      (error) => error instanceof MisuseError && message.test(error.message),
      message.source,
    )
  }
  for (const port of [undefined, -1, 65_536, 1.5, '80', null, Number.NaN]) {
    assert.throws(() => openConnection({ host: HOST, port: port as number }), RangeError)
  }
  assert.throws(() => openConnection({ port: 1, keepAlive: -1 }), RangeError)
  assert.throws(() => openConnection({ port: 1, attemptDelayMs: 0 }), RangeError)
  assert.throws(() => openConnection({ port: 1, localPort: 70_000 }), RangeError)
  assert.throws(() => openConnection({ port: 1 }, 7 as never), MisuseError)
  assert.throws(() => startServer(greet, []), MisuseError)
  assert.throws(() => startServer(greet, { port: 0, backlog: 0 }), RangeError)
  assert.throws(() => startServer(greet, { port: 0, reuseAddress: false as true }), MisuseError)
  assert.throws(() => startServer(greet, { port: 0, policies: [7 as never] }), MisuseError)
})
