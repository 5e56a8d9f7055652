/**
 * The system-call shim (`native/shim.c`), and how it is found. What each call does, which errors it gives and whose the
 * memory is stands there, at the call; here are the types. All return a negative errno if they fail.
 */
import { createRequire } from 'node:module'

export interface Shim {
  readonly openPoller: (events: Int32Array, callback: (count: number) => boolean) => number
  readonly closePoller: (poller: number) => number
  readonly referPoller: (poller: number, needed: boolean) => number
  readonly watch: (poller: number, descriptor: number, bits: number, token: number) => number
  readonly rewatch: (poller: number, descriptor: number, bits: number, token: number) => number
  readonly unwatch: (poller: number, descriptor: number) => number

  readonly read: (socket: number, memory: Uint8Array, start: number, length: number) => number
  readonly write: (socket: number, memory: Uint8Array, start: number, length: number) => number
  readonly writeMany: (socket: number, list: readonly Uint8Array[], first: number, start: number) => number
  readonly endWriting: (socket: number) => number
  readonly close: (descriptor: number) => number
  readonly reset: (socket: number) => number

  readonly listenTcp: (
    host: string,
    port: number,
    backlog: number,
    noDelay: boolean,
    keepAliveSeconds: number,
    bits: number,
  ) => number
  readonly listenUnix: (path: string, backlog: number) => number
  readonly accept: (socket: number, address: Uint8Array) => number
  readonly connectTcp: (
    host: string,
    port: number,
    localHost: string,
    localPort: number,
    noDelay: boolean,
    keepAliveSeconds: number,
  ) => number
  readonly connectUnix: (path: string) => number
  readonly socketError: (socket: number) => number
  readonly setNoDelay: (socket: number, on: boolean) => number
  readonly setKeepAlive: (socket: number, on: boolean, seconds: number) => number
  readonly localAddress: (socket: number, address: Uint8Array) => number
  readonly remoteAddress: (socket: number, address: Uint8Array) => number

  readonly openDescriptors: () => number
}

/** Bits of epoll. */
export const READABLE = 0x001
/** Urgent data has come. */
export const URGENT = 0x002
export const WRITABLE = 0x004
export const BROKEN = 0x008
/** Both directions have ended. */
export const HUNG_UP = 0x010
/** The peer has ended its direction. */
export const PEER_ENDED = 0x2000
/** Tells changes only: what was told once is not told again before there is more of it. */
export const EDGES: number = 0x8000_0000 | 0

/** Bits of `listenTcp`. */
export const REUSE_PORT = 1
export const IPV6_ONLY = 2

/** What `accept` and the like write an address into. */
export const ADDRESS_BYTES = 128

export const ENOENT = 2
export const EAGAIN = 11
export const EINVAL = 22

const require = createRequire(import.meta.url)

/**
 * Loads the shim for this machine; again and again the same.
 *
 * @throws why there is none: another system, another runtime, nothing built, or the system refuses to load it
 */
export function loadShim(): Shim {
  const { platform, arch, versions } = process
  // There the functions of libuv are missing or abort the process.
  if (versions['bun'] !== undefined || versions['deno'] !== undefined)
    throw new Error('expected Node itself, found another runtime')
  if (platform !== 'linux') throw new Error(`expected Linux, found ${platform}`)
  return require(`../../prebuilds/linux-${arch}/cede.node`) as Shim
}
