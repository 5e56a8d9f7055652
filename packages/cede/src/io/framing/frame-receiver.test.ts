import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  IncompleteReadError,
  lengthPrefixed,
  lines,
  MisuseError,
  netstrings,
  ProtocolError,
  type FrameCodec,
} from 'cede'
import { FrameReceiver, type Transport } from 'cede/lowlevel'
import { NotingTransport } from '../../../../../test/support/noting-transport.ts'

/** Notes what it is told. */
class Notes<T> extends FrameReceiver<T, string> {
  readonly told: unknown[] = []
  /** Called with each frame. */
  onFrame: (frame: T) => void = () => {}
  lastWords: string | null = null
  keepsOpen = false

  override frameReceived(frame: T): void {
    this.told.push(frame)
    this.onFrame(frame)
  }

  override framingFailed(error: Error): void {
    this.told.push(error.name)
    if (this.lastWords === null) return
    this.send(this.lastWords)
    this.close()
  }

  override framesEnded(): boolean {
    this.told.push('ended')
    return this.keepsOpen
  }
}

function connected<T>(codec: FrameCodec<T, string>) {
  const receiver = new Notes(codec)
  return { receiver, transport: new NotingTransport(receiver), told: receiver.told }
}

const textLines = () => connected(lines({ limitBytes: 10 }))

test('frames are given out as they come, in whatever chunks', () => {
  const { receiver, told } = textLines()
  for (const byte of Buffer.from('é1\ntwo\n')) receiver.dataReceived(Buffer.from([byte]))
  receiver.dataReceived(Buffer.from('three\nfour\nfi'))
  assert.deepEqual(told, ['é1', 'two', 'three', 'four'])
  receiver.dataReceived(Buffer.from('ve\n'))
  assert.deepEqual(told.at(-1), 'five')
})

test('frames are sent in all the forms a codec gives', () => {
  const { receiver, transport } = connected(netstrings())
  receiver.send('hi')
  assert.equal(transport.written, '2:hi,')
  const large = connected(lengthPrefixed({ prefix: 'uint32' }))
  large.receiver.send('x'.repeat(20_000))
  assert.equal(large.transport.written.length, 20_004)
  const texts = connected<string>({ name: 'texts', encode: (frame) => `<${frame}>`, decode: () => Infinity })
  texts.receiver.send('é')
  assert.equal(texts.transport.written, Buffer.from('<é>').toString('latin1'))
})

test('a pause in the middle of a chunk holds the rest back until it is over', () => {
  const { receiver, transport, told } = textLines()
  receiver.onFrame = (frame) => {
    if (frame === 'b') receiver.pauseReceiving()
  }
  receiver.dataReceived(Buffer.from('a\nb\nc\nb\nd\ne'))
  assert.deepEqual(told, ['a', 'b'])
  assert.equal(transport.reading, false)
  receiver.dataReceived(Buffer.from('e\n'))
  assert.deepEqual(told, ['a', 'b'], 'what was on its way waits as well')
  receiver.resumeReceiving()
  assert.deepEqual(told, ['a', 'b', 'c', 'b'], 'paused again')
  assert.equal(transport.reading, false)
  receiver.resumeReceiving()
  receiver.resumeReceiving()
  assert.deepEqual(told, ['a', 'b', 'c', 'b', 'd', 'ee'])
  assert.equal(transport.reading, true)
})

test('a pause that is over in the same frame changes nothing, and frames do not overtake each other', () => {
  const { receiver, transport, told } = textLines()
  receiver.onFrame = (frame) => {
    receiver.pauseReceiving()
    receiver.resumeReceiving()
    receiver.told.push(`after ${frame}`)
  }
  receiver.dataReceived(Buffer.from('a\nb\n'))
  assert.deepEqual(told, ['a', 'after a', 'b', 'after b'])
  assert.equal(transport.reading, true)
})

test('frames after close are dropped', () => {
  const { receiver, transport, told } = textLines()
  receiver.onFrame = () => receiver.close()
  receiver.dataReceived(Buffer.from('a\nb\n'))
  receiver.dataReceived(Buffer.from('c\n'))
  assert.deepEqual(told, ['a'])
  assert.equal(transport.ending, 'closed')
})

test('what is no frame ends the connection with the error', () => {
  const { receiver, transport, told } = connected(netstrings())
  receiver.dataReceived(Buffer.from('1:a,x1:b,'))
  receiver.dataReceived(Buffer.from('1:c,'))
  assert.deepEqual(told.map(String), ['a', 'ProtocolError'])
  assert.ok(transport.ending instanceof ProtocolError)
})

test('a frame over the limit ends it before the body comes', () => {
  const { receiver, transport, told } = connected(lengthPrefixed({ prefix: 'uint32', limitBytes: 4 }))
  receiver.dataReceived(Buffer.from([0, 0, 0, 5]))
  assert.deepEqual(told, ['LimitError'])
  assert.equal((transport.ending as Error).name, 'LimitError')
})

test('last words can be sent before the connection closes', () => {
  const { receiver, transport } = textLines()
  receiver.lastWords = 'too long'
  receiver.dataReceived(Buffer.from('x'.repeat(100)))
  assert.equal(transport.written, 'too long\n')
  assert.equal(transport.ending, 'closed')
})

test('what a codec throws that is no error is wrapped in one', () => {
  const { receiver, transport } = connected<string>({
    name: 'odd',
    encode: () => '',
    decode() {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- that is the test
      throw 'five'
    },
  })
  receiver.dataReceived(Buffer.from('x'))
  assert.equal((transport.ending as Error).cause, 'five')
})

test('at the end a last line is given out, then it is told, and the connection closes', () => {
  const { receiver, transport, told } = textLines()
  receiver.dataReceived(Buffer.from('a\nb'))
  assert.equal(receiver.eofReceived(), false)
  assert.deepEqual(told, ['a', 'b', 'ended'])
  assert.equal(transport.ending, 'closed')
})

test('the other direction stays open if framesEnded says so', () => {
  const { receiver, transport, told } = textLines()
  receiver.keepsOpen = true
  assert.equal(receiver.eofReceived(), true)
  assert.deepEqual(told, ['ended'])
  assert.equal(transport.ending, 'open')
})

test('the end in the middle of a frame is a failure', () => {
  const { receiver, transport, told } = connected(netstrings())
  receiver.dataReceived(Buffer.from('5:hel'))
  assert.equal(receiver.eofReceived(), false)
  assert.deepEqual(told, ['IncompleteReadError'])
  assert.ok(transport.ending instanceof IncompleteReadError)
  assert.equal(transport.ending.partial.toString(), '5:hel')
  assert.equal(
    transport.ending.message,
    'receive from 127.0.0.1:2: expected a frame (netstrings), found the end of the stream after 5 bytes',
  )
})

test('an end that comes while paused is told when the frames before it were given out', () => {
  const { receiver, transport, told } = textLines()
  receiver.pauseReceiving()
  receiver.dataReceived(Buffer.from('a\nb'))
  assert.equal(receiver.eofReceived(), true)
  assert.deepEqual(told, [])
  receiver.resumeReceiving()
  assert.deepEqual(told, ['a', 'b', 'ended'])
  assert.equal(transport.ending, 'closed')
})

test('what frameReceived throws reaches the caller, and the next frame is the next', () => {
  const { receiver, told } = textLines()
  const failure = new Error('mine')
  receiver.onFrame = (frame) => {
    if (frame === 'bad') throw failure
  }
  assert.throws(
    () => receiver.dataReceived(Buffer.from('bad\na\n')),
    (error) => error === failure,
  )
  receiver.dataReceived(Buffer.from('b\n'))
  assert.deepEqual(told, ['bad', 'a', 'b'])
})

test('a transport of somebody else, that cannot fail, is aborted', () => {
  const receiver = new Notes(netstrings())
  let aborted = 0
  receiver.connectionMade({ closing: false, abort: () => aborted++ } as unknown as Transport)
  receiver.dataReceived(Buffer.from('x'))
  assert.equal(aborted, 1)
})

test('a wrong codec is refused, and so is a transport before there is one', () => {
  assert.throws(
    () => new Notes(lines as never),
    /FrameReceiver: expected a codec, found a function \(lines\)/,
  )
  assert.throws(() => new Notes(lines()).send('x'), MisuseError)
  assert.throws(() => new Notes(lines()).transport, /call `super\.connectionMade\(transport\)`/)
})
