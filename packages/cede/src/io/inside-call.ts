/**
 * Calls for the end of a server by its own handlers, which must not wait for themselves.
 *
 * A handler, and all that it starts, runs on behalf of its connection, and of those around it where its server was
 * started by a handler. A call on behalf of a connection does not wait for that one, nor for any that waits for it in
 * turn: two handlers that stop their server at once, or each the server of the other. Whoever runs outside of all
 * connections waits for all.
 *
 * Which connections wait for a call is found from behind: those of the call itself, and then, again and again, those
 * whose own call waits for one of these. There are hardly ever more than a few calls.
 */
import { currentContextOrNull } from '../core/context.ts'
import type { WaitDescription } from '../core/suspension.ts'
import { WaitQueue } from '../core/wait-queue.ts'

/** Stands for a connection, in the context of what runs on its behalf. Keeps nothing of it alive but its server. */
export class Behalf {
  readonly server: EndingServer
  /** The connection has not ended. */
  open = true

  constructor(server: EndingServer) {
    this.server = server
  }

  /** The connection whose handler started the server of this one. */
  get outer(): Behalf | null {
    return this.server.startedFor
  }
}

/** A server as these calls see it. */
export interface EndingServer {
  /** The connection whose handler started it; null: none. */
  readonly startedFor: Behalf | null
  /** True if it is closed and `call` waits for none of its connections. */
  isOver(call: InsideCall): boolean
  /** What `call` waits for. */
  describeEnd(call: InsideCall): WaitDescription
}

/** Those that wait now. */
const calls = new Set<InsideCall>()

/** A wait for the end of a server on behalf of a connection, of this server or another. */
export class InsideCall {
  readonly server: EndingServer
  readonly line: WaitQueue
  /** It was told so; others may have gone on since. */
  over = false
  /** The connection, and those around it; of each server one at most. */
  readonly #behalfs = new Map<EndingServer, Behalf>()

  constructor(server: EndingServer, behalf: Behalf) {
    this.server = server
    this.line = new WaitQueue(() => server.describeEnd(this))
    for (let one: Behalf | null = behalf; one !== null; one = one.outer) this.#behalfs.set(one.server, one)
  }

  /** From now on it is known that the connection waits. */
  begin(): void {
    calls.add(this)
    wakeInsideCalls()
  }

  end(): void {
    calls.delete(this)
  }

  /** Those that need not be waited for: its own, and those that wait for it. */
  excused(): Set<Behalf> {
    const found = new Set(this.#behalfs.values())
    const others = new Set(calls)
    for (let before = -1; before < found.size;) {
      before = found.size
      for (const other of others) {
        if (!other.#waitsForOneOf(found)) continue
        others.delete(other)
        for (const behalf of other.#behalfs.values()) found.add(behalf)
      }
    }
    return found
  }

  #waitsForOneOf(behalfs: Iterable<Behalf>): boolean {
    const { own } = this
    for (const behalf of behalfs) {
      if (behalf.server === this.server && behalf.open && behalf !== own) return true
    }
    return false
  }

  /**
   * Those that the server must not end for this call: its own and others that wait for the very same end, which comes to
   * all of them at once. None, if the call comes from elsewhere.
   */
  spared(): Set<Behalf> {
    return this.own?.open === true ? waitingInside(this.server) : new Set()
  }

  /** How many connections it is made on behalf of. */
  get depth(): number {
    return this.#behalfs.size
  }

  /** The connection of the server itself, if the call is on behalf of one. */
  get own(): Behalf | undefined {
    return this.#behalfs.get(this.server)
  }
}

/** The connections of `server` that wait for its end. */
export function waitingInside(server: EndingServer): Set<Behalf> {
  const waiting = new Set<Behalf>()
  for (const call of calls) {
    if (call.server === server && call.own !== undefined) waiting.add(call.own)
  }
  return waiting
}

/** How many connections a call can be excused from at most; found sooner than which. */
export function mostExcused(): number {
  let most = 0
  for (const { depth } of calls) most += depth
  return most
}

/** The call that is made now, if whoever makes it runs on behalf of a connection. */
export function insideCall(server: EndingServer): InsideCall | null {
  const behalf = behalfHere()
  return behalf === null ? null : new InsideCall(server, behalf)
}

/** The connection on whose behalf whatever runs now was started. */
export function behalfHere(): Behalf | null {
  return (currentContextOrNull()?.origin ?? null) as Behalf | null
}

/** Something has ended, or waits: some calls may have nothing to wait for any more. */
export function wakeInsideCalls(): void {
  for (const call of calls) {
    if (call.over || !call.server.isOver(call)) continue
    call.over = true
    call.line.wakeAll()
  }
}
