import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LimitError } from 'cede'
import { LineReceiver, type LineReceiverOptions } from 'cede/lowlevel'
import { NotingTransport } from '../../../../../test/support/noting-transport.ts'

/** A line that is a number announces so many bytes. */
class Bodies extends LineReceiver {
  readonly told: string[] = []
  body = ''
  #missing = 0

  override lineReceived(line: string): void {
    this.told.push(line)
    if (!/^\d+$/.test(line)) return
    this.#missing = Number(line)
    this.body = ''
    this.setRawMode()
    if (this.#missing === 0) this.#complete(new Uint8Array())
  }

  override rawDataReceived(bytes: Buffer): void {
    const part = bytes.subarray(0, this.#missing)
    this.body += part.toString('latin1')
    this.#missing -= part.length
    if (this.#missing === 0) this.#complete(bytes.subarray(part.length))
  }

  #complete(rest: Uint8Array): void {
    this.told.push(`[${this.body}]`)
    this.setLineMode(rest)
  }

  override lineLimitExceeded(error: LimitError): void {
    this.told.push(`over ${String(error.limitBytes)}`)
  }
}

function connected(options?: LineReceiverOptions) {
  const receiver = new Bodies(options)
  return { receiver, transport: new NotingTransport(receiver), told: receiver.told }
}

test('lines and bodies may change in the middle of a chunk', () => {
  const { receiver, told } = connected()
  receiver.dataReceived(Buffer.from('hello\r\n5\na\nb\ncnext\n0\nlast\n2\nx'))
  assert.deepEqual(told, ['hello', '5', '[a\nb\nc]', 'next', '0', '[]', 'last', '2'])
  receiver.dataReceived(Buffer.from('yend\n'))
  assert.deepEqual(told.slice(-2), ['[xy]', 'end'])
})

test('any chunks give the same lines and bodies', () => {
  const part = fc.oneof(
    fc
      .string({ unit: fc.constantFrom('a', '\r', ' '), maxLength: 5 })
      .map((line) => ({ sent: `${line}x\n`, told: [`${line}x`] })),
    fc.string({ unit: fc.constantFrom('a', '\n', '1'), maxLength: 12 }).map((body) => ({
      sent: `${String(body.length)}\n${body}`,
      told: [String(body.length), `[${body}]`],
    })),
  )
  fc.assert(
    fc.property(
      fc.array(part),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      (parts, sizes) => {
        const { receiver, told } = connected()
        const bytes = Buffer.from(parts.map((one) => one.sent).join(''))
        for (let start = 0, i = 0; start < bytes.length; i++) {
          const size = sizes[i % sizes.length]!
          receiver.dataReceived(Buffer.from(bytes.subarray(start, start + size)))
          start += size
        }
        assert.deepEqual(
          told,
          parts.flatMap((one) => one.told),
        )
      },
    ),
  )
})

test('a line over the limit of 16 KiB is told, and ends the connection with the error', () => {
  const { receiver, transport, told } = connected()
  receiver.dataReceived(Buffer.alloc(16_384, 'x'))
  receiver.dataReceived(Buffer.from('\n'))
  assert.equal(told[0]?.length, 16_384)
  receiver.dataReceived(Buffer.alloc(16_386, 'x'))
  assert.equal(told[1], 'over 16384')
  assert.ok(transport.ending instanceof LimitError)
  assert.throws(() => connected({ limitBytes: 0 }), RangeError)
})

test('the limit does not bind raw data', () => {
  const { receiver, told, transport } = connected({ limitBytes: 10 })
  receiver.dataReceived(Buffer.from(`1000\n${'x'.repeat(1_000)}ok\n`))
  assert.equal(told.at(-1), 'ok')
  assert.equal(transport.ending, 'open')
})

test('what waits is looked at again when the mode changes from outside', () => {
  const { receiver, told } = connected()
  receiver.pauseReceiving()
  receiver.dataReceived(Buffer.from('second\n'))
  receiver.setLineMode(Buffer.from('first\n'))
  assert.equal(told.length, 0)
  receiver.resumeReceiving()
  assert.deepEqual(told, ['first', 'second'])
  receiver.dataReceived(Buffer.from('half'))
  receiver.rawDataReceived = (bytes) => {
    told.push(`raw ${bytes.toString()}`)
  }
  receiver.setRawMode()
  receiver.dataReceived(Buffer.from(' of it\n'))
  assert.deepEqual(told.slice(2), ['raw half', 'raw  of it\n'])
  receiver.setLineMode()
  // Shorter than what was looked at before.
  receiver.dataReceived(Buffer.from('a\n'))
  assert.equal(told.at(-1), 'a')
})

test('a pause holds raw data back, too', () => {
  const { receiver, told } = connected()
  receiver.dataReceived(Buffer.from('3\n'))
  receiver.pauseReceiving()
  receiver.dataReceived(Buffer.from('abcnext\n'))
  assert.deepEqual(told, ['3'])
  receiver.resumeReceiving()
  assert.deepEqual(told, ['3', '[abc]', 'next'])
})

test('lines are sent with their ending', () => {
  const { receiver, transport } = connected({ separator: '\r\n' })
  receiver.send('hello')
  assert.equal(transport.written, 'hello\r\n')
})
