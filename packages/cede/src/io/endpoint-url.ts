/**
 * Endpoints as text, for configuration: `tcp://127.0.0.1:8080`, `tcp://[::1]:0`, `tcp://*:80` (every address),
 * `unix:///run/x.sock?mode=660`, `memory://name`.
 */
import { wrongArgument } from '../core/misuse.ts'
import type { ConnectOptions, Endpoint, ListenOptions } from './endpoint.ts'
import { EVERY_ADDRESS } from './transport.ts'
import { MemoryEndpoint, TcpEndpoint, UnixEndpoint } from './endpoints.ts'

const EXAMPLES = "`'tcp://127.0.0.1:8080'`, `'unix:///run/x.sock'` or `'memory://name'`"

type Options = ConnectOptions & ListenOptions

/** @throws {MisuseError} if it is no URL of an endpoint */
export function endpointOfUrl(act: string, given: string | URL, options: Options): Endpoint {
  const url = parsed(act, given)
  if (url.username !== '' || url.password !== '' || url.hash !== '') {
    throw wrong(act, 'a URL without a user and a fragment', given)
  }
  switch (url.protocol) {
    case 'tcp:':
      return tcp(act, url, options)
    case 'unix:':
      return unix(act, url, options)
    case 'memory:':
      return memory(act, url, options)
    default:
      throw wrong(act, 'a URL that begins with tcp:, unix: or memory:', given, meant(String(given)))
  }
}

function parsed(act: string, given: string | URL): URL {
  try {
    return new URL(given)
  } catch {
    throw wrong(act, 'a URL', given, meant(String(given)))
  }
}

function tcp(act: string, url: URL, options: Options): Endpoint {
  const { hostname, port, pathname } = url
  refuseParameters(act, url, [])
  if (hostname === '' || port === '' || (pathname !== '' && pathname !== '/')) {
    throw wrong(act, 'tcp://host:port', url)
  }
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : decoded(act, hostname, url)
  return new TcpEndpoint([host === '*' ? EVERY_ADDRESS : host], Number(port), options)
}

function unix(act: string, url: URL, options: Options): Endpoint {
  refuseParameters(act, url, ['mode'])
  if (url.hostname !== '' || url.pathname === '' || url.pathname === '/') {
    throw wrong(act, 'unix:///path', url)
  }
  const mode = url.searchParams.get('mode')
  if (mode !== null && !/^[0-7]{3,4}$/.test(mode)) throw wrong(act, 'a mode in octal, as ?mode=660', url)
  return new UnixEndpoint(
    decoded(act, url.pathname, url),
    mode === null ? options : { ...options, mode: Number.parseInt(mode, 8) },
  )
}

function memory(act: string, url: URL, options: Options): Endpoint {
  refuseParameters(act, url, [])
  if (url.hostname === '' || (url.pathname !== '' && url.pathname !== '/') || url.port !== '') {
    throw wrong(act, 'memory://name', url)
  }
  return new MemoryEndpoint(decoded(act, url.hostname, url), options)
}

function refuseParameters(act: string, url: URL, known: readonly string[]): void {
  const unknown = [...url.searchParams.keys()].find((name) => !known.includes(name))
  if (unknown === undefined) return
  throw wrong(
    act,
    known.length === 0 ? 'a URL without parameters' : `no parameter but ${known.join(', ')}`,
    url,
  )
}

function decoded(act: string, text: string, url: URL): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong(act, 'two hexadecimal digits behind each %', url)
  }
}

/** What people type: `localhost:80`, `127.0.0.1:80`, `/run/x.sock`. */
function meant(given: string): string | undefined {
  if (/^(\[[\da-f:]+\]|[\w.-]+):\d+$/i.test(given)) return `write \`'tcp://${given}'\``
  if (/^\/\S+$/.test(given)) return `write \`'unix://${given}'\``
  return undefined
}

function wrong(act: string, expected: string, found: string | URL, instead?: string): Error {
  // Messages are logged, and passwords should not be.
  const shown = String(found).replace(/\/\/[^/]*@/, '//...@')
  return wrongArgument(act, expected, shown, instead ?? `write \`{ host, port }\`, ${EXAMPLES}`)
}
