/** What is sent arrives whole and in order: any bytes, any cuts, after half closes and around cancelled reads. */
import assert from 'node:assert/strict'
import { IncompleteReadError, openConnection, sleep, timeout, TimeoutError } from 'cede'
import { thrownBy } from '../support/thrown-by.ts'
import { onBoth, rawTo, untilTrue } from './fault-support.ts'

const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, i) => i))

onBoth('half close by the client: what it asked is answered after its end', function* (kind) {
  const { server, where } = yield* kind.start(function* (reader, writer) {
    const asked = yield* reader.read()
    assert.equal(reader.atEof(), true)
    yield* sleep(5)
    yield* writer.send(`${asked?.length} bytes\n`)
  })
  const { reader, writer } = yield* openConnection(where)
  writer.write(Buffer.alloc(300_000))
  writer.writeEof()
  assert.equal(yield* reader.readTextLine(), '300000 bytes')
  assert.equal(yield* reader.readTextLine(), null)
  writer.close()
  yield* server.shutdown()
})

onBoth('half close by the server: it still gets what the client says after that', function* (kind) {
  let heard: Buffer | null = null
  const { server, where } = yield* kind.start(function* (reader, writer) {
    writer.write('only this')
    writer.writeEof()
    heard = yield* reader.read()
  })
  const { reader, writer } = yield* openConnection(where)
  assert.equal(yield* reader.readText(), 'only this')
  yield* writer.send(Buffer.alloc(300_000))
  writer.close()
  yield* untilTrue(() => server.connections.length === 0)
  assert.equal((heard as Buffer | null)?.length, 300_000)
  yield* server.shutdown()
})

onBoth('100 KiB of all byte values, one byte at a time, come whole and in order', function* (kind) {
  const sent = Buffer.concat(Array.from({ length: 400 }, () => ALL_BYTES))
  let received: Buffer | null = null
  const { server, where } = yield* kind.start(function* (reader) {
    received = yield* reader.readExactly(sent.length)
    assert.equal(yield* reader.read(1), null)
  })
  const raw = rawTo(where).setNoDelay(true)
  for (let i = 0; i < sent.length; i++) {
    raw.write(sent.subarray(i, i + 1))
    // Its own queue would join what it cannot send at once.
    if (i % 64 === 0) yield* sleep(0)
  }
  raw.end()
  yield* untilTrue(() => received !== null)
  assert.ok(sent.equals(received!))
  yield* server.shutdown()
})

onBoth('binary: separators of any bytes, cut anywhere', function* (kind) {
  const separator = Buffer.from([0xff, 0x00, 0xff])
  // Each record ends as a separator begins, which must not be taken for one.
  const records = Array.from({ length: 50 }, (_, i) =>
    Buffer.concat([ALL_BYTES.subarray(i), Buffer.from([0xff, 0x00])]),
  )
  const found: Buffer[] = []
  const { server, where } = yield* kind.start(function* (reader) {
    for (let i = 0; i < records.length; i++) found.push(yield* reader.readUntil(separator))
    const rest = yield* thrownBy(reader.readUntil(separator))
    assert.ok(rest instanceof IncompleteReadError)
    assert.equal(rest.partial.toString(), 'rest')
  })
  const stream = Buffer.concat([
    ...records.flatMap((record) => [record, Buffer.from([1]), separator]),
    Buffer.from('rest'),
  ])
  const raw = rawTo(where).setNoDelay(true)
  for (let at = 0, size = 1; at < stream.length; at += size, size = (size % 7) + 1) {
    raw.write(stream.subarray(at, at + size))
    if (at % 5 === 0) yield* sleep(0)
  }
  raw.end()
  yield* untilTrue(() => found.length === records.length)
  found.forEach((record, i) =>
    assert.ok(record.equals(Buffer.concat([records[i]!, Buffer.from([1]), separator])), `record ${i}`),
  )
  yield* server.shutdown()
})

onBoth('a cancelled read keeps its bytes, also while more is coming', function* (kind) {
  let got = ''
  const { server, where } = yield* kind.start(function* (reader) {
    let cut = 0
    for (;;) {
      try {
        const line = yield* timeout(2, reader.readLine())
        if (line === null) break
        got += line.toString()
      } catch (error) {
        if (!(error instanceof TimeoutError)) throw error
        cut++
      }
    }
    assert.ok(cut > 0)
  })
  const raw = rawTo(where)
  let sent = ''
  for (let i = 0; i < 20; i++) {
    for (const part of [`line ${i} `, 'goes ', 'on\n']) {
      sent += part
      raw.write(part)
      yield* sleep(3)
    }
  }
  raw.end()
  yield* untilTrue(() => server.connections.length === 0)
  assert.equal(got, sent)
  yield* server.shutdown()
})
