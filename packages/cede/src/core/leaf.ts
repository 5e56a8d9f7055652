/**
 * An operation that suspends at most once: its iterator, its suspension and itself are one object of two states.
 *
 * Most waits are leaves: a future, a turn in a queue, more bytes. A generator for each would cost three objects and a
 * native frame. A subclass answers `next()` twice: first it either returns the value or announces itself; resumed, it
 * returns what it waited for.
 */
import { awaited, usedTwice } from './misuse.ts'
import { answerReturn } from './probe.ts'
import { noteMade } from './running.ts'
import type { Suspension, Wait, WaitDescription } from './suspension.ts'
import type { Task } from './task.ts'

export abstract class Leaf<T> implements Wait, Iterator<Suspension, T, unknown> {
  /** @internal Not `#claimed`: private names are slow in V8 where a base class has many subclasses. */
  claimed = false

  constructor() {
    noteMade(this)
  }

  /** @internal */
  get begun(): boolean {
    return this.claimed
  }

  /** @internal */
  nameForMessages(): string {
    return `an operation (${this.describe().what})`
  }

  [Symbol.iterator](): this {
    if (this.claimed) throw usedTwice(this.nameForMessages())
    this.claimed = true
    return this
  }

  abstract next(value?: unknown): IteratorResult<Suspension, T>

  throw(error: unknown): IteratorResult<Suspension, T> {
    throw error
  }

  return(value?: unknown): IteratorResult<Suspension, T> {
    return answerReturn(value as T)
  }

  /** Real, so that `await operation` fails loudly where types were not checked. */
  then(_resolve: unknown, reject?: (reason: unknown) => unknown): never {
    reject?.(awaited(this.nameForMessages()))
    return undefined as never
  }

  abstract park(task: Task): void
  abstract unpark(task: Task): void
  abstract describe(): WaitDescription
}

/**
 * What an operation announces that could end at once but may not (`mayFinishNow`): the task has to let others run first,
 * or belongs to a cancelled scope and is unwound there. A pass later the operation is stepped again, and asks again. One
 * object for all: it keeps nothing.
 *
 * @example
 * import { run } from 'cede'
 * import { announce, GIVE_WAY, mayFinishNow, Waiting, WaitQueue } from 'cede/lowlevel'
 *
 * const tickets = [3, 2, 1]
 * const line = new WaitQueue<number>()
 *
 * class TakeTicket extends Waiting<number> {
 *   override begin() {
 *     if (tickets.length === 0) return announce(this)
 *     if (!mayFinishNow()) return announce(GIVE_WAY)
 *     return this.end(tickets.pop()!)
 *   }
 * }
 *
 * await run(function* () {
 *   console.log(yield* new TakeTicket(line))
 * })
 */
export const GIVE_WAY: Wait = {
  park(task) {
    task.runner.loop.noteUsedUp()
    task.wake()
  },
  unpark() {},
  describe: () => ({ what: 'its turn' }),
}
