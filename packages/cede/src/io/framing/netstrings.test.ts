import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LimitError, MisuseError, netstrings, ProtocolError } from 'cede'

function decode(text: string, limitBytes = 1_000) {
  return netstrings({ limitBytes }).decode(Buffer.from(text), 0, false)
}

test('the length, a colon, the bytes, a comma', () => {
  assert.deepEqual(decode('5:hello,3:x'), { frame: Buffer.from('hello'), consumedBytes: 8 })
  assert.deepEqual(decode('0:,'), { frame: Buffer.alloc(0), consumedBytes: 3 })
  assert.deepEqual(decode('2:é,'), { frame: Buffer.from('é'), consumedBytes: 5 })
  assert.deepEqual(decode('3:1:,,'), { frame: Buffer.from('1:,'), consumedBytes: 6 })
  assert.equal(String(netstrings().encode('é')), '2:é,')
  assert.equal(String(netstrings().encode(new Uint8Array())), '0:,')
})

test('it tells how many bytes it needs', () => {
  assert.equal(decode('1'), 2)
  assert.equal(decode('12'), 3)
  assert.equal(decode('12:'), 16)
  assert.equal(decode('3:abc'), 6)
})

test('anything else is refused, with what was received', () => {
  for (const [text, message, received] of [
    ['x', "expected a digit, found 'x'", 'x'],
    [':', "expected a digit, found ':'", ':'],
    ['-1:', "expected a digit, found '-'", '-'],
    [' 1:', 'expected a digit, found byte 32', ' '],
    ['00:', "expected ':' after 0, found '0'", '00'],
    ['05:hello,', "expected ':' after 0, found '5'", '05'],
    ['5 :hello,', "expected a digit or ':', found byte 32", '5 '],
    ['5:hello;rest', "expected ',' after 5 bytes, found ';'", '5:hello;'],
  ] as const) {
    assert.throws(
      () => decode(text),
      (error) => {
        assert.ok(error instanceof ProtocolError)
        assert.equal(error.message, `decode a netstring: ${message}`)
        assert.equal(error.received.toString(), received)
        assert.equal(error.consumedBytes, received.length)
        return true
      },
    )
  }
})

test('a length above the limit is refused at the digit that makes it so', () => {
  assert.equal(decode('100', 100), 4)
  for (const [text, found, consumedBytes] of [
    ['101', 101, 3],
    ['1010', 101, 3],
    ['99999999999999999999999', 999, 3],
  ] as const) {
    assert.throws(
      () => decode(text, 100),
      (error) => {
        assert.ok(error instanceof LimitError)
        assert.equal(
          error.message,
          `decode a netstring: expected at most 100 bytes (option limitBytes), found a length of ${String(found)} or more`,
        )
        assert.equal(error.consumedBytes, consumedBytes)
        return true
      },
    )
  }
  assert.throws(() => decode('99999999999', Infinity), LimitError)
  assert.throws(() => decode('1048577', undefined), LimitError)
})

test('wrong options and frames are refused at the call', () => {
  assert.throws(() => netstrings({ limitBytes: 0 }), RangeError)
  assert.throws(() => netstrings({ limitBytes: 2 }).encode('abc'), LimitError)
  assert.throws(() => netstrings().encode({} as never), MisuseError)
})
