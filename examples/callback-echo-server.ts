// The echo server once more, in callbacks: npx tsx examples/callback-echo-server.ts
//
// This is what echo-server.ts would be without coroutines, on the layer that streams are made of (`cede/lowlevel`). An
// object is told what happens on its connection, and answers by calling methods of its transport. Nothing here can
// wait, so whatever would be "wait for ..., then ..." becomes a field that says how far things are, and a method that
// looks at it: the line that has not come to its end, the clock that is wound up again, the reading that is paused.
//
// Where every microsecond counts, or another library wants callbacks, that is worth it. Compare the two.
//
// ci: --help
// ci-expect: ^Usage: .*callback-echo-server
import { getRunningLoop, type Loop, type TimerHandle } from 'cede'
import { createServer, Protocol, type Transport } from 'cede/lowlevel'
import { runServer, type Address } from './support/command-line.ts'

const IDLE_MS = 10_000
const LINE_LIMIT_BYTES = 65_536
const NEWLINE = 10

class Echo extends Protocol {
  readonly #loop: Loop
  #transport!: Transport
  /** The beginning of a line whose end has not come. */
  #begun: Buffer[] = []
  #begunBytes = 0
  #idle: TimerHandle | null = null
  /** Why this end has closed the connection. */
  #end = ''

  constructor(loop: Loop) {
    super()
    this.#loop = loop
  }

  override connectionMade(transport: Transport): void {
    this.#transport = transport
    console.log(`${this.#name} is here`)
    this.#wind()
  }

  override dataReceived(chunk: Buffer): void {
    let rest = chunk
    while (rest.length > 0 && this.#end === '') {
      const newline = rest.indexOf(NEWLINE)
      const piece = newline === -1 ? rest : rest.subarray(0, newline)
      this.#begun.push(piece)
      this.#begunBytes += piece.length
      if (this.#begunBytes > LINE_LIMIT_BYTES) {
        this.#sayGoodbye(
          'sent a line that is too long',
          `a line may have ${LINE_LIMIT_BYTES} bytes, goodbye\n`,
        )
      } else if (newline !== -1) {
        this.#begun.push(rest.subarray(newline, newline + 1))
        this.#lineReceived()
      }
      rest = newline === -1 ? rest.subarray(rest.length) : rest.subarray(newline + 1)
    }
  }

  #lineReceived(): void {
    const line = Buffer.concat(this.#begun)
    this.#begun = []
    this.#begunBytes = 0
    this.#wind()
    if (line.toString().trimEnd() === 'BYE') this.#sayGoodbye('said BYE')
    else this.#transport.write(line)
  }

  override eofReceived(): void {
    // The line that was begun is the last one. The transport closes when it is sent.
    if (this.#begunBytes > 0 && this.#end === '') this.#lineReceived()
    this.#end ||= 'has left'
  }

  /** The peer does not read what it has asked for: it is asked for no more. */
  override pauseWriting(): void {
    this.#transport.pauseReading()
  }

  override resumeWriting(): void {
    this.#transport.resumeReading()
    this.#wind()
  }

  override connectionLost(error: Error | null): void {
    this.#idle?.cancel()
    const end = this.#end === '' ? 'is cut off: the server stops' : this.#end
    console.log(`${this.#name} ${error === null ? end : `is gone (${error.message})`}`)
  }

  /** Silence begins anew. */
  #wind(): void {
    this.#idle?.cancel()
    this.#idle = this.#loop.callLater(IDLE_MS, () =>
      this.#sayGoodbye('was idle', `idle for ${IDLE_MS / 1_000} s, goodbye\n`),
    )
  }

  /** Closes when all is sent. A peer that does not read to the end is cut off. */
  #sayGoodbye(end: string, lastWords = ''): void {
    this.#end = end
    if (lastWords !== '') this.#transport.write(Buffer.from(lastWords))
    this.#transport.close()
    this.#idle?.cancel()
    this.#idle = this.#loop.callLater(IDLE_MS, () => this.#transport.abort())
  }

  get #name(): string {
    const { host, port } = this.#transport.remoteAddress
    return `${host}:${port}`
  }
}

function* main({ host, port }: Address) {
  const loop = getRunningLoop()
  const server = yield* createServer(() => new Echo(loop), { host, port })
  console.log(`The callback echo server listens on ${host}:${server.port}. Ctrl-C stops it.`)
  yield* server.serveForever()
}

await runServer(
  'callback-echo-server.ts',
  'A line echo server. Each line comes back; BYE ends the connection.',
  8_889,
  main,
)
