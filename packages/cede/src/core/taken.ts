/**
 * A plain generator that is driven by two tasks.
 *
 * Nothing tells when a second task begins to step a generator that is suspended in another one: `yield*` calls its
 * `next()` natively. The first of us to notice is the wait at the end of the chain. If it threw, the error would end the
 * generator, and its owner would find it gone. So it yields a `Taken`, which travels outwards through the generator and
 * leaves it as it is; whoever drives the second task refuses it like any other value that was not announced, and throws
 * into its own generators only (`throw-into.ts`).
 */
import { MisuseError } from './errors.ts'
import type { Frame } from './frame.ts'
import { suspendedGenerators } from './generator-chain.ts'
import { steppedByHand } from './misuse.ts'
import { NOTHING, running } from './running.ts'
import type { Suspension } from './suspension.ts'
import type { Task } from './task.ts'

export class Taken {
  readonly #owner: Task
  readonly #what: string

  constructor(owner: Task, what: string) {
    this.#owner = owner
    this.#what = what
  }

  /** For the second user. */
  error(): MisuseError {
    return new MisuseError(
      `a generator that waits (${this.#what}) in ${this.#owner.describeSelf()} was stepped by somebody else: it was ` +
        'expected to run in one task; call the function again for another run, or make a task with `createTask` if ' +
        'several places wait for one result',
    )
  }

  /** The generators of the owner. */
  generators(): ReadonlySet<object> {
    const found = new Set<object>()
    for (let frame: Frame | null = this.#owner.top; frame !== null; frame = frame.parent) {
      if (frame.body !== null) for (const generator of suspendedGenerators(frame.body)) found.add(generator)
    }
    return found
  }
}

/**
 * For `next()` of a wait that belongs to `owner`, called by somebody else. Announced like a wait, under another value:
 * whoever takes it by hand, without a `yield*`, is told at the next wait, or at the next `next()`.
 */
export function takenBy(owner: Task, what: string): IteratorYieldResult<Suspension> {
  if (running.announced !== NOTHING) throw steppedByHand(what)
  running.announced = { park() {}, unpark() {}, describe: () => ({ what }) }
  return { done: false, value: new Taken(owner, what) as unknown as Suspension }
}
