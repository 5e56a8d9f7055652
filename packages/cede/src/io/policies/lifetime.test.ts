import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lifetime, rateLimit, sleep, TimeoutError } from 'cede'
import { FakeTransport } from '../../../../../test/support/fake-transport.ts'
import { simulate } from '../../../../../test/support/sim.ts'

const MS = 1_000

test('after the time the connection is closed, busy or not, and its user is told why', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(lifetime(MS))
    for (let i = 0; i < 10; i++) {
      below.incoming('x')
      transport.write(Buffer.from('y'))
      yield* sleep(99)
    }
    assert.equal(above.log.length, 0)
    yield* sleep(20)
    assert.deepEqual(below.ends, ['shut'])
    assert.ok(above.lostBy instanceof TimeoutError)
    assert.equal(
      above.log.at(-1),
      '1000 lost lifetime(1000): expected the connection to end within 1000 ms, found it open',
    )
  }))

test('what is buffered is sent for a second more, then dropped', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(lifetime(MS))
    below.takes = false
    transport.write(Buffer.alloc(100))
    yield* sleep(MS + 1)
    assert.deepEqual(below.ends, ['shut'])
    assert.equal(transport.closing, true)
    transport.write(Buffer.from('dropped'))
    below.incoming('not read')
    yield* sleep(500)
    below.take(60)
    yield* sleep(500)
    assert.deepEqual(below.ends, ['shut', 'cut'])
    assert.equal(below.takenBytes, 60)
    assert.ok(above.lostBy instanceof TimeoutError)
    assert.match(above.log.at(-1)!, /^2000 lost/)
    assert.equal(above.text, '')
  }))

test('if it is taken in that time nothing is lost', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(lifetime(MS))
    below.takes = false
    transport.write(Buffer.alloc(100))
    yield* sleep(MS + 500)
    below.take(100)
    yield* sleep(1)
    assert.deepEqual(below.ends, ['shut'])
    assert.equal(below.takenBytes, 100)
    assert.match(above.log.at(-1)!, /^1500 lost lifetime/)
  }))

test('one that its user has closed in time is told of nothing', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(lifetime(MS))
    below.takes = false
    transport.write(Buffer.alloc(100))
    transport.close()
    yield* sleep(MS + 100)
    below.take(100)
    yield* sleep(1)
    assert.equal(above.lostBy, null)
  }))

test('what a rate limit holds back is sent as well, in either order', () =>
  simulate(function* () {
    const limit = rateLimit({ writeBytesPerSecond: 100, burstBytes: 10 })
    for (const policies of [
      [lifetime(MS), limit],
      [limit, lifetime(MS)],
    ]) {
      const { below, above, transport } = FakeTransport.behind(...policies)
      transport.write(Buffer.alloc(150, 'x'))
      yield* sleep(MS)
      assert.ok(below.takenBytes < 115)
      yield* sleep(500)
      assert.equal(below.takenBytes, 150)
      assert.deepEqual(below.ends, ['shut'])
      assert.ok(above.lostBy instanceof TimeoutError)
    }
  }))

test('no timer is left, however the connection ends', () =>
  simulate(function* (sim) {
    for (const end of ['close', 'abort'] as const) {
      const { transport } = FakeTransport.behind(lifetime(MS))
      transport[end]()
      yield* sleep(0)
      yield* sleep(0)
      assert.equal([...sim.loop.timers].length, 0)
    }
  }))

test('bad times are told at the call', () => {
  assert.throws(() => lifetime(0), RangeError)
  assert.throws(() => lifetime('1' as never), RangeError)
})
