/** What every transport promises its protocol: S122 to S128, for one kind. */
import { callOrderContract } from './call-order-contract.ts'
import { endsContract } from './ends-contract.ts'
import { errorsContract } from './errors-contract.ts'
import type { Kind } from './kinds.ts'
import { writingContract } from './writing-contract.ts'

export function transportContract(kind: Kind): void {
  callOrderContract(kind)
  writingContract(kind)
  endsContract(kind)
  errorsContract(kind)
}
