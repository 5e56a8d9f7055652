/**
 * A server whose connections are served by coroutines: a handler task for each.
 *
 * A handler that returns has its connection closed, and what it wrote is still sent. Handlers are made in a callback of
 * the loop, which has the context the server was started in; so a handler is called, and fails, where library code would.
 */
import { Context } from '../core/context.ts'
import { TimeoutError } from '../core/errors.ts'
import { notAnOperation, wrongArgument } from '../core/misuse.ts'
import type { Runner } from '../core/runner.ts'
import type { Operation } from '../core/suspension.ts'
import type { Task, TaskOwner } from '../core/task.ts'
import { Handle } from '../core/timer-handle.ts'
import { formatAddress, type SocketAddress } from './address.ts'
import { BaseServer, type BaseServerOptions, type Member } from './base-server.ts'
import { IncompleteReadError, LimitError, ProtocolError } from './errors.ts'
import { Behalf } from './inside-call.ts'
import type { Connection } from './open-connection.ts'
import { StreamProtocol, type StreamOptions } from './stream-protocol.ts'
import type { StreamReader } from './stream-reader.ts'
import type { StreamWriter } from './stream-writer.ts'
import type { NewConnection, TransportEvents } from './transport.ts'

/** What a server does with each connection: a coroutine function. The connection is closed when it ends. */
export type ConnectionHandler = (reader: StreamReader, writer: StreamWriter) => Operation<unknown>

/** A connection of a server. */
export interface ServerConnection extends Connection {
  /** `conn-17 127.0.0.1:4312`; the name of its task. */
  readonly name: string
  /** Runs the handler; null for a moment, until it is begun. */
  readonly task: Task | null
}

export interface ServerOptions extends BaseServerOptions, StreamOptions {}

/**
 * A listening server, made by `startServer`.
 *
 * @example
 * import { openConnection, run, startServer, type StreamReader, type StreamWriter } from 'cede'
 *
 * function* greet(reader: StreamReader, writer: StreamWriter) {
 *   yield* writer.send('hello\n')
 *   yield* reader.readLine()
 * }
 * await run(function* () {
 *   const server = yield* startServer(greet, { host: '127.0.0.1', port: 0 })
 *   const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
 *   console.log((yield* reader.readLine())?.toString())
 *   console.log(server.connections.map(({ name }) => name))
 *   yield* server.shutdown({ graceMs: 10 })
 *   console.log(server.connections.length, server.isServing())
 *   writer.close()
 * })
 */
export class Server extends BaseServer<Served> {
  readonly #handler: ConnectionHandler
  readonly #options: StreamOptions
  #made = 0
  /** Handlers are cancelled; those that were not begun never are. */
  #ending = false

  /** @internal */
  constructor(handler: ConnectionHandler, options: ServerOptions, runner: Runner) {
    super(options, runner)
    this.#handler = handler
    this.#options = options
  }

  /** The connections that are open or whose handler has not ended, oldest first. */
  get connections(): readonly ServerConnection[] {
    return [...this.members]
  }

  /** @internal */
  protected override serve(
    connection: NewConnection,
    wrap: (events: TransportEvents) => TransportEvents,
  ): boolean {
    const protocol = new StreamProtocol(this.#options, this.runner)
    const events = wrap(protocol)
    const served = new Served(this, ++this.#made, protocol, connection.remoteAddress)
    this.members.add(served)
    protocol.onLost = () => {
      served.lost = true
      // Nobody else is there to be told.
      if (served.handled && isTimeout(protocol.lostBy)) this.#reportCut(served, protocol.lostBy)
      this.#removeIfOver(served)
    }
    try {
      connection.take(events, this.runner)
    } catch (error) {
      this.members.delete(served)
      throw error
    }
    this.#callIn(this.#contextOf(served), () => this.#begin(served))
    return true
  }

  #begin(served: Served): void {
    if (this.#ending) {
      this.#handlerEnded(served)
      return
    }
    let task: Task
    try {
      const operation = this.#handler(served.reader, served.writer)
      if (
        typeof (operation as Partial<Operation<unknown>> | null | undefined)?.[Symbol.iterator] !== 'function'
      ) {
        throw notAnOperation('the handler of startServer()', operation)
      }
      task = this.runner.createTask(operation, { name: served.name }, 'startServer()')
    } catch (error) {
      this.#report(served, error)
      this.#handlerEnded(served)
      return
    }
    served.task = task
    task.owner = served
  }

  /** @internal */
  taskEnded(served: Served, task: Task): void {
    if (task.status === 'failed') this.#callIn(this.context, () => this.#report(served, task.outcome))
    this.#handlerEnded(served)
  }

  #handlerEnded(served: Served): void {
    served.handled = true
    served.close()
    this.#removeIfOver(served)
  }

  #removeIfOver(served: Served): void {
    if (served.handled && served.lost) this.remove(served)
  }

  #report(served: Served, error: unknown): void {
    const task = served.task ?? undefined
    const { name } = served
    if (served.isOwnLoss(error)) {
      this.runner.report({ message: `${name} was lost`, error, task, fromOutside: true })
    } else {
      const message = `the handler of ${name} failed; its connection is closed`
      this.runner.report({ message, error, task, fromOutside: isPeersDoing(error) })
    }
  }

  #reportCut({ name }: Served, error: Error | null): void {
    this.runner.report({ message: `${name} was cut`, error, fromOutside: true })
  }

  /** The context of the server, for what runs on behalf of one connection. */
  #contextOf(served: Served): Context {
    const context = this.context?.copy() ?? new Context()
    context.origin = served.behalf
    return context
  }

  /** Runs `callback` in the loop, in a context and the host's context of this moment. */
  #callIn(context: Context | null, callback: () => void): void {
    const { loop, bridge } = this.runner
    const captured = bridge === null ? null : bridge.open()
    loop.schedule(new Handle(loop, callback, { runner: this.runner, context, captured }))
  }

  /** @internal */
  protected override askToEnd(spared: (member: Member) => boolean): void {
    this.#ending = true
    for (const member of this.members) if (!spared(member)) member.task?.cancel({ reason: 'the server ends' })
  }
}

class Served implements ServerConnection, Member, TaskOwner {
  readonly #server: Server
  readonly #number: number
  readonly #protocol: StreamProtocol
  readonly remoteAddress: SocketAddress
  readonly behalf: Behalf
  task: Task | null = null
  /** The handler has ended. */
  handled = false
  /** The socket is gone. */
  lost = false

  constructor(server: Server, number: number, protocol: StreamProtocol, remoteAddress: SocketAddress) {
    this.#server = server
    this.behalf = new Behalf(server)
    this.#number = number
    this.#protocol = protocol
    this.remoteAddress = remoteAddress
  }

  get name(): string {
    return `conn-${String(this.#number)} ${formatAddress(this.remoteAddress)}`
  }

  taskEnded(task: Task): void {
    this.#server.taskEnded(this, task)
  }

  get reader(): StreamReader {
    return this.#protocol.reader
  }

  get writer(): StreamWriter {
    return this.#protocol.writer
  }

  isOwnLoss(error: unknown): boolean {
    return this.#protocol.isOwnLoss(error)
  }

  close(): void {
    this.#protocol.close()
  }

  abort(): void {
    this.#protocol.abort()
  }
}

/** What a peer sends, or does not, is no bug of the handler: one line is enough, and a scan of ports no flood. */
function isPeersDoing(error: unknown): boolean {
  return (
    error instanceof IncompleteReadError ||
    error instanceof ProtocolError ||
    // Of a read: a writer's limit is met by a program that does not drain.
    (error instanceof LimitError && error.consumedBytes > 0)
  )
}

/** The peer took nothing for too long, or a policy lost patience. */
function isTimeout(error: Error | null): boolean {
  return error instanceof TimeoutError || (error as { code?: unknown } | null)?.code === 'ETIMEDOUT'
}

/** @throws {MisuseError} if `handler` is no function */
export function checkHandler(handler: unknown): void {
  if (typeof handler === 'function') return
  throw wrongArgument(
    'startServer()',
    'a coroutine function for each connection',
    handler,
    'write `startServer(function* (reader, writer) { ... }, { port })`',
  )
}
