import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LimitError, lines, MisuseError, type FrameCodec } from 'cede'

function decode<T>(codec: FrameCodec<T, never>, text: string, ended = false) {
  return codec.decode(Buffer.from(text), 0, ended)
}

test('a line is what stands before a newline, with or without a carriage return', () => {
  assert.deepEqual(decode(lines(), 'one\ntwo\n'), { frame: 'one', consumedBytes: 4 })
  assert.deepEqual(decode(lines(), 'one\r\ntwo\n'), { frame: 'one', consumedBytes: 5 })
  assert.deepEqual(decode(lines(), '\n'), { frame: '', consumedBytes: 1 })
  assert.deepEqual(decode(lines(), '\r\n'), { frame: '', consumedBytes: 2 })
  assert.deepEqual(decode(lines(), 'a\rb\r\r\n'), { frame: 'a\rb\r', consumedBytes: 6 })
  assert.equal(decode(lines(), 'one'), 4)
})

test('what is left at the end of the stream is a line', () => {
  assert.deepEqual(decode(lines(), 'one', true), { frame: 'one', consumedBytes: 3 })
  assert.deepEqual(decode(lines(), 'one\r', true), { frame: 'one\r', consumedBytes: 4 })
  assert.equal(decode(lines(), '', true), 1)
})

test('another separator is taken as it is, and found where the search before had ended within it', () => {
  const codec = lines({ separator: '--' })
  assert.deepEqual(decode(codec, 'one\r--two'), { frame: 'one\r', consumedBytes: 6 })
  assert.equal(decode(codec, 'one-'), 5)
  assert.deepEqual(codec.decode(Buffer.from('one--'), 4, false), { frame: 'one', consumedBytes: 5 })
  assert.deepEqual(decode(lines({ separator: '\r\n' }), 'a\nb\r\n'), { frame: 'a\nb', consumedBytes: 5 })
  assert.deepEqual(decode(lines({ separator: Uint8Array.of(0) }), 'a\0b'), { frame: 'a', consumedBytes: 2 })
})

test('keepSeparator leaves the endings, and writes one where there is none', () => {
  const codec = lines({ keepSeparator: true })
  assert.deepEqual(decode(codec, 'one\r\ntwo'), { frame: 'one\r\n', consumedBytes: 5 })
  assert.deepEqual(decode(codec, 'two', true), { frame: 'two', consumedBytes: 3 })
  assert.equal(String(codec.encode('one\r\n')), 'one\r\n')
  assert.equal(String(codec.encode('one')), 'one\n')
  assert.throws(() => codec.encode('one\ntwo\n'), MisuseError)
})

test('as bytes a line is a Buffer, and a small one keeps no large block alive', () => {
  const codec = lines({ encoding: 'bytes' })
  const block = Buffer.allocUnsafeSlow(65_536)
  block.set([0xff, 0xfe, 10])
  const answer = codec.decode(block, 0, false)
  assert.ok(typeof answer !== 'number')
  assert.deepEqual(answer.frame, Buffer.from([0xff, 0xfe]))
  assert.ok(answer.frame.buffer.byteLength <= 8_192)
  assert.deepEqual(Buffer.from(codec.encode(Uint8Array.of(0xff)) as Uint8Array), Buffer.from([0xff, 10]))
  assert.equal(String(codec.encode('text')), 'text\n')
})

test('bytes that are no UTF-8 become replacement characters', () => {
  assert.deepEqual(lines().decode(Buffer.from([0x61, 0xff, 10]), 0, false), {
    frame: 'a\ufffd',
    consumedBytes: 3,
  })
})

test('the limit counts bytes without the ending', () => {
  const codec = lines({ limitBytes: 4 })
  assert.deepEqual(decode(codec, '1234\r\n'), { frame: '1234', consumedBytes: 6 })
  assert.deepEqual(decode(codec, 'éé\n'), { frame: 'éé', consumedBytes: 5 })
  assert.throws(
    () => decode(codec, '12345\n'),
    (error) => {
      assert.ok(error instanceof LimitError)
      assert.equal(error.message, 'decode a line: expected at most 4 bytes (option limitBytes), found 5')
      assert.equal(error.limitBytes, 4)
      assert.equal(error.consumedBytes, 6)
      return true
    },
  )
})

test('without an end a line is too long as soon as that is certain', () => {
  const codec = lines({ limitBytes: 4 })
  assert.equal(decode(codec, '1234\r'), 6, 'the carriage return may belong to the ending')
  for (const [text, ended, consumedBytes] of [
    ['12345x', false, 5],
    ['12345', true, 5],
    ['1234\r', true, 5],
  ] as const) {
    assert.throws(
      () => decode(codec, text, ended),
      (error) => {
        assert.ok(error instanceof LimitError)
        assert.match(error.message, /found no end in [56]/)
        assert.equal(error.consumedBytes, consumedBytes)
        return true
      },
    )
  }
  assert.equal(decode(lines({ limitBytes: 4, separator: 'END' }), '1234EN'), 7)
  assert.throws(() => decode(lines({ limitBytes: 4, separator: 'END' }), '12345EN'), LimitError)
})

test('a line is written with its ending', () => {
  assert.equal(String(lines().encode('é')), 'é\n')
  assert.equal(String(lines({ separator: '\r\n' }).encode('a\nb')), 'a\nb\r\n')
  assert.equal(String(lines({ limitBytes: 2 }).encode('ab')), 'ab\n')
  assert.throws(() => lines({ limitBytes: 2 }).encode('abc'), LimitError)
})

test('a line that would be read as another one is refused', () => {
  assert.throws(
    () => lines().encode('a\nb'),
    /a line without its separator in it, found a string \("a\\nb"\)/,
  )
  assert.throws(() => lines().encode('a\r'), /does not end in a carriage return/)
  // The separator would begin in the line.
  assert.throws(() => lines({ separator: '--' }).encode('a-'), MisuseError)
})

test('wrong options and frames are refused at the call', () => {
  assert.throws(() => lines({ limitBytes: 0 }), RangeError)
  assert.throws(() => lines({ separator: '' }), /a separator of 1 byte or more, found a string \(""\)/)
  assert.throws(
    () => lines({ encoding: 'latin1' as 'utf8' }),
    /encoding was expected to be 'utf8' or 'bytes', found a string \("latin1"\)/,
  )
  assert.throws(() => lines(5 as never), MisuseError)
  assert.throws(() => lines().encode(Buffer.from('a') as never), /expected a string, found a Buffer/)
  assert.throws(() => lines({ encoding: 'bytes' }).encode(5 as never), /a string or a Uint8Array/)
})
