/**
 * What all servers have in common: listeners, admission, and an end in good order.
 *
 * Nothing of a server outlives the run it was started in. A supervisor task stands for it among the tasks of that run;
 * when the run ends and cancels it, it ends the server. A connection belongs to the server until whatever serves it has
 * ended and its socket is gone.
 *
 * Connections come from outside of any coroutine. What serves them is called in the context the server was started in.
 *
 * Whoever waits for the end of a server may be one of its handlers, or called by one: `inside-call.ts` says which
 * connections are waited for then.
 */
import { inheritContext, type Context } from '../core/context.ts'
import { coroutine } from '../core/coroutine.ts'
import { InvalidStateError } from '../core/errors.ts'
import { printsAs } from '../core/inspect.ts'
import { nameOf, wrongArgument } from '../core/misuse.ts'
import type { Runner } from '../core/runner.ts'
import { checkpoint } from '../core/sleep.ts'
import type { Coroutine, Operation, Suspension, WaitDescription } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import { WaitQueue } from '../core/wait-queue.ts'
import { timeoutOr } from '../flow/timeout.ts'
import { shield } from '../flow/with-scope.ts'
import { checkSize, formatAddress, type SocketAddress } from './address.ts'
import type { CallSite } from './call-site.ts'
import { checkListenOptions, type AcceptEvents, type Endpoint, type ListenOptions } from './endpoint.ts'
import { ListenError } from './errors.ts'
import {
  behalfHere,
  insideCall,
  mostExcused,
  waitingInside,
  wakeInsideCalls,
  type Behalf,
  type InsideCall,
} from './inside-call.ts'
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
  /** @internal Stands for it where its handler and what that starts run; null if it has no handler. */
  readonly behalf: Behalf | null
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
  readonly startedFor: Behalf | null = behalfHere()
  /** @internal */
  protected readonly members = new Set<M>()
  private readonly policies: readonly Policy[]
  private listeners: readonly Listener[] = []
  /** Where it listens or did. */
  private places: readonly SocketAddress[] = []
  private state: 'starting' | 'serving' | 'closed' = 'starting'
  private served = false
  /** What was done last to end the connections. */
  private ending: 'no' | 'asked' | 'cut' = 'no'
  /** The number of connections when it was last told that the machine has no room; 0: not told. */
  private toldAt = 0
  private readonly idle: WaitQueue

  /** @internal */
  constructor(options: BaseServerOptions, runner: Runner) {
    this.maxConnections = options.maxConnections ?? Infinity
    this.policies = options.policies ?? []
    this.runner = runner
    this.context = inheritContext()
    this.idle = new WaitQueue(() => this.describeEnd(null))
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

  /** @internal Asks what serves the connections to end; one that is `spared` may go on, for now. */
  protected abstract askToEnd(spared: (member: Member) => boolean): void

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
   *
   * Called by a handler of this server, or by what that has started, it waits for the other connections only.
   */
  waitClosed(): Coroutine<void> {
    return closed(this)
  }

  /**
   * Serves until the server is closed by somebody else, and its last connection has ended; or until this wait is
   * cancelled: then the server is ended as `shutdown` does it, and only when all its connections have ended the task goes
   * on unwinding. Suspends until then. A handler that stops the server is waited for as well.
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
   * Called by a handler of this server, or by what that has started (tasks, callbacks, handlers of a server of its own),
   * it neither waits for the connection of that handler nor cuts it, nor those whose handlers wait for the end as well:
   * each ends when its handler returns, and is waited for by whoever calls from outside. Connections of `createServer`
   * have no handler, and are closed in any case.
   *
   * Called in a cleanup it must fit into the grace of that cleanup (`cleanupGraceMs`, 10 s).
   *
   * @param options.graceMs milliseconds; default: 5,000; 0 cancels at once
   * @throws {RangeError} at the call, if `graceMs` is negative or not a number
   *
   * @example
   * import { openConnection, run, startServer, type Server } from 'cede'
   *
   * await run(function* () {
   *   const server: Server = yield* startServer(
   *     function* (reader, writer) {
   *       if ((yield* reader.readTextLine()) !== 'stop') return
   *       yield* server.shutdown()
   *       yield* writer.send('stopped\n')
   *     },
   *     { host: '127.0.0.1', port: 0 },
   *   )
   *   const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
   *   yield* writer.send('stop\n')
   *   yield* server.serveForever()
   *   console.log(yield* reader.readTextLine())
   *   writer.close()
   * })
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
      // Eager: a task that is cancelled before its first step, as the main may end at once, would close nothing.
      this.runner.createTask(supervise(this), { name: `server ${this.name}`, eager: true }, 'startServer()')
      if (closedByOthers) this.close()
    } catch (error) {
      if (error instanceof ListenError) site.giveTo(error)
      throw error
    } finally {
      if (this.state === 'starting') {
        this.state = 'closed'
        for (const listener of listeners) listener.close()
        this.askToEnd(noOne)
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
    if (member.behalf !== null) member.behalf.open = false
    released(this.policies, member.remoteAddress, this.releaseFailed)
    this.wakeIfOver()
  }

  // ------------------------------------------------------------------ for the coroutines below

  private wakeIfOver(): void {
    if (this.isOver(null)) this.idle.wakeAll()
    wakeInsideCalls()
  }

  /** @internal True if whoever waits for the end need not wait any more; `call` is null outside of all connections. */
  isOver(call: InsideCall | null): boolean {
    if (this.state !== 'closed') return false
    if (this.members.size === 0 || call === null) return this.members.size === 0
    return call.over || (this.members.size <= mostExcused() && !hasOther(this.members, call.excused()))
  }

  /** @internal */
  describeEnd(call: InsideCall | null): WaitDescription {
    const excused = call?.excused()
    const left = [...this.members].filter(({ behalf }) => behalf === null || excused?.has(behalf) !== true)
    return {
      what: this.isServing()
        ? `the server on ${this.name} to be closed`
        : `${countOf(left.length)} of the server on ${this.name} to end`,
      holders: left.flatMap(({ task }) => task ?? []),
    }
  }

  /** @internal */
  *untilOver(call: InsideCall | null): Generator<Suspension, void> {
    if (this.isOver(call)) yield* checkpoint()
    else yield* (call === null ? this.idle : call.line).wait()
  }

  /** @internal */
  *serveUntilOver(graceMs: number, call: InsideCall | null): Generator<Suspension, void> {
    if (this.state !== 'serving' || this.served) {
      const found = this.served ? 'one that is served already' : 'one that is closed'
      throw new InvalidStateError(
        `serveForever() on ${this.name}: a listening server was expected, found ${found}`,
      )
    }
    this.served = true
    try {
      yield* this.untilOver(call)
    } finally {
      this.served = false
      if (!this.isOver(call)) yield* this.end(graceMs, call)
    }
  }

  /** @internal */
  *end(graceMs: number, call: InsideCall | null): Generator<Suspension, void> {
    this.close()
    try {
      if (graceMs > 0 && !this.isOver(call)) yield* timeoutOr(graceMs, this.untilOver(call), undefined)
    } finally {
      if (!this.isOver(call)) yield* this.cut(call)
    }
  }

  private *cut(call: InsideCall | null): Generator<Suspension, void> {
    const spared = (): ReadonlySet<Behalf> => call?.spared() ?? new Set<Behalf>()
    this.endThem('asked', spared())
    try {
      yield* timeoutOr(LAST_WORDS_MS, this.untilOver(call), undefined)
    } finally {
      if (!this.isOver(call)) {
        this.endThem('cut', spared())
        // Handlers that still clean up have a grace of their own.
        yield* shield(this.untilOver(call))
      }
    }
  }

  /** Ends the connections, but for those that are spared. */
  private endThem(how: 'asked' | 'cut', spared: ReadonlySet<Behalf>): void {
    const isSpared = ({ behalf }: Member): boolean => behalf !== null && spared.has(behalf)
    this.ending = how
    this.askToEnd(isSpared)
    if (how === 'asked') return
    for (const member of this.members) if (!isSpared(member)) member.abort()
  }

  /** @internal `call` waits no longer. If it gave up, its connection was spared for nothing, and ends as the others do. */
  left(call: InsideCall): void {
    call.end()
    if (this.ending !== 'no' && !call.over && call.own?.open === true) {
      this.endThem(this.ending, waitingInside(this))
    }
  }
}

type AnyServer = BaseServer<Member>

const noOne = (): boolean => false

function hasOther(members: Iterable<Member>, excused: ReadonlySet<Behalf>): boolean {
  for (const { behalf } of members) if (behalf === null || !excused.has(behalf)) return true
  return false
}

function countOf(connections: number): string {
  return connections === 1 ? '1 connection' : `${String(connections)} connections`
}

/** Stands for the server among the tasks of its run. */
function* supervise(server: AnyServer): Generator<Suspension, void> {
  let over = false
  try {
    yield* server.untilOver(null)
    over = true
  } finally {
    if (!over) yield* server.end(0, null)
  }
}

/** Waits for the end, on behalf of the connection that whoever calls runs for. */
function* called(
  server: AnyServer,
  wait: (call: InsideCall | null) => Operation<void>,
): Generator<Suspension, void> {
  const call = insideCall(server)
  call?.begin()
  try {
    yield* wait(call)
  } finally {
    if (call !== null) server.left(call)
  }
}

const closed = coroutine('waitClosed', function* (server: AnyServer): Generator<Suspension, void> {
  yield* called(server, (call) => server.untilOver(call))
})

const servedForever = coroutine('serveForever', function* (server: AnyServer, graceMs: number): Generator<
  Suspension,
  void
> {
  yield* called(server, (call) => server.serveUntilOver(graceMs, call))
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
  yield* called(server, (call) => server.end(graceMs, call))
})

/** @throws {RangeError | MisuseError} if one is wrong */
export function checkServerOptions(act: string, options: BaseServerOptions): void {
  checkListenOptions(act, options)
  checkSize(act, 'maxConnections', options.maxConnections)
  checkPolicies(act, options.policies)
}
