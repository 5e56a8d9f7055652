// The load generator, the checks of what comes back, and the pieces around them.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { Child, pythonWith } from '../../bench/child.ts'
import { compiledC, compiledGo } from '../../bench/compile.ts'
import { coresIn, pinned } from '../../bench/cores.ts'
import { MissingError } from '../../bench/line-process.ts'
import { compiledLoad } from '../../bench/load/compile.ts'
import { LoadGenerator, type LineLoad } from '../../bench/load/line-load.ts'
import { checkRedis, figuresOf } from '../../bench/redis/redis-load.ts'
import { startServer } from '../../bench/server-cases.ts'

const load: LineLoad = { connections: 5, lineBytes: 100, pipelined: 3 }

/** False, and the test is skipped, where the generator cannot be compiled. */
function canLoad(t: TestContext): boolean {
  try {
    compiledLoad()
    return true
  } catch (error) {
    if (!(error instanceof MissingError)) throw error
    t.skip(error.message)
    return false
  }
}

async function listening(handler: (socket: Socket) => void): Promise<Server & Disposable & { port: number }> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    handler(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(server, {
    port: (server.address() as AddressInfo).port,
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  })
}

async function withLoad(
  t: TestContext,
  handler: (socket: Socket) => void,
  use: (generator: LoadGenerator) => Promise<void>,
) {
  if (!canLoad(t)) return
  using server = await listening(handler)
  const generator = new LoadGenerator(server.port, load)
  try {
    await use(generator)
  } finally {
    generator.end()
  }
}

const echo = (socket: Socket) => socket.on('data', (chunk) => socket.write(chunk))

test('closed loop: so many lines are echoed, over every connection', async (t) => {
  const perConnection = new Map<Socket, number>()
  const counted = (socket: Socket) => {
    echo(socket)
    socket.on('data', (chunk: Buffer) => {
      const lines = chunk.toString('latin1').split('\n').length - 1
      perConnection.set(socket, (perConnection.get(socket) ?? 0) + lines)
    })
  }
  await withLoad(t, counted, async (generator) => {
    await generator.connect()
    perConnection.clear()
    const answer = await generator.closedLoop(1_000)
    assert.equal(answer.lines, 1_000)
    assert.equal(
      [...perConnection.values()].reduce((a, b) => a + b),
      1_000,
    )
    assert.equal(perConnection.size, load.connections)
    assert.ok(0 < answer.p50 && answer.p50 <= answer.p99 && answer.p99 <= answer.p999)
    assert.ok(answer.p999 <= answer.longest && answer.longest <= answer.ns)
    assert.equal((await generator.closedLoop(7)).lines, 7)
  })
})

test('open loop: latencies count from when a line was due, also while the server is silent', async (t) => {
  // Really waits: the generator is a process with a clock of its own. Latencies are only held from below.
  let silent = false
  const held: (() => void)[] = []
  const stopping = (socket: Socket) =>
    socket.on('data', (chunk) => {
      const send = () => socket.write(chunk)
      if (!silent) send()
      else if (held.push(send) === 1) {
        setTimeout(() => {
          silent = false
          for (const each of held) each()
        }, 300)
      }
    })
  await withLoad(t, stopping, async (generator) => {
    await generator.connect()
    silent = true
    const answer = await generator.openLoop(1_000, 1)
    assert.equal(answer.lines, 1_000)
    // 300 of 1,000 were due in the silence, and the first of them waited for all of it.
    assert.ok(answer.longest >= 290e6)
    assert.ok(answer.p99 >= 200e6)
  })
})

test('flood: the polite lines are counted, and what the flooding connection got back', async (t) => {
  await withLoad(t, echo, async (generator) => {
    await generator.connect()
    const answer = await generator.flood(500, 0.2)
    assert.equal(answer.lines, 100)
    assert.ok(answer.flooded > 0)
    assert.equal((await generator.flood(500, 0.2)).lines, 100, 'the flood has ended whole')
    assert.equal((await generator.closedLoop(30)).lines, 30)
  })
})

test('stream: every connection sends so many bytes, in whole lines, and gets them back', async (t) => {
  let bytes = 0
  const counted = (socket: Socket) => {
    echo(socket)
    socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
  }
  await withLoad(t, counted, async (generator) => {
    await generator.connect()
    bytes = 0
    const answer = await generator.stream(1_000_050)
    assert.equal(bytes, load.connections * 1_000_100)
    assert.equal(answer.lines, load.connections * 10_001)
  })
})

test('deaf: it stops when the server takes no more, and hears all of it later', async (t) => {
  const careful = (socket: Socket) => socket.pipe(socket)
  await withLoad(t, careful, async (generator) => {
    await generator.connect()
    const offered = 64 * 2 ** 20
    const taken = await generator.deaf(offered, 200)
    assert.ok(0 < taken && taken < load.connections * offered)
    await generator.hear()
    assert.equal((await generator.closedLoop(30)).lines, 30)
  })
})

test('a byte that is wrong is told', async (t) => {
  const wrong = (socket: Socket) =>
    socket.on('data', (chunk: Buffer) => {
      chunk[chunk.length - 2]! ^= 1
      socket.write(chunk)
    })
  await withLoad(t, wrong, (generator) => assert.rejects(generator.connect(), /wrong bytes came back/))
})

test('lines that come back over the wrong connection are told', async (t) => {
  let crossing = false
  let held: { socket: Socket; chunk: Buffer } | undefined
  const crossed = (socket: Socket) =>
    socket.on('data', (chunk) => {
      if (!crossing) {
        socket.write(chunk)
      } else if (held === undefined) {
        held = { socket, chunk }
      } else {
        socket.write(held.chunk)
        held.socket.write(chunk)
        held = undefined
      }
    })
  await withLoad(t, crossed, async (generator) => {
    await generator.connect()
    crossing = true
    await assert.rejects(generator.closedLoop(1_000), /wrong bytes came back/)
  })
})

test('more than was sent, and a closed connection, are told', async (t) => {
  const twice = (socket: Socket) => socket.on('data', (chunk) => socket.write(Buffer.concat([chunk, chunk])))
  await withLoad(t, twice, (generator) => assert.rejects(generator.connect(), /more came back than was sent/))
  const closing = (socket: Socket) => socket.on('data', () => socket.end())
  await withLoad(t, closing, (generator) => assert.rejects(generator.connect(), /it has closed a connection/))
})

test('without a C compiler the error says what to install', { skip: process.platform !== 'linux' }, () => {
  const empty = mkdtempSync(join(tmpdir(), 'cede-load-'))
  try {
    assert.throws(
      () => compiledLoad('/no/such/compiler', empty),
      (error) => {
        assert.ok(error instanceof MissingError)
        assert.match(error.message, /a C compiler was expected, found none .* install gcc and libc6-dev/)
        return true
      },
    )
  } finally {
    rmSync(empty, { recursive: true })
  }
})

test('a peer whose library is missing is missing, and not broken', (t) => {
  if (!canLoad(t)) return
  const empty = mkdtempSync(join(tmpdir(), 'cede-peer-'))
  try {
    const source = new URL('../../bench/echo/peers/libuv.c', import.meta.url)
    const needs = { header: 'no/such/header.h', library: 'none' }
    assert.throws(
      () => compiledC(source, { folder: empty, needs }),
      (error) => error instanceof MissingError && /no\/such\/header\.h was expected/.test(error.message),
    )
  } finally {
    rmSync(empty, { recursive: true })
  }
})

test('without Go its peer is missing', () => {
  const empty = mkdtempSync(join(tmpdir(), 'cede-peer-'))
  try {
    const source = new URL('../../bench/echo/peers/lines.go', import.meta.url)
    assert.throws(
      () => compiledGo(source, { compiler: '/no/such/go', folder: empty }),
      (error) => error instanceof MissingError && /Go was expected, found none/.test(error.message),
    )
  } finally {
    rmSync(empty, { recursive: true })
  }
})

test('the first Python that has the module is taken; without any the peer is missing', () => {
  const stub = (name: string, status: number) => {
    const file = join(folder, name)
    writeFileSync(file, `#!/bin/sh\n[ "$2" = 'import trio' ] && exit ${status}\nexit 9\n`, { mode: 0o755 })
    return file
  }
  const folder = mkdtempSync(join(tmpdir(), 'cede-python-'))
  try {
    const [without, having] = [stub('without', 1), stub('having', 0)]
    assert.equal(pythonWith('trio', ['/no/such/python', without, having]), having)
    assert.equal(pythonWith(undefined, [without, having]), without, 'any will do')
    assert.throws(() => pythonWith('trio', [without]), MissingError)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a server that cannot run here is missing before it is started', async () => {
  const place = {
    module: new URL('../../bench/echo/cede.ts', import.meta.url),
    name: 'echo',
    requires: () => {
      throw new MissingError('something was expected')
    },
  }
  await assert.rejects(startServer(place, { how: '' }), MissingError)
})

test('lists of cores', () => {
  assert.deepEqual(coresIn('0-2,5'), [0, 1, 2, 5])
  assert.deepEqual(coresIn('3'), [3])
  assert.deepEqual(coresIn(''), [])
  assert.deepEqual(pinned(undefined, ['node']), ['node'])
  assert.deepEqual(pinned(1, ['node', 'x']), ['taskset', '-c', '1', 'node', 'x'])
})

test('what redis-benchmark tells becomes nanoseconds', () => {
  const csv =
    '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"\n' +
    '"GET","500000.00","1.4","0.3","1.5","2.0","2.5","4.0"\n'
  assert.deepEqual(figuresOf(csv, 100_000), { ns: 2e8, p50: 1.5e6, p99: 2.5e6, p999: NaN })
  assert.throws(() => figuresOf('WARNING: nothing', 1), /a rate was expected/)
})

test('the hand-written Redis peer answers as it should, also to a byte at a time', async () => {
  const place = { module: new URL('../../bench/redis/peers/net-redis.ts', import.meta.url), name: 'redis' }
  const child = new Child(place)
  try {
    const port = await child.serve(place)
    await checkRedis(port)
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const answers = text(socket)
    const asked =
      '*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n*3\r\n$6\r\nEXPIRE\r\n$1\r\nn\r\n$1\r\n0\r\n*2\r\n$3\r\nGET\r\n$1\r\nn\r\n'
    for (const byte of asked) {
      await new Promise((resolve) => socket.write(byte, resolve))
      await new Promise(setImmediate)
    }
    socket.end()
    assert.equal(await answers, ':1\r\n:1\r\n$-1\r\n')
  } finally {
    child.end()
  }
})

test('a Redis server that answers something else is told', async () => {
  using wrong = await listening((socket) => socket.on('data', () => socket.end('+OK\r\n')))
  await assert.rejects(checkRedis(wrong.port), /was expected, found "\+OK\\r\\n"/)
})
