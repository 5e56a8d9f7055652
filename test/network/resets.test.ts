/** Peers that reset: the handler is told in one line, keeps what came, and the server goes on. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { startServer, until, type ExceptionContext } from 'cede'
import { echo, rawTo, servesStill, untilTrue } from './fault-support.ts'
import { HOST, online } from './online.ts'

test('a reset mid-line: the handler has what came, the error names peer and cause, and it is told in one line', async () => {
  const reports: ExceptionContext[] = []
  let rest: Buffer | null = null
  await online(
    function* () {
      const server = yield* startServer(
        function* (reader, writer) {
          try {
            yield* echo(reader, writer)
          } catch (error) {
            rest = yield* reader.read(100)
            throw error
          }
        },
        { host: HOST, port: 0 },
      )
      const raw = rawTo(server)
      yield* until(once(raw, 'connect'))
      const { localPort } = raw
      raw.write('whole\nhalf a li')
      yield* until(once(raw, 'data'))
      raw.resetAndDestroy()
      yield* untilTrue(() => reports.length > 0)
      const [{ message, error, fromOutside } = {}] = reports
      assert.equal(message, `conn-1 127.0.0.1:${localPort} was lost`)
      assert.equal(fromOutside, true)
      assert.equal(
        (error as Error).message,
        `readLine() from 127.0.0.1:${localPort}: expected a line, found the connection lost (read ECONNRESET)`,
      )
      yield* servesStill({ host: HOST, port: server.port })
      yield* server.shutdown()
    },
    { reports },
  )
  assert.equal(reports.length, 1)
  assert.equal((rest as Buffer | null)?.toString(), 'half a li')
})

test('clients that reset at once: the server goes on, and nothing is told of those it never met', async () => {
  const reports: ExceptionContext[] = []
  await online(
    function* () {
      const server = yield* startServer(echo, { host: HOST, port: 0 })
      for (let i = 0; i < 50; i++) {
        const raw = rawTo(server)
        raw.once('connect', () => raw.resetAndDestroy())
        yield* until(once(raw, 'close'))
      }
      yield* servesStill({ host: HOST, port: server.port })
      yield* untilTrue(() => server.connections.length === 0)
      yield* server.shutdown()
    },
    { reports },
  )
  // The handler of one that was accepted in time has met the reset: one line each.
  for (const { message, fromOutside } of reports) {
    assert.match(message, /^conn-\d+ (127\.0\.0\.1:\d+|unknown) was lost$/)
    assert.equal(fromOutside, true)
  }
})
