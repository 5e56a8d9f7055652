/** Listening as a coroutine. */
import { Leaf } from '../core/leaf.ts'
import { steppedByHand } from '../core/misuse.ts'
import { answerProbe, PROBE } from '../core/probe.ts'
import { announce } from '../core/running.ts'
import type { Coroutine, Suspension, WaitDescription } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import { checkPlace, checkPort, checkSize, formatAddress } from './address.ts'
import { ListenError } from './errors.ts'
import { networkOf } from './network.ts'
import { checkHandler, Server, type ConnectionHandler } from './server.ts'
import { checkStreamOptions, type StreamOptions } from './stream-protocol.ts'

export interface StartServerOptions extends StreamOptions {
  /** Name or address to listen on. Default: every address of this machine. */
  readonly host?: string | undefined
  /** 0: the system chooses one that is free; see `server.port`. */
  readonly port: number
  /** How many connections may be open at once; more are refused with a reset. Default: no limit. */
  readonly maxConnections?: number | undefined
  /** How many connections the system keeps until they are accepted. Default: 511. */
  readonly backlog?: number | undefined
  /** Sends small writes at once instead of waiting for an answer to the last ones. Default: true. */
  readonly noDelay?: boolean | undefined
}

/**
 * Starts a TCP server: each connection gets a task of its own that runs `handler`. Suspends until the server listens.
 *
 * The server belongs to the run it is started in, and ends with it at the latest. When a handler ends, its connection
 * is closed after what it wrote is sent; one that throws is reported to the exception handler. Handlers run in a copy
 * of the context variables that are set when the server is started.
 *
 * @param handler a coroutine function, given a reader and a writer
 * @param options where to listen, and the sizes of the buffers
 * @throws {ListenError} if it cannot listen there: the port is in use, the address is not of this machine
 * @throws {MisuseError} at the call, if `handler` is no function; {RangeError} if the port or a size is wrong
 *
 * @example
 * import { run, startServer, type StreamReader, type StreamWriter } from 'cede'
 *
 * function* echo(reader: StreamReader, writer: StreamWriter) {
 *   for (let line = yield* reader.readLine(); line !== null; line = yield* reader.readLine()) {
 *     yield* writer.send(line)
 *   }
 * }
 * await run(function* () {
 *   const server = yield* startServer(echo, { host: '127.0.0.1', port: 0 })
 *   console.log(`listening on port ${server.port}`)
 *   yield* server.shutdown() // a real one would: yield* server.serveForever()
 * })
 */
export function startServer(handler: ConnectionHandler, options: StartServerOptions): Coroutine<Server> {
  checkHandler(handler)
  checkPlace('startServer()', options, 'write `startServer(handler, { host, port })`')
  checkPort('startServer()', options.port)
  checkSize('startServer()', 'maxConnections', options.maxConnections)
  checkSize('startServer()', 'backlog', options.backlog)
  checkStreamOptions('startServer()', options)
  return new Starting(handler, options)
}

class Starting extends Leaf<Server> {
  readonly #handler: ConnectionHandler
  readonly #options: StartServerOptions
  #giveUp: (() => void) | null = null
  #result: Server | Error | null = null

  constructor(handler: ConnectionHandler, options: StartServerOptions) {
    super()
    this.#handler = handler
    this.#options = options
  }

  next(value?: unknown): IteratorResult<Suspension, Server> {
    if (value === PROBE) return answerProbe()
    const result = this.#result
    if (result === null) {
      if (this.#giveUp !== null) throw steppedByHand('startServer()')
      return announce(this)
    }
    if (result instanceof Error) throw new ListenError(this.#address, result)
    return { done: true, value: result }
  }

  get #address(): string {
    return formatAddress({ host: this.#options.host ?? '*', port: this.#options.port })
  }

  park(task: Task): void {
    const { host, port, backlog, noDelay, maxConnections } = this.#options
    const { runner } = task
    const server = new Server(this.#handler, this.#options, maxConnections ?? Infinity, runner)
    const ended = (result: Server | Error): void => {
      this.#result = result
      task.resume(undefined)
    }
    this.#giveUp = networkOf('startServer()', runner.loop).listen(
      { host, port, backlog, noDelay: noDelay ?? true },
      server.events(() => ended(server), ended),
    )
  }

  unpark(): void {
    this.#giveUp!()
  }

  describe(): WaitDescription {
    return { what: `the server to listen on ${this.#address}` }
  }
}
