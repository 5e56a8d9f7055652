/** From the options of a program to what a network is told. */
import type { ConnectOptions, ListenOptions } from './endpoint.ts'
import type { ConnectSettings, ListenSettings } from './transport.ts'

const DEFAULT_BACKLOG = 511
/** What systems take; they would cut off the rest of the number. */
const LARGEST_BACKLOG = 65_535
const DEFAULT_KEEP_ALIVE_MS = 60_000
/** The most that Linux takes. What it does not take would leave its own time in force, two hours. */
const LONGEST_KEEP_ALIVE_MS = 32_767_000

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
    backlog: Math.min(LARGEST_BACKLOG, options.backlog ?? DEFAULT_BACKLOG),
    reusePort: options.reusePort ?? false,
    ipv6Only: options.ipv6Only ?? false,
    mode: options.mode,
    removeFile: options.removeFile ?? true,
  }
}

function keepAliveMs(keepAlive: boolean | number | undefined): number | null {
  if (keepAlive === undefined || keepAlive === false) return null
  if (keepAlive === true) return DEFAULT_KEEP_ALIVE_MS
  return Math.min(LONGEST_KEEP_ALIVE_MS, Math.ceil(keepAlive / 1_000) * 1_000)
}
