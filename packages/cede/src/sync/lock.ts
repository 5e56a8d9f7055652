/** A lock: one task at a time. Whoever releases it hands it to the task that waits longest; nobody overtakes. */
import { InvalidStateError } from '../core/errors.ts'
import { printsAs } from '../core/inspect.ts'
import { running } from '../core/running.ts'
import type { Body, Coroutine, WaitDescription } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import { WaitQueue, type Waiting } from '../core/wait-queue.ts'
import { Acquire } from './acquire.ts'
import type { Holdable } from './holdable.ts'
import { holding, reportNotHeld } from './holding.ts'
import { called, inLine, printed } from './in-line.ts'
import { nameFrom, type NameOptions } from './options.ts'

export interface LockStatistics {
  readonly locked: boolean
  /** The task that took it; null if it is free, or was taken outside of tasks. */
  readonly holder: Task | null
  readonly tasksWaiting: number
}

/**
 * Lets one task at a time into a stretch of code that waits in the middle.
 *
 * First come, first served: a release hands the lock to the task that waits longest, and a newcomer queues behind it. A
 * task that is cancelled while it waits leaves the line; one that was handed the lock has it, and is cancelled at its
 * next wait. A lock is not re-entrant, and knows who holds it for dumps only: any task may release it. Tasks that wait
 * for each other's locks are reported, with their stacks, to the exception handler.
 *
 * @example
 * import { gather, Lock, run, sleep } from 'cede'
 *
 * let balance = 100
 * const lock = new Lock({ name: 'account' })
 * function* withdraw(amount: number) {
 *   return yield* lock.with(function* () {
 *     if (balance < amount) return false
 *     yield* sleep(10) // asks the bank
 *     balance -= amount
 *     return true
 *   })
 * }
 * await run(function* () {
 *   console.log(yield* gather([withdraw(80), withdraw(80)]), balance)
 * })
 */
export class Lock implements Holdable {
  static {
    printsAs(this.prototype, (lock) => printed('Lock', lock.name, lock.#state(), lock.line))
  }

  /** For dumps and messages; an empty string if it has none. */
  readonly name: string
  #locked = false
  #holder: Task | null = null
  /** @internal Those who wait for it. */
  readonly line: WaitQueue = new WaitQueue(
    () => this.#describe(),
    () => this.#holder,
  )

  /** @throws {MisuseError} if `options` are none: a string, or another lock */
  constructor(options?: NameOptions) {
    this.name = nameFrom('new Lock()', options)
  }

  /**
   * Runs `body` while the lock is held, and gives it back however the body ends. Waits for the lock first; suspends
   * only for that, and where the body does.
   *
   * If somebody else has released the lock meanwhile, that is reported to the exception handler.
   *
   * @param body an operation, or a function that returns one, called when the lock is held
   * @returns the value of the body
   * @throws {MisuseError} at the call, if `body` is neither an operation nor a function
   */
  with<T>(body: Body<T>): Coroutine<T> {
    return holding(this, 'with() of a lock', body)
  }

  /**
   * Waits until the lock is free and takes it. A checkpoint; suspends if it is not free. One that is cancelled has not
   * got it. Prefer `with`, or release it in a `finally`.
   */
  acquire(): Coroutine<void> {
    return new Acquire(this, this.line)
  }

  /** Takes the lock if it is free. Does not suspend. @returns false if it is not */
  tryAcquire(): boolean {
    if (this.#locked) return false
    this.#locked = true
    this.#holder = running.task
    return true
  }

  /**
   * Gives the lock back, or hands it to the task that waits longest. Any task may, and callbacks too. Does not suspend.
   *
   * @throws {InvalidStateError} if nobody holds it
   */
  release(): void {
    if (!this.#locked) {
      throw new InvalidStateError(
        `release() of ${called('lock', this.name)}: a lock that is held was expected, found that nobody holds it`,
      )
    }
    const next = this.line.first
    if (next === null) {
      this.#locked = false
      this.#holder = null
      return
    }
    this.#holder = next.task
    this.line.wakeOne()
  }

  /** True while somebody holds it. */
  locked(): boolean {
    return this.#locked
  }

  /** Who holds it and how many wait, at this moment. */
  statistics(): LockStatistics {
    return { locked: this.#locked, holder: this.#holder, tasksWaiting: this.line.length }
  }

  /** @internal */
  takeFor(task: Task): boolean {
    if (this.#locked) return false
    this.#locked = true
    this.#holder = task
    return true
  }

  /** @internal */
  place(): Waiting<void> {
    return new Acquire(this, this.line)
  }

  /** @internal */
  giveBack(task: Task): void {
    if (this.#holder === task) this.release()
    else reportNotHeld(task, 'with()', called('lock', this.name))
  }

  /**
   * @internal For what only the holder may do; `what` it is a lock of, for the message.
   *
   * @throws {InvalidStateError} unless the running task holds the lock
   */
  requireHeld(act: string, what: string): void {
    const { task } = running
    if (task !== null && this.#holder === task) return
    throw new InvalidStateError(
      task === null
        ? `${act}: a task that holds ${what} was expected to call it, found a call outside of tasks`
        : `${act}: ${what} was expected to be held by ${task.describeSelf()}, found it ${this.#state()}`,
    )
  }

  #state(): string {
    if (!this.#locked) return 'free'
    const holder = this.#holder
    if (holder === null) return 'taken outside of tasks'
    return `held by ${holder.name}${holder.done() ? ', which has ended' : ''}`
  }

  #describe(): WaitDescription {
    const holder = this.#holder
    // Of a holder that lives the dump says so itself.
    const lives = holder !== null && !holder.done()
    return {
      what: `${called('lock', this.name)} (${lives ? '' : `${this.#state()}; `}${inLine(this.line)})`,
      holders: lives ? [holder] : [],
    }
  }
}
