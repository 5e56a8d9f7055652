import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteQueue } from './byte-queue.ts'

/** Few different bytes, so that needles occur often, whole and in part. */
const bytes = (maxLength: number) =>
  fc.array(fc.integer({ min: 0, max: 2 }), { maxLength }).map((list) => Buffer.from(list))

/** How much of what is there: none and all more often than by chance. */
const part = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true }))

/** What is left in the memory of a chunk: so little that pieces may keep it, or too much. */
const slab = fc.constantFrom(0, 8_192, 65_536)

const act = fc.oneof(
  fc.record({ does: fc.constant('push' as const), chunk: bytes(12), slabBytes: slab }),
  fc.record({ does: fc.constant('push' as const), chunk: bytes(5_000), slabBytes: slab }),
  fc.record({ does: fc.constant('take' as const), part }),
  fc.record({ does: fc.constant('drop' as const), part }),
  fc.record({ does: fc.constant('look' as const), part, growing: fc.boolean() }),
  fc.record({
    does: fc.constant('find' as const),
    needle: bytes(5),
    part,
  }),
  fc.record({ does: fc.constant('settle' as const) }),
)

test('it does what one joined buffer does, for every order of acts', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      const queue = new ByteQueue()
      let model = Buffer.alloc(0)
      const given: { taken: Buffer; copy: Buffer }[] = []
      for (const one of acts) {
        if (one.does === 'push') {
          // In memory that is larger, as slabs are.
          const memory = Buffer.allocUnsafeSlow(one.chunk.length + one.slabBytes)
          const start = one.slabBytes / 2
          one.chunk.copy(memory, start)
          queue.push(memory.subarray(start, start + one.chunk.length))
          model = Buffer.concat([model, one.chunk])
        } else if (one.does === 'take') {
          const count = Math.floor(one.part * model.length)
          const taken = queue.take(count)
          assert.deepEqual(taken, model.subarray(0, count))
          given.push({ taken, copy: Buffer.from(taken) })
          model = model.subarray(count)
        } else if (one.does === 'drop') {
          const count = Math.floor(one.part * model.length)
          queue.drop(count)
          model = model.subarray(count)
        } else if (one.does === 'look') {
          const count = Math.floor(one.part * model.length)
          const peeked = queue.peek(count)
          assert.deepEqual(peeked, model.subarray(0, count))
          assert.equal(queue.text(count), model.toString('utf8', 0, count))
          if (count > 0) assert.equal(queue.at(count - 1), model[count - 1])
          if (model.length > 0) {
            const front = queue.front(Math.max(count, 1), one.growing)
            assert.ok(front.length >= Math.max(count, 1))
            assert.deepEqual(front, model.subarray(0, front.length))
            given.push({ taken: front, copy: Buffer.from(front) })
          }
        } else if (one.does === 'settle') {
          queue.settle()
        } else if (one.needle.length > 0) {
          const from = Math.floor(one.part * model.length)
          assert.equal(queue.indexOf(one.needle, from), model.indexOf(one.needle, from))
          assert.equal(queue.indexOf(one.needle[0]!, from), model.indexOf(one.needle[0]!, from))
        }
        assert.equal(queue.length, model.length)
      }
      for (const { taken, copy } of given) assert.deepEqual(taken, copy, 'what was given out has changed')
    }),
    { numRuns: 300 },
  )
})

test('a needle is found where it lies over several blocks', () => {
  const queue = new ByteQueue()
  for (const size of [3_000, 3_000, 3_000]) queue.push(Buffer.alloc(size, 'a'))
  const needle = Buffer.concat([Buffer.alloc(4_000, 'a'), Buffer.from('b')])
  assert.equal(queue.indexOf(needle, 0), -1)
  queue.push(Buffer.from('b'))
  assert.equal(queue.indexOf(needle, 0), 5_000)
  assert.equal(queue.indexOf(needle, 5_000), 5_000)
  assert.equal(queue.indexOf(needle, 5_001), -1)
})

test('a chunk that is taken whole is not copied', () => {
  const queue = new ByteQueue()
  const chunk = Buffer.allocUnsafeSlow(65_536)
  queue.push(chunk)
  assert.equal(queue.take(65_536), chunk)
})

test('a small piece of a large slab does not keep the slab', () => {
  const queue = new ByteQueue()
  queue.push(Buffer.allocUnsafeSlow(65_536))
  assert.ok(queue.take(10).buffer.byteLength <= 8_192)
  assert.equal(queue.take(10_000).buffer.byteLength, 10_000)
  assert.ok(queue.take(40_000).buffer.byteLength === 65_536, 'a large piece is not worth a copy')
  assert.ok(queue.take(10).buffer.byteLength <= 8_192)
})

test('small pieces that follow each other share a copy, the larger the more there are', () => {
  const queue = new ByteQueue()
  const chunk = Buffer.allocUnsafeSlow(65_536)
  for (let i = 0; i < chunk.length; i++) chunk[i] = i >> 6
  queue.push(chunk)
  const memories = new Set<ArrayBufferLike>()
  for (let i = 0; i < 1_024; i++) {
    const piece = queue.take(64)
    assert.deepEqual(piece, Buffer.alloc(64, i))
    memories.add(piece.buffer)
  }
  assert.deepEqual(
    [...memories].map(({ byteLength }) => byteLength / 1_024),
    [1, 2, 4, 8, 16, 16, 16, 1],
  )
})

test('a line that is given away cannot take those behind it with it', () => {
  const queue = new ByteQueue()
  queue.push(Buffer.alloc(65_536, 'x'))
  const { port1 } = new MessageChannel()
  const { buffer } = queue.take(64)
  try {
    // Refused, or up to Node 20 copied.
    port1.postMessage(buffer, [buffer as ArrayBuffer])
  } catch (error) {
    assert.equal((error as Error).name, 'DataCloneError')
  }
  port1.close()
  assert.equal(queue.take(64).toString(), 'x'.repeat(64))
})

test('few bytes that wait for more do not keep the slab; many, or those with memory of their own, stay', () => {
  const queue = new ByteQueue()
  const slab = Buffer.allocUnsafeSlow(16_384)
  queue.push(slab.subarray(100, 4_100))
  queue.settle()
  assert.equal(queue.peek(4_000).buffer, slab.buffer)
  queue.drop(3_990)
  slab.fill('x', 4_090, 4_100)
  queue.settle()
  const settled = queue.peek(10)
  assert.equal(settled.toString(), 'xxxxxxxxxx')
  assert.equal(settled.buffer.byteLength, 10)
  queue.settle()
  assert.equal(queue.peek(10).buffer, settled.buffer)
  queue.push(Buffer.from('yy'))
  queue.settle()
  assert.equal(queue.take(12).toString(), 'xxxxxxxxxxyy')
})

test('one byte at a time, half a megabyte takes half a megabyte', () => {
  const queue = new ByteQueue()
  const one = Buffer.from('x')
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 524_288; i++) queue.push(one)
  const grown = process.memoryUsage().arrayBuffers - before
  assert.ok(grown < 2 * 524_288, `${grown} bytes for ${queue.length}`)
  assert.equal(queue.take(524_288).toString(), 'x'.repeat(524_288))
})
