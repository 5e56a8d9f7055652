/** Addresses as the system-call shim writes them. */
import { ADDRESS_BYTES, type Shim } from '../drivers/shim.ts'
import type { SocketAddress } from './address.ts'

/** The end of a Unix connection that has no file. */
export const UNNAMED: SocketAddress = { host: '', port: 0, path: '' }
/** Of a peer that was gone before anybody asked. */
export const UNKNOWN: SocketAddress = { host: '', port: 0 }

/** What the shim writes an address into. */
export const addressMemory: Buffer = Buffer.alloc(ADDRESS_BYTES)
/** Family, port, and how long the text is. */
const numbers = new Int32Array(addressMemory.buffer, addressMemory.byteOffset, 3)
const TEXT_START = 12
const FAMILY_NONE = 0
const FAMILY_UNIX = 1
const MAPPED_IPV4 = '::ffff:'

/** The address that the shim wrote last. An IPv4 peer of a socket that takes both kinds is written as IPv4. */
export function writtenAddress(): SocketAddress {
  const family = numbers[0]!
  const end = TEXT_START + numbers[2]!
  if (family === FAMILY_NONE) return UNKNOWN
  if (family === FAMILY_UNIX)
    return { host: '', port: 0, path: addressMemory.toString('utf8', TEXT_START, end) }
  const text = addressMemory.toString('latin1', TEXT_START, end)
  const host = text.startsWith(MAPPED_IPV4) && text.includes('.') ? text.slice(MAPPED_IPV4.length) : text
  return { host, port: numbers[1]! }
}

export function localAddressOf(shim: Shim, socket: number): SocketAddress {
  return shim.localAddress(socket, addressMemory) < 0 ? UNKNOWN : writtenAddress()
}

export function remoteAddressOf(shim: Shim, socket: number): SocketAddress {
  return shim.remoteAddress(socket, addressMemory) < 0 ? UNKNOWN : writtenAddress()
}
