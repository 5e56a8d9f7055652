// A line echo server: `npm start`, or `npm start -- --port 9000 --idle 30 --max-connections 100`.
//
// Every connection has a coroutine of its own that reads a line, sends it back, and begins again, as if it were alone.
// What disturbs that (silence, a line without end, a peer that is gone, too many of them, Ctrl-C) is handled where it
// matters.
//
// ci: --help
// ci-expect: ^Usage: npm start
import {
  ConnectionLostError,
  currentTask,
  formatAddress,
  LimitError,
  sleepForever,
  startServer,
  timeoutOr,
  type Server,
  type StreamReader,
  type StreamWriter,
} from 'cede'
import { countFrom, hostFrom, parse, portFrom, runProgram, secondsFrom } from './support/command-line.ts'

/** How long connections may go on after Ctrl-C. */
const graceSeconds = 3

const help = `Usage: npm start -- [options]

A line echo server. Each line comes back; BYE ends the connection.

  --host <address>            where to listen (default 127.0.0.1)
  --port <number>             which port; 0 takes any that is free (default 8888)
  --idle <seconds>            close connections that are silent for so long (default 10)
  --line-limit <bytes>        close connections that send a longer line (default 65536)
  --max-connections <number>  how many may be open; more are told so and closed (default 1000)
  --help                      print this

Ctrl-C lets connections finish for ${graceSeconds} s; a second one ends at once and says where every task was.`

interface Settings {
  readonly host: string
  readonly port: number
  readonly idleMs: number
  readonly lineLimitBytes: number
  readonly maxConnections: number
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

/** One too many. Its connection is closed when this ends. */
function* refuse(writer: StreamWriter, maxConnections: number) {
  console.log(`${currentTask()!.name} is refused: ${maxConnections} are here already`)
  writer.write(`${maxConnections} connections are open already, goodbye\n`)
}

// ---------------------------------------------------------------------- the server

function* main({ host, port, idleMs, lineLimitBytes, maxConnections }: Settings) {
  const server: Server = yield* startServer(
    (reader, writer) =>
      server.connections.length > maxConnections
        ? refuse(writer, maxConnections)
        : handleClient(reader, writer, idleMs),
    { host, port, limitBytes: lineLimitBytes },
  )
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

function greet({ address }: Server, idleMs: number): void {
  const { host, port } = address
  console.log(`The echo server listens on ${formatAddress(address)}. Ctrl-C stops it.

Try it from another terminal:

  nc ${host} ${port}
  python3 -c "import socket; s = socket.create_connection(('${host}', ${port})); s.sendall(b'hello\\n'); print(s.recv(99))"

Each line comes back. BYE ends a connection, and so do ${idleMs / 1_000} s of silence.
`)
}

// ---------------------------------------------------------------------- the command line

function settingsFrom(args: readonly string[]): Settings {
  const { values } = parse({
    args: [...args],
    options: {
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '8888' },
      idle: { type: 'string', default: '10' },
      'line-limit': { type: 'string', default: '65536' },
      'max-connections': { type: 'string', default: '1000' },
    },
  })
  return {
    host: hostFrom('--host', values.host),
    port: portFrom('--port', values.port),
    idleMs: secondsFrom('--idle', values.idle),
    lineLimitBytes: countFrom('--line-limit', values['line-limit']),
    maxConnections: countFrom('--max-connections', values['max-connections']),
  }
}

await runProgram({ file: 'echo-server.ts', command: 'npm start --', help }, settingsFrom, main)
