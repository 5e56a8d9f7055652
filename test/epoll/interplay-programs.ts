// Traffic in a process or a worker of its own, and how those end; run by interplay.test.ts.
import { EventEmitter } from 'node:events'
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import {
  createTask,
  currentDriver,
  gather,
  openConnection,
  run,
  sleep,
  sleepForever,
  startServer,
  taskGroup,
  type StreamReader,
  type StreamWriter,
  type Suspension,
} from 'cede'

const HOST = '127.0.0.1'

function* echo(reader: StreamReader, writer: StreamWriter) {
  for (let line = yield* reader.readLine(); line !== null; line = yield* reader.readLine())
    yield* writer.send(line)
}

let messages = 0
let over = false

/** Goes on until `over`. */
function* traffic(): Generator<Suspension, void> {
  const server = yield* startServer(echo, { host: HOST, port: 0 })
  yield* gather(
    Array.from({ length: 8 }, () =>
      (function* () {
        const { reader, writer } = yield* openConnection({ host: HOST, port: server.port })
        while (!over) {
          yield* writer.send('message\n')
          yield* reader.readLine()
          messages++
        }
        writer.close()
        yield* writer.waitClosed()
      })(),
    ),
  )
  yield* server.shutdown()
}

function* more(count: number): Generator<Suspension, void> {
  for (const wanted = messages + count; messages < wanted;) yield* sleep(0)
}

/** Does `body` beside traffic. */
function* beside(body: () => Generator<Suspension, void>): Generator<Suspension, void> {
  yield* taskGroup(function* (group) {
    group.createTask(traffic())
    yield* more(100)
    yield* body()
    over = true
  })
}

async function inWorker(end: string): Promise<void> {
  await run(() =>
    beside(function* () {
      yield* more(1_000 - messages)
      let told = false
      parentPort!.once('message', () => (told = true))
      parentPort!.postMessage(`${currentDriver().name}: 1000 messages`)
      while (!told) yield* sleep(0)
      if (end === 'exit') process.exit(3)
      if (end === 'throw') throw new Error('on purpose')
      if (end === 'terminate') yield* sleepForever()
    }),
  )
}

const programs: Readonly<Record<string, () => Promise<void>>> = {
  async ends() {
    process.on('beforeExit', (code) => console.log(`beforeExit ${code}`))
    process.on('exit', (code) => console.log(`exit ${code}`))
    await run(() => beside(() => more(1_000)))
    console.log('traffic is over')
  },

  async exits() {
    process.on('beforeExit', () => console.log('beforeExit'))
    process.on('exit', (code) => console.log(`exit ${code}`))
    await run(() =>
      beside(function* () {
        yield* more(1_000)
        console.log('exits')
        process.exit(5)
      }),
    )
  },

  async throws() {
    process.on('uncaughtException', (error) => console.log(`uncaughtException: ${error.message}`))
    process.on('unhandledRejection', (error) =>
      console.log(`unhandledRejection: ${(error as Error).message}`),
    )
    const fail = (where: string) => (): never => {
      throw new Error(`in ${where}`)
    }
    const emitter = new EventEmitter().on('event', fail('a listener'))
    const faults: readonly (() => void)[] = [
      () => setTimeout(fail('a timer'), 1),
      () => setImmediate(fail('an immediate')),
      () => process.nextTick(fail('a tick')),
      () => setImmediate(() => emitter.emit('event')),
      () => void Promise.reject(new Error('in a promise')),
    ]
    let wentOn = 0
    await run(() =>
      beside(function* () {
        for (const fault of faults) {
          fault()
          yield* sleep(2)
          yield* more(1_000)
          wentOn++
        }
      }),
    )
    console.log(`the traffic went on ${wentOn} times`)
  },

  async crashes() {
    process.on('exit', (code) => console.log(`exit ${code}`))
    await run(() =>
      beside(function* () {
        yield* more(100)
        setImmediate(() => {
          throw new Error('nobody catches it')
        })
        yield* sleepForever()
      }),
    )
  },

  async signals() {
    let signals = 0
    process.on('SIGUSR2', () => console.log(`signal ${++signals}`))
    try {
      await run(function* () {
        createTask(traffic())
        yield* more(1_000)
        console.log('ready')
        yield* sleepForever()
      })
    } finally {
      console.log('cleaned up')
    }
  },
}

if (isMainThread) await programs[process.argv[2]!]!()
else await inWorker(workerData as string)
