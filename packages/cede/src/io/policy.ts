/**
 * Policies: what is allowed on a connection, apart from what its handler does. Each is one object, given to `startServer`,
 * `openConnection` and their callback counterparts as `policies: [...]`; the first is the outermost, next to the socket.
 *
 * A policy can refuse connections (`admit`), and can stand between transport and protocol (`wrap`), where it sees all that
 * goes either way.
 */
import { ANSWER_EXPECTED, refuseReturned } from '../core/checked-callback.ts'
import { wrongArgument } from '../core/misuse.ts'
import type { Runner } from '../core/runner.ts'
import type { SocketAddress } from './address.ts'
import type { TransportEvents } from './transport.ts'

/** Why a connection is refused. */
export interface Refusal {
  /** For reports: `10 connections from 10.0.0.7 are open already`. */
  readonly reason: string
  /** Sent before the connection is closed; without it the connection is reset. */
  readonly answer?: Uint8Array | undefined
}

export interface Policy {
  /** For messages. */
  readonly name: string
  /** Asked for each connection to a server. @returns null to admit it; then `release` follows when it is gone */
  admit?(remoteAddress: SocketAddress): Refusal | null
  release?(remoteAddress: SocketAddress): void
  /** Puts a layer between the transport and `events`. */
  wrap?(events: TransportEvents, runner: Runner): TransportEvents
}

/**
 * Asks all policies. If one refuses, or throws, those before it that have admitted the connection are told that it is
 * gone.
 *
 * @param failed told what `release` throws
 */
export function admitted(
  policies: readonly Policy[],
  remoteAddress: SocketAddress,
  failed: (error: unknown) => void,
): Refusal | null {
  let admittedBy = 0
  try {
    for (const policy of policies) {
      const refusal = policy.admit?.(remoteAddress) ?? null
      if (refusal !== null) {
        refuseReturned(`admit() of policy ${policy.name}`, refusal, ANSWER_EXPECTED)
        return refusal
      }
      admittedBy++
    }
    return null
  } finally {
    if (admittedBy < policies.length) released(policies.slice(0, admittedBy), remoteAddress, failed)
  }
}

/** Tells all policies that a connection is gone; `failed` is told what they throw. */
export function released(
  policies: readonly Policy[],
  remoteAddress: SocketAddress,
  failed: (error: unknown) => void,
): void {
  for (const policy of policies) {
    try {
      const returned: unknown = policy.release?.(remoteAddress)
      if (returned !== undefined) refuseReturned(`release() of policy ${policy.name}`, returned)
    } catch (error) {
      failed(error)
    }
  }
}

/** `events` behind all policies. */
export function wrapped(
  policies: readonly Policy[],
  events: TransportEvents,
  runner: Runner,
): TransportEvents {
  return policies.reduceRight((inner, policy) => wrappedBy(policy, inner, runner), events)
}

function wrappedBy(policy: Policy, events: TransportEvents, runner: Runner): TransportEvents {
  const outer = policy.wrap?.(events, runner) ?? events
  if (outer !== events) refuseReturned(`wrap() of policy ${policy.name}`, outer, ANSWER_EXPECTED)
  return outer
}

/** @throws {MisuseError} if one is no policy */
export function checkPolicies(act: string, policies: unknown): void {
  if (policies === undefined) return
  const list: readonly unknown[] = Array.isArray(policies) ? policies : [policies]
  const bad = Array.isArray(policies) ? list.findIndex((one) => !isPolicy(one)) : 0
  if (bad === -1) return
  throw wrongArgument(act, 'a list of policies', list[bad], 'write `policies: [idleTimeout(60_000)]`')
}

function isPolicy(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as { name?: unknown }).name === 'string'
}
