/**
 * The soak: servers and clients in one process that do everything to each other for a while, over TCP and Unix sockets;
 * and then nothing may be left of it.
 *
 *   npm run soak                      60 seconds, another seed each time, which is printed
 *   npm run soak -- --seconds 5 --seed 7
 *   npm run soak -- --leak task       leaks on purpose: it must fail (descriptor, socket, timer, task, heap, report)
 *   CEDE_DRIVER=node npm run soak     on that driver; else on the one that is chosen here
 *
 * The servers stand all the time. It goes by rounds: clients come and go, honest ones and all the others; then all clients
 * end, and when the servers have no connection left, what there is is counted. The first round is only for caches to
 * fill and code to be compiled; what there is after it is what there must be at the end: the same descriptors, tasks
 * and timers, on the epoll driver also by its own count, and on the heap no more than `HEAP_TOLERANCE` above.
 *
 * An honest client must be served without any error, byte for byte. What is told to the exception handler must be what
 * somebody did on purpose.
 */
import { setImmediate as afterImmediates } from 'node:timers/promises'
import { existsSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  allTasks,
  ClosedError,
  ConnectError,
  ConnectionLostError,
  createTask,
  gather,
  getRunningLoop,
  IncompleteReadError,
  openConnection,
  Runner,
  sleep,
  sleepForever,
  startServer,
  taskGroup,
  timeoutOr,
  until,
  type ConnectionOptions,
  type ExceptionContext,
  type Operation,
  type Server,
  type StreamReader,
  type StreamWriter,
} from 'cede'
import { EpollDriver } from '../../packages/cede/src/drivers/epoll.ts'
import { usedHeap } from '../support/garbage.ts'
import { WaitAudit } from '../support/wait-audit.ts'
import { grownSince, heapCensus, type HeapCensus } from './heap-census.ts'

const LEAKS = ['descriptor', 'socket', 'timer', 'task', 'heap', 'report'] as const
type Leak = (typeof LEAKS)[number]

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    leak: { type: 'string' },
  },
})
const seconds = Number(values.seconds)
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000))
const leak = values.leak as Leak | undefined
if (!(seconds > 0) || !Number.isInteger(seed) || (leak !== undefined && !LEAKS.includes(leak))) {
  console.error(`soak: expected --seconds above 0, --seed a whole number, --leak one of ${LEAKS.join(', ')}`)
  process.exit(2)
}

/**
 * Objects that are alive, without code: what caches and tables of Node hold goes up and down by less than half of this, and
 * a minute has 20,000 connections or more. So 15 bytes kept of each are found.
 */
const HEAP_TOLERANCE = 256 * 1024
/** Rounds besides the first. */
const ROUNDS = 4
const CLIENTS = 48
/** In which all connections must be gone when the clients have ended, in milliseconds. */
const PATIENCE_MS = 20_000
const IDLE_MS = 1_000
/** How long a deaf client may stay. */
const FLUSH_MS = 300

const random = generator(seed)
const problems: string[] = []
const counts = {
  tcp: 0,
  unix: 0,
  bytes: 0,
  resets: 0,
  cancels: 0,
  floods: 0,
  halfCloses: 0,
  deaf: 0,
  failures: 0,
  restarts: 0,
}

/** A generator of numbers from 0 to 1 (a linear congruence modulo 2^31 - 1). */
function generator(start: number): () => number {
  let state = (start % 2_147_483_646) + 1
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
}

function upTo(most: number): number {
  return Math.floor(random() * (most + 1))
}

/** No more than ten: the first ones say it. */
function problem(what: string): void {
  if (problems.length < 10) problems.push(what.slice(0, 1_000))
}

// -------------------------------------------------------------------- the servers

/** What handlers throw on purpose. */
class OnPurpose extends Error {}

/** Echoes, or does what the first line asks for. */
function* serve(reader: StreamReader, writer: StreamWriter) {
  const first = yield* timeoutOr(IDLE_MS, reader.readLine(), null)
  switch (first?.toString()) {
    case 'throw\n':
      throw new OnPurpose('a handler that fails')
    case 'leave\n':
      writer.write('I leave\n')
      return
    case 'blast\n':
      writer.write(Buffer.alloc(8_000_000))
      return
    case 'stay\n':
      yield* sleepForever()
  }
  if (first === null || first === undefined) return
  yield* writer.send(first)
  for (;;) {
    const chunk = yield* timeoutOr(IDLE_MS, reader.read(65_536), null)
    if (chunk === null) return
    yield* writer.send(chunk)
  }
}

function reported({ message, error, fromOutside = false }: ExceptionContext): void {
  if (error instanceof OnPurpose || fromOutside) return
  const stack = error instanceof Error ? error.stack : String(error)
  problem(`told: ${message}: ${stack}`)
}

interface Places {
  readonly tcp: Server
  readonly unix: Server
  /** Open without any client. */
  readonly sockets: number
}

function open({ tcp, unix }: Places, options: ConnectionOptions = {}) {
  if (random() < 0.5) {
    counts.tcp++
    return openConnection({ ...options, host: '127.0.0.1', port: tcp.port })
  }
  counts.unix++
  return openConnection({ ...options, path: unix.address.path! })
}

// -------------------------------------------------------------------- the clients

type Behaviour = (places: Places) => Operation<void>

/** Each is served to its end, unless it is cancelled; none may fail. */
const honest: readonly Behaviour[] = [
  function* lines(places) {
    const { reader, writer } = yield* open(places)
    try {
      for (let i = upTo(20); i >= 0; i--) {
        const line = `${'x'.repeat(upTo(2_000))} ${i}\n`
        yield* writer.send(line)
        const back = yield* reader.readLine()
        if (back?.toString() !== line)
          throw new Error(`expected ${line.length} bytes back, found ${back?.length}`)
        counts.bytes += line.length
        if (random() < 0.2) yield* sleep(upTo(5))
      }
    } finally {
      writer.close()
    }
  },
  function* halfClose(places) {
    const { reader, writer } = yield* open(places)
    try {
      const body = Buffer.alloc(1 + upTo(200_000), 1 + upTo(200))
      body[0] = 10
      const sending = function* () {
        yield* writer.send(body)
        writer.writeEof()
      }
      const [back] = yield* gather([reader.read(), sending()])
      if (back?.equals(body) !== true)
        throw new Error(`expected ${body.length} bytes back, found ${back?.length}`)
      counts.bytes += body.length
      counts.halfCloses++
    } finally {
      writer.close()
    }
  },
  function* flood(places) {
    const { reader, writer } = yield* open(places)
    try {
      const block = Buffer.alloc(16_384, 'y')
      block[0] = 10
      const sent = (1 + upTo(50)) * block.length
      const sending = function* () {
        for (let left = sent; left > 0; left -= block.length) yield* writer.send(block)
      }
      const receiving = function* () {
        yield* sleep(upTo(5))
        return yield* reader.readExactly(sent)
      }
      const [back] = yield* gather([receiving(), sending()])
      if (back[0] !== 10) throw new Error('expected the first byte back')
      counts.bytes += sent
      counts.floods++
    } finally {
      writer.close()
    }
  },
  function* sentAway(places) {
    const { reader, writer } = yield* open(places)
    try {
      yield* writer.send('leave\n')
      const text = yield* reader.readText()
      if (text !== 'I leave\n') throw new Error(`expected a last word, found ${text}`)
    } finally {
      writer.close()
    }
  },
]

/** These meet errors, and make them. */
const others: readonly Behaviour[] = [
  function* reset(places) {
    const { reader, writer } = yield* open(places)
    try {
      writer.write(`${'z'.repeat(upTo(1_000))}\n`)
      if (random() < 0.5) yield* reader.readLine()
      writer.write('half a li')
      yield* sleep(upTo(3))
    } finally {
      writer.abort()
      counts.resets++
    }
  },
  function* silent(places) {
    const { writer } = yield* open(places)
    try {
      yield* sleep(upTo(30))
    } finally {
      writer.close()
    }
  },
  function* deaf(places) {
    const { writer } = yield* open(places, { limitBytes: 1_000 })
    try {
      yield* writer.send('blast\n')
      yield* sleep(random() < 0.1 ? 2 * FLUSH_MS : upTo(20))
      counts.deaf++
    } finally {
      if (random() < 0.5) writer.close()
      else writer.abort()
    }
  },
  function* failing(places) {
    const { reader, writer } = yield* open(places)
    try {
      yield* writer.send('throw\n')
      yield* reader.read()
      counts.failures++
    } finally {
      writer.close()
    }
  },
  function* nobodyThere({ unix }) {
    yield* openConnection(
      random() < 0.5 ? { host: '127.0.0.1', port: 1 } : { path: `${unix.address.path!}-none` },
    )
  },
  function* givesUpConnecting(places) {
    const opening = createTask(open(places), { name: 'gives up' })
    // A callback, since the wait below is cut short if this client is cancelled as well.
    opening.addDoneCallback(() => {
      if (opening.status === 'done') opening.result().writer.abort()
    })
    try {
      if (random() < 0.5) yield* sleep(0)
    } finally {
      opening.cancel()
      yield* opening.join()
    }
  },
  function* restart() {
    const server = yield* startServer(serve, { host: '127.0.0.1', port: 0, flushMs: FLUSH_MS })
    const talk = function* (first: string) {
      let writer: StreamWriter | null = null
      try {
        const connection = yield* openConnection({ host: '127.0.0.1', port: server.port })
        writer = connection.writer
        yield* writer.send(first)
        yield* connection.reader.readLine()
        yield* sleep(upTo(10))
      } catch (error) {
        if (!isExpected(error)) throw error
      } finally {
        writer?.close()
      }
    }
    try {
      yield* taskGroup(function* (group) {
        for (const first of ['stay\n', 'hello\n', 'hello\n']) group.createTask(talk(first), { name: 'talk' })
        yield* sleep(upTo(10))
        yield* server.shutdown({ graceMs: upTo(5) })
      })
    } finally {
      yield* server.shutdown({ graceMs: 0 })
    }
    counts.restarts++
  },
]

function isExpected(error: unknown): boolean {
  return [ConnectError, ConnectionLostError, ClosedError, IncompleteReadError].some(
    (kind) => error instanceof kind,
  )
}

function* client(places: Places, untilMs: number) {
  const loop = getRunningLoop()
  while (loop.time() < untilMs) {
    const isHonest = random() < 0.5
    const behaviour = isHonest ? honest[upTo(honest.length - 1)]! : others[upTo(others.length - 1)]!
    try {
      if (random() < 0.2) {
        // Cancelled at any moment, whatever it does.
        yield* timeoutOr(0.01 + random() * 10, behaviour(places), undefined)
        counts.cancels++
      } else {
        yield* behaviour(places)
      }
    } catch (error) {
      if (isHonest || !isExpected(error)) problem(`${behaviour.name}: ${String((error as Error).stack)}`)
    }
    // Ports of connections that were closed are not free at once.
    yield* sleep(upTo(30))
  }
}

// -------------------------------------------------------------------- what is left

interface Left {
  /** How many there are of each kind; none where the system does not say. */
  readonly descriptors: ReadonlyMap<string, number>
  /** As the epoll driver counts them; 0 on others. */
  readonly watched: number
  readonly madeByShim: number
  readonly tasks: number
  readonly timers: number
  /** Null if nobody asked. */
  readonly heap: HeapCensus | null
}

function descriptors(): Map<string, number> {
  const kinds = new Map<string, number>()
  if (!existsSync('/proc/self/fd')) return kinds
  for (const number of readdirSync('/proc/self/fd')) {
    const kind = kindOf(`/proc/self/fd/${number}`)
    if (kind !== null) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  }
  return kinds
}

function kindOf(link: string): string | null {
  try {
    return readlinkSync(link).replace(/:?\[.*\]$/, '')
  } catch {
    // That of the folder that is read.
    return null
  }
}

function* look(withHeap: boolean) {
  const loop = getRunningLoop()
  // What is closed is let go of in some turns of the host's loop, and by finalizers after a collection.
  for (let i = 0; i < 3; i++) {
    for (let turn = 0; turn < 10; turn++) yield* until(afterImmediates())
    usedHeap()
  }
  const left: Left = {
    descriptors: descriptors(),
    watched: watched(),
    madeByShim: madeByShim(),
    tasks: allTasks().length,
    timers: [...loop.timers].length,
    heap: withHeap ? yield* until(heapCensus()) : null,
  }
  return left
}

/** Sockets of ours and of Node's. */
function openSockets(): number {
  return watched() + process.getActiveResourcesInfo().filter((kind) => /TCP|Pipe/.test(kind)).length
}

function watched(): number {
  return driver instanceof EpollDriver ? driver.watched : 0
}

function madeByShim(): number {
  return driver instanceof EpollDriver ? driver.shim.openDescriptors() : 0
}

/** Clients come and go; then all connections end. */
function* round(places: Places, ms: number, withHeap: boolean) {
  const untilMs = getRunningLoop().time() + ms
  yield* taskGroup(function* (group) {
    for (let i = 0; i < CLIENTS; i++) group.createTask(client(places, untilMs), { name: 'client' })
  })
  const servers = [places.tcp, places.unix]
  const gone = function* () {
    while (servers.some(({ connections }) => connections.length > 0) || openSockets() > places.sockets)
      yield* sleep(5)
    return true
  }
  if (!(yield* timeoutOr(PATIENCE_MS, gone(), false))) {
    const names = servers.flatMap(({ connections }) => connections.map(({ name }) => name))
    problem(
      `connections: expected none, found ${openSockets() - places.sockets} sockets: ${names.join(', ')}`,
    )
  }
  leakOnPurpose()
  return yield* look(withHeap)
}

const kept: unknown[] = []

function leakOnPurpose(): void {
  const loop = getRunningLoop()
  if (leak === 'descriptor') openSync('/dev/null', 'r')
  else if (leak === 'socket' && driver instanceof EpollDriver)
    driver.shim.listenTcp('127.0.0.1', 0, 1, true, -1, 0)
  else if (leak === 'timer') loop.callLater(10_000_000, () => {})
  else if (leak === 'task') createTask(sleepForever(), { name: 'leaked' })
  else if (leak === 'heap') for (let i = 0; i < 5_000; i++) kept.push({ kept: [i] })
  else if (leak === 'report') {
    loop.callSoon(() => {
      throw new Error('not on purpose')
    })
  }
}

function compare(first: Left, last: readonly Left[]): number {
  for (const { descriptors, watched, madeByShim, tasks, timers } of last) {
    for (const [kind, count] of descriptors) {
      const had = first.descriptors.get(kind) ?? 0
      if (count > had) problem(`descriptors: expected ${had} ${kind}, found ${count}`)
    }
    if (watched > first.watched) problem(`watched: expected ${first.watched}, found ${watched}`)
    if (madeByShim > first.madeByShim) problem(`shim: expected ${first.madeByShim}, found ${madeByShim}`)
    if (tasks > first.tasks) problem(`tasks: expected ${first.tasks}, found ${tasks}`)
    if (timers > first.timers) problem(`timers: expected ${first.timers}, found ${timers}`)
  }
  // What grows for ever has grown at the end of both of the last rounds.
  const growths = last.slice(-2).map(({ heap }) => grownSince(first.heap!, heap!))
  const grown = growths.sort((a, b) => a.bytes - b.bytes)[0]!
  if (grown.bytes > HEAP_TOLERANCE) {
    problem(`heap: expected no more than ${HEAP_TOLERANCE} bytes more, found ${grown.bytes}: ${grown.most}`)
  }
  return grown.bytes
}

// -------------------------------------------------------------------- all of it

function* main(folder: string) {
  const options = { flushMs: FLUSH_MS }
  const tcp = yield* startServer(serve, { host: '127.0.0.1', port: 0, ...options })
  const unix = yield* startServer(serve, { path: join(folder, 'socket'), backlog: 4_096, ...options })
  const places = { tcp, unix, sockets: openSockets() }
  const roundMs = (seconds * 1_000) / (ROUNDS + 2)
  const first = yield* round(places, 2 * roundMs, true)
  const last: Left[] = []
  for (let i = 0; i < ROUNDS; i++) last.push(yield* round(places, roundMs, i >= ROUNDS - 2))
  const grown = compare(first, last)
  yield* tcp.shutdown()
  yield* unix.shutdown()
  return grown
}

const folder = mkdtempSync(join(tmpdir(), 'cede-soak-'))
const waits = new WaitAudit(false)
const runner = new Runner({ exceptionHandler: reported })
const loop = runner.getLoop()
const { driver } = loop
console.log(`soak: driver ${driver.name}, seed ${seed}, ${seconds} s`)
const unwatch = loop.addInstrument(waits)
let grown = 0
try {
  grown = await runner.run(() => main(folder))
} catch (error) {
  problem(`the soak failed: ${String((error as Error).stack)}`)
}
await runner.close()
unwatch()
for (let i = 0; i < 20; i++) await afterImmediates()
for (const one of [...waits.problems, ...waits.unended()]) problem(one)
for (const timer of loop.timers) problem(`a timer is still armed for ${timer.deadlineMs} ms`)
const sockets = process.getActiveResourcesInfo().filter((kind) => /TCP|^PipeServer/.test(kind))
if (sockets.length > 0) problem(`open: ${sockets.join(', ')}`)
if (watched() > 0) problem(`watched: expected 0 at the end, found ${watched()}`)
// The driver itself has one, for as long as the thread lives.
if (madeByShim() > 1) problem(`shim: expected 1 descriptor at the end, found ${madeByShim()}`)
rmSync(folder, { recursive: true })

const { tcp, unix, bytes, resets, cancels, floods, halfCloses, deaf, failures, restarts } = counts
console.log(
  `soak: ${tcp} TCP and ${unix} Unix connections, ${(bytes / 1e6).toFixed(0)} MB echoed, ${resets} resets, ` +
    `${cancels} cancels, ${floods} floods, ${halfCloses} half closes, ${deaf} deaf clients, ${failures} failed handlers, ` +
    `${restarts} servers restarted; heap ${grown >= 0 ? '+' : ''}${Math.round(grown / 1024)} KiB; ` +
    (problems.length === 0 ? 'nothing is left' : `${problems.length} problems`),
)
for (const one of problems) console.error(`soak: ${one}`)
if (problems.length > 0) {
  const again = process.env['CEDE_DRIVER'] === undefined ? '' : `CEDE_DRIVER=${driver.name} `
  console.error(`soak: to try again: ${again}npm run soak -- --seconds ${seconds} --seed ${seed}`)
  process.exitCode = 1
}
