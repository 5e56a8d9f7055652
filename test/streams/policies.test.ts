/** A connection behind policies that let everything through keeps the same contract as one without. */
import { idleTimeout, lifetime, limitConnections, rateLimit, TokenBucket } from 'cede'
import { KINDS } from './kinds.ts'
import { streamContract } from './stream-contract.ts'
import { transportContract } from './transport-contract.ts'

const HOUR_MS = 3_600_000
const MANY = 1e12

const policies = [
  rateLimit({ readBytesPerSecond: MANY, writeBytesPerSecond: MANY }),
  limitConnections({ total: 1_000 }),
  idleTimeout(HOUR_MS),
  rateLimit({ bucket: new TokenBucket({ perSecond: MANY, burst: MANY }) }),
  lifetime(HOUR_MS),
]

for (const kind of KINDS.filter(({ name }) => name === 'tcp' || name === 'unix')) {
  const behindPolicies = { ...kind, name: `${kind.name} behind policies`, policies }
  transportContract(behindPolicies)
  streamContract(behindPolicies)
}
