// A client for the echo server, or for any that talks in text: npx tsx examples/echo-client.ts 127.0.0.1 8888
//
// Two coroutines share a connection: one sends what is typed, one prints what comes back. When the server has said its
// last word, the one that waits for the keyboard is cancelled; when the keyboard has no more, the other goes on until
// everything is there.
//
// ci: --help
// ci-expect: ^Usage: .*echo-client
import {
  ConnectionLostError,
  fromAsyncIterable,
  openConnection,
  race,
  timeout,
  TimeoutError,
  timeoutOr,
  until,
  type StreamReader,
  type StreamWriter,
} from 'cede'
import {
  Failure,
  hostFrom,
  parse,
  portFrom,
  runProgram,
  secondsFrom,
  UsageError,
} from './support/command-line.ts'

const help = `Usage: npx tsx examples/echo-client.ts [options] <host> <port> [<line>...]

Sends the lines, or else what comes from standard input, and prints what the server answers until it closes the
connection.

  --timeout <seconds>  how long connecting may take, and after the last line was sent, each answer (default 10)
  --help               print this`

interface Settings {
  readonly host: string
  readonly port: number
  /** Empty: standard input. */
  readonly lines: readonly string[]
  readonly timeoutMs: number
}

function* main({ host, port, lines, timeoutMs }: Settings) {
  const { reader, writer } = yield* connect(host, port, timeoutMs)
  try {
    // Whichever ends first cancels the other: the server has closed, or all was sent. A read that is cancelled takes
    // nothing with it, so that printing just goes on.
    const first = yield* race([sendAll(writer, lines), print(reader, Infinity)])
    if (first === 'all sent') yield* print(reader, timeoutMs)
  } catch (error) {
    if (error instanceof ConnectionLostError) throw new Failure(error.message)
    if (!isBrokenPipe(error)) throw error // else nobody wants to see more: `echo-client ... | head -1`
  } finally {
    writer.close()
  }
}

function* connect(host: string, port: number, timeoutMs: number) {
  try {
    return yield* timeout(timeoutMs, openConnection({ host, port }))
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error
    throw new Failure(
      `connect to ${host}:${port}: expected an answer within ${timeoutMs / 1_000} s, found none`,
    )
  }
}

function* sendAll(writer: StreamWriter, lines: readonly string[]) {
  for (const line of lines) yield* writer.send(`${line}\n`)
  if (lines.length === 0) yield* sendInput(writer)
  writer.writeEof() // nothing more from here; answers may still come
  return 'all sent' as const
}

function* sendInput(writer: StreamWriter) {
  const input = fromAsyncIterable(process.stdin as AsyncIterable<Buffer>)
  try {
    for (;;) {
      const { done, value } = yield* input.next()
      if (done) return
      yield* writer.send(value)
    }
  } finally {
    process.stdin.destroy() // a keyboard that is waited for keeps the process alive
  }
}

/** Prints until the server closes. */
function* print(reader: StreamReader, timeoutMs: number) {
  for (;;) {
    const chunk = yield* timeoutOr(timeoutMs, reader.read(65_536), 'silent' as const)
    if (chunk === null) return 'closed' as const
    if (chunk === 'silent')
      throw new Failure(`read: expected more or an end within ${timeoutMs / 1_000} s, found none`)
    yield* printed(chunk)
  }
}

/** Waits until it is printed: what prints slowly reads slowly. */
function printed(chunk: Buffer) {
  return until(
    new Promise<void>((resolve, reject) => {
      process.stdout.write(chunk, (error) => (error == null ? resolve() : reject(error)))
    }),
  )
}

function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'EPIPE'
}

function settingsFrom(args: readonly string[]): Settings {
  const { values, positionals } = parse({
    args: [...args],
    allowPositionals: true,
    options: { timeout: { type: 'string', default: '10' } },
  })
  const [host, port, ...lines] = positionals
  if (host === undefined || port === undefined)
    throw new UsageError('expected a host and a port, found too little')
  return {
    host: hostFrom('<host>', host),
    port: portFrom('<port>', port),
    lines,
    timeoutMs: secondsFrom('--timeout', values.timeout),
  }
}

process.stdout.on('error', () => {}) // told to whoever prints
await runProgram({ file: 'echo-client.ts', help }, settingsFrom, main)
