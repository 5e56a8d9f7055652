import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClosedError, MisuseError, rateLimit, sleep, TokenBucket } from 'cede'
import { FakeTransport } from '../../../../../test/support/fake-transport.ts'
import { Sim, simulate } from '../../../../../test/support/sim.ts'

interface Passed {
  readonly atMs: number
  readonly text: string
}

/** In no stretch of time may more have passed than the rate allows; all of it, no slower than that. */
function assertRate(passed: readonly Passed[], perSecond: number, burst: number): void {
  for (let from = 0; from < passed.length; from++) {
    let bytes = 0
    for (let to = from; to < passed.length; to++) {
      bytes += passed[to]!.text.length
      const allowed = burst + ((passed[to]!.atMs - passed[from]!.atMs) * perSecond) / 1_000
      assert.ok(bytes <= allowed + 0.1, `${String(bytes)} bytes passed, ${String(allowed)} were allowed`)
    }
  }
}

/** Text in which every place can be told from the others. */
function numbered(bytes: number): string {
  let text = ''
  for (let i = 0; text.length < bytes; i++) text += `${String(i)},`
  return text.slice(0, bytes)
}

// -------------------------------------------------------------------- reading

test('what comes too fast is passed on at the rate, in order, and the peer is held up meanwhile', () =>
  simulate(function* (sim) {
    const { below, above, transport } = FakeTransport.behind(
      rateLimit({ readBytesPerSecond: 1_000, burstBytes: 100 }),
    )
    const text = numbered(2_100)
    for (let i = 0; i < text.length; i += 300) below.incoming(text.slice(i, i + 300))
    assert.equal(above.text, text.slice(0, 100))
    assert.equal(below.flowing, false)
    assert.equal(transport.reading, true, 'as far as its user can tell')
    yield* sleep(1_000)
    assert.ok(Math.abs(above.text.length - 1_100) <= 20, String(above.text.length))
    yield* sleep(1_001)
    assert.equal(above.text, text)
    assertRate(above.received, 1_000, 100)
    assert.ok(above.received.length > 90, 'little by little')
    assert.equal(below.flowing, true)
    assert.equal([...sim.loop.timers].length, 0)
    transport.abort()
    yield* sleep(1)
  }))

test('what is slow enough passes as it comes', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(
      rateLimit({ readBytesPerSecond: 1_000, burstBytes: 100 }),
    )
    for (let i = 0; i < 50; i++) {
      below.incoming('0123456789')
      assert.equal(above.received.length, i + 1)
      yield* sleep(10)
    }
    transport.abort()
    yield* sleep(1)
  }))

test('the end of the stream comes behind the bytes that wait', () =>
  simulate(function* () {
    for (const keepOpen of [true, false]) {
      const { below, above, transport } = FakeTransport.behind(
        rateLimit({ readBytesPerSecond: 1_000, burstBytes: 10 }),
      )
      above.keepOpen = keepOpen
      below.incoming('x'.repeat(60))
      below.incoming(null)
      yield* sleep(49)
      assert.deepEqual(above.log, [])
      yield* sleep(2)
      assert.equal(above.text.length, 60)
      assert.match(above.log[0]!, / eof$/)
      assert.equal(transport.reading, false)
      assert.deepEqual(below.ends, keepOpen ? [] : ['shut'])
      transport.close()
      yield* sleep(1)
      assert.equal(above.lostBy, null)
    }
  }))

test('paused by its user, nothing is passed on until it resumes, though tokens come', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(
      rateLimit({ readBytesPerSecond: 1_000, burstBytes: 100 }),
    )
    below.incoming('x'.repeat(300))
    transport.pauseReading()
    assert.equal(transport.reading, false)
    yield* sleep(1_000)
    assert.equal(above.text.length, 100)
    transport.resumeReading()
    assert.equal(above.text.length, 200, 'what came meanwhile, up to the burst')
    yield* sleep(101)
    assert.equal(above.text.length, 300)
    assert.equal(below.flowing, true)
    transport.pauseReading()
    assert.equal(below.flowing, false)
    below.incoming('y')
    transport.resumeReading()
    assert.equal(above.text.at(-1), 'y')
    transport.abort()
    yield* sleep(1)
  }))

test('a user that pauses and resumes inside dataReceived gets all, in order', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(
      rateLimit({ readBytesPerSecond: 1_000, burstBytes: 10 }),
    )
    above.onData = () => {
      transport.pauseReading()
      transport.resumeReading()
    }
    const text = numbered(200)
    below.incoming(text)
    below.incoming(null)
    yield* sleep(300)
    assert.equal(above.text, text)
    assert.equal(above.log.length, 1)
    transport.close()
    yield* sleep(1)
  }))

test('closed, aborted or broken in the middle: what waits is dropped, and no timer and no claim is left', () =>
  simulate(function* (sim) {
    const bucket = new TokenBucket({ perSecond: 1_000, burst: 10 })
    for (const end of ['close', 'abort', 'break'] as const) {
      const { below, above, transport } = FakeTransport.behind(rateLimit({ bucket }))
      below.incoming('x'.repeat(100))
      yield* sleep(20)
      assert.equal(bucket.waiting, 1)
      if (end === 'break') below.break(new Error('reset'))
      else transport[end]()
      const { length } = above.text
      yield* sleep(1_000)
      assert.equal(above.text.length, length)
      assert.notEqual(above.lostBy, undefined)
      assert.equal(bucket.waiting, 0)
      assert.equal([...sim.loop.timers].length, 0)
    }
  }))

// -------------------------------------------------------------------- writing

test('what is written too fast is sent at the rate, in order, and counts as buffered', () =>
  simulate(function* () {
    const { below, transport } = FakeTransport.behind(
      rateLimit({ writeBytesPerSecond: 1_000, burstBytes: 100 }),
    )
    const text = numbered(2_100)
    for (let i = 0; i < text.length; i += 300) transport.write(Buffer.from(text.slice(i, i + 300)))
    assert.equal(transport.bufferedBytes, 2_100)
    yield* sleep(1_000)
    assert.ok(Math.abs(below.takenBytes - 1_100) <= 20, String(below.takenBytes))
    assert.equal(transport.bufferedBytes + below.takenBytes, 2_100)
    yield* sleep(1_001)
    assert.equal(below.takenText, text)
    assertRate(below.taken, 1_000, 100)
    transport.abort()
    yield* sleep(1)
  }))

test('pause and resume go by all that is buffered, here and in the system', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(
      rateLimit({ writeBytesPerSecond: 1_000, burstBytes: 100 }),
    )
    transport.writeMarks = { highWaterBytes: 500, lowWaterBytes: 200 }
    transport.write(Buffer.alloc(600, 'x'))
    transport.write(Buffer.alloc(100, 'x'))
    assert.deepEqual(above.log, ['0 pause'], 'told at once, and once')
    yield* sleep(395)
    assert.equal(above.log.length, 1)
    yield* sleep(30)
    assert.match(above.log[1]!, /^4[0-2]\d resume$/, 'a piece later at most')
    yield* sleep(400)
    assert.equal(below.takenBytes, 700)
    // Now the peer is slower than the rate.
    below.takes = false
    transport.write(Buffer.alloc(450, 'y'))
    yield* sleep(2_000)
    transport.write(Buffer.alloc(150, 'y'))
    assert.match(above.log.at(-1)!, /pause$/)
    assert.equal(transport.bufferedBytes, 600)
    below.takes = true
    below.take(1_000)
    yield* sleep(1_000)
    assert.equal(below.takenBytes, 1_300)
    assert.match(above.log.at(-1)!, /resume$/)
    assert.equal(above.log.length, 4)
    transport.abort()
    yield* sleep(1)
  }))

test('marks of zero bytes: paused by any byte, resumed when none is left', () =>
  simulate(function* () {
    const { above, transport } = FakeTransport.behind(
      rateLimit({ writeBytesPerSecond: 1_000, burstBytes: 10 }),
    )
    transport.writeMarks = { highWaterBytes: 0, lowWaterBytes: 0 }
    transport.write(Buffer.alloc(110))
    yield* sleep(95)
    assert.deepEqual(above.log, ['0 pause'])
    yield* sleep(10)
    assert.equal(above.log.length, 2)
    assert.equal(transport.bufferedBytes, 0)
    transport.abort()
    yield* sleep(1)
  }))

test('moving the marks is checked at once', () =>
  simulate(function* () {
    const { above, transport } = FakeTransport.behind(
      rateLimit({ writeBytesPerSecond: 1_000, burstBytes: 10 }),
    )
    transport.write(Buffer.alloc(1_000))
    assert.deepEqual(above.log, [])
    transport.writeMarks = { highWaterBytes: 900, lowWaterBytes: 100 }
    assert.deepEqual(above.log, ['0 pause'])
    transport.writeMarks = { highWaterBytes: 4_000, lowWaterBytes: 1_000 }
    assert.deepEqual(above.log, ['0 pause', '0 resume'])
    transport.abort()
    yield* sleep(1)
  }))

test('one that writes inside resumeWriting loses nothing and stays in order', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(
      rateLimit({ writeBytesPerSecond: 10_000, burstBytes: 10 }),
    )
    transport.writeMarks = { highWaterBytes: 50, lowWaterBytes: 20 }
    const text = numbered(500)
    let sent = 0
    const more = () => {
      const next = text.slice(sent, sent + 70)
      sent += next.length
      transport.write(Buffer.from(next))
    }
    above.onResume = more
    more()
    yield* sleep(1_000)
    assert.equal(below.takenText, text)
    transport.abort()
    yield* sleep(1)
  }))

test('close sends what waits at the rate, reads no more, and then closes', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(
      rateLimit({ writeBytesPerSecond: 1_000, burstBytes: 100 }),
    )
    transport.write(Buffer.alloc(600, 'x'))
    transport.close()
    transport.close()
    assert.equal(transport.closing, true)
    assert.equal(transport.reading, false)
    transport.write(Buffer.from('dropped'))
    transport.writeEof()
    transport.resumeReading()
    below.incoming('not read')
    yield* sleep(499)
    assert.deepEqual(below.ends, [])
    yield* sleep(2)
    assert.equal(below.takenText, 'x'.repeat(600))
    assert.deepEqual(below.ends, ['shut, unread input'])
    assert.equal(above.lostBy, null)
    assert.equal(above.text, '')
  }))

test('writeEof ends the direction behind what waits; reading goes on', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(
      rateLimit({ writeBytesPerSecond: 1_000, burstBytes: 100 }),
    )
    transport.write(Buffer.alloc(600, 'x'))
    transport.writeEof()
    assert.throws(() => transport.write(Buffer.from('late')), ClosedError)
    below.incoming('read')
    yield* sleep(501)
    assert.equal(below.takenBytes, 600)
    assert.deepEqual(below.ends, ['eof'])
    assert.equal(above.text, 'read')
    assert.throws(() => transport.write(Buffer.from('late')), ClosedError)
    transport.close()
    yield* sleep(1)
    assert.equal(above.lostBy, null)
  }))

test('a user that wants to close at the end of the stream has what it wrote sent', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(
      rateLimit({ writeBytesPerSecond: 1_000, burstBytes: 100 }),
    )
    above.keepOpen = false
    transport.write(Buffer.alloc(600, 'x'))
    below.incoming(null)
    assert.equal(transport.closing, true)
    yield* sleep(501)
    assert.equal(below.takenBytes, 600)
    assert.deepEqual(below.ends, ['shut'])
  }))

test('a peer that takes nothing after close does not hold the connection for ever', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(
      rateLimit({ writeBytesPerSecond: 10_000, burstBytes: 100 }),
    )
    below.takes = false
    transport.write(Buffer.alloc(40_000))
    yield* sleep(10_000)
    assert.ok(below.bufferedBytes < 20_000, 'no tokens are taken for a peer that is slower than the rate')
    transport.flushMs = 500
    transport.close()
    yield* sleep(3_000)
    assert.match(String(above.lostBy), /after close\(\) the peer took nothing for 500 ms/)
  }))

test('what comes while delayed bytes are sent after close is read away, and the transport knows of it', () =>
  simulate(function* () {
    const { below, above, transport } = FakeTransport.behind(
      rateLimit({ writeBytesPerSecond: 1_000, burstBytes: 100 }),
    )
    transport.write(Buffer.alloc(600, 'x'))
    transport.close()
    yield* sleep(10)
    below.incoming('unread')
    assert.equal(below.reading, true)
    yield* sleep(600)
    assert.equal(below.takenBytes, 600)
    assert.deepEqual([below.ends, above.text], [['shut, unread input'], ''])
  }))

test('abort drops what waits', () =>
  simulate(function* (sim) {
    const { below, above, transport } = FakeTransport.behind(
      rateLimit({ writeBytesPerSecond: 1_000, burstBytes: 100 }),
    )
    transport.write(Buffer.alloc(600, 'x'))
    yield* sleep(100)
    const { takenBytes } = below
    transport.abort()
    yield* sleep(1_000)
    assert.equal(below.takenBytes, takenBytes)
    assert.equal(above.lostBy, null)
    assert.equal(transport.bufferedBytes, 0)
    assert.equal([...sim.loop.timers].length, 0)
  }))

test('what is delayed when the run ends is handed to the system at once', async () => {
  const sim = new Sim()
  let made: ReturnType<typeof FakeTransport.behind>
  await sim.run(function* () {
    made = FakeTransport.behind(rateLimit({ writeBytesPerSecond: 1, burstBytes: 1 }))
    made.transport.write(Buffer.alloc(600, 'x'))
    made.transport.close()
    yield* sleep(1)
  })
  await sim.end()
  assert.equal(made!.below.takenBytes, 600)
  assert.equal(made!.above.lostBy, null)
})

// -------------------------------------------------------------------- shared

test('a shared bucket limits the total, and gives each connection its turn', () =>
  simulate(function* () {
    const bucket = new TokenBucket({ perSecond: 10_000, burst: 100 })
    const limit = rateLimit({ bucket })
    const all = Array.from({ length: 5 }, () => FakeTransport.behind(limit))
    for (const { below, transport } of all) {
      transport.write(Buffer.alloc(4_000, 'w'))
      below.incoming('r'.repeat(4_000))
    }
    yield* sleep(1_000)
    const read = all.map(({ above }) => above.text.length)
    const written = all.map(({ below }) => below.takenBytes)
    const total = [...read, ...written].reduce((a, b) => a + b)
    assert.ok(total > 9_700 && total <= 10_100, String(total))
    assert.ok(
      Math.max(...read, ...written) - Math.min(...read, ...written) <= 400,
      [...read, ...written].join(),
    )
    yield* sleep(4_000)
    for (const { above, below } of all)
      assert.deepEqual([above.text.length, below.takenBytes], [4_000, 4_000])
    for (const { transport } of all) transport.abort()
    yield* sleep(1)
  }))

test('a limit of its own and a shared one hold both', () =>
  simulate(function* () {
    const bucket = new TokenBucket({ perSecond: 1_500, burst: 15 })
    const limit = rateLimit({ writeBytesPerSecond: 1_000, burstBytes: 10, bucket })
    const [one, other] = [FakeTransport.behind(limit), FakeTransport.behind(limit)]
    one.transport.write(Buffer.alloc(3_000))
    yield* sleep(1_000)
    assert.ok(Math.abs(one.below.takenBytes - 1_000) <= 30, String(one.below.takenBytes))
    other.transport.write(Buffer.alloc(3_000))
    const before = one.below.takenBytes
    yield* sleep(1_000)
    assert.ok(Math.abs(one.below.takenBytes - before - 750) <= 40, String(one.below.takenBytes - before))
    assert.ok(Math.abs(other.below.takenBytes - 750) <= 40, String(other.below.takenBytes))
    assertRate(one.below.taken, 1_000, 10)
    one.transport.abort()
    other.transport.abort()
    yield* sleep(1)
  }))

test('bad options are told at the call', () => {
  assert.throws(() => rateLimit({}), MisuseError)
  assert.throws(() => rateLimit(5 as never), MisuseError)
  assert.throws(() => rateLimit({ bucket: {} as never }), MisuseError)
  assert.throws(() => rateLimit({ readBytesPerSecond: 0 }), {
    message: /^rateLimit\(\): readBytesPerSecond was expected to be a finite number above 0, found/,
  })
  assert.throws(() => rateLimit({ writeBytesPerSecond: 1, burstBytes: -1 }), RangeError)
})
