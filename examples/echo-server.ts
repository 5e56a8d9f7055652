// A line echo server: `npm start`, or `npm start -- --port 9000 --idle 30`.
//
// Every connection has a coroutine of its own that reads a line, sends it back, and begins again, as if it were alone.
// What disturbs that (silence, a line without end, a peer that is gone, Ctrl-C) is handled where it matters.
//
// ci: --help
// ci-expect: ^Usage: npm start
import { parseArgs } from 'node:util'
import {
  ConnectionLostError,
  currentTask,
  LimitError,
  ListenError,
  run,
  sleepForever,
  startServer,
  timeoutOr,
  type Server,
  type StreamReader,
  type StreamWriter,
} from 'cede'

/** How long connections may go on after Ctrl-C. */
const graceSeconds = 3

const help = `Usage: npm start -- [options]

A line echo server. Each line comes back; BYE ends the connection.

  --host <address>   where to listen (default 127.0.0.1)
  --port <number>    which port; 0 takes any that is free (default 8888)
  --idle <seconds>   close connections that are silent for so long (default 10)
  --help             print this

Ctrl-C lets connections finish for ${graceSeconds} s; a second one ends at once and says where every task was.`

interface Settings {
  readonly host: string
  readonly port: number
  readonly idleMs: number
}

// ---------------------------------------------------------------------- one connection

function* converse(reader: StreamReader, writer: StreamWriter, idleMs: number) {
  for (;;) {
    const line = yield* timeoutOr(idleMs, reader.readLine(), 'idle' as const)
    if (line === 'idle') {
      yield* writer.send(`idle for ${idleMs / 1_000} s, goodbye\n`)
      return 'was idle'
    }
    if (line === null) return 'has left'
    if (line.toString().trimEnd() === 'BYE') return 'said BYE'
    // Waits while the peer does not read what it has asked for; one that never does is idle as well.
    if ((yield* timeoutOr(idleMs, writer.send(line), 'idle' as const)) === 'idle') {
      writer.abort()
      return 'did not read'
    }
  }
}

function* handleClient(reader: StreamReader, writer: StreamWriter, idleMs: number) {
  const name = currentTask()!.name // conn-1 127.0.0.1:54321
  let end = 'is cut off: the server stops'
  console.log(`${name} is here`)
  try {
    end = yield* converse(reader, writer, idleMs)
  } catch (error) {
    if (error instanceof LimitError) {
      end = 'sent a line that is too long'
      writer.write(`a line may have ${error.limitBytes} bytes, goodbye\n`)
    } else if (error instanceof ConnectionLostError) {
      end = `is gone (${error.systemCode ?? 'lost'})`
    } else {
      end = 'met a bug'
      throw error // reported with its stack; the other connections go on
    }
  } finally {
    // Runs when the handler is cancelled, too. What it writes is sent before the connection is closed.
    if (end.startsWith('is cut off') && !writer.closing) writer.write('the server stops, goodbye\n')
    console.log(`${name} ${end}`)
  }
}

// ---------------------------------------------------------------------- the server

function* main({ host, port, idleMs }: Settings) {
  const server = yield* startServer((reader, writer) => handleClient(reader, writer, idleMs), { host, port })
  greet(server, idleMs)
  try {
    yield* sleepForever() // until Ctrl-C cancels this coroutine; what follows is its cleanup
  } finally {
    server.close() // takes no more connections; those that are open go on
    const { length } = server.connections
    if (length > 0) {
      console.log(
        `stopping: ${length} ${length === 1 ? 'connection has' : 'connections have'} ${graceSeconds} s`,
      )
    }
    yield* server.shutdown({ graceMs: graceSeconds * 1_000 })
    console.log('stopped')
  }
}

function greet({ address: { host, port } }: Server, idleMs: number): void {
  console.log(`The echo server listens on ${host.includes(':') ? `[${host}]` : host}:${port}. Ctrl-C stops it.

Try it from another terminal:

  nc ${host} ${port}
  python3 -c "import socket; s = socket.create_connection(('${host}', ${port})); s.sendall(b'hello\\n'); print(s.recv(99))"

Each line comes back. BYE ends a connection, and so do ${idleMs / 1_000} s of silence.
`)
}

// ---------------------------------------------------------------------- the command line

/** A mistake of the user: told in one line, without a stack. */
class UsageError extends Error {}

function settingsFrom(args: readonly string[]): Settings | 'help' {
  const values = parse(args)
  if (values.help === true) return 'help'
  const port = Number(values.port)
  if (values.port === '' || !Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new UsageError(`--port: expected a whole number from 0 to 65535, found '${values.port}'`)
  }
  const idleMs = Number(values.idle) * 1_000
  if (values.idle === '' || !(idleMs > 0)) {
    throw new UsageError(`--idle: expected a number of seconds above 0, found '${values.idle}'`)
  }
  if (values.host === '') throw new UsageError('--host: expected an address, found none')
  return { host: values.host, port, idleMs }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        host: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '8888' },
        idle: { type: 'string', default: '10' },
        help: { type: 'boolean' },
      },
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

try {
  const settings = settingsFrom(process.argv.slice(2))
  if (settings === 'help') console.log(help)
  else await run(main(settings))
} catch (error) {
  if (error instanceof UsageError) {
    console.error(`echo-server: ${error.message}\nSee npm start -- --help`)
    process.exitCode = 2
  } else if (error instanceof ListenError) {
    console.error(`echo-server: ${error.message}`)
    process.exitCode = 1
  } else {
    throw error
  }
}
