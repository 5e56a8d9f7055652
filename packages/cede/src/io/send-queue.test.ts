import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SendQueue } from './send-queue.ts'

/** `size` bytes that count up from `first`, with `before` and `behind` so many others around them in their memory. */
function view(first: number, size: number, before = 0, behind = 0): Buffer {
  const memory = Buffer.allocUnsafeSlow(before + size + behind)
  for (let i = 0; i < size; i++) memory[before + i] = first + i
  return memory.subarray(before, before + size)
}

/** All that waits, as the system would be given it. */
function waiting({ pieces, first, start }: SendQueue): Buffer {
  return Buffer.concat(pieces.slice(first)).subarray(start)
}

/** The bytes that are kept alive. */
function kept({ pieces }: SendQueue): number {
  let bytes = 0
  for (const memory of new Set(pieces.map(({ buffer }) => buffer))) bytes += memory.byteLength
  return bytes
}

const chunk = fc.record({
  size: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 10_000 })),
  before: fc.constantFrom(0, 100, 16_384),
})
const act = fc.oneof(
  fc.record({ adds: fc.array(chunk, { maxLength: 5 }) }),
  fc.record({ drops: fc.double({ min: 0, max: 1, noNaN: true }) }),
)

test('it does what one joined buffer does, for every order of acts', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.array(act, { maxLength: 60 }),
      (sent, acts) => {
        const queue = new SendQueue()
        let model = Buffer.alloc(0)
        let written = 0
        for (const one of acts) {
          if ('adds' in one) {
            const chunks = one.adds.map(({ size, before }) => view((written += size), size, before))
            const all = Buffer.concat(chunks)
            // Only of the first ones something was sent already.
            const gone = queue.pieces.length === 0 ? Math.floor(sent * all.length) : 0
            assert.equal(queue.add(chunks, gone, all.length), true)
            model = Buffer.concat([model, all.subarray(gone)])
          } else {
            const gone = Math.floor(one.drops * model.length)
            assert.equal(queue.drop(gone), true)
            model = model.subarray(gone)
            // As its owner does it.
            if (model.length === 0) break
          }
          assert.equal(queue.bytes, model.length)
          assert.deepEqual(waiting(queue), model)
        }
      },
    ),
  )
})

test('many small views of large memory: little memory, few pieces', () => {
  const queue = new SendQueue()
  for (let n = 1; n <= 5_000; n++) {
    queue.add([view(n, 3, 10_000, 6_381)], 0, 3)
    assert.ok(kept(queue) <= 1_024 + 3 * queue.bytes, `${kept(queue)} bytes are kept for ${queue.bytes}`)
  }
  assert.equal(queue.pieces.length, 4)
  queue.add(
    Array.from({ length: 100_000 }, (_, n) => view(n, 1, 100)),
    0,
    100_000,
  )
  assert.equal(queue.pieces.length, 7)
})

test('large and small ones by turns: little memory still', () => {
  const queue = new SendQueue()
  for (let n = 0; n < 1_000; n++) queue.add([view(n, 2_100), view(n, 1, 16_383)], 0, 2_101)
  assert.ok(kept(queue) <= 1.1 * queue.bytes, `${kept(queue)} bytes are kept for ${queue.bytes}`)
})

test('a large one that is most of its memory stays where it is, a part of larger memory does not', () => {
  const queue = new SendQueue()
  const own = view(0, 100_000, 0, 1_000)
  const part = view(0, 5_000, 0, 11_384)
  queue.add([own, part], 50_000, 105_000)
  assert.equal(queue.pieces[0], own)
  assert.equal(queue.start, 50_000)
  assert.notEqual(queue.pieces[1]!.buffer, part.buffer)
  assert.deepEqual(waiting(queue), Buffer.concat([own.subarray(50_000), part]))
})

test('what was sent is given free', () => {
  const queue = new SendQueue()
  const chunks = Array.from({ length: 200 }, (_, n) => view(n, 10_000))
  queue.add(chunks, 0, 2_000_000)
  queue.drop(500_000)
  assert.equal(kept(queue), 1_500_000)
  queue.drop(1_490_000)
  assert.equal(kept(queue), 10_000)
  assert.ok(queue.pieces.length < 150, `${queue.pieces.length} pieces`)
})

interface Resizable extends ArrayBuffer {
  resize(bytes: number): void
}
const ResizableBuffer = ArrayBuffer as unknown as new (
  bytes: number,
  options: { maxByteLength: number },
) => Resizable

test('memory that has another size than when it was written is noticed', () => {
  for (const size of [0, 10, 9_999, 10_001, 20_000]) {
    const memory = new ResizableBuffer(10_000, { maxByteLength: 20_000 })
    const data = new Uint8Array(memory)
    memory.resize(size)
    assert.equal(new SendQueue().add([view(0, 10), data], 0, 10_010), false, `${size} bytes`)
  }
})

test('memory that may have another size later is copied, shared memory too', () => {
  const memory = new ResizableBuffer(10_000, { maxByteLength: 20_000 })
  const Shared = SharedArrayBuffer as unknown as new (bytes: number, options: object) => SharedArrayBuffer
  const shared = new Shared(10_000, { maxByteLength: 20_000 }) as SharedArrayBuffer & {
    grow?(bytes: number): void
  }
  const queue = new SendQueue()
  queue.add([new Uint8Array(memory).fill(1), new Uint8Array(shared).fill(2)], 0, 20_000)
  memory.resize(5)
  shared.grow?.(20_000)
  assert.deepEqual(waiting(queue), Buffer.concat([Buffer.alloc(10_000, 1), Buffer.alloc(10_000, 2)]))
})

test('memory that is given away while it waits is noticed when its turn comes', () => {
  const queue = new SendQueue()
  const given = view(0, 10_000)
  queue.add([view(0, 5_000), given, view(0, 5_000)], 0, 20_000)
  structuredClone(given, { transfer: [given.buffer as ArrayBuffer] })
  assert.equal(queue.drop(4_000), true)
  assert.equal(queue.drop(2_000), false)
})
