/** The check of the times that policies are given. */
import { nameOf } from '../../core/misuse.ts'

/** @throws {RangeError} unless `ms` is a number above 0 */
export function checkTime(act: string, ms: unknown): void {
  if (typeof ms === 'number' && ms > 0) return
  throw new RangeError(`${act}: a number of milliseconds above 0 was expected, found ${nameOf(ms)}`)
}
