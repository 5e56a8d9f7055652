/** The shim as JavaScript sees it: each call, and the errno of what goes wrong with it. */
import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setImmediate as polled } from 'node:timers/promises'
import { shim, skip } from '../../../../test/support/shim.ts'
import {
  ADDRESS_BYTES,
  EAGAIN,
  EDGES,
  EINVAL,
  IPV6_ONLY,
  PEER_ENDED,
  READABLE,
  REUSE_PORT,
  WRITABLE,
  type Shim,
} from './shim.ts'

const EPERM = 1
const ENOENT = 2
const EBADF = 9
const EEXIST = 17
const EPIPE = 32
const ENOTSOCK = 88
const EADDRINUSE = 98
const ECONNRESET = 104
const ENOTCONN = 107
const ECONNREFUSED = 111

const HOST = '127.0.0.1'
const folder = mkdtempSync(join(tmpdir(), 'cede-shim-'))
after(() => rmSync(folder, { recursive: true }))

/** A test that leaves no descriptor open. */
function shimTest(title: string, body: () => void | Promise<void>): void {
  test(title, { skip }, async () => {
    const before = shim.openDescriptors()
    await body()
    assert.equal(shim.openDescriptors(), before, 'every descriptor is closed')
  })
}

function made(result: number): number {
  assert.ok(result >= 0, `expected a descriptor, found errno ${-result}`)
  return result
}

function bytes(size: number): Uint8Array {
  return new Uint8Array(size)
}

const address = Buffer.alloc(ADDRESS_BYTES)

function written(): { family: number; port: number; text: string } {
  const length = address.readInt32LE(8)
  return {
    family: address.readInt32LE(0),
    port: address.readInt32LE(4),
    text: address.toString('utf8', 12, 12 + length),
  }
}

function portOf(socket: number): number {
  assert.equal(shim.localAddress(socket, address), 0)
  return written().port
}

function listening(host = HOST, bits = 0): number {
  return made(shim.listenTcp(host, 0, 16, true, -1, bits))
}

/** Two ends of one TCP connection. */
function pair(): readonly [client: number, server: number] {
  const listener = listening()
  const client = made(shim.connectTcp(HOST, portOf(listener), '', 0, true, -1))
  const server = made(shim.accept(listener, address))
  assert.equal(shim.close(listener), 0)
  return [client, server]
}

function closeAll(...descriptors: readonly number[]): void {
  for (const descriptor of descriptors) assert.equal(shim.close(descriptor), 0)
}

shimTest('bytes go both ways, at the places that were asked for', () => {
  const [client, server] = pair()
  const memory = bytes(8)
  assert.equal(shim.read(server, memory, 0, 8), -EAGAIN)
  assert.equal(shim.write(client, Buffer.from('..hello..'), 2, 5), 5)
  assert.equal(shim.read(server, memory, 3, 2), 2)
  assert.deepEqual([...memory], [0, 0, 0, 104, 101, 0, 0, 0])
  assert.equal(shim.read(server, memory, 5, 3), 3)
  assert.equal(Buffer.from(memory).toString('latin1', 3), 'hello')
  closeAll(client, server)
})

shimTest('several pieces leave in one call, from the place that was asked for, 64 at a time', () => {
  const [client, server] = pair()
  const list = ['one', 'two', 'three'].map((text) => Buffer.from(text))
  assert.equal(shim.writeMany(client, list, 1, 1), 7)
  const memory = Buffer.alloc(200)
  assert.equal(shim.read(server, memory, 0, 200), 7)
  assert.equal(memory.toString('latin1', 0, 7), 'wothree')
  const many = Array.from({ length: 100 }, () => Buffer.from('x'))
  assert.equal(shim.writeMany(client, many, 0, 0), 64)
  assert.equal(shim.writeMany(client, many, 64, 0), 36)
  assert.equal(shim.read(server, memory, 0, 200), 100)
  closeAll(client, server)
})

shimTest('a write takes what there is room for, then none', () => {
  const [client, server] = pair()
  const much = bytes(16_000_000)
  const taken = shim.write(client, much, 0, much.length)
  assert.ok(taken > 0 && taken < much.length)
  let result = 0
  do result = shim.write(client, much, 0, much.length)
  while (result > 0)
  assert.equal(result, -EAGAIN)
  closeAll(client, server)
})

shimTest('memory may be larger than an int32 tells, and what is taken of it is less', () => {
  const [client, server] = pair()
  const most = 2 ** 31
  const memory = Buffer.allocUnsafeSlow(most + 8)
  memory.write('the end', most)
  assert.equal(shim.write(client, memory, most, 7), 7)
  assert.equal(shim.writeMany(client, [memory], 0, most), 8)
  assert.equal(shim.read(server, memory, most - 4, 100), -EINVAL)
  assert.equal(shim.read(server, memory, most - 4, 12), 12)
  assert.equal(memory.toString('latin1', most - 4, most + 3), 'the end')
  assert.ok(shim.write(client, memory, 0, memory.length) > 0)
  assert.equal(shim.write(client, memory, 1, memory.length), -EINVAL)
  closeAll(client, server)
})

shimTest('the end of one direction is 0 bytes; the other goes on', () => {
  const [client, server] = pair()
  assert.equal(shim.write(client, Buffer.from('last'), 0, 4), 4)
  assert.equal(shim.endWriting(client), 0)
  assert.equal(shim.read(server, bytes(8), 0, 8), 4)
  assert.equal(shim.read(server, bytes(8), 0, 8), 0)
  assert.equal(shim.write(server, Buffer.from('answer'), 0, 6), 6)
  assert.equal(shim.read(client, bytes(8), 0, 8), 6)
  assert.equal(shim.write(client, Buffer.from('x'), 0, 1), -EPIPE)
  closeAll(client, server)
})

shimTest('a reset: what came before is read, then ECONNRESET, told once; then nothing can be sent', () => {
  const [client, server] = pair()
  assert.equal(shim.write(client, Buffer.from('before'), 0, 6), 6)
  assert.equal(shim.reset(client), 0)
  assert.equal(shim.read(server, bytes(8), 0, 8), 6)
  assert.equal(shim.read(server, bytes(8), 0, 8), -ECONNRESET)
  assert.equal(shim.read(server, bytes(8), 0, 8), 0)
  assert.equal(shim.write(server, Buffer.from('x'), 0, 1), -EPIPE)
  assert.equal(shim.endWriting(server), -ENOTCONN)
  assert.equal(shim.remoteAddress(server, address), -ENOTCONN)
  closeAll(server)
})

shimTest('addresses of both ends', () => {
  const [client, server] = pair()
  assert.equal(shim.remoteAddress(server, address), 0)
  const remote = written()
  assert.equal(shim.localAddress(client, address), 0)
  assert.deepEqual(written(), remote)
  assert.deepEqual([remote.family, remote.text], [4, HOST])
  closeAll(client, server)
})

shimTest('accept tells who it is; EAGAIN when nobody waits', () => {
  const listener = listening()
  assert.equal(shim.accept(listener, address), -EAGAIN)
  const client = made(shim.connectTcp(HOST, portOf(listener), HOST, 0, false, 60))
  const server = made(shim.accept(listener, address))
  const peer = written()
  assert.deepEqual([peer.family, peer.text], [4, HOST])
  assert.equal(peer.port, portOf(client))
  closeAll(client, server, listener)
})

shimTest('a socket of IPv6 takes IPv4 as well, unless it is told not to', (): void => {
  const both = shim.listenTcp('::', 0, 16, true, -1, 0)
  // A machine without IPv6.
  if (both < 0) return
  const client = made(shim.connectTcp(HOST, portOf(both), '', 0, true, -1))
  const server = made(shim.accept(both, address))
  assert.deepEqual([written().family, written().text], [6, '::ffff:127.0.0.1'])
  closeAll(client, server, both)
  const alone = listening('::', IPV6_ONLY)
  const refused = made(shim.connectTcp(HOST, portOf(alone), '', 0, true, -1))
  assert.equal(shim.socketError(refused), -ECONNREFUSED)
  assert.equal(shim.socketError(refused), 0, 'told once')
  closeAll(refused, alone)
})

shimTest("a port is one listener's, unless both say that they share it", () => {
  const first = listening()
  assert.equal(shim.listenTcp(HOST, portOf(first), 16, true, -1, REUSE_PORT), -EADDRINUSE)
  closeAll(first)
  const shared = listening(HOST, REUSE_PORT)
  closeAll(made(shim.listenTcp(HOST, portOf(shared), 16, true, -1, REUSE_PORT)), shared)
})

shimTest('a local port that is in use is not taken', () => {
  const listener = listening()
  const [client, server] = pair()
  const result = shim.connectTcp(HOST, portOf(listener), HOST, portOf(listener), true, -1)
  assert.equal(result, -EADDRINUSE)
  closeAll(client, server, listener)
})

shimTest('Unix sockets: with a file, and with a name alone', () => {
  for (const path of [join(folder, 'a socket ü'), `\0cede ${process.pid}`]) {
    const listener = made(shim.listenUnix(path, 16))
    assert.equal(shim.localAddress(listener, address), 0)
    assert.deepEqual(written(), { family: 1, port: 0, text: path })
    const client = made(shim.connectUnix(path))
    const server = made(shim.accept(listener, address))
    assert.deepEqual(written(), { family: 1, port: 0, text: '' })
    assert.equal(shim.write(client, Buffer.from('hello'), 0, 5), 5)
    assert.equal(shim.read(server, bytes(8), 0, 8), 5)
    assert.equal(shim.listenUnix(path, 16), -EADDRINUSE)
    closeAll(client, server, listener)
  }
  assert.equal(shim.connectUnix(join(folder, 'a socket ü')), -ECONNREFUSED)
  assert.equal(shim.connectUnix(join(folder, 'nothing')), -ENOENT)
  assert.equal(shim.connectUnix('x'.repeat(108)), -EINVAL)
  assert.equal(shim.listenUnix('', 16), -EINVAL)
  const longest = join(folder, 'x'.repeat(107 - folder.length - 1))
  const listener = made(shim.listenUnix(longest, 1))
  assert.equal(shim.localAddress(listener, address), 0)
  assert.equal(written().text, longest)
  closeAll(listener)
})

shimTest('settings of a connection', () => {
  const [client, server] = pair()
  assert.equal(shim.setNoDelay(client, true), 0)
  assert.equal(shim.setNoDelay(client, false), 0)
  assert.equal(shim.setKeepAlive(client, true, 30), 0)
  assert.equal(shim.setKeepAlive(client, false, 0), 0)
  assert.equal(shim.setNoDelay(-1, true), -EBADF)
  closeAll(client, server)
})

shimTest('arguments of a wrong kind are EINVAL or EBADF, and nothing happens', () => {
  const [client, server] = pair()
  const memory = bytes(8)
  const wrong = shim as unknown as Record<keyof Shim, (...args: unknown[]) => number>
  for (const [start, length] of [
    [-1, 2],
    [0, 9],
    [8, 1],
    [0, -1],
    [2 ** 31 - 1, 2 ** 31 - 1],
  ]) {
    assert.equal(shim.read(server, memory, start!, length!), -EINVAL)
    assert.equal(shim.write(client, memory, start!, length!), -EINVAL)
  }
  for (const none of [undefined, null, 'text', {}, [], new Int32Array(8), new DataView(memory.buffer), 5]) {
    assert.equal(wrong.read(server, none, 0, 0), -EINVAL)
    assert.equal(wrong.write(client, none, 0, 0), -EINVAL)
    assert.equal(wrong.writeMany(client, [none], 0, 0), -EINVAL)
    assert.equal(wrong.accept(server, none), -EINVAL)
    assert.equal(wrong.localAddress(server, none), -EINVAL)
    assert.equal(wrong.listenTcp(none, 0, 1, true, -1, 0), -EINVAL)
    assert.equal(wrong.openPoller(new Int32Array(8), none), -EINVAL)
    if (!(none instanceof Int32Array))
      assert.equal(
        wrong.openPoller(none, () => false),
        -EINVAL,
      )
  }
  assert.equal(wrong.writeMany(client, 'text', 0, 0), -EINVAL)
  assert.equal(shim.writeMany(client, [], 0, 0), -EINVAL)
  assert.equal(shim.writeMany(client, [memory], 1, 0), -EINVAL)
  assert.equal(shim.writeMany(client, [memory], 0, 9), -EINVAL)
  assert.equal(shim.accept(server, bytes(16)), -EINVAL, 'too little room for an address')
  for (const host of ['', 'localhost', '127.0.0', 'x'.repeat(500), `::${'1'.repeat(100)}`])
    assert.equal(shim.listenTcp(host, 0, 1, true, -1, 0), -EINVAL)
  for (const port of [-1, 65_536, 2 ** 31 - 1, undefined, 'text']) {
    assert.equal(wrong.listenTcp(HOST, port, 1, true, -1, 0), -EINVAL)
    assert.equal(wrong.connectTcp(HOST, port, '', 0, true, -1), -EINVAL)
    assert.equal(wrong.connectTcp(HOST, 80, '', port, true, -1), -EINVAL)
  }
  assert.equal(wrong.read(), -EINVAL)
  assert.equal(wrong.close(), -EBADF)
  assert.equal(wrong.read('text', memory, 0, 8), -EBADF)
  closeAll(client, server)
})

shimTest('what is closed is closed once, and nothing is closed that is not ours', () => {
  const [client, server] = pair()
  closeAll(client, server)
  assert.equal(shim.close(client), -EBADF)
  assert.equal(shim.reset(server), -EBADF)
  assert.equal(shim.read(client, bytes(8), 0, 8), -EBADF)
  const file = openSync(folder, 'r')
  assert.equal(shim.close(file), -EBADF)
  closeSync(file)
})

shimTest('memory that was given away is EINVAL, not a crash', () => {
  const [client, server] = pair()
  const memory = bytes(64)
  structuredClone(memory, { transfer: [memory.buffer as ArrayBuffer] })
  assert.equal(shim.read(server, memory, 0, 64), -EINVAL)
  assert.equal(shim.write(client, memory, 0, 64), -EINVAL)
  closeAll(client, server)
})

// -------------------------------------------------------------------- epoll

/** Runs `body` with a poller that writes down what it is told. */
async function polling(
  body: (poller: number, told: [token: number, bits: number][]) => Promise<void>,
  room = 16,
): Promise<void> {
  const events = new Int32Array(room)
  const told: [number, number][] = []
  const poller = made(
    shim.openPoller(events, (count) => {
      for (let i = 0; i < count; i++) told.push([events[2 * i]!, events[2 * i + 1]!])
      return false
    }),
  )
  try {
    await body(poller, told)
  } finally {
    assert.equal(shim.closePoller(poller), 0)
  }
}

/** Until libuv has polled often enough. */
async function rounds(): Promise<void> {
  for (let round = 0; round < 10; round++) await polled()
}

shimTest('a watched descriptor is told with its token; edges once', () =>
  polling(async (poller, told) => {
    const [client, server] = pair()
    assert.equal(shim.watch(poller, server, READABLE | PEER_ENDED | EDGES, -7), 0)
    await rounds()
    assert.deepEqual(told, [])
    shim.write(client, Buffer.from('x'), 0, 1)
    await rounds()
    assert.deepEqual(told, [[-7, READABLE]])
    shim.write(client, Buffer.from('x'), 0, 1)
    await rounds()
    assert.equal(told.length, 2)
    assert.equal(shim.rewatch(poller, server, WRITABLE | EDGES, 2 ** 31 - 1), 0)
    await rounds()
    assert.deepEqual(told.slice(2), [[2 ** 31 - 1, WRITABLE]])
    assert.equal(shim.unwatch(poller, server), 0)
    shim.close(client)
    await rounds()
    assert.equal(told.length, 3)
    closeAll(server)
  }),
)

shimTest('more events than there is room for come in several calls', () =>
  polling(async (poller, told) => {
    const pairs = Array.from({ length: 10 }, () => pair())
    for (const [i, [, server]] of pairs.entries()) shim.watch(poller, server, WRITABLE | EDGES, i)
    await rounds()
    assert.deepEqual(
      told.map(([token]) => token).sort((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    )
    for (const both of pairs) closeAll(...both)
  }, 8),
)

shimTest('errors of watching', () =>
  polling(async (poller) => {
    const [client, server] = pair()
    assert.equal(shim.watch(poller, server, READABLE, 1), 0)
    assert.equal(shim.watch(poller, server, READABLE, 1), -EEXIST)
    assert.equal(shim.rewatch(poller, client, READABLE, 1), -ENOENT)
    assert.equal(shim.unwatch(poller, client), -ENOENT)
    assert.equal(shim.watch(client, server, READABLE, 1), -EINVAL)
    assert.equal(shim.watch(-1, server, READABLE, 1), -EBADF)
    const file = openSync(new URL(import.meta.url), 'r')
    assert.equal(shim.watch(poller, file, READABLE, 1), -EPERM)
    assert.equal(shim.read(file, bytes(8), 0, 8), -ENOTSOCK)
    closeSync(file)
    assert.equal(shim.closePoller(client), -EBADF)
    assert.equal(shim.referPoller(client, true), -EBADF)
    closeAll(client, server)
    await rounds()
  }),
)

shimTest('promise callbacks and ticks run after each call; true looks again at once', async () => {
  const [client, server] = pair()
  const diary: string[] = []
  const poller: number = made(
    shim.openPoller(new Int32Array(2), () => {
      diary.push('call')
      void Promise.resolve().then(() => diary.push('promise'))
      process.nextTick(() => diary.push('tick'))
      return diary.filter((what) => what === 'call').length < 3
    }),
  )
  assert.equal(shim.watch(poller, client, WRITABLE, 1), 0)
  await polled()
  await polled()
  assert.deepEqual(diary.slice(0, 9), [
    'call',
    'tick',
    'promise',
    'call',
    'tick',
    'promise',
    'call',
    'tick',
    'promise',
  ])
  shim.closePoller(poller)
  closeAll(client, server)
})

shimTest('a callback may close its own poller', async () => {
  const [client, server] = pair()
  let calls = 0
  const poller: number = made(
    shim.openPoller(new Int32Array(2), () => {
      calls++
      assert.equal(shim.closePoller(poller), 0)
      return true
    }),
  )
  shim.watch(poller, client, WRITABLE, 1)
  await rounds()
  assert.equal(calls, 1)
  closeAll(client, server)
})

shimTest('what a callback throws is an uncaught exception, and the next call comes', async () => {
  const [client, server] = pair()
  const caught: unknown[] = []
  const catching = (error: unknown): void => void caught.push(error)
  const before = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', catching)
  let calls = 0
  const poller = made(
    shim.openPoller(new Int32Array(2), () => {
      if (++calls === 1) throw new Error('mine')
      shim.closePoller(poller)
      return false
    }),
  )
  shim.watch(poller, client, WRITABLE, 1)
  await rounds()
  process.off('uncaughtException', catching)
  for (const listener of before) process.on('uncaughtException', listener)
  assert.equal(calls, 2)
  assert.match(String(caught), /mine/)
  closeAll(client, server)
})
