/** Connecting as a coroutine. */
import { Leaf } from '../core/leaf.ts'
import { answerProbe, PROBE } from '../core/probe.ts'
import { steppedByHand } from '../core/misuse.ts'
import { announce } from '../core/running.ts'
import type { Coroutine, Suspension, WaitDescription } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import { checkPlace, checkPort, formatAddress } from './address.ts'
import { ConnectError } from './errors.ts'
import { networkOf } from './network.ts'
import { checkStreamOptions, StreamProtocol, type StreamOptions } from './stream-protocol.ts'
import type { StreamReader } from './stream-reader.ts'
import type { StreamWriter } from './stream-writer.ts'

export interface OpenConnectionOptions extends StreamOptions {
  /** Name or address of the server. Default: `localhost`. */
  readonly host?: string | undefined
  readonly port: number
  /** The address of this machine to connect from. Default: the system chooses. */
  readonly localHost?: string | undefined
  /** The port to connect from. Default: the system chooses. */
  readonly localPort?: number | undefined
  /** Sends small writes at once instead of waiting for an answer to the last ones. Default: true. */
  readonly noDelay?: boolean | undefined
}

/** Both halves of a stream. */
export interface Connection {
  readonly reader: StreamReader
  readonly writer: StreamWriter
}

/**
 * Opens a TCP connection. Suspends until it is made. Whoever opens it closes it: `writer.close()` in a `finally`.
 *
 * @param options where to, and the sizes of the buffers
 * @throws {ConnectError} if nobody listens there, the host is unknown, or nothing answers
 * @throws {RangeError} at the call, if the port or a size is wrong; {MisuseError} if the options are none
 *
 * @example
 * import { openConnection, run, startServer, type StreamReader, type StreamWriter } from 'cede'
 *
 * function* shout(reader: StreamReader, writer: StreamWriter) {
 *   const line = yield* reader.readLine()
 *   if (line !== null) yield* writer.send(line.toString().toUpperCase())
 * }
 * await run(function* () {
 *   const server = yield* startServer(shout, { host: '127.0.0.1', port: 0 })
 *   const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
 *   try {
 *     yield* writer.send('hello\n')
 *     console.log((yield* reader.readLine())?.toString())
 *   } finally {
 *     writer.close()
 *   }
 *   yield* server.shutdown()
 * })
 */
export function openConnection(options: OpenConnectionOptions): Coroutine<Connection> {
  checkPlace('openConnection()', options, 'write `openConnection({ host, port })`')
  checkPort('openConnection()', options.port)
  if (options.localPort !== undefined) checkPort('openConnection()', options.localPort)
  checkStreamOptions('openConnection()', options)
  return new Opening(options)
}

class Opening extends Leaf<Connection> {
  readonly #options: OpenConnectionOptions
  #giveUp: (() => void) | null = null
  #result: Connection | Error | null = null

  constructor(options: OpenConnectionOptions) {
    super()
    this.#options = options
  }

  next(value?: unknown): IteratorResult<Suspension, Connection> {
    if (value === PROBE) return answerProbe()
    const result = this.#result
    if (result === null) {
      if (this.#giveUp !== null) throw steppedByHand('openConnection()')
      return announce(this)
    }
    if (result instanceof Error) throw new ConnectError(this.#address, result)
    return { done: true, value: result }
  }

  get #address(): string {
    return formatAddress({ host: this.#options.host ?? 'localhost', port: this.#options.port })
  }

  park(task: Task): void {
    const options = this.#options
    const { runner } = task
    const protocol = new StreamProtocol(options, runner)
    const ended = (result: Connection | Error): void => {
      this.#result = result
      task.resume(undefined)
    }
    this.#giveUp = networkOf('openConnection()', runner.loop).connect(
      {
        host: options.host ?? 'localhost',
        port: options.port,
        localHost: options.localHost,
        localPort: options.localPort,
        noDelay: options.noDelay ?? true,
      },
      protocol,
      {
        connected: () => {
          const { reader, writer } = protocol
          protocol.onLost = runner.own(() => writer.close())
          ended({ reader, writer })
        },
        failed: ended,
      },
    )
  }

  unpark(): void {
    this.#giveUp!()
  }

  describe(): WaitDescription {
    return { what: `a connection to ${this.#address}` }
  }
}
