/** A server whose process has no file descriptor left: it goes on, and says so. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTask, gather, openConnection, type Connection } from 'cede'
import { HOST, online } from './online.ts'
import { Program } from './program.ts'

const DESCRIPTORS = 128
/** More than fit, several times. */
const CLIENTS = 400

function* ask({ reader, writer }: Connection) {
  try {
    writer.write('hello\n')
    return (yield* reader.readLine())?.toString() ?? 'closed'
  } catch {
    return 'cut'
  }
}

test(
  'out of descriptors: it is told once, those who are in are served, and so is who comes later',
  { skip: process.platform === 'win32' },
  () =>
    online(function* () {
      const server = new Program('sh', [
        '-c',
        `ulimit -n ${DESCRIPTORS}; exec "$0" "$@" 2>&1`,
        process.execPath,
        '--import',
        'tsx',
        'examples/echo-server.ts',
        '--port',
        '0',
        '--idle',
        '60',
      ])
      yield* server.untilPrinted('Each line comes back.')
      const port = Number(/127\.0\.0\.1:(\d+)/.exec(server.printed)![1])
      const connections: Connection[] = []
      for (let i = 0; i < CLIENTS; i++) connections.push(yield* openConnection({ host: HOST, port }))
      const answers = yield* gather(connections.map((connection) => createTask(ask(connection))))
      const served = answers.filter((answer) => answer === 'hello\n').length
      assert.ok(served > 0 && served < DESCRIPTORS, `${served} were served`)
      yield* server.untilPrinted('none left (EMFILE)')
      for (const { writer } of connections) writer.abort()

      let answer = ''
      while (answer !== 'hello\n') {
        const late = yield* openConnection({ host: HOST, port })
        answer = yield* ask(late)
        late.writer.abort()
      }
      server.kill()
      const { stdout } = yield* server.ended
      assert.equal(stdout.toString().match(/cannot accept a connection/g)?.length, 1)
    }),
)
