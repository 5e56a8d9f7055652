/** Addresses of sockets, how they are written in names and messages, and checks of what is given as one. */
import { nameOf, wrongArgument } from '../core/misuse.ts'

/** One end of a connection, or where a server listens. */
export interface SocketAddress {
  /** `127.0.0.1`, `::1`. Of a Unix or memory socket: empty. */
  readonly host: string
  /** Of a Unix or memory socket: 0. */
  readonly port: number
  /** Of a Unix socket: its file, or empty for an end that has none, as those of clients. */
  readonly path?: string | undefined
  /** Of a memory socket: its name, or empty for an end that has none. */
  readonly memory?: string | undefined
}

/**
 * An address as text, for logs: `127.0.0.1:80`, `[::1]:80`, `unix:/run/x.sock`, `memory:x`. Does not suspend.
 *
 * @example
 * import { formatAddress, run, startServer } from 'cede'
 *
 * await run(function* () {
 *   const server = yield* startServer(function* () {}, { host: '127.0.0.1', port: 0 })
 *   console.log(`listening on ${server.addresses.map(formatAddress).join(' and ')}`)
 * })
 */
export function formatAddress({ host, port, path, memory }: SocketAddress): string {
  if (path !== undefined) return formatPath(path)
  // A peer that was gone before anybody asked.
  if (host === '' && port === 0 && memory === undefined) return 'unknown'
  if (memory !== undefined) return `memory:${memory === '' ? 'unnamed' : memory}`
  return host.includes(':') ? `[${host}]:${String(port)}` : `${host}:${String(port)}`
}

/** `unix:/run/x.sock`; a name without a file begins with a zero byte, and is written with `@` as other tools do. */
function formatPath(path: string): string {
  if (path === '') return 'unix:unnamed'
  return `unix:${path.startsWith('\0') ? `@${path.slice(1)}` : path}`
}

/** @throws {RangeError} if `port` is none */
export function checkPort(act: string, port: unknown): void {
  if (Number.isInteger(port) && (port as number) >= 0 && (port as number) <= 65_535) return
  if (port === undefined) {
    throw new RangeError(
      `${act}: a port was expected, found none; write \`{ host: '127.0.0.1', port: 8080 }\``,
    )
  }
  const advice = typeof port === 'string' ? '; write `Number(...)`' : ''
  throw new RangeError(
    `${act}: a port was expected to be a whole number from 0 to 65535, found ${numberOrName(port)}${advice}`,
  )
}

/** @throws {RangeError} if a size is given and is no whole number above 0 */
export function checkSize(act: string, option: string, value: number | undefined): void {
  if (value === undefined || value === Infinity || (Number.isInteger(value) && value >= 1)) return
  throw new RangeError(
    `${act}: ${option} was expected to be a whole number above 0, found ${numberOrName(value)}`,
  )
}

/** @throws {RangeError} if a duration is given and is not above 0 */
export function checkDuration(act: string, option: string, valueMs: number | undefined): void {
  if (valueMs === undefined || (typeof valueMs === 'number' && valueMs > 0)) return
  throw new RangeError(
    `${act}: ${option} was expected to be a number of milliseconds above 0, found ${nameOf(valueMs)}`,
  )
}

/** A number as it is written; what is none, so that `'80'` is not taken for 80. */
export function numberOrName(value: unknown): string {
  return typeof value === 'number' ? String(value) : nameOf(value)
}

/** @throws {MisuseError} if `host` is given and is no name or address */
export function checkHost(act: string, host: unknown): void {
  if (host === undefined || (typeof host === 'string' && host !== '')) return
  throw wrongArgument(act, 'a host that is a name or an address', host, "write `{ host: '127.0.0.1', port }`")
}
