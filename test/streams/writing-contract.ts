/** What becomes of writes, and who is told to pause: S124 and S125, for one kind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ExceptionContext } from 'cede'
import { MUCH, Recorder, settle, untilTrue, withProtocols, type Kind } from './kinds.ts'
import { closing, HELLO } from './protocols.ts'

export function writingContract(kind: Kind): void {
  const { name, skip } = kind
  const options = { skip }

  // ------------------------------------------------------------------ S124

  test(
    `S124: the default marks are 64 and 16 KiB; pause strictly above high, resume at or below low (${name})`,
    options,
    () =>
      kind.run(() =>
        withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, transport, peer }) {
          assert.deepEqual(transport.writeMarks, { highWaterBytes: 65_536, lowWaterBytes: 16_384 })
          peer.pauseReading()
          transport.write(MUCH.subarray(0, 1_000))
          transport.write(MUCH)
          assert.deepEqual(ours.told, ['made', 'pause'], 'told at once')
          transport.write(HELLO)
          yield* settle()
          assert.deepEqual(ours.told, ['made', 'pause'], 'told once')
          peer.resumeReading()
          yield* untilTrue(() => ours.told.includes('resume'))
          assert.ok(transport.bufferedBytes <= 16_384)
          assert.deepEqual(ours.told, ['made', 'pause', 'resume'])
        }),
      ),
  )

  test(`S124: exactly the high mark does not pause, one byte more does (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, transport }) {
        transport.writeMarks = { highWaterBytes: 10, lowWaterBytes: 10 }
        transport.write(MUCH.subarray(0, 10))
        assert.equal(transport.bufferedBytes, 10)
        assert.deepEqual(ours.told, ['made'])
        transport.write(MUCH.subarray(0, 1))
        assert.deepEqual(ours.told, ['made', 'pause'])
        yield* untilTrue(() => ours.told.includes('resume'))
        assert.deepEqual(ours.told, ['made', 'pause', 'resume'])
      }),
    ),
  )

  test(
    `S124: setting the marks re-checks at once, both ways, also while much is under way (${name})`,
    options,
    () =>
      kind.run(() =>
        withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, theirs, transport, peer }) {
          peer.pauseReading()
          transport.write(MUCH)
          assert.deepEqual(ours.told, ['made', 'pause'])
          yield* settle()
          transport.writeMarks = { highWaterBytes: 4 * MUCH.length, lowWaterBytes: 2 * MUCH.length }
          assert.deepEqual(ours.told, ['made', 'pause', 'resume'])
          transport.writeMarks = { highWaterBytes: 4, lowWaterBytes: 1 }
          assert.deepEqual(ours.told, ['made', 'pause', 'resume', 'pause'])
          transport.writeMarks = { highWaterBytes: 8, lowWaterBytes: 2 }
          assert.deepEqual(ours.told, ['made', 'pause', 'resume', 'pause'])
          peer.resumeReading()
          yield* untilTrue(() => ours.told.length === 5 && theirs.receivedBytes === MUCH.length)
          assert.deepEqual(ours.told, ['made', 'pause', 'resume', 'pause', 'resume'])
        }),
      ),
  )

  test(`S124: setting the marks re-checks at once, before anything was sent (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ ours, theirs, transport }) {
        transport.write(HELLO)
        transport.writeMarks = { highWaterBytes: 5, lowWaterBytes: 5 }
        assert.deepEqual(ours.told, ['made'], 'exactly the mark is not above it')
        transport.writeMarks = { highWaterBytes: 4, lowWaterBytes: 1 }
        assert.deepEqual(ours.told, ['made', 'pause'])
        transport.writeMarks = { highWaterBytes: 100, lowWaterBytes: 5 }
        assert.deepEqual(ours.told, ['made', 'pause', 'resume'])
        transport.writeMarks = { highWaterBytes: 4, lowWaterBytes: 1 }
        yield* untilTrue(() => theirs.receivedBytes === 5)
        yield* untilTrue(() => ours.told.length === 5)
        assert.deepEqual(ours.told, ['made', 'pause', 'resume', 'pause', 'resume'])
      }),
    ),
  )

  test(`S124: a low mark above the high one is refused, and nothing changes (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ transport }) {
        assert.throws(() => {
          transport.writeMarks = { highWaterBytes: 1, lowWaterBytes: 2 }
        }, RangeError)
        assert.deepEqual(transport.writeMarks, { highWaterBytes: 65_536, lowWaterBytes: 16_384 })
      }),
    ),
  )

  test(
    `S124: a protocol that writes again in resumeWriting goes on until all is through (${name})`,
    options,
    () =>
      kind.run(function* () {
        let rest = 40
        const block = MUCH.subarray(0, 100_000)
        const recorder = new Recorder({
          resume() {
            while (rest > 0 && recorder.told.at(-1) !== 'pause') {
              rest--
              recorder.transport.write(block)
            }
          },
        })
        yield* withProtocols(kind, recorder, new Recorder(), function* ({ theirs, transport }) {
          transport.write(block)
          yield* untilTrue(() => theirs.receivedBytes === 41 * block.length)
          assert.equal(rest, 0)
        })
      }),
  )

  // ------------------------------------------------------------------ S125

  test(`S125: empty writes are none; small ones leave in one go, all in order (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ theirs, transport }) {
        transport.write(Buffer.alloc(0))
        transport.writeLines([])
        transport.writeLines([Buffer.alloc(0), Buffer.alloc(0)])
        assert.equal(transport.bufferedBytes, 0)
        transport.writeLines([Buffer.from('a'), Buffer.alloc(0), new Uint8Array([98])])
        for (let i = 0; i < 100; i++) transport.write(HELLO)
        assert.equal(transport.bufferedBytes, 502)
        yield* untilTrue(() => theirs.receivedBytes === 502)
        assert.equal(theirs.received.toString(), `ab${'hello'.repeat(100)}`)
        if (kind.whole) assert.equal(theirs.chunks.length, 1)
      }),
    ),
  )

  test(`S125: writes of every size arrive in order (${name})`, options, () =>
    kind.run(() =>
      withProtocols(kind, new Recorder(), new Recorder(), function* ({ theirs, transport }) {
        const parts: Buffer[] = []
        for (const size of [1, 10, 65_536, 3, 65_535, 1, 200_000, 70_000, 5, 65_537, 0, 32_768, 32_768, 9]) {
          parts.push(Buffer.alloc(size, parts.length + 1))
        }
        for (const part of parts) transport.write(part)
        const all = Buffer.concat(parts)
        yield* untilTrue(() => theirs.receivedBytes === all.length)
        assert.ok(theirs.received.equals(all))
      }),
    ),
  )

  test(
    `S125: writes after the loss are dropped; at the fifth it is told, once (${name})`,
    options,
    async () => {
      const reports: ExceptionContext[] = []
      await kind.run(
        () =>
          withProtocols(kind, new Recorder(), closing(), function* ({ ours, transport }) {
            transport.abort()
            yield* untilTrue(() => ours.lost)
            for (let i = 0; i < 4; i++) transport.write(HELLO)
            assert.equal(reports.length, 0)
            for (let i = 0; i < 20; i++) transport.writeLines([HELLO])
            assert.equal(transport.bufferedBytes, 0)
          }),
        { reports },
      )
      assert.equal(reports.length, 1)
      assert.match(
        reports[0]!.message,
        /^5 writes to .* were dropped: expected an open connection, found it lost$/,
      )
    },
  )
}
