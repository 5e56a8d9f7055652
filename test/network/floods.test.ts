/** Thousands of clients that connect at once: each is served, or refused and counted. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer, until } from 'cede'
import { Child } from '../support/child.ts'
import { echo, onWindows, PROGRAMS, servesStill } from './fault-support.ts'
import { HOST, online } from './online.ts'

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
