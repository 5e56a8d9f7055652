/** S133 to S136 and the ends of servers, for every kind. */
import { KINDS } from './kinds.ts'
import { serverContract } from './server-contract.ts'

for (const kind of KINDS) serverContract(kind)
