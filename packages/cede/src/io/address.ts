/** Addresses of sockets, and how they are written in names and messages. */
import { nameOf, wrongArgument } from '../core/misuse.ts'

export interface SocketAddress {
  readonly host: string
  readonly port: number
}

/** `127.0.0.1:80`, `[::1]:80`. */
export function formatAddress({ host, port }: SocketAddress): string {
  return host.includes(':') ? `[${host}]:${String(port)}` : `${host}:${String(port)}`
}

/** @throws {MisuseError} if `options` is no object, or the host in it no string */
export function checkPlace(act: string, options: unknown, instead: string): void {
  if (typeof options !== 'object' || options === null) {
    throw wrongArgument(act, 'options with a port', options, instead)
  }
  const { host } = options as { host?: unknown }
  if (host !== undefined && typeof host !== 'string') {
    throw wrongArgument(act, 'a host that is a name or an address', host, instead)
  }
}

/** @throws {RangeError} if `port` is none */
export function checkPort(act: string, port: unknown): void {
  if (Number.isInteger(port) && (port as number) >= 0 && (port as number) <= 65_535) return
  throw new RangeError(
    `${act}: a port was expected to be a whole number from 0 to 65535, found ${typeof port === 'number' ? String(port) : nameOf(port)}`,
  )
}

/** @throws {RangeError} if a size is given and is no whole number above 0 */
export function checkSize(act: string, option: string, value: number | undefined): void {
  if (value === undefined || value === Infinity || (Number.isInteger(value) && value >= 1)) return
  throw new RangeError(`${act}: ${option} was expected to be a whole number above 0, found ${String(value)}`)
}
