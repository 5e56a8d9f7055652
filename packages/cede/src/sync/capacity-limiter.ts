/** A capacity limiter: a number of tokens, and a record of who has borrowed one. */
import { InvalidStateError } from '../core/errors.ts'
import { printsAs } from '../core/inspect.ts'
import { GIVE_WAY } from '../core/leaf.ts'
import { nameOf, wrongNumber } from '../core/misuse.ts'
import { announce, mayFinishNow, running } from '../core/running.ts'
import type { Body, Coroutine, Suspension, WaitDescription } from '../core/suspension.ts'
import { isTask, requireTask, type Task } from '../core/task.ts'
import { Waiting, WaitQueue } from '../core/wait-queue.ts'
import { DONE } from './acquire.ts'
import type { Holdable } from './holdable.ts'
import { holding, reportNotHeld } from './holding.ts'
import { called, inLine, printed } from './in-line.ts'
import { reportLockCycle } from './lock-cycle.ts'
import { nameFrom, type NameOptions } from './options.ts'
import { standsAlone } from './stands-alone.ts'

/** Holders that a dump names; the rest is in `borrowed`. */
const HOLDERS_SHOWN = 10

export interface CapacityLimiterStatistics {
  readonly borrowed: number
  readonly total: number
  /** Who has borrowed a token, in the order in which they did: tasks, or what was given to `acquireOnBehalfOf`. */
  readonly borrowers: readonly unknown[]
  readonly tasksWaiting: number
}

/**
 * Limits how many do something at once, as a semaphore does, and knows who they are: each borrower has one token at
 * most, gives back its own and no other, and the total can be changed at any time. The borrower is the task, or whatever
 * is given to `acquireOnBehalfOf`: a connection, a thread, a string.
 *
 * First come, first served. The total may be lowered below what is borrowed: then nobody gets a token until enough are
 * back.
 *
 * @example
 * import { CapacityLimiter, mapLimit, run, sleep } from 'cede'
 *
 * const limiter = new CapacityLimiter(2, { name: 'disk' })
 * function* copy(file: string) {
 *   return yield* limiter.with(function* () {
 *     yield* sleep(10)
 *     return `${file}, one of ${limiter.borrowed}`
 *   })
 * }
 * await run(function* () {
 *   console.log(yield* mapLimit(['a', 'b', 'c'], 3, copy))
 * })
 */
export class CapacityLimiter implements Holdable {
  static {
    printsAs(this.prototype, (limiter) =>
      printed(
        'CapacityLimiter',
        limiter.name,
        `${String(limiter.borrowed)} of ${String(limiter.#total)} borrowed`,
        limiter.#line,
      ),
    )
  }

  /** For dumps and messages; an empty string if it has none. */
  readonly name: string
  #total: number
  /** With the task that borrowed, where one did. */
  readonly #borrowers = new Map<unknown, Task | null>()
  /** Borrowers that wait for a token. */
  readonly #asking = new Set<unknown>()
  readonly #line: WaitQueue = new WaitQueue(
    () => this.#describe(),
    () => this.#onlyHolder(),
  )

  /**
   * @param total how many tokens there are; `Infinity`: no limit
   * @throws {RangeError} if `total` is neither a whole number above 0 nor `Infinity`; {MisuseError} if it is no number
   */
  constructor(total: number, options?: NameOptions) {
    this.#total = checkedTotal('new CapacityLimiter()', total)
    this.name = nameFrom('new CapacityLimiter()', options)
  }

  /**
   * How many tokens there are. May be set at any time; raised, it lets in those that wait.
   *
   * @throws {RangeError} if it is set to something that is neither a whole number above 0 nor `Infinity`;
   *   {MisuseError} if that is no number
   */
  get total(): number {
    return this.#total
  }
  set total(total: number) {
    this.#total = checkedTotal('total', total)
    this.#grant()
  }

  /** How many tokens are borrowed. More than `total` after that was lowered. */
  get borrowed(): number {
    return this.#borrowers.size
  }

  /** How many tokens can be borrowed at once. */
  get available(): number {
    return Math.max(0, this.#total - this.#borrowers.size)
  }

  /**
   * Runs `body` while this task has a token, and gives it back however the body ends. Waits for a token first; suspends
   * only for that, and where the body does.
   *
   * @param body an operation, or a function that returns one, called when the token is there
   * @returns the value of the body
   * @throws {MisuseError} at the call, if `body` is neither an operation nor a function
   * @throws {InvalidStateError} if the task has one already
   */
  with<T>(body: Body<T>): Coroutine<T> {
    return holding(this, 'with() of a limiter', body)
  }

  /**
   * Borrows a token for this task, and waits until there is one. A checkpoint; suspends if there is none. One that is
   * cancelled has borrowed none. Prefer `with`, or release it in a `finally`.
   *
   * @throws {InvalidStateError} if the task has one already
   */
  acquire(): Coroutine<void> {
    return this.place()
  }

  /**
   * Borrows a token for `borrower`, as `acquire` does for the task.
   *
   * @param borrower anything; tokens are counted by identity
   * @throws {InvalidStateError} if the borrower has one already, or waits for one
   */
  acquireOnBehalfOf(borrower: unknown): Coroutine<void> {
    return new Borrow(this, this.#line, borrower, true)
  }

  /**
   * Borrows a token for this task if there is one. Does not suspend.
   *
   * @returns false if there is none
   * @throws {InvalidStateError} if the task has one already; {MisuseError} outside of tasks
   */
  tryAcquire(): boolean {
    return this.borrow(requireTask('tryAcquire() of a limiter'), 'tryAcquire()')
  }

  /**
   * Borrows a token for `borrower` if there is one. Does not suspend.
   *
   * @returns false if there is none
   * @throws {InvalidStateError} if the borrower has one already, or waits for one
   */
  tryAcquireOnBehalfOf(borrower: unknown): boolean {
    return this.borrow(borrower, 'tryAcquireOnBehalfOf()')
  }

  /**
   * Gives back the token of this task. Does not suspend.
   *
   * @throws {InvalidStateError} if the task has none; {MisuseError} outside of tasks
   */
  release(): void {
    this.#giveBack('release()', requireTask('release() of a limiter'))
  }

  /**
   * Gives back the token of `borrower`. Any task may, and callbacks too. Does not suspend.
   *
   * @throws {InvalidStateError} if the borrower has none
   */
  releaseOnBehalfOf(borrower: unknown): void {
    this.#giveBack('releaseOnBehalfOf()', borrower)
  }

  /** True if no token can be borrowed at once. */
  locked(): boolean {
    return this.#borrowers.size >= this.#total
  }

  /** Who has borrowed and how many wait, at this moment. */
  statistics(): CapacityLimiterStatistics {
    return {
      borrowed: this.borrowed,
      total: this.#total,
      borrowers: [...this.#borrowers.keys()],
      tasksWaiting: this.#line.length,
    }
  }

  // ------------------------------------------------------------------ for its operations

  /** @internal @throws {InvalidStateError} if the borrower has a token, or waits for one */
  borrow(borrower: unknown, act: string): boolean {
    const has = this.#borrowers.has(borrower)
    if (has || this.#asking.has(borrower)) {
      throw new InvalidStateError(
        `${act} of ${called('limiter', this.name)}: a borrower without a token was expected, found that ` +
          `${borrowerName(borrower)} ${has ? 'has one already' : 'waits for one already'}`,
      )
    }
    if (this.#borrowers.size >= this.#total) return false
    this.#borrowers.set(borrower, running.task)
    return true
  }

  /** @internal */
  ask(borrower: unknown, asks: boolean): void {
    if (asks) this.#asking.add(borrower)
    else this.#asking.delete(borrower)
  }

  /** @internal */
  takeFor(task: Task): boolean {
    return this.borrow(task, 'with()')
  }

  /** @internal */
  place(): Waiting<void> {
    return new Borrow(this, this.#line, undefined, false)
  }

  /** @internal */
  giveBack(task: Task): void {
    if (this.#borrowers.delete(task)) this.#grant()
    else reportNotHeld(task, 'with()', `a token of ${called('limiter', this.name)}`)
  }

  #giveBack(act: string, borrower: unknown): void {
    if (!this.#borrowers.delete(borrower)) {
      throw new InvalidStateError(
        `${act} of ${called('limiter', this.name)}: a borrower with a token was expected, found that ` +
          `${borrowerName(borrower)} has none; ${this.#whoHas()}`,
      )
    }
    this.#grant()
  }

  #grant(): void {
    for (let first = this.#line.first; first !== null && !this.locked(); first = this.#line.first) {
      const { borrower, task } = first as Borrow
      this.#asking.delete(borrower)
      this.#borrowers.set(borrower, task)
      this.#line.wakeOne()
    }
  }

  #whoHas(): string {
    if (this.#borrowers.size === 0) return 'nobody has one'
    const names = [...this.#borrowers.keys()].slice(0, HOLDERS_SHOWN).map(borrowerName)
    const left = this.#borrowers.size - names.length
    return `held by ${names.join(', ')}${left > 0 ? ` and ${String(left)} more` : ''}`
  }

  #holders(): Task[] {
    const holders = new Set<Task>()
    for (const task of this.#borrowers.values()) {
      if (task !== null && !task.done()) holders.add(task)
      if (holders.size === HOLDERS_SHOWN) break
    }
    return [...holders]
  }

  /** With one token, who has it alone can end the wait for it. */
  #onlyHolder(): Task | null {
    if (this.#borrowers.size !== 1 || this.#total !== 1) return null
    const [holder] = this.#borrowers.values()
    return holder ?? null
  }

  #describe(): WaitDescription {
    return {
      what:
        `a token of ${called('limiter', this.name)} (${String(this.borrowed)} of ${String(this.#total)} borrowed; ` +
        `${inLine(this.#line)})`,
      holders: this.#holders(),
    }
  }
}

class Borrow extends Waiting<void> {
  readonly #limiter: CapacityLimiter
  /** The task that waits, unless one was given. */
  borrower: unknown
  readonly #given: boolean

  constructor(limiter: CapacityLimiter, line: WaitQueue, borrower: unknown, given: boolean) {
    super(line)
    this.#limiter = limiter
    this.borrower = borrower
    this.#given = given
  }

  override begin(): IteratorResult<Suspension, void> {
    if (!this.#given) this.borrower = running.task
    if (!mayFinishNow()) return announce(GIVE_WAY)
    const act = this.#given ? 'acquireOnBehalfOf()' : 'acquire()'
    return this.#limiter.borrow(this.borrower, act) ? DONE : announce(this)
  }

  override park(task: Task): void {
    if (!this.#given) this.borrower = task
    super.park(task)
    this.#limiter.ask(this.borrower, true)
    reportLockCycle(task)
  }

  override unpark(): void {
    this.#limiter.ask(this.borrower, false)
    super.unpark()
  }
}

function borrowerName(borrower: unknown): string {
  return isTask(borrower) ? borrower.describeSelf() : nameOf(borrower)
}

function checkedTotal(act: string, total: unknown): number {
  if (total === Infinity || (Number.isInteger(total) && (total as number) >= 1)) return total as number
  throw wrongNumber(
    total,
    `${act}: a whole number of 1 or more tokens, or Infinity, was expected, found ${nameOf(total)}` +
      standsAlone(act, total),
  )
}
