/** A semaphore that refuses to be given more permits than it had at first. */
import { InvalidStateError } from '../core/errors.ts'
import type { Task } from '../core/task.ts'
import { reportNotHeld } from './holding.ts'
import { called } from './in-line.ts'
import type { NameOptions } from './options.ts'
import { requirePermits, Semaphore } from './semaphore.ts'

/**
 * A `Semaphore` for which a release too many is an error, at the release.
 *
 * @example
 * import { BoundedSemaphore, run } from 'cede'
 *
 * await run(function* () {
 *   const semaphore = new BoundedSemaphore(1)
 *   yield* semaphore.acquire()
 *   semaphore.release()
 *   try {
 *     semaphore.release()
 *   } catch (error) {
 *     console.log((error as Error).message)
 *   }
 * })
 */
export class BoundedSemaphore extends Semaphore {
  /** How many permits there are in all. */
  readonly bound: number

  /**
   * @param value how many permits there are; default: 1
   * @throws {RangeError} if `value` is no whole number above 0; {MisuseError} if it is no number
   */
  constructor(value = 1, options?: NameOptions) {
    requirePermits('new BoundedSemaphore()', 1, value)
    super(value, options)
    this.bound = value
  }

  /** @throws {InvalidStateError} if all permits are there already */
  override release(): void {
    if (this.value >= this.bound) {
      throw new InvalidStateError(
        `release() of ${called('semaphore', this.name)}: a permit that was acquired was expected, found all ` +
          `${String(this.bound)} of them given back already`,
      )
    }
    super.release()
  }

  /** @internal */
  override giveBack(task: Task): void {
    if (this.value < this.bound) super.release()
    else reportNotHeld(task, 'with()', `a permit of ${called('semaphore', this.name)}`)
  }
}
