/** What opening and starting leave behind when they are cancelled or fail, for one kind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectionLostError, createTask, openConnection, sleep, sleepForever, startServer } from 'cede'
import { thrownBy } from '../support/thrown-by.ts'
import { connectTo, placeOf, untilTrue, withServer, type Kind } from './kinds.ts'

export function streamOpeningContract(kind: Kind): void {
  const { name, skip } = kind
  const options = { skip }

  test(`a cancelled openConnection leaves nothing open, wherever it is (${name})`, options, () =>
    kind.run(() =>
      withServer(
        kind,
        function* (reader) {
          try {
            yield* reader.read()
          } catch (error) {
            // An opening that is cancelled when it has just been connected resets.
            if (!(error instanceof ConnectionLostError)) throw error
          }
        },
        function* (server) {
          for (let passes = 0; passes < 6; passes++) {
            const opening = createTask(connectTo(server))
            for (let i = 0; i < passes; i++) yield* sleep(i < 3 ? 0 : 1)
            opening.cancel()
            const outcome = yield* opening.join()
            if (outcome.status === 'done') outcome.value.writer.close()
          }
          yield* untilTrue(() => server.connections.length === 0)
        },
      ),
    ),
  )

  test(`a cancelled startServer leaves nothing open: the place is free (${name})`, options, () =>
    kind.run(function* () {
      const place = kind.place()
      for (let passes = 0; passes < 4; passes++) {
        const starting = createTask(startServer(() => sleepForever(), place))
        for (let i = 0; i < passes; i++) yield* sleep(0)
        starting.cancel()
        const outcome = yield* starting.join()
        if (outcome.status === 'done') yield* outcome.value.shutdown({ graceMs: 0 })
      }
      const server = yield* startServer(() => sleepForever(), place)
      const { writer } = yield* openConnection(placeOf(server.address))
      writer.abort()
      yield* server.shutdown({ graceMs: 0 })
    }),
  )

  test(`nobody listens: one error with the address in it (${name})`, options, () =>
    kind.run(function* () {
      const server = yield* startServer(() => sleepForever(), kind.place())
      const where = placeOf(server.address)
      yield* server.shutdown({ graceMs: 0 })
      const error = yield* thrownBy(openConnection(where))
      assert.match(String(error), /^ConnectError: connect to .+: expected /)
    }),
  )
}
