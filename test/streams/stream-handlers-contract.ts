/** What becomes of a connection whose handler throws or is cancelled: S120, for one kind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sleepForever, type ExceptionContext, type StreamWriter } from 'cede'
import { connectTo, untilTrue, withServer, type Kind } from './kinds.ts'

export function streamHandlersContract(kind: Kind): void {
  const { name, skip } = kind
  const options = { skip }

  test(
    `S120: a handler that throws is reported and its connection closed; a cancelled one only closes (${name})`,
    options,
    async () => {
      const reports: ExceptionContext[] = []
      const failure = new Error('a bug in a handler')
      await kind.run(
        () =>
          withServer(
            kind,
            function* (reader, writer: StreamWriter) {
              writer.write('ready\n')
              if ((yield* reader.readTextLine()) === 'fail') throw failure
              yield* sleepForever()
            },
            function* (server) {
              const failing = yield* connectTo(server)
              yield* failing.writer.send('fail\n')
              assert.equal((yield* failing.reader.read())?.toString(), 'ready\n')
              const ended = yield* connectTo(server)
              yield* ended.reader.readLine()
              server.connections.at(-1)!.task!.cancel()
              assert.equal(yield* ended.reader.read(), null)
              failing.writer.close()
              ended.writer.close()
              yield* untilTrue(() => server.connections.length === 0)
              assert.equal(server.isServing(), true)
            },
          ),
        { reports },
      )
      assert.equal(reports.length, 1)
      assert.equal(reports[0]!.error, failure)
      assert.match(reports[0]!.message, /^the handler of conn-1 .+ failed; its connection is closed$/)
    },
  )

  test(
    `S120: a handler that throws before it waits, and one that is no coroutine (${name})`,
    options,
    async () => {
      const reports: ExceptionContext[] = []
      let calls = 0
      await kind.run(
        () =>
          withServer(
            kind,
            () => {
              if (++calls === 1) throw new Error('at once')
              return undefined as never
            },
            function* (server) {
              for (let i = 0; i < 2; i++) {
                const { reader, writer } = yield* connectTo(server)
                assert.equal(yield* reader.read(), null)
                writer.close()
              }
            },
          ),
        { reports },
      )
      assert.deepEqual(
        reports.map(({ error }) => (error as Error).message.slice(0, 42)),
        ['at once', 'the handler of startServer(): expected an '],
      )
    },
  )
}
