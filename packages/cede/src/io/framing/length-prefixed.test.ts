import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lengthPrefixed, LimitError, ProtocolError, type LengthPrefixedOptions } from 'cede'

function encoded(options: LengthPrefixedOptions, body: string | Uint8Array): string {
  const bytes = lengthPrefixed(options).encode(body)
  return Buffer.concat(Array.isArray(bytes) ? bytes : [bytes as Uint8Array]).toString('hex')
}

function decode(options: LengthPrefixedOptions, hex: string) {
  return lengthPrefixed(options).decode(Buffer.from(hex, 'hex'), 0, false)
}

test('the length stands before the bytes', () => {
  for (const [options, prefix] of [
    [{ prefix: 'uint8' }, '03'],
    [{ prefix: 'uint16' }, '0003'],
    [{ prefix: 'uint16', endian: 'little' }, '0300'],
    [{ prefix: 'uint32' }, '00000003'],
    [{ prefix: 'uint32', endian: 'little' }, '03000000'],
    [{ prefix: 'varint' }, '03'],
  ] as const) {
    assert.equal(encoded(options, Uint8Array.of(0, 255, 10)), `${prefix}00ff0a`)
    const size = prefix.length / 2
    assert.deepEqual(decode(options, `${prefix}00ff0a77`), {
      frame: Buffer.from([0, 255, 10]),
      consumedBytes: size + 3,
    })
    assert.equal(decode(options, `${prefix}00`), size + 3)
    assert.equal(decode(options, prefix), size + 3)
    if (size > 1) assert.equal(decode(options, prefix.slice(2)), size)
    assert.deepEqual(decode(options, '00'.repeat(size)), { frame: Buffer.alloc(0), consumedBytes: size })
  }
})

test('a varint has seven bits in each byte, low ones first', () => {
  const prefixOf = (length: number) => {
    const bytes = encoded({ prefix: 'varint' }, Buffer.alloc(length))
    return bytes.slice(0, bytes.length - 2 * length)
  }
  for (const [length, prefix] of [
    [127, '7f'],
    [128, '8001'],
    [300, 'ac02'],
    [16_383, 'ff7f'],
    [16_384, '808001'],
    [1_048_576, '808040'],
  ] as const) {
    assert.equal(prefixOf(length), prefix)
    assert.equal(decode({ prefix: 'varint' }, prefix), prefix.length / 2 + length)
  }
  assert.equal(decode({ prefix: 'varint' }, '8080'), 3)
  assert.deepEqual(decode({ prefix: 'varint' }, '808000'), { frame: Buffer.alloc(0), consumedBytes: 3 })
  assert.equal(decode({ prefix: 'varint', limitBytes: Infinity }, 'ffffffff0f'), 0xffff_ffff + 5)
  assert.throws(() => decode({ prefix: 'varint', limitBytes: Infinity }, 'ffffffff1f'), LimitError)
})

test('a varint that does not end is refused at its fifth byte', () => {
  assert.equal(decode({ prefix: 'varint' }, '80808080'), 5)
  assert.throws(
    () => decode({ prefix: 'varint' }, '808080808000'),
    (error) => {
      assert.ok(error instanceof ProtocolError)
      assert.match(error.message, /expected a varint of at most 5 bytes, found more/)
      assert.equal(error.received.toString('hex'), '8080808080')
      return true
    },
  )
})

test('a length above the limit is refused as soon as it is there', () => {
  for (const [options, hex] of [
    [{ prefix: 'uint8', limitBytes: 4 }, '05'],
    [{ prefix: 'uint16', limitBytes: 4 }, '0005'],
    [{ prefix: 'uint32' }, '00100001'],
    [{ prefix: 'varint', limitBytes: 200 }, 'c901'],
  ] as const) {
    assert.throws(
      () => decode(options, hex),
      (error) => {
        assert.ok(error instanceof LimitError)
        assert.match(
          error.message,
          /^decode a frame with \w+ length prefix: expected at most \d+ bytes \(option limitBytes\), found a length of \d+$/,
        )
        assert.equal(error.consumedBytes, hex.length / 2)
        return true
      },
    )
  }
  assert.throws(
    () => decode({ prefix: 'varint', limitBytes: 4 }, '85'),
    LimitError,
    'already the low bits are too much',
  )
})

test('a frame above the limit is not written', () => {
  for (const [prefix, most] of [
    ['uint8', 255],
    ['uint16', 65_535],
    ['uint32', 1_048_576],
    ['varint', 1_048_576],
  ] as const) {
    const codec = lengthPrefixed({ prefix })
    codec.encode(Buffer.alloc(most))
    assert.throws(() => codec.encode(Buffer.alloc(most + 1)), LimitError)
  }
  assert.throws(
    () => encoded({ prefix: 'uint8', limitBytes: 2 }, 'éé'),
    LimitError,
    'bytes count, not characters',
  )
})

test('a large body is not copied', () => {
  const body = Buffer.alloc(100_000)
  const bytes = lengthPrefixed({ prefix: 'uint32' }).encode(body)
  assert.ok(Array.isArray(bytes))
  assert.equal(bytes[1], body)
})

test('a small frame keeps no large block alive', () => {
  const block = Buffer.allocUnsafeSlow(65_536)
  block[0] = 5
  const answer = lengthPrefixed({ prefix: 'uint8' }).decode(block, 0, false)
  assert.ok(typeof answer !== 'number' && answer.frame.buffer.byteLength <= 8_192)
})

test('wrong options and frames are refused at the call', () => {
  assert.throws(() => lengthPrefixed(undefined as never), /expected options, found undefined; write/)
  assert.throws(
    () => lengthPrefixed({ prefix: 'uint24' as 'uint8' }),
    /prefix was expected to be 'uint8', 'uint16', 'uint32' or 'varint', found a string \("uint24"\)/,
  )
  assert.throws(() => lengthPrefixed({ prefix: 'uint16', endian: 'middle' as 'big' }), RangeError)
  assert.throws(
    () => lengthPrefixed({ prefix: 'uint8', limitBytes: 256 }),
    /limitBytes was expected to be at most 255, found 256/,
  )
  assert.throws(() => lengthPrefixed({ prefix: 'uint8', limitBytes: -1 }), RangeError)
  assert.throws(
    () => lengthPrefixed({ prefix: 'uint8' }).encode(5 as never),
    /encode a frame with uint8 length prefix: expected a string or a Uint8Array, found a number/,
  )
})
