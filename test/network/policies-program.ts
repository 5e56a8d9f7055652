// A program whose connections are gone while their policies still had time: nothing may keep it from ending.
import { connect } from 'node:net'
import { idleTimeout, lifetime, openConnection, rateLimit, run, startServer, TokenBucket } from 'cede'

const bucket = new TokenBucket({ perSecond: 1, burst: 1 })
const policies = [idleTimeout(600_000), lifetime(600_000), rateLimit({ bucket })]

await run(function* () {
  const server = yield* startServer(
    function* (reader) {
      yield* reader.readLine()
    },
    { host: '127.0.0.1', port: 0, policies },
  )
  const raw = connect(server.port, '127.0.0.1', () => void raw.write('too much'))
  raw.on('error', () => {})
  const { writer } = yield* openConnection({ host: '127.0.0.1', port: server.port, policies })
  writer.write('too much as well')
  yield* server.shutdown({ graceMs: 50 })
})
console.log('done')
