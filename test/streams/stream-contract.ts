/** What readers and writers promise over every kind of transport: S111 to S120, S123, S126, S127, for one kind. */
import type { Kind } from './kinds.ts'
import { streamEndsContract } from './stream-ends-contract.ts'
import { streamHandlersContract } from './stream-handlers-contract.ts'
import { streamOpeningContract } from './stream-opening-contract.ts'
import { streamReadingContract } from './stream-reading-contract.ts'
import { streamWritingContract } from './stream-writing-contract.ts'

export function streamContract(kind: Kind): void {
  streamReadingContract(kind)
  streamWritingContract(kind)
  streamEndsContract(kind)
  streamOpeningContract(kind)
  streamHandlersContract(kind)
}
