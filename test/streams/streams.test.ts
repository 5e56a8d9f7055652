/** S111 to S120 and the ends of streams, for every kind. */
import { KINDS } from './kinds.ts'
import { streamContract } from './stream-contract.ts'

for (const kind of KINDS) streamContract(kind)
