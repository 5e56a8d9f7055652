/** S122 to S128 for every kind of transport. */
import { KINDS } from './kinds.ts'
import { transportContract } from './transport-contract.ts'

for (const kind of KINDS) transportContract(kind)
