/** The policy that limits how many connections are open. */
import { isIPv6 } from 'node:net'
import { wrongArgument } from '../../core/misuse.ts'
import { checkSize, type SocketAddress } from '../address.ts'
import type { Policy, Refusal } from '../policy.ts'

export interface LimitConnectionsOptions {
  /** How many may be open at once. Default: no limit. */
  readonly total?: number | undefined
  /** How many of one peer may be open at once. Default: no limit. */
  readonly perPeer?: number | undefined
  /** Sent to those who are refused, a string as UTF-8. Default: nothing; they find a reset. */
  readonly answer?: string | Uint8Array | undefined
}

const ACT = 'limitConnections()'

/**
 * Limits how many connections of a server are open at once, in total and for each peer. Those above are refused.
 *
 * A peer is an IPv4 address, or a network of 64 bits of IPv6, since that is what one customer is given at least. All
 * peers of Unix and memory sockets together are one. A connection counts until its handler has ended and its socket is
 * gone. An object that is given to several servers counts the connections of all of them together. With
 * `openConnection` it has nothing to do.
 *
 * @throws {RangeError} if a number is no whole number above 0
 * @throws {MisuseError} if nothing is limited, or `answer` is neither string nor bytes
 *
 * @example
 * import { limitConnections, openConnection, run, startServer } from 'cede'
 *
 * await run(function* () {
 *   const limit = limitConnections({ total: 1_000, perPeer: 1, answer: 'busy, try later\n' })
 *   const server = yield* startServer(
 *     function* (reader) {
 *       yield* reader.readLine()
 *     },
 *     { host: '127.0.0.1', port: 0, policies: [limit] },
 *   )
 *   const first = yield* openConnection({ host: '127.0.0.1', port: server.port })
 *   const second = yield* openConnection({ host: '127.0.0.1', port: server.port })
 *   console.log(yield* second.reader.readTextLine(), limit.open, limit.refused)
 *   first.writer.close()
 *   second.writer.close()
 *   yield* server.shutdown()
 * })
 */
export function limitConnections(options: LimitConnectionsOptions): ConnectionLimit {
  return new ConnectionLimit(options)
}

/** Made by `limitConnections`. */
export class ConnectionLimit implements Policy {
  readonly name = 'limitConnections'
  /** How many connections it has refused. */
  refused = 0
  readonly #total: number
  readonly #perPeer: number
  readonly #answer: Uint8Array | undefined
  readonly #openOfPeer = new Map<string, number>()
  #open = 0

  /** @internal */
  constructor(options: LimitConnectionsOptions) {
    const { total, perPeer, answer } = checkedOptions(options)
    this.#total = total ?? Infinity
    this.#perPeer = perPeer ?? Infinity
    this.#answer = typeof answer === 'string' ? Buffer.from(answer) : answer
  }

  /** How many connections are open that it has admitted. */
  get open(): number {
    return this.#open
  }

  /** How many of them are from that peer. */
  openOf(remoteAddress: SocketAddress): number {
    return this.#openOfPeer.get(peerOf(remoteAddress)) ?? 0
  }

  admit(remoteAddress: SocketAddress): Refusal | null {
    const peer = peerOf(remoteAddress)
    const openOfPeer = this.#openOfPeer.get(peer) ?? 0
    if (this.#open >= this.#total) return this.#refusal(`${countOf(this.#open)} open`)
    if (openOfPeer >= this.#perPeer) return this.#refusal(`${countOf(openOfPeer)} open from ${peer}`)
    this.#open++
    this.#openOfPeer.set(peer, openOfPeer + 1)
    return null
  }

  #refusal(reason: string): Refusal {
    this.refused++
    return { reason, answer: this.#answer }
  }

  release(remoteAddress: SocketAddress): void {
    const peer = peerOf(remoteAddress)
    this.#open--
    const left = (this.#openOfPeer.get(peer) ?? 0) - 1
    if (left > 0) this.#openOfPeer.set(peer, left)
    else this.#openOfPeer.delete(peer)
  }
}

function countOf(connections: number): string {
  return connections === 1 ? '1 connection is' : `${String(connections)} connections are`
}

/** What is counted as one peer: `10.0.0.7`, `2001:db8:0:1::/64`, `fe80:0:0:0::/64%eth0`, `local`. */
export function peerOf({ host }: SocketAddress): string {
  if (host === '') return 'local'
  if (!isIPv6(host)) return host
  const [address = '', zone] = host.split('%')
  const network = `${firstGroups(address).join(':')}::/64`
  return zone === undefined ? network : `${network}%${zone}`
}

/** The first four groups of an IPv6 address, without leading zeros. */
function firstGroups(address: string): string[] {
  const [head = '', tail] = address.split('::')
  const groups = groupsOf(head)
  if (tail !== undefined) {
    const after = groupsOf(tail)
    while (groups.length + after.length < 8) groups.push('0')
    groups.push(...after)
  }
  return groups.slice(0, 4).map((group) => parseInt(group, 16).toString(16))
}

/** An IPv4 address at the end stands for two groups, which are never among the first four. */
function groupsOf(part: string): string[] {
  return part === '' ? [] : part.split(':').flatMap((group) => (group.includes('.') ? ['0', '0'] : group))
}

function checkedOptions(options: LimitConnectionsOptions): LimitConnectionsOptions {
  if (typeof options !== 'object' || (options as unknown) === null) {
    throw wrongArgument(ACT, 'options', options, 'write `limitConnections({ total: 1_000, perPeer: 20 })`')
  }
  const { total, perPeer, answer } = options
  checkSize(ACT, 'total', total)
  checkSize(ACT, 'perPeer', perPeer)
  if (total === undefined && perPeer === undefined) {
    throw wrongArgument(ACT, 'total or perPeer', options, 'say what is limited')
  }
  if (answer !== undefined && typeof answer !== 'string' && !(answer instanceof Uint8Array)) {
    throw wrongArgument(ACT, 'a string or bytes as answer', answer, 'leave it out to send none')
  }
  return options
}
