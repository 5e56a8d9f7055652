/**
 * A server: a listener, the connections that were made to it, and a handler task for each.
 *
 * Nothing of it outlives the run it was started in. A supervisor task stands for the server among the tasks of that
 * run; when the run ends and cancels it, it ends the server. A connection belongs to the server until its handler has
 * ended and its socket is gone: a handler that returns has its connection closed, and what it wrote is still sent.
 *
 * Connections come from outside of any coroutine. Their handlers are made in a callback of the loop, which has the
 * context the server was started in; so a handler is called, and fails, where library code would.
 */
import { notAnOperation, wrongArgument } from '../core/misuse.ts'
import type { Context } from '../core/context.ts'
import { inheritContext } from '../core/context.ts'
import { coroutine } from '../core/coroutine.ts'
import { InvalidStateError } from '../core/errors.ts'
import { checkpoint } from '../core/sleep.ts'
import type { Runner } from '../core/runner.ts'
import type { Coroutine, Operation, Suspension } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import { Handle } from '../core/timer-handle.ts'
import { WaitQueue } from '../core/wait-queue.ts'
import { timeoutOr } from '../flow/timeout.ts'
import { shield } from '../flow/with-scope.ts'
import { formatAddress, type SocketAddress } from './address.ts'
import type { Connection } from './open-connection.ts'
import { StreamProtocol, type StreamOptions } from './stream-protocol.ts'
import type { StreamReader } from './stream-reader.ts'
import type { StreamWriter } from './stream-writer.ts'
import type { Accepted, ListenEvents, Listener } from './transport.ts'

/** What a server does with each connection: a coroutine function. The connection is closed when it ends. */
export type ConnectionHandler = (reader: StreamReader, writer: StreamWriter) => Operation<unknown>

/** A connection of a server. */
export interface ServerConnection extends Connection {
  /** `conn-17 127.0.0.1:4312`; the name of its task. */
  readonly name: string
  /** Runs the handler; null for a moment, until it is begun. */
  readonly task: Task | null
}

export interface ShutdownOptions {
  /** How long the connections may go on, in milliseconds, before their handlers are cancelled. */
  readonly graceMs?: number | undefined
}

/** How long handlers that were cancelled may still send before their connections are cut, in milliseconds. */
const LAST_WORDS_MS = 1_000
const DEFAULT_SHUTDOWN_GRACE_MS = 5_000

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
export class Server {
  /** How many connections may be open at once; more are refused with a reset. May be changed at any time. */
  maxConnections: number
  /** How many connections were refused. */
  refused = 0
  readonly #handler: ConnectionHandler
  readonly #options: StreamOptions
  readonly #runner: Runner
  readonly #context: Context | null
  readonly #connections = new Set<Served>()
  #listener: Listener | null = null
  /** Where it listens or did. */
  #address: SocketAddress = { host: '', port: 0 }
  #made = 0
  #serving = false
  readonly #idle: WaitQueue

  /** @internal */
  constructor(handler: ConnectionHandler, options: StreamOptions, maxConnections: number, runner: Runner) {
    this.#handler = handler
    this.#options = options
    this.maxConnections = maxConnections
    this.#runner = runner
    this.#context = inheritContext()
    this.#idle = new WaitQueue(() => ({
      what: this.isServing()
        ? `the server on ${this.#name} to be closed`
        : `${countOf(this.#connections.size)} of the server on ${this.#name} to end`,
      holders: [...this.#connections].flatMap(({ task }) => task ?? []),
    }))
  }

  // ------------------------------------------------------------------ what it is

  /** Where it listens, or did. */
  get address(): SocketAddress {
    return this.#address
  }

  /** The port it listens on, or did. */
  get port(): number {
    return this.#address.port
  }

  /** The connections that are open or whose handler has not ended, oldest first. */
  get connections(): readonly ServerConnection[] {
    return [...this.#connections]
  }

  /** True while it accepts connections. */
  isServing(): boolean {
    return this.#listener !== null
  }

  // ------------------------------------------------------------------ ending it

  /** Accepts no more connections; those that are open go on. Does not suspend. */
  close(): void {
    const listener = this.#listener
    if (listener === null) return
    this.#listener = null
    listener.close()
    this.#wakeIfIdle()
  }

  /** Closes every connection after sending what is buffered; handlers find the end of the stream. Does not suspend. */
  closeClients(): void {
    for (const { writer } of this.#connections) writer.close()
  }

  /** Cuts every connection; what is buffered is dropped. Does not suspend. */
  abortClients(): void {
    for (const { writer } of this.#connections) writer.abort()
  }

  /**
   * Waits until the server is closed and its last connection has ended. Suspends until then; being cancelled does not
   * close the server.
   */
  waitClosed(): Coroutine<void> {
    return closed(this)
  }

  /**
   * Serves until the server is closed by somebody else, and its last connection has ended; or until this wait is
   * cancelled: then the server is closed, its handlers are cancelled, and only when they have ended the task goes on
   * unwinding. Suspends until then.
   *
   * @throws {InvalidStateError} if the server is closed, or somebody else calls this at the same time
   */
  serveForever(): Coroutine<void> {
    return served(this)
  }

  /**
   * Ends the server in good order: no new connections; the open ones may go on for `graceMs`; then their handlers are
   * cancelled, and may say a last word; then what is left is cut. Suspends until all have ended.
   *
   * Called in a cleanup it must fit into the grace of that cleanup (`cleanupGraceMs`, 10 s).
   *
   * @param options.graceMs milliseconds; default: 5,000; 0 cancels at once
   * @throws {RangeError} at the call, if `graceMs` is negative or not a number
   */
  shutdown(options: ShutdownOptions = {}): Coroutine<void> {
    const graceMs = options.graceMs ?? DEFAULT_SHUTDOWN_GRACE_MS
    if (graceMs >= 0) return ended(this, graceMs)
    throw new RangeError(
      `shutdown(): graceMs was expected to be 0 or more milliseconds, found ${String(graceMs)}`,
    )
  }

  /** `using server = ...` closes it; connections that are open go on. */
  [Symbol.dispose](): void {
    this.close()
  }

  // ------------------------------------------------------------------ connections

  /** @internal What the listener tells. */
  events(listening: () => void, failed: (error: Error) => void): ListenEvents {
    return {
      listening: (listener) => {
        this.#listener = listener
        this.#address = listener.address
        this.#runner.createTask(supervise(this), { name: `server ${this.#name}` }, 'startServer()')
        listening()
      },
      failed,
      accepted: (accepted) => this.#accept(accepted),
      acceptFailed: (error) =>
        this.#runner.report({ message: `the server on ${this.#name} cannot accept a connection`, error }),
    }
  }

  get #name(): string {
    return formatAddress(this.#address)
  }

  #accept(accepted: Accepted): void {
    if (this.#listener === null || this.#connections.size >= this.maxConnections) {
      this.refused++
      accepted.refuse()
      return
    }
    const served = new Served(`conn-${String(++this.#made)} ${formatAddress(accepted.remoteAddress)}`)
    this.#connections.add(served)
    const protocol = new StreamProtocol(this.#options, this.#runner)
    protocol.onLost = () => {
      served.lost = true
      this.#removeIfOver(served)
    }
    accepted.take(protocol)
    served.reader = protocol.reader
    served.writer = protocol.writer
    this.#callInContext(() => this.#begin(served))
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
      task = this.#runner.createTask(operation, { name: served.name }, 'startServer()')
    } catch (error) {
      this.#report(served, error)
      this.#handlerEnded(served)
      return
    }
    served.task = task
    task.asFuture().addWaiter({
      settled: () => {
        if (task.status === 'failed') this.#callInContext(() => this.#report(served, task.outcome))
        this.#handlerEnded(served)
      },
    })
  }

  #handlerEnded(served: Served): void {
    served.handled = true
    served.writer.close()
    this.#removeIfOver(served)
  }

  #removeIfOver(served: Served): void {
    if (!served.handled || !served.lost || !this.#connections.delete(served)) return
    this.#wakeIfIdle()
  }

  #report(served: Served, error: unknown): void {
    const task = served.task ?? undefined
    this.#runner.report({
      message: `the handler of ${served.name} failed; its connection is closed`,
      error,
      task,
    })
  }

  /** Runs `callback` in the loop, in the context of the server and the host's context of this moment. */
  #callInContext(callback: () => void): void {
    const { loop, bridge } = this.#runner
    const captured = bridge === null ? null : bridge.open()
    loop.schedule(new Handle(loop, callback, { runner: this.#runner, context: this.#context, captured }))
  }

  // ------------------------------------------------------------------ for the coroutines below

  /** Handlers are cancelled; those that were not begun never are. */
  #ending = false

  #wakeIfIdle(): void {
    if (this.#isOver()) this.#idle.wakeAll()
  }

  #isOver(): boolean {
    return this.#listener === null && this.#connections.size === 0
  }

  /** @internal */
  *untilOver(): Generator<Suspension, void> {
    if (this.#isOver()) yield* checkpoint()
    else yield* this.#idle.wait()
  }

  /** @internal */
  *serve(): Generator<Suspension, void> {
    if (this.#listener === null || this.#serving) {
      const found = this.#serving ? 'one that is served already' : 'one that is closed'
      throw new InvalidStateError(
        `serveForever() on ${this.#name}: a listening server was expected, found ${found}`,
      )
    }
    this.#serving = true
    try {
      yield* this.untilOver()
    } finally {
      this.#serving = false
      if (!this.#isOver()) yield* this.end(0)
    }
  }

  /** @internal */
  *end(graceMs: number): Generator<Suspension, void> {
    this.close()
    try {
      if (graceMs > 0 && !this.#isOver()) yield* timeoutOr(graceMs, this.untilOver(), undefined)
    } finally {
      if (!this.#isOver()) yield* this.#cut()
    }
  }

  *#cut(): Generator<Suspension, void> {
    this.#ending = true
    for (const { task } of this.#connections) task?.cancel({ reason: 'the server ends' })
    try {
      yield* timeoutOr(LAST_WORDS_MS, this.untilOver(), undefined)
    } finally {
      this.abortClients()
      // Handlers that still clean up have a grace of their own.
      if (!this.#isOver()) yield* shield(this.untilOver())
    }
  }
}

class Served implements ServerConnection {
  readonly name: string
  reader!: StreamReader
  writer!: StreamWriter
  task: Task | null = null
  /** The handler has ended. */
  handled = false
  /** The socket is gone. */
  lost = false

  constructor(name: string) {
    this.name = name
  }
}

function countOf(connections: number): string {
  return connections === 1 ? '1 connection' : `${String(connections)} connections`
}

/** Stands for the server among the tasks of its run. */
function* supervise(server: Server): Generator<Suspension, void> {
  let over = false
  try {
    yield* server.untilOver()
    over = true
  } finally {
    if (!over) yield* server.end(0)
  }
}

const closed = coroutine('waitClosed', function* (server: Server): Generator<Suspension, void> {
  yield* server.untilOver()
})

const served = coroutine('serveForever', function* (server: Server): Generator<Suspension, void> {
  yield* server.serve()
})

const ended = coroutine('shutdown', function* (server: Server, graceMs: number): Generator<Suspension, void> {
  yield* server.end(graceMs)
})

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
