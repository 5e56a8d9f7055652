import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jsonLines, LimitError, MisuseError, ProtocolError } from 'cede'

function decode(line: string | Uint8Array, ended = false) {
  return jsonLines({ limitBytes: 50 }).decode(Buffer.from(line as string), 0, ended)
}

test('each line is a value', () => {
  assert.deepEqual(decode('{"a":[1,null]}\n[]'), { frame: { a: [1, null] }, consumedBytes: 15 })
  assert.deepEqual(decode(' "é"\r\n'), { frame: 'é', consumedBytes: 7 })
  assert.deepEqual(decode('false', true), { frame: false, consumedBytes: 5 })
  assert.equal(decode('false'), 6)
})

test('a line that is not JSON is kept in the error', () => {
  for (const [line, message] of [
    ['{"a":\n', /^decode a JSON line: expected JSON, found text \("\{\\"a\\":"\) \(.*JSON.*\)$/],
    ['\n', /expected JSON, found an empty line$/],
    ['null\n', /expected a value that is not null alone, found null/],
    [Buffer.from([34, 0xff, 34, 10]), /expected UTF-8, found other bytes/],
  ] as const) {
    assert.throws(
      () => decode(line),
      (error) => {
        assert.ok(error instanceof ProtocolError)
        assert.equal(error.code, 'CEDE_PROTOCOL')
        assert.match(error.message, message)
        assert.deepEqual(error.received, Buffer.from(line as string))
        assert.equal(error.consumedBytes, line.length)
        return true
      },
    )
  }
})

test('a value is written on one line', () => {
  const codec = jsonLines({ limitBytes: 20 })
  assert.equal(String(codec.encode({ text: 'a\nb' })), '{"text":"a\\nb"}\n')
  assert.equal(String(codec.encode([null])), '[null]\n')
  assert.throws(() => codec.encode('x'.repeat(19)), LimitError)
})

test('what JSON cannot say is refused', () => {
  const codec = jsonLines()
  assert.throws(() => codec.encode(undefined), MisuseError)
  assert.throws(() => codec.encode(() => 1), MisuseError)
  assert.throws(() => codec.encode(null), /not null alone, found null/)
  assert.throws(() => codec.encode(NaN), MisuseError)
  assert.throws(() => codec.encode(1n), TypeError)
})

test('the default limit is 1 MiB', () => {
  const codec = jsonLines()
  assert.equal(codec.encode('x'.repeat(1_048_574)).length, 1_048_577)
  assert.throws(() => codec.encode('x'.repeat(1_048_575)), LimitError)
  assert.throws(() => jsonLines({ limitBytes: 1.5 }), RangeError)
})
