// Two workers of node:cluster that listen at the same port; each tells its driver, and ends when both listen.
import cluster from 'node:cluster'
import { currentDriver, Future, run, startServer } from 'cede'

if (cluster.isPrimary) {
  const workers = [cluster.fork(), cluster.fork()]
  let listening = 0
  cluster.on('message', (_worker, message: { driver?: string; port?: number; failed?: string }) => {
    console.log(message.failed ?? message.driver)
    if (message.failed !== undefined || ++listening === workers.length)
      for (const worker of workers) worker.send('end')
  })
} else {
  const told = new Future<void>()
  process.once('message', () => told.setResult())
  await run(function* () {
    try {
      const server = yield* startServer(function* () {}, { host: '127.0.0.1', port: Number(process.argv[2]) })
      const { name, why } = currentDriver()
      process.send!({ driver: `${name}: ${why}` })
      yield* told
      yield* server.shutdown()
    } catch (error) {
      process.send!({ failed: String(error) })
      yield* told
    }
  })
  process.disconnect()
}
