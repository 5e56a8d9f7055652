/**
 * From names to addresses. Which resolver is used may be said for one connection (`resolver`), or for everything that a
 * coroutine starts from here on: `resolverVar.set(resolver)`.
 */
import { lookup, Resolver as DnsServers } from 'node:dns/promises'
import { isIP } from 'node:net'
import { ContextVar } from '../core/context.ts'
import { coroutine, operationFrom } from '../core/coroutine.ts'
import { MisuseError } from '../core/errors.ts'
import { nameOf, wrongArgument } from '../core/misuse.ts'
import type { Coroutine, Operation, Suspension } from '../core/suspension.ts'
import { gatherSettled } from '../flow/gather.ts'
import { until } from '../interop/until.ts'

export interface ResolvedAddress {
  readonly address: string
  readonly family: 4 | 6
}

export interface ResolveOptions {
  /** 4 or 6: only addresses of that kind; 0: both. */
  readonly family: 0 | 4 | 6
}

/**
 * Finds the addresses of a host, best first. It throws if it finds none; the error's `code`, as `ENOTFOUND`, is kept.
 * It is not asked about what is an address already.
 */
export type Resolver = (host: string, options: ResolveOptions) => Operation<readonly ResolvedAddress[]>

/** The resolver for what is started in this context. Unset: the system's. */
export const resolverVar: ContextVar<Resolver> = new ContextVar<Resolver>('resolver')

/**
 * As every program of this machine does it: `getaddrinfo`, which knows /etc/hosts. It runs in a thread of Node's pool
 * and cannot be stopped there; when it is cancelled its answer is dropped.
 */
export const systemResolver: Resolver = coroutine(
  'systemResolver',
  function* (host: string, { family }: ResolveOptions): Generator<Suspension, readonly ResolvedAddress[]> {
    const found = yield* until(lookup(host, { all: true, family, verbatim: true }))
    return found.map(({ address, family: kind }) => ({ address, family: kind === 6 ? 6 : 4 }))
  },
)

export interface DnsResolverOptions {
  /** Addresses of DNS servers, with a port if it is not 53. Default: those of the system. */
  readonly servers?: readonly string[] | undefined
  /** How long to wait for a server, in milliseconds. Default: 5,000. */
  readonly timeoutMs?: number | undefined
  /** How often to ask each server. Default: 4. */
  readonly tries?: number | undefined
}

/**
 * A resolver that asks DNS servers itself: no thread is taken, and a cancel stops it. It does not know /etc/hosts.
 *
 * @throws {TypeError} if a server is no address
 */
export function dnsResolver(options: DnsResolverOptions = {}): Resolver {
  const { servers, timeoutMs = 5_000, tries = 4 } = options
  const start = (): DnsServers => {
    const dns = new DnsServers({ timeout: timeoutMs, tries })
    if (servers !== undefined) dns.setServers(servers)
    return dns
  }
  start() // says at once if a server is no address
  return (host, { family }) => askDns(start(), host, family)
}

const askDns = coroutine(
  'dnsResolver',
  function* (
    dns: DnsServers,
    host: string,
    family: 0 | 4 | 6,
  ): Generator<Suspension, readonly ResolvedAddress[]> {
    const cancelled = (signal: AbortSignal): void => {
      signal.addEventListener('abort', () => dns.cancel(), { once: true })
    }
    const ask = (kind: 4 | 6): Coroutine<string[]> =>
      until((signal) => {
        cancelled(signal)
        return kind === 6 ? dns.resolve6(host) : dns.resolve4(host)
      })
    const kinds = family === 0 ? ([6, 4] as const) : [family]
    const answers = yield* gatherSettled(kinds.map(ask))
    const found: ResolvedAddress[] = []
    let failure: unknown = null
    answers.forEach((answer, index) => {
      if (answer.status !== 'done') failure ??= answer.status === 'failed' ? answer.error : null
      else for (const address of answer.value) found.push({ address, family: kinds[index]! })
    })
    if (found.length === 0) throw failure
    return found
  },
)

/** The addresses of `host`, which may be one itself. */
export function* resolve(
  host: string,
  family: 0 | 4 | 6,
  resolver: Resolver,
): Generator<Suspension, readonly ResolvedAddress[]> {
  const kind = isIP(host)
  if (kind !== 0) return [{ address: host, family: kind === 6 ? 6 : 4 }]
  let found: unknown
  try {
    found = yield* operationFrom('the resolver', resolver(host, { family }))
  } catch (error) {
    throw error instanceof MisuseError ? error : resolverFailed(host, error)
  }
  if (!Array.isArray(found)) throw notResolved(nameOf(found))
  for (const one of found as unknown[]) {
    const wrong = wrongIn(one)
    if (wrong !== null) throw notResolved(wrong)
  }
  if (found.length > 0) return found as ResolvedAddress[]
  throw Object.assign(new Error(`expected an address of ${host}, found none`), { code: 'ENOTFOUND' })
}

/** What is wrong with an entry of a resolver's answer; null: nothing. */
function wrongIn(one: unknown): string | null {
  const { address, family } = Object(one) as { readonly address?: unknown; readonly family?: unknown }
  if (typeof address !== 'string') {
    return `an entry without an address${typeof one === 'object' && one !== null ? '' : `: ${nameOf(one)}`}`
  }
  const kind = isIP(address)
  if (kind === 0) return `'${address}', which is no address`
  if (kind === family) return null
  return `'${address}' with family ${String(family)}, which is an address of family ${String(kind)}`
}

function notResolved(found: string): Error {
  return new Error(
    `expected the resolver to return addresses as \`[{ address: '127.0.0.1', family: 4 }]\`, found ${found}`,
  )
}

/** With the code it has: for those that are known there are better words. */
function resolverFailed(host: string, error: unknown): unknown {
  const { code } = Object(error) as { code?: unknown }
  if (typeof code === 'string' && KNOWN_CODES.has(code)) return error
  const message = error instanceof Error ? error.message : String(error)
  return Object.assign(
    new Error(`expected the resolver to find ${host}, found ${message}`, { cause: error }),
    {
      code: typeof code === 'string' ? code : undefined,
    },
  )
}

const KNOWN_CODES: ReadonlySet<string> = new Set(['ENOTFOUND', 'EAI_AGAIN'])

/** @throws {MisuseError} if a resolver is given and is none */
export function checkResolver(act: string, resolver: unknown): void {
  if (resolver === undefined || typeof resolver === 'function') return
  throw wrongArgument(
    act,
    'a resolver, as a coroutine function',
    resolver,
    'write `resolver: function* (host) { return [{ address, family: 4 }] }`',
  )
}
