import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getRunningLoop, idleTimeout, sleep, TimeoutError } from 'cede'
import { FakeTransport } from '../../../../../test/support/fake-transport.ts'
import { simulate } from '../../../../../test/support/sim.ts'

const MS = 1_000

test('nothing moves: after the time the connection is cut, and the error says what was expected', () =>
  simulate(function* () {
    const { below, above } = FakeTransport.behind(idleTimeout(MS))
    yield* sleep(MS - 1)
    assert.deepEqual(below.ends, [])
    yield* sleep(2)
    assert.deepEqual(below.ends, ['cut'])
    assert.ok(above.lostBy instanceof TimeoutError)
    assert.equal(above.lostBy.timeoutMs, MS)
    assert.equal(above.lostBy.message, 'idleTimeout(1000): expected a byte within 1000 ms, found none')
    assert.deepEqual(above.log, [`1000 lost ${above.lostBy.message}`])
  }))

test('bytes that come and bytes that are taken count from the moment they do', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(idleTimeout(MS))
    yield* sleep(900)
    below.incoming('a')
    yield* sleep(900)
    transport.write(Buffer.from('b'))
    yield* sleep(900)
    transport.writeLines([Buffer.from('c'), Buffer.from('d')])
    yield* sleep(999)
    assert.equal(above.lostBy, undefined)
    yield* sleep(2)
    assert.match(above.log.at(-1)!, /^3700 lost/)
    assert.equal(below.takenText, 'bcd')
  }))

test('a slow trickle is traffic, for as long as it lasts', () =>
  simulate(function* () {
    const { below, above } = FakeTransport.behind(idleTimeout(MS))
    for (let i = 0; i < 100; i++) {
      yield* sleep(950)
      below.incoming('.')
    }
    assert.equal(above.text.length, 100)
    yield* sleep(MS + 1)
    assert.match(above.log.at(-1)!, /^96000 lost/)
  }))

test('a peer that never reads is idle, however much is written', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(idleTimeout(MS))
    below.takes = false
    for (let i = 0; i < 20 && above.lostBy === undefined; i++) {
      transport.write(Buffer.alloc(100))
      yield* sleep(100)
    }
    assert.match(
      above.log.at(-1)!,
      /^1000 lost idleTimeout\(1000\): expected a byte within 1000 ms, found none, and 1000 buffered bytes that the peer does not take$/,
    )
  }))

test('a peer that reads slowly is not; it is seen at most an eighth of the time late that it stopped', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(idleTimeout(MS))
    below.takes = false
    transport.write(Buffer.alloc(100))
    for (let i = 0; i < 10; i++) {
      yield* sleep(600)
      below.take(1)
    }
    assert.equal(above.lostBy, undefined)
    yield* sleep(2_000)
    const endedMs = Number.parseFloat(above.log.at(-1)!)
    assert.ok(endedMs >= 7_000 && endedMs <= 7_125, String(endedMs))
  }))

test('a connection that is closed and whose peer takes nothing ends as well', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(idleTimeout(MS))
    below.takes = false
    transport.write(Buffer.alloc(100))
    transport.close()
    transport.write(Buffer.alloc(100)) // dropped, and no traffic
    yield* sleep(MS + 1)
    assert.deepEqual(below.ends, ['shut', 'cut'])
    assert.ok(above.lostBy instanceof TimeoutError)
  }))

test('traffic arms no timer anew', () =>
  simulate(function* (sim) {
    const { below, transport } = FakeTransport.behind(idleTimeout(MS))
    const [before] = sim.loop.timers
    for (let i = 0; i < 50; i++) {
      below.incoming('in')
      transport.write(Buffer.from('out'))
      yield* sleep(1)
    }
    const [after] = sim.loop.timers
    assert.equal(after, before)
    assert.equal(after!.deadlineMs, MS)
    transport.abort()
    yield* sleep(1)
  }))

test('no timer is left, however the connection ends', () =>
  simulate(function* (sim) {
    const ends: ((one: ReturnType<typeof FakeTransport.behind>) => void)[] = [
      ({ transport }) => transport.close(),
      ({ transport }) => transport.abort(),
      ({ below }) => below.break(new Error('reset')),
      ({ transport }) => {
        transport.write(Buffer.from('x'))
        transport.abort()
      },
    ]
    for (const end of ends) {
      const one = FakeTransport.behind(idleTimeout(MS))
      assert.equal([...sim.loop.timers].length, 1)
      end(one)
      yield* sleep(0)
      yield* sleep(0)
      assert.notEqual(one.above.lostBy, undefined)
      assert.equal([...sim.loop.timers].length, 0)
    }
  }))

test('a long step does not make a connection idle on which something moves in it', () =>
  simulate(function* (sim) {
    const { below, above } = FakeTransport.behind(idleTimeout(MS))
    sim.elapse(900)
    below.incoming('x')
    yield* sleep(999)
    assert.equal(above.lostBy, undefined)
    yield* sleep(2)
    assert.notEqual(above.lostBy, undefined)
    assert.equal(Math.round(getRunningLoop().time()), 1_901)
  }))

test('bad times are told at the call', () => {
  for (const bad of [0, -1, NaN, '5', undefined]) {
    assert.throws(() => idleTimeout(bad as number), {
      name: 'RangeError',
      message: /^idleTimeout\(\): a number of milliseconds above 0 was expected, found/,
    })
  }
})
