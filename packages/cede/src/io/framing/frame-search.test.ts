import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lines, type FrameCodec } from 'cede'
import { ByteQueue } from '../byte-queue.ts'
import { FrameSearch } from './frame-search.ts'

/** Lines, and how much the codec was shown. */
function watched() {
  const inner = lines({ encoding: 'bytes', limitBytes: Infinity })
  const seen = { asked: 0, newBytes: 0, blocks: new Set<ArrayBufferLike>() }
  const codec: FrameCodec<Buffer, never> = {
    name: 'watched',
    encode: () => '',
    decode(available, scannedBytes, ended) {
      seen.asked++
      seen.newBytes += available.length - scannedBytes
      seen.blocks.add(available.buffer)
      return inner.decode(available, scannedBytes, ended)
    },
  }
  return { search: new FrameSearch(codec), seen }
}

for (const chunkBytes of [1, 100, 3_000]) {
  test(`a frame that comes in chunks of ${String(chunkBytes)} is searched once and joined a few times`, () => {
    const { search, seen } = watched()
    const queue = new ByteQueue()
    const chunks = Math.ceil(300_000 / chunkBytes)
    for (let i = 0; i < chunks; i++) {
      queue.push(Buffer.alloc(chunkBytes, 'x'))
      assert.equal(search.find(queue, false), null)
    }
    queue.push(Buffer.from('\n'))
    const size = chunks * chunkBytes
    const found = search.find(queue, false)
    assert.equal(found?.consumedBytes, size + 1)
    assert.equal(found.frame.equals(Buffer.alloc(size, 'x')), true)
    assert.equal(seen.newBytes, size + 1)
    // Each joined block is half as large again as the one before.
    assert.ok(seen.blocks.size <= 20, `${String(seen.blocks.size)} blocks`)
  })
}

test('many frames in one chunk are views of it, and nothing is joined', () => {
  const { search, seen } = watched()
  const queue = new ByteQueue()
  const chunk = Buffer.from('0123456789\n'.repeat(1_000))
  queue.push(chunk)
  for (let i = 0; i < 1_000; i++) {
    search.again()
    const found = search.find(queue, false)
    queue.drop(found!.consumedBytes)
  }
  assert.equal(queue.length, 0)
  assert.equal(seen.asked, 1_000)
  assert.deepEqual([...seen.blocks], [chunk.buffer])
})

test('where a frame lies over two large blocks, not much more than the frame is joined', () => {
  const { search, seen } = watched()
  const queue = new ByteQueue()
  queue.push(Buffer.alloc(60_000, 'a'))
  queue.push(Buffer.concat([Buffer.from('b\n'), Buffer.alloc(60_000, 'c')]))
  queue.drop(59_900)
  const found = search.find(queue, false)
  assert.equal(found?.frame.toString(), `${'a'.repeat(100)}b`)
  assert.equal(seen.newBytes, 200)
  queue.drop(found.consumedBytes)
  assert.equal(queue.take(60_000).toString(), 'c'.repeat(60_000))
})

test('at the end the codec is asked once more, with all there is', () => {
  const { search, seen } = watched()
  const queue = new ByteQueue()
  queue.push(Buffer.alloc(3_000, 'x'))
  assert.equal(search.find(queue, false), null)
  queue.push(Buffer.alloc(10_000, 'x'))
  assert.equal(search.find(queue, true)?.consumedBytes, 13_000)
  assert.equal(seen.newBytes, 13_000)
  search.again()
  assert.equal(search.find(new ByteQueue(), true), null, 'not if there is nothing')
})
