/** From the options of a program to what a network is told. */
import type { ConnectOptions, ListenOptions } from './endpoint.ts'
import type { ConnectSettings, ListenSettings } from './transport.ts'

const DEFAULT_BACKLOG = 511
const DEFAULT_KEEP_ALIVE_MS = 60_000

export function connectSettings(options: ConnectOptions): ConnectSettings {
  return {
    noDelay: options.noDelay ?? true,
    keepAliveMs: keepAliveMs(options.keepAlive),
    localHost: options.localHost,
    localPort: options.localPort,
  }
}

export function listenSettings(options: ListenOptions): ListenSettings {
  return {
    noDelay: options.noDelay ?? true,
    keepAliveMs: keepAliveMs(options.keepAlive),
    backlog: options.backlog ?? DEFAULT_BACKLOG,
    reusePort: options.reusePort ?? false,
    ipv6Only: options.ipv6Only ?? false,
    mode: options.mode,
    removeFile: options.removeFile ?? true,
  }
}

function keepAliveMs(keepAlive: boolean | number | undefined): number | null {
  if (keepAlive === undefined || keepAlive === false) return null
  return keepAlive === true ? DEFAULT_KEEP_ALIVE_MS : keepAlive
}
