/**
 * What all servers have in common: listeners, admission, and an end in good order.
 *
 * Nothing of a server outlives the run it was started in. A supervisor task stands for it among the tasks of that run;
 * when the run ends and cancels it, it ends the server. A connection belongs to the server until whatever serves it has
 * ended and its socket is gone.
 *
 * Connections come from outside of any coroutine. What serves them is called in the context the server was started in.
 */
import { inheritContext, type Context } from '../core/context.ts'
import { coroutine } from '../core/coroutine.ts'
import { InvalidStateError } from '../core/errors.ts'
import { printsAs } from '../core/inspect.ts'
import { nameOf, wrongArgument } from '../core/misuse.ts'
import type { Runner } from '../core/runner.ts'
import { checkpoint } from '../core/sleep.ts'
import type { Coroutine, Suspension } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import { WaitQueue } from '../core/wait-queue.ts'
import { timeoutOr } from '../flow/timeout.ts'
import { shield } from '../flow/with-scope.ts'
import { checkSize, formatAddress, type SocketAddress } from './address.ts'
import type { CallSite } from './call-site.ts'
import { checkListenOptions, type AcceptEvents, type Endpoint, type ListenOptions } from './endpoint.ts'
import { ListenError } from './errors.ts'
import { admitted, checkPolicies, released, wrapped, type Policy, type Refusal } from './policy.ts'
import type { Listener, NewConnection, TransportEvents } from './transport.ts'

/** What every server can be told. */
export interface BaseServerOptions extends ListenOptions {
  /** How many connections may be open at once; more are refused with a reset. Default: no limit. */
  readonly maxConnections?: number | undefined
  /** What stands between each connection and what serves it, outermost first. Default: none. */
  readonly policies?: readonly Policy[] | undefined
}

export interface ShutdownOptions {
  /** How long the connections may go on, in milliseconds, before they are asked to end. */
  readonly graceMs?: number | undefined
}

/** A connection as its server counts it. */
export interface Member {
  readonly remoteAddress: SocketAddress
  /** Runs what serves it, if that is a task and was begun. */
  readonly task: Task | null
  /** Sends what is buffered, then closes. */
  close(): void
  abort(): void
}

/** How long connections that were asked to end may still send before they are cut, in milliseconds. */
const LAST_WORDS_MS = 1_000
const DEFAULT_SHUTDOWN_GRACE_MS = 5_000

export abstract class BaseServer<M extends Member> {
  static {
    printsAs(
      this.prototype as BaseServer<Member>,
      (server) => `Server(${server.name}, ${server.state}, ${countOf(server.members.size)})`,
    )
  }

  /** How many connections may be open at once; more are refused with a reset. May be changed at any time. */
  maxConnections: number
  /** How many connections were refused: by `maxConnections`, by a policy, or because the machine had no room. */
  refused = 0
  /** Why the last of them was refused, for logs. */
  lastRefusal: string | null = null
  /** @internal */
  protected readonly runner: Runner
  /** @internal */
  protected readonly context: Context | null
  /** @internal */
  protected readonly members = new Set<M>()
  private readonly policies: readonly Policy[]
  private listeners: readonly Listener[] = []
  /** Where it listens or did. */
  private places: readonly SocketAddress[] = []
  private state: 'starting' | 'serving' | 'closed' = 'starting'
  private served = false
  /** The number of connections when it was last told that the machine has no room; 0: not told. */
  private toldAt = 0
  private readonly idle: WaitQueue

  /** @internal */
  constructor(options: BaseServerOptions, runner: Runner) {
    this.maxConnections = options.maxConnections ?? Infinity
    this.policies = options.policies ?? []
    this.runner = runner
    this.context = inheritContext()
    this.idle = new WaitQueue(() => ({
      what: this.isServing()
        ? `the server on ${this.name} to be closed`
        : `${countOf(this.members.size)} of the server on ${this.name} to end`,
      holders: [...this.members].flatMap(({ task }) => task ?? []),
    }))
  }

  // ------------------------------------------------------------------ what a subclass does

  /**
   * @internal A connection is there: makes what is told of it, and a member. Called in an event of the host; `connection`
   * must be taken with what `wrap` gives for its events.
   *
   * @returns false if it was refused after all
   */
  protected abstract serve(
    connection: NewConnection,
    wrap: (events: TransportEvents) => TransportEvents,
  ): boolean

  /** @internal Asks what serves the connections to end. */
  protected abstract askToEnd(): void

  // ------------------------------------------------------------------ what it is

  /** Where it listens, or did; the first place, if there are several. */
  get address(): SocketAddress {
    return this.places[0] ?? { host: '', port: 0 }
  }

  /** All places where it listens, or did. */
  get addresses(): readonly SocketAddress[] {
    return this.places
  }

  /** The port it listens on, or did; 0 for Unix and memory sockets. */
  get port(): number {
    return this.address.port
  }

  /** True while it accepts connections. */
  isServing(): boolean {
    return this.state === 'serving'
  }

  /** @internal */
  protected get name(): string {
    return formatAddress(this.address)
  }

  // ------------------------------------------------------------------ ending it

  /** Accepts no more connections; those that are open go on. Does not suspend. */
  close(): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    for (const listener of this.listeners) listener.close()
    this.wakeIfOver()
  }

  /** Closes every connection after sending what is buffered; readers find the end of the stream. Does not suspend. */
  closeClients(): void {
    for (const member of this.members) member.close()
  }

  /** Cuts every connection; what is buffered is dropped. Does not suspend. */
  abortClients(): void {
    for (const member of this.members) member.abort()
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
   * cancelled: then the server is ended as `shutdown` does it, and only when all its connections have ended the task goes
   * on unwinding. Suspends until then.
   *
   * @param options.graceMs how long open connections may go on when it is cancelled, in milliseconds; default: 0, what
   *   serves them is asked to end at once. It must fit into the grace of the cancel (`cleanupGraceMs` of `run`, 10 s)
   * @throws {InvalidStateError} if the server is closed, or somebody else calls this at the same time
   * @throws {RangeError} at the call, if `graceMs` is negative or not a number
   */
  serveForever(options: ShutdownOptions = {}): Coroutine<void> {
    return servedForever(this, graceOf('serveForever()', options, 0))
  }

  /**
   * Ends the server in good order: no new connections; the open ones may go on for `graceMs`; then handlers are
   * cancelled, and may say a last word; then what is left is cut. Suspends until all have ended.
   *
   * Called in a cleanup it must fit into the grace of that cleanup (`cleanupGraceMs`, 10 s).
   *
   * @param options.graceMs milliseconds; default: 5,000; 0 cancels at once
   * @throws {RangeError} at the call, if `graceMs` is negative or not a number
   */
  shutdown(options: ShutdownOptions = {}): Coroutine<void> {
    return ended(this, graceOf('shutdown()', options, DEFAULT_SHUTDOWN_GRACE_MS))
  }

  /** `using server = ...` closes it; connections that are open go on. */
  [Symbol.dispose](): void {
    this.close()
  }

  // ------------------------------------------------------------------ connections

  /** @internal Listens at all endpoints, or at none. */
  *listen(endpoints: readonly Endpoint[], site: CallSite): Generator<Suspension, void> {
    const listeners: Listener[] = []
    let closedByOthers = false
    const events: AcceptEvents = {
      accepted: (connection) => this.accept(connection),
      refused: (why) => this.noteRefused(why),
      acceptFailed: (error) =>
        this.runner.report({ message: `the server on ${this.name} cannot accept a connection`, error }),
      closed: () => {
        closedByOthers = true
        if (this.state === 'serving') this.close()
      },
    }
    try {
      for (const endpoint of endpoints) {
        listeners.push(...(yield* endpoint.listen(events)))
        this.places = listeners.map(({ address }) => address)
      }
      this.listeners = listeners
      this.state = 'serving'
      this.runner.createTask(supervise(this), { name: `server ${this.name}` }, 'startServer()')
      if (closedByOthers) this.close()
    } catch (error) {
      if (error instanceof ListenError) site.giveTo(error)
      throw error
    } finally {
      if (this.state === 'starting') {
        this.state = 'closed'
        for (const listener of listeners) listener.close()
        this.askToEnd()
        this.abortClients()
      }
    }
  }

  private accept(connection: NewConnection): void {
    const { remoteAddress } = connection
    if (this.state === 'closed' || this.members.size >= this.maxConnections) {
      const why =
        this.state === 'closed'
          ? 'the server is closed'
          : `${countOf(this.maxConnections)} open (maxConnections)`
      this.refuse(connection, { reason: why })
      return
    }
    let refusal: Refusal | null
    try {
      refusal = admitted(this.policies, remoteAddress, this.releaseFailed)
    } catch (error) {
      this.refuseBroken(connection, error)
      return
    }
    if (refusal !== null) {
      this.refuse(connection, refusal)
      return
    }
    if (this.members.size <= this.toldAt / 2) this.toldAt = 0
    try {
      if (this.serve(connection, (events) => wrapped(this.policies, events, this.runner))) return
    } catch (error) {
      this.refuseBroken(connection, error)
    }
    released(this.policies, remoteAddress, this.releaseFailed)
  }

  /** @internal A policy, or what makes protocols, threw: nothing can serve the connection. */
  protected refuseBroken(connection: NewConnection, error: unknown): void {
    const peer = formatAddress(connection.remoteAddress)
    this.runner.report({
      message: `the server on ${this.name} could not take the connection of ${peer}`,
      error,
    })
    this.refuse(connection, { reason: `an error: ${String(error)}` })
  }

  private readonly releaseFailed = (error: unknown): void => {
    this.runner.report({ message: `release() of a policy of the server on ${this.name} threw`, error })
  }

  private refuse(connection: NewConnection, { reason, answer }: Refusal): void {
    this.refused++
    this.lastRefusal = reason
    connection.refuse(answer)
  }

  /** Told once, and again only after half of the connections have gone: a server at its limit must not drown in reports. */
  private noteRefused(error: Error): void {
    this.refused++
    this.lastRefusal = error.message
    if (this.toldAt > 0) return
    this.toldAt = Math.max(1, this.members.size)
    this.runner.report({
      message: `the server on ${this.name} refuses connections, with ${countOf(this.members.size)} open`,
      error,
    })
  }

  /** @internal The connection and what serves it have ended. */
  protected remove(member: M): void {
    if (!this.members.delete(member)) return
    released(this.policies, member.remoteAddress, this.releaseFailed)
    this.wakeIfOver()
  }

  // ------------------------------------------------------------------ for the coroutines below

  private wakeIfOver(): void {
    if (this.isOver()) this.idle.wakeAll()
  }

  private isOver(): boolean {
    return this.state === 'closed' && this.members.size === 0
  }

  /** @internal */
  *untilOver(): Generator<Suspension, void> {
    if (this.isOver()) yield* checkpoint()
    else yield* this.idle.wait()
  }

  /** @internal */
  *serveUntilOver(graceMs: number): Generator<Suspension, void> {
    if (this.state !== 'serving' || this.served) {
      const found = this.served ? 'one that is served already' : 'one that is closed'
      throw new InvalidStateError(
        `serveForever() on ${this.name}: a listening server was expected, found ${found}`,
      )
    }
    this.served = true
    try {
      yield* this.untilOver()
    } finally {
      this.served = false
      if (!this.isOver()) yield* this.end(graceMs)
    }
  }

  /** @internal */
  *end(graceMs: number): Generator<Suspension, void> {
    this.close()
    try {
      if (graceMs > 0 && !this.isOver()) yield* timeoutOr(graceMs, this.untilOver(), undefined)
    } finally {
      if (!this.isOver()) yield* this.cut()
    }
  }

  private *cut(): Generator<Suspension, void> {
    this.askToEnd()
    try {
      yield* timeoutOr(LAST_WORDS_MS, this.untilOver(), undefined)
    } finally {
      this.abortClients()
      // Handlers that still clean up have a grace of their own.
      if (!this.isOver()) yield* shield(this.untilOver())
    }
  }
}

type AnyServer = BaseServer<Member>

function countOf(connections: number): string {
  return connections === 1 ? '1 connection' : `${String(connections)} connections`
}

/** Stands for the server among the tasks of its run. */
function* supervise(server: AnyServer): Generator<Suspension, void> {
  let over = false
  try {
    yield* server.untilOver()
    over = true
  } finally {
    if (!over) yield* server.end(0)
  }
}

const closed = coroutine('waitClosed', function* (server: AnyServer): Generator<Suspension, void> {
  yield* server.untilOver()
})

const servedForever = coroutine('serveForever', function* (server: AnyServer, graceMs: number): Generator<
  Suspension,
  void
> {
  yield* server.serveUntilOver(graceMs)
})

function graceOf(act: string, options: ShutdownOptions, usualMs: number): number {
  if (typeof options !== 'object' || (options as unknown) === null) {
    throw wrongArgument(act, 'options', options, `write \`${act.slice(0, -1)}{ graceMs: 5_000 })\``)
  }
  const graceMs = options.graceMs ?? usualMs
  if (typeof graceMs === 'number' && graceMs >= 0) return graceMs
  throw new RangeError(
    `${act}: graceMs was expected to be 0 or more milliseconds, found ${typeof graceMs === 'number' ? String(graceMs) : nameOf(graceMs)}`,
  )
}

const ended = coroutine('shutdown', function* (server: AnyServer, graceMs: number): Generator<
  Suspension,
  void
> {
  yield* server.end(graceMs)
})

/** @throws {RangeError | MisuseError} if one is wrong */
export function checkServerOptions(act: string, options: BaseServerOptions): void {
  checkListenOptions(act, options)
  checkSize(act, 'maxConnections', options.maxConnections)
  checkPolicies(act, options.policies)
}
