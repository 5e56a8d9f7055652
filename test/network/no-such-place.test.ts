/** Places where one cannot connect or listen: one error, with the address and what was found. */
import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ConnectError, ListenError, openConnection, startServer, type Operation, type Resolver } from 'cede'
import { thrownBy } from '../support/thrown-by.ts'
import { inFolder, onWindows, wait } from './fault-support.ts'
import { HOST, online } from './online.ts'

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
  assert.match(error.stack!, /no-such-place\.test\.ts/)
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
