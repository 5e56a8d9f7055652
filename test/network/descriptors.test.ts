/** A server whose process has no file descriptor left for connections: it goes on, refuses the rest, and says so. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import {
  ConnectError,
  ConnectionLostError,
  gather,
  openConnection,
  type Connection,
  type Suspension,
} from 'cede'
import { PROGRAMS } from './fault-support.ts'
import { HOST, online } from './online.ts'
import { Program } from './program.ts'

/** As by `ulimit -n 64`, but when it runs: to load the program takes more. */
const DESCRIPTORS = 64
/** More than fit, several times. */
const CLIENTS = 200

function* ask({ reader, writer }: Connection, line: string) {
  yield* writer.send(`${line}\n`)
  return yield* reader.readTextLine()
}

/** @returns the connection if it is served, or `reset` */
function* served(port: number, line: string): Generator<Suspension, Connection | 'reset'> {
  let connection: Connection | null = null
  try {
    connection = yield* openConnection({ host: HOST, port })
    assert.equal(yield* ask(connection, line), line)
    return connection
  } catch (error) {
    assert.ok(error instanceof ConnectError || error instanceof ConnectionLostError, String(error))
    assert.equal(error.systemCode, 'ECONNRESET')
    connection?.writer.abort()
    return 'reset'
  }
}

/** Connects all at once. @returns those that are served; the others were reset */
function* flood(port: number) {
  const fates = yield* gather(Array.from({ length: CLIENTS }, (_, i) => served(port, `client ${i}`)))
  return fates.filter((fate) => fate !== 'reset')
}

test(
  `ulimit -n ${DESCRIPTORS}: the rest is reset, counted and told once; files can be opened; who comes later is served`,
  {
    skip:
      spawnSync('prlimit', ['--version']).error === undefined ? false : 'needs prlimit (Debian: util-linux)',
  },
  () =>
    online(function* () {
      const server = new Program(process.execPath, ['--import', 'tsx', PROGRAMS, 'limited'])
      yield* server.untilPrinted('.')
      const [, pid = ''] = /pid (\d+)\./.exec(server.printed)!
      const { status } = spawnSync('prlimit', ['--pid', pid, `--nofile=${DESCRIPTORS}`])
      assert.equal(status, 0)
      server.type('begin\n')
      yield* server.untilPrinted('port')
      yield* server.untilPrinted('.\n')
      const port = Number(/port (\d+)\./.exec(server.printed)![1])
      const told = (): number => server.printed.match(/^told: /gm)?.length ?? 0
      let refused = 0

      for (const episode of [1, 2]) {
        const connections = yield* flood(port)
        assert.ok(
          connections.length > 0 && connections.length < DESCRIPTORS,
          `${connections.length} were served`,
        )
        refused += CLIENTS - connections.length
        const [first] = connections
        assert.equal(yield* ask(first!, 'refused'), String(refused))
        assert.equal(yield* ask(first!, 'open 8'), '8 opened')
        assert.equal(told(), episode)
        for (const { writer } of connections) writer.close()
        let late = yield* served(port, 'late')
        while (late === 'reset') {
          refused++
          late = yield* served(port, 'late')
        }
        late.writer.close()
      }
      server.kill()
      const { stdout } = yield* server.ended
      assert.match(
        stdout.toString(),
        new RegExp(
          `^told: the server on 127\\.0\\.0\\.1:${port} refuses connections, with \\d+ connections open: ` +
            `Error: expected a file descriptor below 48 for the next connection, found all in use; ` +
            `the rest of the ${DESCRIPTORS} that this process may have is kept for everything else\\. Raise the limit`,
          'm',
        ),
      )
    }),
)
