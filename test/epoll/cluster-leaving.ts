// A worker of node:cluster that serves one connection, or none, and is then disconnected: says how it ends.
import cluster from 'node:cluster'
import { once } from 'node:events'
import { openConnection, run, startServer, type StreamReader, type StreamWriter } from 'cede'

const port = Number(process.argv[2])

function* greet(_reader: StreamReader, writer: StreamWriter) {
  yield* writer.send('hi\n')
}

if (cluster.isPrimary) {
  const worker = cluster.fork()
  await once(worker, 'listening')
  if (process.argv[3] === 'served') {
    await run(function* () {
      const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port })
      console.log(yield* reader.readTextLine())
      writer.close()
      yield* writer.waitClosed()
    })
  }
  worker.disconnect()
  const [code] = (await once(worker, 'exit')) as [number]
  console.log(`worker ended: ${code}`)
} else {
  await run(function* () {
    const server = yield* startServer(greet, { host: '127.0.0.1', port })
    yield* server.serveForever()
    console.log('served to the end')
  })
}
