/** Every way to read, as a table: what is sent, what one read of it gives, and what is left. */
import type { Operation, StreamReader, Suspension } from 'cede'

export interface ReadCase {
  readonly name: string
  /** What the peer sends. */
  readonly sent: string
  read(reader: StreamReader): Operation<unknown>
  /** What the read gives, with bytes as text. */
  readonly gives: unknown
  /** It ends only with the stream. */
  readonly needsEnd?: boolean
  /** It takes what there is, so that a part of what was sent may be all that it gives. */
  readonly takesAnything?: boolean
}

export const READS: readonly ReadCase[] = [
  { name: 'readLine', sent: 'a line\nmore', read: (r) => r.readLine(), gives: 'a line\n' },
  { name: 'readTextLine', sent: 'grüße 👋\r\nmore', read: (r) => r.readTextLine(), gives: 'grüße 👋' },
  { name: 'readExactly', sent: '0123456789', read: (r) => r.readExactly(7), gives: '0123456' },
  { name: 'readUntil', sent: 'aaabaab;', read: (r) => r.readUntil('aab'), gives: 'aaab' },
  { name: 'readUntil of several', sent: 'xyEND;z', read: (r) => r.readUntil([';', 'END']), gives: 'xyEND' },
  { name: 'peek', sent: 'peeked at', read: (r) => r.peek(6), gives: 'peeked' },
  { name: 'read to the end', sent: 'all of it', read: (r) => r.read(), gives: 'all of it', needsEnd: true },
  {
    name: 'readText to the end',
    sent: 'alles über 👋',
    read: (r) => r.readText(),
    gives: 'alles über 👋',
    needsEnd: true,
  },
  {
    name: 'lines().next',
    sent: 'one\ntwo\n',
    read: (r) => r.lines().next(),
    gives: { done: false, value: 'one\n' },
  },
  {
    name: 'textLines().next',
    sent: 'one\r\ntwo\n',
    read: (r) => r.textLines().next(),
    gives: { done: false, value: 'one' },
  },
  { name: 'read of some', sent: 'some', read: (r) => r.read(100), gives: 'some', takesAnything: true },
  { name: 'readText of some', sent: '👋', read: (r) => r.readText(100), gives: '👋' },
  {
    name: 'chunks().next',
    sent: 'one',
    read: (r) => r.chunks().next(),
    gives: { done: false, value: 'one' },
    takesAnything: true,
  },
  { name: 'forEachLine', sent: 'one\ntwo\n', read: (r) => linesOf(r), gives: ['one', 'two'], needsEnd: true },
]

function* linesOf(reader: StreamReader): Generator<Suspension, readonly string[]> {
  const lines: string[] = []
  yield* reader.forEachLine(function* (line) {
    lines.push(line)
  })
  return lines
}

/** The result of a read with bytes as text. */
export function readable(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString()
  if (typeof value === 'object' && value !== null && 'done' in value && 'value' in value) {
    return { done: value.done, value: readable(value.value) }
  }
  return value
}
