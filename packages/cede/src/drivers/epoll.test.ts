import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setImmediate as polled } from 'node:timers/promises'
import { shim, skip } from '../../../../test/support/shim.ts'
import type { DriverHost } from '../core/driver.ts'
import { EpollDriver, type Watcher } from './epoll.ts'
import { EDGES, READABLE, WRITABLE } from './shim.ts'
import { systemError } from './system-error.ts'

/** A loop that writes down its turns, and may do something in them. */
class TestLoop implements DriverHost {
  readonly diary: string[]
  inTurn: () => void = () => {}

  constructor(diary: string[]) {
    this.diary = diary
  }

  turn(): void {
    this.diary.push('turn')
    this.inTurn()
  }

  stalled(): void {
    this.diary.push('stalled')
  }
}

interface Bench {
  readonly driver: EpollDriver
  readonly loop: TestLoop
  readonly diary: string[]
  /** Two ends of a connection. */
  readonly pair: () => readonly [number, number]
  /** Writes down what it is told. */
  readonly watcher: (name: string, then?: (bits: number) => void) => Watcher
  /** Watches one end of a new connection: whenever it is readable it writes that down and asks for a turn. */
  readonly asksForTurns: (name: string) => { readonly client: number }
}

const ADDRESS = Buffer.alloc(128)

function bench(t: TestContext): Bench {
  const before = shim.openDescriptors()
  const diary: string[] = []
  const driver = new EpollDriver(shim)
  const loop = new TestLoop(diary)
  driver.attach(loop)
  const sockets: number[] = []
  t.after(() => {
    for (const socket of sockets) shim.close(socket)
    driver.close()
    assert.equal(shim.openDescriptors(), before)
  })
  const made: Bench = {
    driver,
    loop,
    diary,
    pair() {
      const listener = shim.listenTcp('127.0.0.1', 0, 16, true, -1, 0)
      shim.localAddress(listener, ADDRESS)
      const client = shim.connectTcp('127.0.0.1', ADDRESS.readInt32LE(4), '', 0, true, -1)
      const server = shim.accept(listener, ADDRESS)
      shim.close(listener)
      sockets.push(client, server)
      return [client, server]
    },
    watcher: (name, then = () => {}) => ({
      ready(bits) {
        diary.push(name)
        then(bits)
      },
    }),
    asksForTurns(name) {
      const [client, server] = made.pair()
      const asks = made.watcher(name, () => driver.requestTurn())
      driver.watch(server, READABLE | EDGES, asks)
      return { client }
    },
  }
  return made
}

const BYTE = Buffer.from('x')

/** Makes the other end readable. */
function sendByte(socket: number): void {
  shim.write(socket, BYTE, 0, 1)
}

async function rounds(): Promise<void> {
  for (let round = 0; round < 5; round++) await polled()
}

test('all of a batch are told, then the turn they ask for comes at once', { skip }, async (t) => {
  const { diary, asksForTurns } = bench(t)
  for (const name of ['a', 'b', 'c']) {
    const { client } = asksForTurns(name)
    sendByte(client)
  }
  await rounds()
  assert.deepEqual(diary, ['a', 'b', 'c', 'turn'])
})

test('a batch that asks for no turn gets none', { skip }, async (t) => {
  const { driver, diary, pair, watcher } = bench(t)
  driver.watch(pair()[1], WRITABLE | EDGES, watcher('a'))
  await rounds()
  assert.deepEqual(diary, ['a'])
})

test('what comes during the turn is told in the next look, before the host goes on', { skip }, async (t) => {
  const { loop, diary, asksForTurns } = bench(t)
  const { client } = asksForTurns('a')
  let turns = 0
  loop.inTurn = () => {
    if (++turns < 4) sendByte(client)
  }
  sendByte(client)
  await polled()
  const immediate = polled().then(() => diary.push('host'))
  await rounds()
  await immediate
  assert.deepEqual(diary.slice(0, 8), ['a', 'turn', 'a', 'turn', 'a', 'turn', 'a', 'turn'])
})

test('those who keep each other busy do not keep the host from going on', { skip }, async (t) => {
  const { loop, diary, asksForTurns } = bench(t)
  const { client } = asksForTurns('a')
  let stop = false
  loop.inTurn = () => {
    if (!stop) sendByte(client)
  }
  sendByte(client)
  for (let i = 0; i < 20; i++) await polled()
  stop = true
  const turns = diary.filter((what) => what === 'turn').length
  assert.ok(turns > 20 && turns < 2_000, `${turns} turns in 20 rounds of the host`)
})

test(
  'beside turns that always ask for the next one: one in each round, however many events',
  { skip },
  async (t) => {
    const { driver, loop, diary, asksForTurns } = bench(t)
    const { client } = asksForTurns('event')
    let stop = false
    let left = Infinity
    loop.inTurn = () => {
      if (stop) return
      driver.requestTurn()
      if (left-- > 0) sendByte(client)
    }
    driver.requestTurn()
    const events = (): number => diary.filter((what) => what === 'event').length
    let rounds = 0
    for (; events() < 50; rounds++) await polled()
    const turns = diary.length - events()
    assert.ok(turns <= rounds + 2, `${turns} turns in ${rounds} rounds of the host`)
    for (const writes of [0, 1, 2, 3]) {
      left = writes
      diary.length = 0
      for (let i = 0; i < 20; i++) await polled()
      assert.ok(diary.length - events() >= 15, 'turns go on without events')
    }
    stop = true
  },
)

test(
  'a descriptor that is used again: an event of the old one does not reach the new one',
  { skip },
  async (t) => {
    const { driver, diary, pair, watcher } = bench(t)
    const [firstClient, first] = pair()
    const [secondClient, second] = pair()
    let firstToken = -1
    let secondToken = -1
    let third = -1
    // Whoever is told first closes the other, whose event is in the same batch, and opens a new connection on its number.
    const replace = (token: () => number, socket: number) => () => {
      if (third !== -1) return
      driver.forget(token())
      shim.close(socket)
      third = pair().find((made) => made === socket) ?? -1
      driver.watch(third, READABLE | EDGES, watcher('new'))
    }
    firstToken = driver.watch(
      first,
      READABLE | EDGES,
      watcher(
        'first',
        replace(() => secondToken, second),
      ),
    )
    secondToken = driver.watch(
      second,
      READABLE | EDGES,
      watcher(
        'second',
        replace(() => firstToken, first),
      ),
    )
    sendByte(firstClient)
    sendByte(secondClient)
    await rounds()
    assert.notEqual(third, -1, 'the number was used again')
    assert.equal(diary.length, 1, diary.join())
    assert.equal(driver.watched, 2)
  },
)

test('a place in the table is used again with another token, which is valid at once', { skip }, async (t) => {
  const { driver, diary, pair, watcher } = bench(t)
  const [, socket] = pair()
  const tokens = new Set<number>()
  for (let i = 0; i < 5_000; i++) {
    const token = driver.watch(socket, READABLE | EDGES, watcher('old'))
    tokens.add(token)
    driver.unwatch(token, socket)
    driver.forget(token)
  }
  assert.equal(tokens.size, 4_096, 'one place, whose generations come round')
  driver.watch(socket, WRITABLE | EDGES, watcher('new'))
  assert.equal(driver.watched, 1)
  await rounds()
  assert.deepEqual(diary, ['new'])
})

test('rewatch tells the new watcher at once what is so already', { skip }, async (t) => {
  const { driver, diary, pair, watcher } = bench(t)
  const [, socket] = pair()
  const token = driver.watch(socket, READABLE | EDGES, watcher('old'))
  driver.rewatch(token, socket, READABLE | WRITABLE | EDGES, watcher('new'))
  await rounds()
  assert.deepEqual(diary, ['new'])
})

test('who asks to be called again is, after the others, with their turn behind', { skip }, async (t) => {
  const { driver, diary, watcher } = bench(t)
  let left = 3
  const again: Watcher = watcher('again', (bits) => {
    assert.equal(bits, 0)
    driver.requestTurn()
    if (--left > 0) driver.callAgain(again)
  })
  driver.callAgain(again)
  driver.callAgain(watcher('other'))
  assert.deepEqual(diary, [])
  await rounds()
  assert.deepEqual(diary, ['again', 'other', 'turn', 'again', 'turn', 'again', 'turn'])
})

test('an error of one watcher is told, and the others and the turn follow', { skip }, async (t) => {
  const { driver, diary, pair, watcher } = bench(t)
  const caught: unknown[] = []
  const listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => caught.push(error))
  const fails = watcher('fails', () => {
    driver.requestTurn()
    throw new Error('mine')
  })
  driver.watch(pair()[1], WRITABLE | EDGES, fails)
  driver.watch(pair()[1], WRITABLE | EDGES, watcher('other'))
  driver.callAgain(fails)
  await rounds()
  process.removeAllListeners('uncaughtException')
  for (const listener of listeners) process.on('uncaughtException', listener)
  assert.deepEqual(diary.sort(), ['fails', 'fails', 'other', 'turn', 'turn'])
  assert.equal(caught.length, 2)
})

test('a token that is not valid is refused, and spoils nothing', { skip }, async (t) => {
  const { driver, diary, pair, watcher } = bench(t)
  const [, socket] = pair()
  const old = driver.watch(socket, READABLE | EDGES, watcher('old'))
  driver.unwatch(old, socket)
  const token = driver.watch(socket, READABLE | EDGES, watcher('mine'))
  for (const invalid of [-1, old, 7]) {
    assert.throws(() => driver.rewatch(invalid, socket, WRITABLE, watcher('none')), { code: 'ENOENT' })
    assert.equal(driver.watched, 1)
  }
  driver.rewatch(token, socket, WRITABLE | EDGES, watcher('mine'))
  driver.watch(pair()[1], WRITABLE | EDGES, watcher('another'))
  await rounds()
  assert.deepEqual(diary.sort(), ['another', 'mine'])
})

test('a driver that is closed leaves the poller alone that has its number now', { skip }, (t) => {
  const { pair, watcher } = bench(t)
  const refers: number[] = []
  const calls = {
    ...shim,
    referPoller(poller: number, needed: boolean) {
      refers.push(poller)
      return shim.referPoller(poller, needed)
    },
  }
  const closed = new EpollDriver(calls)
  const [number] = refers
  closed.close()
  const other = new EpollDriver(calls)
  assert.equal(refers[1], number, 'the number is used again')
  refers.length = 0
  closed.need(true)
  assert.deepEqual(refers, [-1])
  const [, socket] = pair()
  assert.throws(() => closed.watch(socket, READABLE, watcher('none')), { code: 'EBADF' })
  closed.close()
  other.watch(socket, READABLE, watcher('mine'))
  other.close()
})

test(
  'an event for nobody that comes again and again: a new poller, for all the others',
  { skip },
  async (t) => {
    const { diary, pair, watcher } = bench(t)
    let tell = (_tokens: readonly number[]): void => {}
    let pollers = 0
    const driver = new EpollDriver({
      ...shim,
      openPoller(events, callback) {
        pollers++
        tell = (tokens) => {
          events.set(tokens.flatMap((token) => [token, READABLE]))
          callback(tokens.length)
        }
        return shim.openPoller(events, callback)
      },
    })
    driver.attach(new TestLoop(diary))
    const [client, server] = pair()
    driver.watch(server, READABLE | EDGES, watcher('mine'))
    const old = Array.from({ length: 200 }, () => {
      const socket = pair()[1]
      const token = driver.watch(socket, READABLE, watcher('none'))
      driver.unwatch(token, socket)
      return token
    })
    // As of those who are closed by an earlier event: each comes once.
    for (const token of old) tell([token])
    tell([old[0]!, old[1]!])
    assert.equal(pollers, 1)
    for (let look = 1; look < 150; look++) tell(look % 2 === 0 ? [7_000, old[look]!] : [old[look]!, 7_000])
    assert.equal(pollers, 3)
    sendByte(client)
    await rounds()
    assert.deepEqual(diary, ['mine'])
    driver.close()
  },
)

test('what cannot be watched is an error of the system, and takes no place', { skip }, (t) => {
  const { driver, watcher } = bench(t)
  assert.throws(() => driver.watch(-1, READABLE, watcher('none')), { code: 'EBADF', syscall: 'epoll_ctl' })
  assert.equal(driver.watched, 0)
})

test('errors look like those of Node', () => {
  const error = systemError(-98, 'listen', '127.0.0.1:80')
  assert.equal(error.message, 'listen EADDRINUSE 127.0.0.1:80')
  assert.deepEqual([error.code, error.errno, error.syscall], ['EADDRINUSE', -98, 'listen'])
  assert.equal(systemError(-9_999, 'read').message, 'read errno 9999')
})
