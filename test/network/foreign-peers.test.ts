/**
 * Programs of others at the other end, each way, over every kind of socket: Node's own `net`, Python's asyncio, netcat
 * and socat. Bytes must come back as they were, with half closes; and much must go through little memory.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  ConnectError,
  createTask,
  openConnection,
  sleep,
  startServer,
  type Operation,
  type StreamReader,
  type StreamWriter,
} from 'cede'
import { usedMemory } from '../support/garbage.ts'
import { online } from './online.ts'
import { Program } from './program.ts'

/** Where a test listens or connects. */
interface Place {
  readonly host: string
  readonly port: number
  /** Of a Unix socket, else empty. */
  readonly path: string
}

const KINDS = ['tcp4', 'tcp6', 'unix'] as const
type Kind = (typeof KINDS)[number]

interface Peer {
  readonly name: string
  readonly command: string
  /** Of Debian. */
  readonly package: string
  /** What connects, sends its input and then ends it, and prints what it gets. */
  client(kind: Kind, place: Place): Program
  /** What listens, prints `listening PORT` unless it has a path, and echoes to one client, or null: it cannot. */
  server: ((kind: Kind, place: Place) => Program) | null
}

const nodeClient = `
const [path, host, port] = process.argv.slice(1)
const socket = net.connect(path === '' ? { host, port: Number(port) } : { path })
process.stdin.pipe(socket).pipe(process.stdout)
`
const nodeServer = `
const [path, host, port] = process.argv.slice(1)
const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  server.close()
  socket.pipe(socket)
})
server.listen(path === '' ? { host, port: Number(port) } : { path }, () => console.log('listening', server.address().port ?? 0))
`
const asyncioClient = `
import asyncio, sys
async def main(path, host, port):
    if path: reader, writer = await asyncio.open_unix_connection(path)
    else: reader, writer = await asyncio.open_connection(host, int(port))
    async def send():
        while True:
            chunk = await asyncio.to_thread(sys.stdin.buffer.read, 65536)
            if not chunk: break
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
    sending = asyncio.create_task(send())
    sys.stdout.buffer.write(await reader.read())
    await sending
    writer.close()
    await writer.wait_closed()
asyncio.run(main(*sys.argv[1:4]))
`
const asyncioServer = `
import asyncio, sys
async def main(path, host, port):
    ended = asyncio.Event()
    async def echo(reader, writer):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        writer.close()
        await writer.wait_closed()
        ended.set()
    if path: server = await asyncio.start_unix_server(echo, path)
    else: server = await asyncio.start_server(echo, host, int(port))
    print('listening', 0 if path else server.sockets[0].getsockname()[1])
    await ended.wait()
    server.close()
asyncio.run(main(*sys.argv[1:4]))
`

const told = ({ path, host, port }: Place): readonly string[] => [path, host, String(port)]
const bracketed = ({ host, port }: Place): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
const socatListen = { tcp4: 'TCP4-LISTEN:0,bind=127.0.0.1', tcp6: 'TCP6-LISTEN:0,bind=[::1]' } as const

const PEERS: readonly Peer[] = [
  {
    name: "Node's net",
    command: 'node',
    package: 'nodejs',
    client: (_, place) => new Program(process.execPath, ['-e', nodeClient, ...told(place)]),
    server: (_, place) => new Program(process.execPath, ['-e', nodeServer, ...told(place)]),
  },
  {
    name: "Python's asyncio",
    command: 'python3',
    package: 'python3',
    client: (_, place) => new Program('python3', ['-u', '-c', asyncioClient, ...told(place)]),
    server: (_, place) => new Program('python3', ['-u', '-c', asyncioServer, ...told(place)]),
  },
  {
    name: 'netcat',
    command: 'nc',
    package: 'netcat-openbsd',
    client: (kind, { path, host, port }) =>
      new Program('nc', kind === 'unix' ? ['-N', '-U', path] : ['-N', host, String(port)]),
    // It cannot echo; peers.test.ts has it as a server.
    server: null,
  },
  {
    name: 'socat',
    command: 'socat',
    package: 'socat',
    client: (kind, place) =>
      new Program('socat', [
        '-t',
        '60',
        '-',
        kind === 'unix' ? `UNIX-CONNECT:${place.path}` : `TCP:${bracketed(place)}`,
      ]),
    server: (kind, { path }) => {
      const listen = kind === 'unix' ? `UNIX-LISTEN:${path}` : socatListen[kind]
      // Its notices name the port.
      return new Program('sh', ['-c', 'exec socat -d -d -t 60 "$0" EXEC:cat 2>&1', listen])
    },
  },
]

const missing = new Map<string, boolean>()

/** Why a test cannot run here, or false. */
function skipped(peer: Peer, kind: Kind): string | false {
  if (kind === 'tcp6' && !hasIPv6()) return 'this machine has no IPv6'
  if (kind === 'unix' && process.platform === 'win32') return 'needs Unix sockets'
  if (peer.command === 'node') return false
  if (!missing.has(peer.command))
    missing.set(peer.command, spawnSync(peer.command, ['-h']).error !== undefined)
  return missing.get(peer.command)! ? `needs ${peer.command} (Debian: ${peer.package})` : false
}

function hasIPv6(): boolean {
  return Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ address }) => address === '::1'),
  )
}

const HOSTS = { tcp4: '127.0.0.1', tcp6: '::1', unix: '' } as const

/** All byte values, and every block another. */
const PAYLOAD = Buffer.concat(
  Array.from({ length: 1_200 }, (_, i) =>
    Buffer.from(Array.from({ length: 256 }, (__, j) => (i * 31 + j) % 256)),
  ),
)

async function inFolder(use: (folder: string) => Promise<unknown>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cede-'))
  try {
    await use(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function* echoChunks(reader: StreamReader, writer: StreamWriter) {
  for (let chunk = yield* reader.read(65_536); chunk !== null; chunk = yield* reader.read(65_536))
    yield* writer.send(chunk)
}

function listen(
  kind: Kind,
  folder: string,
  handler: (reader: StreamReader, writer: StreamWriter) => Operation<unknown>,
) {
  return kind === 'unix'
    ? startServer(handler, { path: join(folder, 'socket') })
    : startServer(handler, { host: HOSTS[kind], port: 0 })
}

/** Where it listens, as soon as it does; a socket's file is there a moment before somebody listens. */
function* openTo(program: Program, kind: Kind, path: string) {
  if (kind !== 'unix') {
    yield* program.untilPrinted('listening')
    yield* program.untilPrinted('\n')
    const port = Number(/listening .*?(\d+)\n/.exec(program.printed)![1])
    return yield* openConnection({ host: HOSTS[kind], port })
  }
  return yield* openWhenThere(program, { path })
}

function* openWhenThere(program: Program, where: { path: string } | { host: string; port: number }) {
  for (;;) {
    try {
      return yield* openConnection(where)
    } catch (error) {
      if (!(error instanceof ConnectError) || program.ended.done()) throw error
      yield* sleep(2)
    }
  }
}

for (const peer of PEERS) {
  for (const kind of KINDS) {
    test(
      `${peer.name} as client, ${kind}: what it sends comes back, also after its half close`,
      {
        skip: skipped(peer, kind),
      },
      () =>
        inFolder((folder) =>
          online(function* () {
            const server = yield* listen(kind, folder, echoChunks)
            const client = peer.client(kind, {
              host: HOSTS[kind],
              port: server.port,
              path: server.address.path ?? '',
            })
            client.type(PAYLOAD)
            client.endInput()
            const { code, stdout, stderr } = yield* client.ended
            assert.equal(stderr, '')
            assert.equal(code, 0)
            assert.ok(stdout.equals(PAYLOAD), `${stdout.length} of ${PAYLOAD.length} bytes`)
            yield* server.shutdown()
          }),
        ),
    )

    const { server: start } = peer
    if (start === null) continue
    test(
      `${peer.name} as server, ${kind}: what we send comes back, also after our half close`,
      {
        skip: skipped(peer, kind),
      },
      () =>
        inFolder((folder) =>
          online(function* () {
            const path = kind === 'unix' ? join(folder, 'socket') : ''
            const server = start(kind, { host: HOSTS[kind], port: 0, path })
            const { reader, writer } = yield* openTo(server, kind, path)
            const sending = createTask(
              (function* () {
                for (let at = 0; at < PAYLOAD.length; at += 7_777)
                  yield* writer.send(PAYLOAD.subarray(at, at + 7_777))
                writer.writeEof()
              })(),
            )
            const back = yield* reader.read()
            assert.ok(back?.equals(PAYLOAD) === true, `${back?.length} of ${PAYLOAD.length} bytes`)
            yield* sending
            writer.close()
            yield* writer.waitClosed()
            assert.equal((yield* server.ended).code, 0)
          }),
        ),
    )
  }
}

for (const kind of KINDS) {
  const netcat = PEERS.find(({ name }) => name === 'netcat')!
  test(
    `netcat as server, ${kind}: each way its own bytes, and each end`,
    { skip: skipped(netcat, kind) },
    () =>
      inFolder((folder) =>
        online(function* () {
          const place = { host: HOSTS[kind], port: 0, path: '' }
          if (kind === 'unix') {
            place.path = join(folder, 'socket')
          } else {
            // It does not say which port it was given: one that was free a moment ago is.
            const server = yield* startServer(echoChunks, { host: place.host, port: 0 })
            place.port = server.port
            yield* server.shutdown()
          }
          const server = new Program(
            'nc',
            kind === 'unix' ? ['-N', '-l', '-U', place.path] : ['-N', '-l', place.host, `${place.port}`],
          )
          const { reader, writer } = yield* openWhenThere(
            server,
            kind === 'unix' ? { path: place.path } : { host: place.host, port: place.port },
          )
          const ours = Buffer.from(PAYLOAD).reverse()
          server.type(PAYLOAD)
          server.endInput()
          yield* writer.send(ours)
          const back = yield* reader.read()
          assert.ok(back?.equals(PAYLOAD) === true, `${back?.length} of ${PAYLOAD.length} bytes`)
          writer.close()
          const { stdout } = yield* server.ended
          assert.ok(stdout.equals(ours), `${stdout.length} of ${ours.length} bytes`)
        }),
      ),
  )
}

// -------------------------------------------------------------------- much through little memory

const MUCH = 64 * 1024 * 1024
const BLOCK = 65_536
/** What may be alive more than before: the buffers of one connection, and what others leave. */
const TOLERANCE = 16 * 1024 * 1024

/** Each block another, so that none can be lost or exchanged unseen. */
function* blocks(): Generator<Buffer, void> {
  for (let i = 0; i < MUCH / BLOCK; i++) {
    const block = Buffer.alloc(BLOCK, i % 251)
    block.writeUInt32BE(i)
    yield block
  }
}

function digest(): string {
  const hash = createHash('sha1')
  for (const block of blocks()) hash.update(block)
  return hash.digest('hex')
}

/** Watches what is alive, and what the process has, while much goes through. */
class Gauge {
  readonly #aliveAtFirst = usedMemory()
  readonly #rssAtFirst = process.memoryUsage().rss
  #most = 0
  #mostRss = 0
  mostBuffered = 0

  sample(buffered: number): void {
    this.mostBuffered = Math.max(this.mostBuffered, buffered)
  }

  look(): void {
    this.#mostRss = Math.max(this.#mostRss, process.memoryUsage().rss - this.#rssAtFirst)
    this.#most = Math.max(this.#most, usedMemory() - this.#aliveAtFirst)
  }

  check(buffers: number): void {
    assert.ok(
      this.mostBuffered > 0 && this.mostBuffered <= buffers,
      `${this.mostBuffered} bytes were buffered`,
    )
    assert.ok(this.#most < TOLERANCE, `${this.#most} bytes more were alive`)
    // Memory that was let go of and not yet collected is in here, but not all that went through.
    assert.ok(this.#mostRss < MUCH, `the process grew by ${this.#mostRss} bytes`)
  }
}

const slowReader = `
import hashlib, socket, sys, time
path, host, port = sys.argv[1:4]
s = socket.socket(socket.AF_UNIX) if path else socket.create_connection((host, int(port)))
if path: s.connect(path)
digest = hashlib.sha1()
total = 0
while chunk := s.recv(32768):
    digest.update(chunk)
    total += len(chunk)
    if total % 7 == 0: time.sleep(0.0005)
    else: time.sleep(0.0001)
print(total, digest.hexdigest())
`
const fastWriter = `
import hashlib, socket, struct, sys
path, host, port = sys.argv[1:4]
s = socket.socket(socket.AF_UNIX) if path else socket.create_connection((host, int(port)))
if path: s.connect(path)
for i in range(${MUCH / BLOCK}):
    s.sendall(struct.pack('>I', i) + bytes([i % 251]) * (${BLOCK} - 4))
s.shutdown(socket.SHUT_WR)
print(s.recv(100).decode())
`

for (const kind of ['tcp4', 'unix'] as const) {
  const python = PEERS[1]!

  test(
    `64 MiB to a slow reader of somebody else's, ${kind}: they arrive, and memory is flat`,
    {
      skip: skipped(python, kind),
    },
    () =>
      inFolder((folder) =>
        online(function* () {
          const gauge = new Gauge()
          const server = yield* listen(kind, folder, function* (_, writer) {
            let count = 0
            for (const block of blocks()) {
              writer.write(block)
              gauge.sample(writer.bufferedBytes)
              yield* writer.drain()
              if (++count % 128 === 0) gauge.look()
            }
          })
          const place = { host: HOSTS[kind], port: server.port, path: server.address.path ?? '' }
          const { stdout, stderr } = yield* new Program('python3', ['-c', slowReader, ...told(place)]).ended
          assert.equal(stderr, '')
          assert.equal(stdout.toString(), `${MUCH} ${digest()}\n`)
          gauge.check(65_536 + BLOCK)
          yield* server.shutdown()
        }),
      ),
  )

  test(
    `64 MiB from a fast writer of somebody else's to our slow reader, ${kind}: they arrive, and memory is flat`,
    {
      skip: skipped(python, kind),
    },
    () =>
      inFolder((folder) =>
        online(function* () {
          const gauge = new Gauge()
          const limitBytes = 65_536
          const server = yield* listen(kind, folder, function* (reader, writer) {
            const hash = createHash('sha1')
            let count = 0
            for (let chunk = yield* reader.read(BLOCK); chunk !== null; chunk = yield* reader.read(BLOCK)) {
              hash.update(chunk)
              gauge.sample(reader.bufferedBytes)
              count++
              if (count % 16 === 0) yield* sleep(1)
              if (count % 128 === 0) gauge.look()
            }
            yield* writer.send(hash.digest('hex'))
          })
          const place = { host: HOSTS[kind], port: server.port, path: server.address.path ?? '' }
          const { stdout, stderr } = yield* new Program('python3', ['-c', fastWriter, ...told(place)]).ended
          assert.equal(stderr, '')
          assert.equal(stdout.toString(), `${digest()}\n`)
          gauge.check(2 * limitBytes + BLOCK)
          yield* server.shutdown()
        }),
      ),
  )
}
