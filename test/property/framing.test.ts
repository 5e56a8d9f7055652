/**
 * Framings under everything that can happen to their bytes: any frames, any chunks, any cancels give the same frames,
 * and any garbage ends in an error, with no more in memory than the limit.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import {
  createTask,
  framed,
  jsonLines,
  lengthPrefixed,
  LimitError,
  lines,
  netstrings,
  ProtocolError,
  sleep,
  StreamReader,
  timeoutOr,
  type FrameCodec,
} from 'cede'
import { ByteQueue } from '../../packages/cede/src/io/byte-queue.ts'
import { FrameSearch } from '../../packages/cede/src/io/framing/frame-search.ts'
import { simulate } from '../support/sim.ts'

interface Framing {
  readonly name: string
  readonly codec: FrameCodec<unknown, never>
  /** A frame that can be sent. */
  readonly frame: fc.Arbitrary<unknown>
  /** What the framing puts around a frame, in bytes. */
  readonly overhead: number
}

const LIMIT = 300
const binary = fc.uint8Array({ maxLength: LIMIT }).map((bytes) => Buffer.from(bytes))
const few = fc.string({ unit: 'grapheme', maxLength: 20 })
/** Parts of endings, split characters and long lines. */
const text = fc.oneof(
  few,
  fc.string({ unit: fc.constantFrom('-', '=', '\r', 'é', '😀', 'x'), maxLength: 40 }),
  fc.string({ unit: 'grapheme-ascii', minLength: 200, maxLength: LIMIT }),
)
const sendable = (codec: FrameCodec<unknown, never>) => (frame: unknown) => {
  try {
    codec.encode(frame as never)
    return true
  } catch {
    return false
  }
}

const framings: Framing[] = [
  ...(['uint8', 'uint16', 'uint32', 'varint'] as const).map((prefix) => ({
    name: prefix,
    codec: lengthPrefixed({ prefix, limitBytes: Math.min(LIMIT, prefix === 'uint8' ? 255 : LIMIT) }),
    frame: prefix === 'uint8' ? binary.map((bytes) => bytes.subarray(0, 255)) : binary,
    overhead: 5,
  })),
  {
    name: 'uint32, little endian',
    codec: lengthPrefixed({ prefix: 'uint32', endian: 'little', limitBytes: LIMIT }),
    frame: binary,
    overhead: 4,
  },
  { name: 'netstrings', codec: netstrings({ limitBytes: LIMIT }), frame: binary, overhead: 5 },
  { name: 'lines', codec: lines({ limitBytes: LIMIT }), frame: text, overhead: 2 },
  {
    name: 'lines with a long separator',
    codec: lines({ limitBytes: LIMIT, separator: '=-=' }),
    frame: text,
    overhead: 3,
  },
  {
    name: 'lines of bytes',
    codec: lines({ limitBytes: LIMIT, separator: Uint8Array.of(0), encoding: 'bytes' }),
    frame: binary,
    overhead: 1,
  },
  {
    name: 'lines with their endings',
    codec: lines({ limitBytes: LIMIT, keepSeparator: true }),
    frame: text.map((line) => `${line}\n`),
    overhead: 2,
  },
  {
    name: 'JSON lines',
    codec: jsonLines({ limitBytes: LIMIT }),
    // As JSON says it: without -0, and with a plain prototype.
    frame: fc.json({ maxDepth: 2 }).map((json) => JSON.parse(json) as unknown),
    overhead: 2,
  },
].map((framing) => ({ ...framing, frame: framing.frame.filter(sendable(framing.codec)) }))

function encoded(codec: FrameCodec<unknown, never>, frame: unknown): Buffer {
  const bytes = codec.encode(frame as never)
  if (typeof bytes === 'string') return Buffer.from(bytes)
  return Buffer.concat(bytes instanceof Uint8Array ? [bytes] : bytes)
}

/** How to cut: the sizes of the pieces, over and over; small ones more often. */
const cuts = fc.array(
  fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 5_000 })),
  {
    minLength: 1,
    maxLength: 20,
  },
)

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  for (let start = 0; start < bytes.length;) {
    const size = sizes[chunks.length % sizes.length]!
    // A copy, as a chunk is the reader's own.
    chunks.push(Buffer.from(bytes.subarray(start, start + size)))
    start += size
  }
  return chunks
}

/** Milliseconds. Not only zeros: a deadline that is over gives no read a chance. */
const waits = fc
  .array(fc.integer({ min: 0, max: 3 }), { maxLength: 10 })
  .chain((list) => fc.nat(list.length).map((at) => [...list.slice(0, at), 2, ...list.slice(at)]))
/** What the framings care about. */
const GARBAGE = Array.from('0123456789:,-=\r\n"[]{}x')
const CANCELLED = Symbol('cancelled')

for (const { name, codec, frame, overhead } of framings) {
  suite(name, () => {
    test('what was encoded is decoded', () => {
      fc.assert(
        fc.property(frame, fc.uint8Array({ maxLength: 9 }), (sent, behind) => {
          const bytes = encoded(codec, sent)
          const answer = codec.decode(Buffer.concat([bytes, behind]), 0, false)
          assert.deepEqual(answer, { frame: sent, consumedBytes: bytes.length })
        }),
      )
    })

    test('any chunks and any cancels give the same frames', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(frame, { maxLength: 8 }),
          cuts,
          waits,
          waits,
          fc.boolean(),
          (sent, sizes, pauses, deadlines, endsWithData) =>
            simulate(function* () {
              const bytes = Buffer.concat(sent.map((one) => encoded(codec, one)))
              const chunks = cut(bytes, sizes)
              const reader = new StreamReader({ limitBytes: 100 })
              createTask(
                (function* () {
                  for (const [i, chunk] of chunks.entries()) {
                    yield* sleep(pauses[i % pauses.length]!)
                    reader.feedData(chunk)
                  }
                  if (!endsWithData) yield* sleep(5)
                  reader.feedEof()
                })(),
              )
              const received: unknown[] = []
              const frames = framed({ reader }, codec)
              for (let i = 0; ; i++) {
                const one = yield* timeoutOr(deadlines[i % deadlines.length]!, frames.read(), CANCELLED)
                if (one === null) break
                if (one !== CANCELLED) received.push(one)
              }
              assert.deepEqual(received, sent)
              assert.equal(reader.atEof(), true)
            }),
        ),
        { numRuns: 200 },
      )
    })

    test('garbage ends, in the same error however it comes, and is not kept above the limit', () => {
      const garbage = fc
        .array(
          fc.oneof(
            frame.map((one) => encoded(codec, one)),
            fc.uint8Array({ maxLength: 20 }),
            fc.string({ unit: fc.constantFrom(...GARBAGE), maxLength: 12 }).map((s) => Buffer.from(s)),
            fc.constant(Buffer.alloc(400, 'x')),
            fc.constant(Buffer.alloc(400, '1')),
          ),
          { maxLength: 12 },
        )
        .map((parts) => Buffer.concat(parts))
      fc.assert(
        fc.property(garbage, cuts, (bytes, sizes) => {
          const whole = outcome(codec, [bytes], Infinity)
          const inChunks = outcome(codec, cut(bytes, sizes), LIMIT + overhead)
          assert.deepEqual(inChunks, whole)
        }),
        { numRuns: 100 },
      )
    })
  })
}

/** The frames before the first error, and what kind that is; gets past every error, so that more is decoded. */
function outcome(codec: FrameCodec<unknown, never>, chunks: readonly Buffer[], mostKept: number) {
  const queue = new ByteQueue()
  const search = new FrameSearch(codec)
  const frames: unknown[] = []
  let error: string | null = null
  let errors = 0
  /** False when enough was seen. */
  const decodeAll = (ended: boolean) => {
    for (;;) {
      let consumedBytes: number
      try {
        const found = search.find(queue, ended)
        if (found === null) return true
        if (error === null) frames.push(found.frame)
        ;({ consumedBytes } = found)
      } catch (thrown) {
        assert.ok(thrown instanceof LimitError || thrown instanceof ProtocolError, String(thrown))
        error ??= thrown.name
        if (++errors === 10) return false
        ;({ consumedBytes } = thrown)
      }
      assert.ok(consumedBytes > 0 && consumedBytes <= queue.length, 'each step gets on')
      queue.drop(consumedBytes)
      search.again()
    }
  }
  for (const chunk of chunks) {
    queue.push(Buffer.from(chunk))
    if (!decodeAll(false)) break
    assert.ok(queue.length <= mostKept, `${String(queue.length)} bytes are kept`)
  }
  decodeAll(true)
  return { frames, error, left: error === null ? queue.length : 0 }
}
