// A chat room: npx tsx examples/chat-room.ts, and `nc 127.0.0.1 8889` in as many terminals as you like.
//
// Who speaks must not wait for who does not read. So what is said is written to every member without waiting, and each
// has a backlog with a limit: the bytes that were written and not yet taken. A member whose backlog is full is put out,
// is told so if it reads after all, and the others go on as if nothing had happened.
//
// There is no lock and no list of messages: between two waits nobody else runs (see shared-state.ts), and the backlog
// is the writer's own buffer.
//
// ci: --help
// ci-expect: ^Usage: .*chat-room
import {
  checkpoint,
  ConnectionLostError,
  currentTask,
  LimitError,
  startServer,
  timeoutOr,
  type StreamReader,
  type StreamWriter,
  type Task,
} from 'cede'
import { runServer, type Address } from './support/command-line.ts'

const MAX_LINE_BYTES = 1_000
/** What may wait for a member that does not read, beyond what the system keeps for it. */
const MAX_BACKLOG_BYTES = 65_536
/** How long a newcomer may think about its name. */
const NAME_MS = 60_000
/** How long a member that was put out may take to read why. */
const FAREWELL_MS = 2_000

interface Member {
  readonly name: string
  readonly writer: StreamWriter
  readonly task: Task
}

// ---------------------------------------------------------------------- the room

class Room {
  readonly #members = new Map<string, Member>()

  has(name: string): boolean {
    return this.#members.has(name)
  }

  get names(): string {
    return [...this.#members.keys()].join(', ')
  }

  enter(member: Member): void {
    this.tell(`* ${member.name} has come`)
    this.#members.set(member.name, member)
  }

  leave(member: Member, how: string): void {
    this.#members.delete(member.name)
    this.tell(`* ${member.name} ${how}`)
  }

  /** To all but one. Does not wait: no member can hold up another. */
  tell(text: string, butNot?: Member): void {
    const line = Buffer.from(`${text}\n`)
    for (const member of this.#members.values()) {
      if (member === butNot || member.writer.closing) continue
      if (member.writer.bufferedBytes + line.length <= MAX_BACKLOG_BYTES) member.writer.write(line)
      else member.task.cancel({ reason: SLOW }) // its `finally` does the rest, when its turn comes
    }
  }
}

const SLOW = 'you did not read'

// ---------------------------------------------------------------------- one member

function* converse(reader: StreamReader, writer: StreamWriter, room: Room) {
  const name = yield* timeoutOr(NAME_MS, nameOf(reader, writer, room), null)
  if (name === null) return
  const member: Member = { name, writer, task: currentTask()! }
  writer.write(room.names === '' ? '* You are the first.\n' : `* Here are: ${room.names}\n`)
  room.enter(member)
  console.log(`${name} is ${member.task.name}`)
  let how = 'is put out'
  try {
    how = yield* talk(reader, member, room)
  } catch (error) {
    if (!(error instanceof ConnectionLostError || error instanceof LimitError)) throw error
    how = error instanceof LimitError ? 'talks too long without a break, and is put out' : 'is gone'
    if (!writer.closing) writer.write(`* A line may have ${MAX_LINE_BYTES} bytes.\n`)
  } finally {
    // Also when this member was cancelled, by `tell` or because the server stops.
    room.leave(member, how)
    console.log(`${name} ${how}`)
    if (how === 'is put out' && !writer.closing) yield* farewell(writer)
  }
}

/** Null if it leaves, or does not talk as one should. */
function* nameOf(reader: StreamReader, writer: StreamWriter, room: Room) {
  try {
    return yield* askForName(reader, writer, room)
  } catch (error) {
    if (error instanceof ConnectionLostError || error instanceof LimitError) return null
    throw error
  }
}

function* askForName(reader: StreamReader, writer: StreamWriter, room: Room) {
  for (;;) {
    yield* writer.send('Your name?\n')
    const line = yield* reader.readLine()
    if (line === null) return null
    const name = line.toString().trim()
    if (!/^[\p{L}\p{N}_-]{1,20}$/u.test(name)) writer.write('* 1 to 20 letters and digits, please.\n')
    else if (room.has(name)) writer.write(`* ${name} is here already.\n`)
    else return name
  }
}

/** Returns how it came to an end. */
function* talk(reader: StreamReader, member: Member, room: Room) {
  for (;;) {
    const line = yield* reader.readLine()
    if (line === null) return 'has left'
    const text = printable(line.toString().trim())
    if (text === '/quit') return 'has left'
    if (text === '/who') yield* member.writer.send(`* Here are: ${room.names}\n`)
    else if (text !== '') room.tell(`${member.name}: ${text}`, member)
    yield* checkpoint() // what was said leaves before more is said: who talks much puts nobody out who reads
  }
}

/** Sends the last words, which are behind all that it has not read. A member that never reads is cut off. */
function* farewell(writer: StreamWriter) {
  writer.write(`* You are put out: ${String(currentTask()!.reason)}.\n`)
  writer.close()
  if ((yield* timeoutOr(FAREWELL_MS, writer.waitClosed(), 'late' as const)) === 'late') writer.abort()
}

/** Nobody moves the cursor of others. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '?')
}

// ---------------------------------------------------------------------- the server

function* main({ host, port }: Address) {
  const room = new Room()
  const server = yield* startServer((reader, writer) => converse(reader, writer, room), {
    host,
    port,
    limitBytes: MAX_LINE_BYTES,
  })
  console.log(
    `The chat room is open on ${host}:${server.port}. Try: nc ${host} ${server.port}. Ctrl-C closes it.`,
  )
  yield* server.serveForever()
}

await runServer(
  'chat-room.ts',
  'A chat room for everybody who connects. /who says who is there, /quit leaves.',
  8_889,
  main,
)
