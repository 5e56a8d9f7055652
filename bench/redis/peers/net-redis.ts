// The commands of the Redis example on bare `net` callbacks, with a parser written by hand: PING, ECHO, SET with EX, GET,
// DEL, INCR and EXPIRE, pipelined. Nobody would like to write a server so; it is what ours is measured by.
//
// A chunk becomes a string once, a character for a byte (latin1), and is parsed in place. What is left of an incomplete
// command is kept and put before the next chunk. The answers to all commands of a chunk are one write.

import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import type { ServerCase } from '../../case.ts'

interface Entry {
  value: string
  /** On the clock of performance.now(); Infinity: never. */
  expires: number
}

const store = new Map<string, Entry>()

const [STAR, DOLLAR, CR, LF] = [0x2a, 0x24, 0x0d, 0x0a]

/** No command of ours has more words, and no word more bytes. */
const [mostWords, mostBytes] = [1024, 1 << 20]

class ProtocolError extends Error {}

class Parser {
  #text = ''
  #at = 0

  feed(chunk: Buffer): void {
    const text = chunk.toString('latin1')
    this.#text = this.#at === this.#text.length ? text : this.#text.slice(this.#at) + text
    this.#at = 0
  }

  /** The words of the next command; null if it has not come as a whole. */
  next(): string[] | null {
    const text = this.#text
    const begin = this.#at
    if (begin === text.length) return null
    const count = this.#number(STAR, mostWords)
    const words: string[] = []
    while (count !== -1 && words.length < count) {
      const size = this.#number(DOLLAR, mostBytes)
      const end = this.#at + size
      if (size === -1 || end + 2 > text.length) break
      words.push(text.slice(this.#at, end))
      this.#at = end + 2
    }
    if (words.length === count) return words
    this.#at = begin
    return null
  }

  /** A line like `$12`; -1 if it has not come as a whole. */
  #number(mark: number, most: number): number {
    const text = this.#text
    let at = this.#at
    if (at === text.length) return -1
    if (text.charCodeAt(at) !== mark) throw new ProtocolError('unexpected type of value')
    let number = 0
    for (at++; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code === CR) {
        if (at + 1 === text.length) return -1
        if (text.charCodeAt(at + 1) !== LF) throw new ProtocolError('expected the end of a line')
        this.#at = at + 2
        return number
      }
      if (code < 0x30 || code > 0x39) throw new ProtocolError('expected a number')
      number = number * 10 + code - 0x30
      if (number > most) throw new ProtocolError('too big')
    }
    return -1
  }
}

/** What is stored must not keep the chunk alive that it is a slice of; V8 copies short slices anyway. */
const own = (text: string) => (text.length <= 12 ? text : Buffer.from(text, 'latin1').toString('latin1'))

function put(key: string, value: string, expires: number): void {
  const entry = store.get(key)
  if (entry === undefined) {
    store.set(own(key), { value: own(value), expires })
  } else {
    entry.value = own(value)
    entry.expires = expires
  }
}

function find(key: string): Entry | undefined {
  const entry = store.get(key)
  if (entry === undefined || entry.expires === Infinity || entry.expires > performance.now()) return entry
  store.delete(key)
  return undefined
}

const bulk = (value: string) => `$${value.length}\r\n${value}\r\n`

function answer(words: readonly string[]): string {
  const [name = '', key = '', value = ''] = words
  switch (name.toUpperCase()) {
    case 'GET': {
      if (words.length !== 2) return wrongCount(name)
      const entry = find(key)
      return entry === undefined ? '$-1\r\n' : bulk(entry.value)
    }
    case 'SET': {
      if (words.length === 3) {
        put(key, value, Infinity)
        return '+OK\r\n'
      }
      const seconds = Number(words[4])
      if (words.length !== 5 || words[3]?.toUpperCase() !== 'EX') return '-ERR syntax error\r\n'
      if (!Number.isInteger(seconds) || seconds < 1) return '-ERR invalid expire time\r\n'
      put(key, value, performance.now() + seconds * 1000)
      return '+OK\r\n'
    }
    case 'PING':
      return words.length > 1 ? bulk(key) : '+PONG\r\n'
    case 'ECHO':
      return words.length === 2 ? bulk(key) : wrongCount(name)
    case 'DEL': {
      let deleted = 0
      for (const each of words.slice(1)) {
        if (find(each) !== undefined) deleted++
        store.delete(each)
      }
      return `:${deleted}\r\n`
    }
    case 'INCR': {
      if (words.length !== 2) return wrongCount(name)
      const entry = find(key)
      const value = entry?.value ?? '0'
      if (!/^-?\d{1,15}$/.test(value)) return '-ERR value is not an integer or out of range\r\n'
      const sum = String(Number(value) + 1)
      put(key, sum, entry?.expires ?? Infinity)
      return `:${sum}\r\n`
    }
    case 'EXPIRE': {
      const entry = find(key)
      if (words.length !== 3 || !/^-?\d+$/.test(value))
        return '-ERR value is not an integer or out of range\r\n'
      if (entry === undefined) return ':0\r\n'
      entry.expires = performance.now() + Number(value) * 1000
      return ':1\r\n'
    }
    default:
      return `-ERR unknown command '${name.slice(0, 64)}'\r\n`
  }
}

const wrongCount = (name: string) => `-ERR wrong number of arguments for '${name.toLowerCase()}' command\r\n`

function serveClient(socket: Socket): void {
  const parser = new Parser()
  socket.on('error', () => undefined) // a client that is gone
  socket.on('drain', () => socket.resume())
  socket.on('data', (chunk: Buffer) => {
    let answers = ''
    try {
      parser.feed(chunk)
      for (let words = parser.next(); words !== null; words = parser.next()) answers += answer(words)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      socket.end(`${answers}-ERR Protocol error: ${error.message}\r\n`, 'latin1')
      return
    }
    if (answers !== '' && !socket.write(answers, 'latin1')) socket.pause()
  })
}

async function serve(): Promise<number> {
  const server = createServer({ noDelay: true }, serveClient)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

export const servers: Record<string, ServerCase> = { redis: serve }
