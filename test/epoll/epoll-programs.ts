// Programs on the epoll driver, each run in a process of its own by processes.test.ts: how the process and its threads
// end, and what runs beside it.
import { AsyncLocalStorage } from 'node:async_hooks'
import { readdirSync } from 'node:fs'
import { createServer, get } from 'node:http'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import {
  createTask,
  currentDriver,
  Future,
  gather,
  openConnection,
  run,
  sleep,
  startServer,
  until,
  type Server,
  type StreamReader,
  type StreamWriter,
  type Suspension,
} from 'cede'

const HOST = '127.0.0.1'

function* echo(reader: StreamReader, writer: StreamWriter) {
  for (let line = yield* reader.readLine(); line !== null; line = yield* reader.readLine()) {
    yield* writer.send(line)
  }
}

function* talk(server: Server, lines: number): Generator<Suspension, void> {
  const { reader, writer } = yield* openConnection({ host: HOST, port: server.port })
  for (let n = 0; n < lines; n++) {
    yield* writer.send(`${n}\n`)
    const line = yield* reader.readTextLine()
    if (line !== String(n)) throw new Error(`expected ${n}, found ${line}`)
  }
  writer.close()
  yield* writer.waitClosed()
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length
}

/** In a worker. */
const jobs: Readonly<Record<string, () => Promise<void>>> = {
  async talks() {
    await run(function* () {
      const server = yield* startServer(echo, { host: HOST, port: 0 })
      yield* gather(Array.from({ length: 10 }, () => talk(server, 100)))
      yield* server.shutdown()
    })
    parentPort!.postMessage(currentDriver().name)
  },

  async 'holds for ever'() {
    await run(function* () {
      const server = yield* startServer(echo, { host: HOST, port: 0 })
      const open = yield* gather(
        Array.from({ length: 10 }, () => openConnection({ host: HOST, port: server.port })),
      )
      parentPort!.postMessage(open.length)
      yield* server.serveForever()
    })
  },

  async 'exits in the middle'() {
    await run(function* () {
      const server = yield* startServer(echo, { host: HOST, port: 0 })
      createTask(talk(server, 1_000_000))
      yield* sleep(5)
      process.exit(3)
    })
  },
}

function inWorker(job: string, done: (worker: Worker) => void = () => {}): Promise<unknown> {
  // Options of Node do not reach the loaders of a worker: it registers what reads TypeScript by itself.
  const program = `import('tsx/esm/api').then((tsx) => { tsx.register(); return import(${JSON.stringify(import.meta.url)}) })`
  const worker = new Worker(program, { eval: true, workerData: job, execArgv: [] })
  return new Promise((resolve, reject) => {
    let told: unknown
    worker.on('message', (message: unknown) => {
      told = message
      done(worker)
    })
    worker.on('error', reject)
    worker.on('exit', (code) => resolve(told ?? code))
  })
}

const programs: Readonly<Record<string, () => Promise<void>>> = {
  /** The process ends when the run has ended, and not before. */
  async ends() {
    await run(function* () {
      const server = yield* startServer(echo, { host: HOST, port: 0 })
      yield* talk(server, 100)
      yield* server.shutdown()
    })
    console.log(currentDriver().name)
  },

  async 'waits for nothing'() {
    await run(function* () {
      const server = yield* startServer(echo, { host: HOST, port: 0 })
      yield* talk(server, 1)
      yield* server.shutdown()
      yield* new Future<void>()
    })
  },

  async workers() {
    await inWorker('talks')
    const before = openDescriptors()
    console.log(await Promise.all(['talks', 'talks', 'talks'].map((job) => inWorker(job))))
    console.log(await inWorker('holds for ever', (worker) => void worker.terminate()))
    console.log(await inWorker('exits in the middle'))
    console.log('left open:', openDescriptors() - before)
  },

  /** Tells which driver it is, before and after it has served somebody on it. */
  async 'which driver'() {
    const { name, why } = currentDriver()
    console.log(`${name}: ${why}`)
    await run(function* () {
      const server = yield* startServer(echo, { host: HOST, port: 0 })
      yield* talk(server, 10)
      yield* server.shutdown()
    })
    console.log('served')
  },

  /** Traffic of ours, and beside it what other libraries do. */
  async beside() {
    const storage = new AsyncLocalStorage<string>()
    const http = createServer((_request, response) => response.end('over http'))
    await new Promise<void>((resolve) => http.listen(0, HOST, resolve))
    const { port } = http.address() as { port: number }
    const url = `http://${HOST}:${port}/`
    const seen = { http: 0, fetch: 0, timers: 0, immediates: 0, ticks: 0, storage: 0 }
    await storage.run('mine', () =>
      run(function* () {
        const server = yield* startServer(echo, { host: HOST, port: 0 })
        let over = false
        const traffic = gather(
          Array.from({ length: 16 }, function* () {
            const { reader, writer } = yield* openConnection({ host: HOST, port: server.port })
            while (!over) {
              yield* writer.send('line\n')
              yield* reader.readLine()
              if (storage.getStore() === 'mine') seen.storage++
            }
            writer.close()
            yield* writer.waitClosed()
          }),
        )
        const heavy = createTask(traffic)
        const timer = setInterval(() => seen.timers++, 1)
        const immediate = (): void => {
          seen.immediates++
          process.nextTick(() => seen.ticks++)
          if (!over) setImmediate(immediate)
        }
        immediate()
        for (let i = 0; i < 20; i++) {
          const text = yield* until(fetch(url).then((response) => response.text()))
          if (text === 'over http') seen.fetch++
          yield* until(
            new Promise<void>((resolve, reject) => {
              get(url, (response) => {
                response.resume()
                response.on('end', () => {
                  seen.http++
                  resolve()
                })
              }).on('error', reject)
            }),
          )
          yield* sleep(2)
        }
        over = true
        clearInterval(timer)
        yield* heavy
        yield* server.shutdown()
      }),
    )
    http.close()
    http.closeAllConnections()
    console.log(`http ${seen.http}, fetch ${seen.fetch}`)
    for (const what of ['timers', 'immediates', 'ticks', 'storage'] as const) {
      console.log(`${what} ${seen[what] >= 10 ? 'ran' : `starved: ${seen[what]}`}`)
    }
  },
}

if (isMainThread) await programs[process.argv[2]!]!()
else await jobs[workerData as string]!()
