/**
 * What else lives in the process goes on beside heavy traffic of ours, and the traffic beside it. Nothing here looks at a
 * clock: while something is waited for, messages are counted. What waits too long waits for more messages than the bound;
 * what is starved never comes, and the test ends at its limit.
 */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { exec } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { EventEmitter, once } from 'node:events'
import { createReadStream, readdirSync, readlinkSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer, get, type IncomingMessage } from 'node:http'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { MessageChannel, Worker } from 'node:worker_threads'
import { createGunzip, createGzip } from 'node:zlib'
import {
  gather,
  openConnection,
  sleep,
  startServer,
  taskGroup,
  until,
  type Server,
  type StreamReader,
  type StreamWriter,
  type Suspension,
} from 'cede'
import { Child, runChild } from '../support/child.ts'
import { skip } from '../support/shim.ts'
import { HOST, onOwnDriver } from './own-driver.ts'

const options = { skip, timeout: 120_000 }
const PROGRAMS = fileURLToPath(new URL('interplay-programs.ts', import.meta.url))

/** Clients that wait for each answer, and those that send many lines at once. */
const POLITE = 16
const EAGER = 4
const LINES_AT_ONCE = 64

/** Messages while an immediate or a tick is due: they have their turn in each round of the host. */
const SOON = 10_000
/** Messages while a timer of a few milliseconds is due. */
const A_WHILE = 200_000

function* echo(reader: StreamReader, writer: StreamWriter) {
  for (let line = yield* reader.readLine(); line !== null; line = yield* reader.readLine())
    yield* writer.send(line)
}

/** Connections in this process that send and answer as fast as they can. */
class Traffic {
  messages = 0
  over = false
  readonly server: Server

  constructor(server: Server) {
    this.server = server
  }

  *flow(): Generator<Suspension, void> {
    yield* gather([
      ...Array.from({ length: POLITE }, (_, client) => this.#talk(client, 1)),
      ...Array.from({ length: EAGER }, (_, client) => this.#talk(POLITE + client, LINES_AT_ONCE)),
    ])
  }

  *#talk(client: number, linesAtOnce: number): Generator<Suspension, void> {
    const { reader, writer } = yield* openConnection({ host: HOST, port: this.server.port })
    for (let n = 0; !this.over; n++) {
      const line = `${client} says ${n}`
      yield* writer.send(`${line}\n`.repeat(linesAtOnce))
      for (let i = 0; i < linesAtOnce; i++) {
        if ((yield* reader.readTextLine()) !== line) throw new Error(`expected ${line}`)
        this.messages++
      }
    }
    writer.close()
    yield* writer.waitClosed()
  }
}

/** Does `body` beside traffic, which must have gone on all the while. */
function beside(title: string, body: (traffic: Traffic) => Generator<Suspension, void>): void {
  test(title, options, () =>
    onOwnDriver(function* () {
      const traffic = new Traffic(yield* startServer(echo, { host: HOST, port: 0 }))
      yield* taskGroup(function* (group) {
        group.createTask(traffic.flow())
        while (traffic.messages < 1_000) yield* sleep(0)
        const before = traffic.messages
        yield* body(traffic)
        // None of it was starved by what went on beside it.
        const after = traffic.messages
        while (traffic.messages < after + 1_000) yield* sleep(0)
        assert.ok(after > before, 'the traffic went on')
        traffic.over = true
      })
      yield* traffic.server.shutdown()
    }),
  )
}

/** Ten times, one after the other; each time the traffic is seen to go on. */
function* tenTimes(traffic: Traffic, body: (n: number) => Generator<Suspension, void>) {
  for (let n = 0; n < 10; n++) {
    const before = traffic.messages
    yield* body(n)
    while (traffic.messages === before) yield* sleep(0)
  }
}

// -------------------------------------------------------------------- the host's own queues

beside('ticks, promises and immediates: in their order, within few messages', function* (traffic) {
  yield* tenTimes(traffic, function* () {
    const before = traffic.messages
    const diary = yield* until(
      new Promise<string[]>((resolve) => {
        const seen: string[] = []
        setImmediate(() => {
          process.nextTick(() => seen.push('tick'))
          queueMicrotask(() => seen.push('microtask'))
          void Promise.resolve().then(() => seen.push('promise'))
          seen.push('now')
          setImmediate(() => {
            seen.push('immediate')
            resolve(seen)
          })
        })
      }),
    )
    assert.deepEqual(diary, ['now', 'tick', 'microtask', 'promise', 'immediate'])
    assert.ok(traffic.messages - before < SOON, `${traffic.messages - before} messages`)
  })
})

beside('setTimeout: in the order of their times, within some messages', function* (traffic) {
  yield* tenTimes(traffic, function* () {
    // Node's order is that of the times only for timers that are not made by timers.
    yield* until(new Promise((resolve) => setImmediate(resolve)))
    const before = traffic.messages
    const fired = yield* until(
      new Promise<number[]>((resolve) => {
        const seen: number[] = []
        for (const ms of [1, 2, 3, 4, 5]) {
          setTimeout(() => {
            if (seen.push(ms) === 5) resolve(seen)
          }, ms)
        }
      }),
    )
    assert.deepEqual(fired, [1, 2, 3, 4, 5])
    assert.ok(traffic.messages - before < A_WHILE, `${traffic.messages - before} messages`)
  })
})

beside('setInterval goes on and on, and no more when it is cleared', function* (traffic) {
  const before = traffic.messages
  let times = 0
  yield* until(
    new Promise<void>((resolve) => {
      const interval = setInterval(() => {
        if (++times < 20) return
        clearInterval(interval)
        resolve()
      }, 1)
    }),
  )
  assert.ok(traffic.messages - before < 4 * A_WHILE, `${traffic.messages - before} messages`)
  yield* sleep(10)
  assert.equal(times, 20)
})

beside('sleep: within some messages', function* (traffic) {
  yield* tenTimes(traffic, function* () {
    const before = traffic.messages
    yield* sleep(3)
    assert.ok(traffic.messages - before < A_WHILE, `${traffic.messages - before} messages`)
  })
})

beside('a task that gives way again and again, and the traffic beside it', function* (traffic) {
  // On its own it could have a million turns in that time.
  yield* tenTimes(traffic, function* () {
    const wanted = traffic.messages + 1_000
    let turns = 0
    for (; traffic.messages < wanted; turns++) yield* sleep(0)
    assert.ok(turns < 1_000_000, `${turns} turns for 1000 messages`)
  })
})

beside('MessageChannel', function* (traffic) {
  const { port1, port2 } = new MessageChannel()
  port2.on('message', (text: string) => port2.postMessage(`${text}, answered`))
  yield* tenTimes(traffic, function* (n) {
    const answer = once(port1, 'message')
    port1.postMessage(`message ${n}`)
    assert.deepEqual(yield* until(answer), [`message ${n}, answered`])
  })
  port1.close()
})

// -------------------------------------------------------------------- other sockets

beside('fetch, and node:http with and without keep-alive', function* (traffic) {
  const http = createHttpServer((request, response) => {
    let bytes = 0
    request.on('data', (chunk: Buffer) => (bytes += chunk.length))
    request.on('end', () => response.end(`${request.method} ${request.url}: ${bytes}`))
  }).listen(0, HOST)
  yield* until(once(http, 'listening'))
  const url = `http://${HOST}:${(http.address() as AddressInfo).port}`
  yield* tenTimes(traffic, function* (n) {
    const response = yield* until(fetch(`${url}/${n}`, { method: 'POST', body: 'x'.repeat(n * 10_000) }))
    assert.equal(yield* until(response.text()), `POST /${n}: ${n * 10_000}`)
    const [got] = (yield* until(once(get(`${url}/get`, { agent: false }), 'response'))) as [IncomingMessage]
    let text = ''
    got.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    yield* until(once(got, 'end'))
    assert.equal(text, 'GET /get: 0')
  })
  http.close()
  http.closeAllConnections()
})

beside('node:net and node:dgram', function* (traffic) {
  const tcp = createServer((socket) => socket.pipe(socket)).listen(0, HOST)
  const udp = createSocket('udp4').bind(0, HOST)
  yield* until(Promise.all([once(tcp, 'listening'), once(udp, 'listening')]))
  const client = connect({ host: HOST, port: (tcp.address() as AddressInfo).port })
  const peer = createSocket('udp4')
  udp.on('message', (message, from) => udp.send(message, from.port, from.address))
  yield* tenTimes(traffic, function* (n) {
    client.write(`over tcp ${n}`)
    assert.equal(String(yield* until(once(client, 'data'))), `over tcp ${n}`)
    peer.send(`over udp ${n}`, udp.address().port, HOST)
    const [message] = (yield* until(once(peer, 'message'))) as [Buffer]
    assert.equal(message.toString(), `over udp ${n}`)
  })
  client.destroy()
  peer.close()
  udp.close()
  tcp.close()
})

beside('names are looked up, by the host and for our connections', function* (traffic) {
  yield* tenTimes(traffic, function* () {
    const { address } = yield* until(lookup('localhost', { family: 4 }))
    assert.equal(address, HOST)
    const { reader, writer } = yield* openConnection({ host: 'localhost', port: traffic.server.port })
    yield* writer.send('by name\n')
    assert.equal(yield* reader.readTextLine(), 'by name')
    writer.close()
  })
})

// -------------------------------------------------------------------- threads and processes

beside('files, random bytes and compression: what the threads of the host do', function* (traffic) {
  const folder = yield* until(mkdtemp(join(tmpdir(), 'cede-beside-')))
  const path = join(folder, 'file')
  yield* tenTimes(traffic, function* (n) {
    const bytes = yield* until(promisify(randomBytes)(100_000))
    yield* until(writeFile(path, bytes))
    assert.equal((yield* until(stat(path))).size, bytes.length)
    const chunks: Buffer[] = []
    const collect = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
      for await (const chunk of source) {
        chunks.push(chunk)
        yield chunk
      }
    }
    yield* until(
      pipeline(createReadStream(path), createGzip(), createGunzip(), collect, async (source) => {
        for await (const _ of source);
      }),
    )
    assert.ok(Buffer.concat(chunks).equals(bytes), `round ${n}`)
    assert.ok((yield* until(readFile(path))).equals(bytes))
  })
  yield* until(rm(folder, { recursive: true }))
})

beside('child processes', function* (traffic) {
  for (let n = 0; n < 3; n++) {
    const before = traffic.messages
    const { stdout } = yield* until(promisify(exec)(`echo child ${n}`))
    assert.equal(stdout, `child ${n}\n`)
    assert.ok(traffic.messages > before)
  }
})

beside('child processes inherit no socket of ours', function* (traffic) {
  const inodes = (text: string): Set<string> => new Set(text.match(/socket:\[\d+\]/g))
  const ours = inodes(
    readdirSync('/proc/self/fd')
      .map((number) => {
        try {
          return readlinkSync(`/proc/self/fd/${number}`)
        } catch {
          return ''
        }
      })
      .join(' '),
  )
  assert.ok(ours.size >= 2 * traffic.server.connections.length)
  const { stdout } = yield* until(promisify(exec)('ls -l /proc/self/fd'))
  assert.deepEqual(
    [...inodes(stdout)].filter((inode) => ours.has(inode)),
    [],
  )
})

beside('worker threads: messages there and back', function* (traffic) {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads')
     parentPort.on('message', (text) => parentPort.postMessage(text + ', answered'))`,
    { eval: true, execArgv: [] },
  )
  yield* tenTimes(traffic, function* (n) {
    const answer = once(worker, 'message')
    worker.postMessage(`message ${n}`)
    assert.deepEqual(yield* until(answer), [`message ${n}, answered`])
  })
  yield* until(worker.terminate())
})

for (const [end, code] of [
  ['exit', 3],
  ['terminate', 1],
  ['throw', 1],
  ['finish', 0],
] as const) {
  beside(`a worker with a driver and traffic of its own: ${end}`, function* (traffic) {
    // Options of Node do not reach the loaders of a worker: it registers what reads TypeScript by itself.
    const program = `import('tsx/esm/api').then((tsx) => { tsx.register(); return import(${JSON.stringify(PROGRAMS)}) })`
    const worker = new Worker(program, {
      eval: true,
      workerData: end,
      execArgv: [],
      env: { ...process.env, CEDE_DRIVER: 'epoll' },
    })
    const errors: unknown[] = []
    worker.on('error', (error) => errors.push(error))
    const exited = new Promise((resolve) => worker.on('exit', resolve))
    assert.deepEqual(yield* until(once(worker, 'message')), ['epoll: 1000 messages'])
    const before = traffic.messages
    worker.postMessage('go on')
    if (end === 'terminate') void worker.terminate()
    assert.equal(yield* until(exited), code)
    assert.equal(errors.length, end === 'throw' ? 1 : 0)
    if (end === 'throw') assert.match(String(errors[0]), /on purpose$/)
    while (traffic.messages < before + 1_000) yield* sleep(0)
  })
}

// -------------------------------------------------------------------- AsyncLocalStorage

beside('AsyncLocalStorage: each connection keeps its own, whatever it waits for', function* (traffic) {
  const storage = new AsyncLocalStorage<string>()
  const emitter = new EventEmitter().setMaxListeners(0)
  const own = (): string => storage.getStore() ?? 'none'
  const waits: readonly (() => Generator<Suspension, unknown>)[] = [
    () => sleep(1) as Generator<Suspension, unknown>,
    () => sleep(0) as Generator<Suspension, unknown>,
    () => until(readFile(PROGRAMS)) as Generator<Suspension, unknown>,
    () => until(new Promise((resolve) => setImmediate(resolve))) as Generator<Suspension, unknown>,
    () => until(once(emitter, 'all')) as Generator<Suspension, unknown>,
  ]
  const wrong: string[] = []
  const check = (name: string, where: string): void => {
    if (own() !== name) wrong.push(`${where}: expected ${name}, found ${own()}`)
  }
  const emitting = setInterval(() => emitter.emit('all'), 1)
  storage.enterWith('the server')
  const server = yield* startServer(
    function* (reader, writer) {
      const name = (yield* reader.readTextLine())!
      check('the server', 'a handler begins where its server was started')
      storage.enterWith(name)
      for (let n = 0; n < 10; n++) {
        yield* waits[n % waits.length]!()
        check(name, `wait ${n % waits.length}`)
        yield* writer.send(`${own()}\n`)
        yield* reader.readLine()
        check(name, 'a read')
      }
    },
    { host: HOST, port: 0 },
  )
  yield* gather(
    Array.from({ length: 30 }, (_, client) =>
      (function* () {
        const name = `client ${client}`
        storage.enterWith(`${name} here`)
        const { reader, writer } = yield* openConnection({ host: HOST, port: server.port })
        yield* writer.send(`${name}\n`)
        for (let n = 0; n < 10; n++) {
          assert.equal(yield* reader.readTextLine(), name)
          check(`${name} here`, 'in a client')
          yield* writer.send('go on\n')
        }
        writer.close()
      })(),
    ),
  )
  clearInterval(emitting)
  yield* server.shutdown()
  assert.deepEqual(wrong, [])
  assert.ok(traffic.messages > 0)
})

// -------------------------------------------------------------------- how processes end

test('beforeExit comes once when everything is over, then exit', options, async () => {
  const { code, stdout, stderr } = await runChild(PROGRAMS, ['ends'], { env: { CEDE_DRIVER: 'epoll' } })
  assert.deepEqual([code, stdout, stderr], [0, 'traffic is over\nbeforeExit 0\nexit 0\n', ''])
})

test(
  'process.exit in the middle of traffic: exit is told, with its code, and what was printed is out',
  options,
  async () => {
    const { code, stdout, stderr } = await runChild(PROGRAMS, ['exits'], { env: { CEDE_DRIVER: 'epoll' } })
    assert.deepEqual([code, stdout, stderr], [5, 'exits\nexit 5\n', ''])
  },
)

test('uncaughtException and unhandledRejection are told, and the traffic goes on', options, async () => {
  const { code, stdout, stderr } = await runChild(PROGRAMS, ['throws'], { env: { CEDE_DRIVER: 'epoll' } })
  assert.equal(stderr, '')
  assert.deepEqual(stdout.split('\n').sort(), [
    '',
    'the traffic went on 5 times',
    'uncaughtException: in a listener',
    'uncaughtException: in a tick',
    'uncaughtException: in a timer',
    'uncaughtException: in an immediate',
    'unhandledRejection: in a promise',
  ])
  assert.equal(code, 0)
})

test('an exception that nobody catches ends the process, whatever traffic there is', options, async () => {
  const { code, stdout, stderr } = await runChild(PROGRAMS, ['crashes'], { env: { CEDE_DRIVER: 'epoll' } })
  assert.match(stderr, /Error: nobody catches it/)
  assert.deepEqual([code, stdout], [1, 'exit 1\n'])
})

test('signals are told in the middle of traffic; SIGINT ends it as ever', options, async () => {
  const child = new Child(PROGRAMS, ['signals'], { env: { CEDE_DRIVER: 'epoll' } })
  await child.printed('ready')
  for (let n = 1; n <= 3; n++) {
    child.kill('SIGUSR2')
    await child.printed(`signal ${n}`)
  }
  child.kill('SIGINT')
  const { signal, stdout } = await child.ended
  assert.equal(signal, 'SIGINT')
  assert.match(stdout, /cleaned up\n$/)
})
