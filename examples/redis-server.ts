// A server that speaks the protocol of Redis (RESP2): npx tsx examples/redis-server.ts, and in another terminal
// redis-cli SET greeting hello EX 60, or redis-benchmark -t set,get -P 16 -q
//
// Each client is a coroutine. It goes through a command from the first byte to the last as if all were there, and waits
// where they are not. It waits only there and collects answers until it does: sixteen commands that came together are
// one read and one write. Bytes are handled as strings of as many characters (latin1), which V8 is quick with.
//
// ci: --help
// ci-expect: ^Usage: .*redis-server
import {
  ConnectionLostError,
  createTask,
  currentTask,
  IncompleteReadError,
  LimitError,
  sleep,
  startServer,
  type Operation,
  type StreamReader,
  type StreamWriter,
} from 'cede'
import { runServer, type Address } from './support/command-line.ts'

const CHUNK_BYTES = 65_536
/** All arguments together, each with 16 bytes of its own. */
const MAX_COMMAND_BYTES = 64 * 1_048_576

// ---------------------------------------------------------------------- the keys

class Store {
  readonly entries = new Map<string, { value: string; expiresAtMs: number }>()
  /** The keys that have an end. */
  readonly #mortal = new Set<string>()

  /** The entry of `key`, unless its time is over. */
  find(key: string) {
    const entry = this.entries.get(key)
    if (entry === undefined || entry.expiresAtMs === Infinity || entry.expiresAtMs > now()) return entry
    this.delete(key)
    return undefined
  }

  set(key: string, value: string, expiresAtMs = Infinity): void {
    let entry = this.entries.get(key)
    if (entry === undefined) this.entries.set(ownCopy(key), (entry = { value: '', expiresAtMs: Infinity }))
    entry.value = ownCopy(value)
    if (entry.expiresAtMs === expiresAtMs) return
    entry.expiresAtMs = expiresAtMs
    if (expiresAtMs === Infinity) this.#mortal.delete(key)
    else this.#mortal.add(ownCopy(key))
  }

  delete(key: string): boolean {
    this.#mortal.delete(key)
    return this.entries.delete(key)
  }

  /** Removes what nobody asks for any more. While it waits, others change the set; a `Set` allows that. */
  *sweep() {
    for (let looked = 0; ;) {
      for (const key of this.#mortal) {
        this.find(key)
        if (++looked % 1_000 === 0) yield* sleep(1)
      }
      yield* sleep(100)
    }
  }
}

/** Monotonic: setting the clock expires nothing. */
const now = (): number => performance.now()

/** Of a text that would keep the chunk it came in alive. Short ones are copies already. */
const ownCopy = (text: string): string =>
  text.length <= 12 ? text : Buffer.from(text, 'latin1').toString('latin1')

// ---------------------------------------------------------------------- the commands

class CommandError extends Error {}

const OK = '+OK\r\n'
const bulk = (value?: string): string =>
  value === undefined ? '$-1\r\n' : `$${value.length}\r\n${value}\r\n`
const integer = (value: number): string => `:${value}\r\n`

function integerFrom(text = ''): number {
  const number = Number(text)
  if (/^-?\d{1,16}$/.test(text) && Number.isSafeInteger(number)) return number
  throw new CommandError('value is not an integer or out of range')
}

/** Is given its name and its arguments, and returns the answer. */
type Run = (store: Store, args: readonly string[]) => string

const set: Run = (store, args) => {
  let expiresAtMs = Infinity
  if (args.length > 3) {
    const unitMs = { EX: 1_000, PX: 1 }[args[3]!.toUpperCase()]
    if (unitMs === undefined) throw new CommandError('syntax error')
    const duration = integerFrom(args[4])
    if (duration <= 0) throw new CommandError("invalid expire time in 'set' command")
    expiresAtMs = now() + duration * unitMs
  }
  store.set(args[1]!, args[2]!, expiresAtMs)
  return OK
}

const del: Run = (store, args) =>
  integer(args.filter((key, i) => i > 0 && store.find(key) !== undefined && store.delete(key)).length)

const incr: Run = (store, args) => {
  const entry = store.find(args[1]!)
  const sum = integerFrom(String(integerFrom(entry?.value ?? '0') + 1))
  store.set(args[1]!, String(sum), entry?.expiresAtMs)
  return integer(sum)
}

const expire: Run = (store, args) => {
  const expiresAtMs = now() + integerFrom(args[2]) * 1_000
  const entry = store.find(args[1]!)
  if (entry !== undefined) store.set(args[1]!, entry.value, expiresAtMs)
  return integer(entry === undefined ? 0 : 1)
}

const ttl: Run = (store, args) => {
  const entry = store.find(args[1]!)
  if (entry === undefined) return integer(-2)
  return integer(entry.expiresAtMs === Infinity ? -1 : Math.round((entry.expiresAtMs - now()) / 1_000))
}

/** How many arguments each takes, at least and at most. */
const COMMANDS = new Map<string, readonly [least: number, most: number, run: Run]>([
  ['PING', [0, 1, (_, args) => (args.length === 1 ? '+PONG\r\n' : bulk(args[1]))]],
  ['ECHO', [1, 1, (_, args) => bulk(args[1])]],
  ['SET', [2, 4, set]],
  ['GET', [1, 1, (store, args) => bulk(store.find(args[1]!)?.value)]],
  ['DEL', [1, Infinity, del]],
  ['INCR', [1, 1, incr]],
  ['EXPIRE', [2, 2, expire]],
  ['TTL', [1, 1, ttl]],
  ['DBSIZE', [0, 0, (store) => integer(store.entries.size)]],
  ['QUIT', [0, 0, () => OK]],
  // What redis-cli and redis-benchmark ask before they begin.
  ['COMMAND', [0, Infinity, () => '*0\r\n']],
  ['CONFIG', [2, 2, (_, args) => `*2\r\n${bulk(args[2])}${bulk('')}`]],
])

function answer(store: Store, args: readonly string[]): string {
  const name = args[0]!
  const command = COMMANDS.get(name) ?? COMMANDS.get(name.toUpperCase())
  if (command === undefined) return `-ERR unknown command '${printable(name)}'\r\n`
  if (args.length <= command[0] || args.length > command[1] + 1) {
    return `-ERR wrong number of arguments for '${name.toLowerCase()}' command\r\n`
  }
  try {
    return command[2](store, args)
  } catch (error) {
    if (error instanceof CommandError) return `-ERR ${error.message}\r\n`
    throw error
  }
}

const printable = (text: string): string => text.slice(0, 128).replaceAll(/[^ -~]/g, '?')

// ---------------------------------------------------------------------- one client

/** Told to the client, whose connection is closed: nobody knows where its next command begins. */
class ProtocolError extends Error {}

const [CR, LF, ZERO, STAR, DOLLAR] = [13, 10, 48, 42, 36]

/** What one client has sent and will be sent. What comes next is taken if it is here to its end (else null), or waited for. */
class Client {
  readonly #reader: StreamReader
  readonly #writer: StreamWriter
  text = ''
  /** So much of it was taken. */
  at = 0
  answers = ''

  constructor(reader: StreamReader, writer: StreamWriter) {
    this.#reader = reader
    this.#writer = writer
  }

  /** Waits while the client does not read its answers. */
  *send() {
    if (this.answers === '') return
    this.#writer.write(Buffer.from(this.answers, 'latin1'))
    this.answers = ''
    yield* this.#writer.drain()
  }

  /** Waits for whatever comes, or what `read` reads. False at the end of the stream. */
  *receive(read: Operation<Buffer | null> = this.#reader.read(CHUNK_BYTES)) {
    yield* this.send()
    const bytes = yield* read
    this.text = this.text.slice(this.at) + (bytes?.toString('latin1') ?? '')
    this.at = 0
    return bytes !== null
  }

  /** `*3` or `$5`, and the end of the line. */
  takeCount(mark: number): number | null {
    const { text } = this
    let { at } = this
    if (at === text.length) return null
    if (text.charCodeAt(at) !== mark) throw new ProtocolError(`expected '$', got '${printable(text[at]!)}'`)
    let count = 0
    let digit = text.charCodeAt(++at) - ZERO // NaN at the end
    for (; digit >= 0 && digit <= 9 && at - this.at < 16; digit = text.charCodeAt(++at) - ZERO) {
      count = count * 10 + digit
    }
    if (at === text.length || (at + 1 === text.length && text.charCodeAt(at) === CR)) return null
    const isTooMuch = mark === STAR && count * 16 > MAX_COMMAND_BYTES
    if (isTooMuch || at === this.at + 1 || text.charCodeAt(at) !== CR || text.charCodeAt(at + 1) !== LF) {
      throw new ProtocolError(mark === STAR ? 'invalid multibulk length' : 'invalid bulk length')
    }
    this.at = at + 2
    return count
  }

  *waitForCount(mark: number) {
    yield* this.receive(this.#reader.readUntil('\n'))
    return this.takeCount(mark)!
  }

  /** So many bytes, and the end of the line. */
  takeBulk(length: number): string | null {
    const end = this.at + length
    if (end + 2 > this.text.length) return null
    const bytes = this.text.slice(this.at, end)
    this.at = end + 2
    return bytes
  }

  *waitForBulk(length: number) {
    yield* this.receive(this.#reader.readExactly(this.at + length + 2 - this.text.length))
    return this.takeBulk(length)!
  }

  /** A command typed by hand. */
  *readWords() {
    if (!this.text.includes('\n', this.at)) yield* this.receive(this.#reader.readUntil('\n'))
    const end = this.text.indexOf('\n', this.at)
    const words = this.text.slice(this.at, end).match(/\S+/g)
    this.at = end + 1
    return words ?? []
  }
}

function* converse(client: Client, store: Store) {
  while (client.at < client.text.length || (yield* client.receive())) {
    let args: string[] = []
    if (client.text.charCodeAt(client.at) === STAR) {
      const count = client.takeCount(STAR) ?? (yield* client.waitForCount(STAR))
      for (let room = MAX_COMMAND_BYTES; args.length < count;) {
        const length = client.takeCount(DOLLAR) ?? (yield* client.waitForCount(DOLLAR))
        if ((room -= 16 + length) < 0) throw new ProtocolError('invalid bulk length')
        args.push(client.takeBulk(length) ?? (yield* client.waitForBulk(length)))
      }
    } else {
      args = yield* client.readWords()
    }
    if (args.length > 0) client.answers += answer(store, args)
    if (args[0]?.length === 4 && args[0].toUpperCase() === 'QUIT') return
    if (client.answers.length > CHUNK_BYTES) yield* client.send()
  }
}

function* serveClient(client: Client, store: Store) {
  try {
    yield* converse(client, store)
  } catch (error) {
    if (error instanceof ConnectionLostError || error instanceof IncompleteReadError) return // it has gone
    if (!(error instanceof ProtocolError || error instanceof LimitError)) throw error
    const found = error instanceof LimitError ? 'too big a line' : error.message
    console.log(`${currentTask()!.name} does not speak the protocol: ${found}`)
    client.answers += `-ERR Protocol error: ${found}\r\n`
  }
  yield* client.send()
}

// ---------------------------------------------------------------------- the server

function* main({ host, port }: Address) {
  const store = new Store()
  createTask(store.sweep(), { name: 'sweep' })
  // However large a value is, it is one write; `drain` follows each.
  const options = { host, port, hardLimitBytes: Infinity }
  const server = yield* startServer(
    (reader, writer) => serveClient(new Client(reader, writer), store),
    options,
  )
  console.log(`The Redis example listens on ${host}:${server.port}. Ctrl-C stops it.`)
  yield* server.serveForever()
}

await runServer('redis-server.ts', 'Keeps keys in memory, for clients of Redis.', 6_379, main)
