/**
 * A wait queue: tasks wait in it, and others wake them, first come first served. Every lock, queue and condition is a
 * few lines on it, after Trio's parking lot.
 *
 * What it solves once for all of them: the order in which waiters are woken, and that a waiter can be cancelled at any
 * moment. A waiter that was woken with a value has left the queue and gets the value, even if it is cancelled before
 * its next step; one that is cancelled first leaves the queue and is never handed anything. So nothing handed over can
 * be lost, and nobody has to pass a wake-up on.
 *
 * Left out: priorities and a broken state. Waking with an error (`failAll`) does what a broken queue would.
 */
import { Leaf } from './leaf.ts'
import { answerProbe, PROBE } from './probe.ts'
import { announce, running } from './running.ts'
import { steppedByHand } from './misuse.ts'
import type { Coroutine, Suspension, WaitDescription } from './suspension.ts'
import { takenBy } from './taken.ts'
import type { Task } from './task.ts'

/** Says for dumps what is waited for and who holds it. Called only when somebody asks. */
export type DescribeWait = () => WaitDescription

const PLAIN: WaitDescription = { what: 'a wait queue' }

export class WaitQueue<V = void> {
  #first: Waiting<V> | null = null
  #last: Waiting<V> | null = null
  #length = 0
  readonly #describe: DescribeWait

  constructor(describe: DescribeWait = () => PLAIN) {
    this.#describe = describe
  }

  /** How many tasks wait. */
  get length(): number {
    return this.#length
  }

  /**
   * Waits until somebody wakes this task; always suspends.
   *
   * @returns the value given to `wakeOne`, `wakeAll` or `wake`
   * @throws the error given to `failAll`
   */
  wait(): Coroutine<V> {
    return new Waiting<V>(this)
  }

  /** Hands `value` to the task that waits longest. @returns false if nobody waits */
  wakeOne(value: V): boolean {
    const first = this.#first
    if (first === null) return false
    this.remove(first)
    first.task!.resume(value)
    return true
  }

  /** Wakes the `count` longest waiting tasks with `value`. @returns how many there were */
  wake(count: number, value: V): number {
    let woken = 0
    while (woken < count && this.wakeOne(value)) woken++
    return woken
  }

  /** Wakes everyone who waits now. @returns how many there were */
  wakeAll(value: V): number {
    return this.wake(this.#length, value)
  }

  /** Ends everyone's wait with an error. @returns how many there were */
  failAll(error: unknown): number {
    const count = this.#length
    for (let first = this.#first; first !== null; first = this.#first) {
      this.remove(first)
      first.task!.fail(error)
    }
    return count
  }

  /** Moves the `count` longest waiting tasks to the end of another queue, without waking them. */
  moveTo(other: WaitQueue<V>, count = 1): number {
    let moved = 0
    for (let first = this.#first; first !== null && moved < count; first = this.#first) {
      this.remove(first)
      other.append(first)
      moved++
    }
    return moved
  }

  /** The waiting tasks, longest wait first. */
  *tasks(): Generator<Task> {
    for (let waiting = this.#first; waiting !== null; waiting = waiting.behind) yield waiting.task!
  }

  /** @internal */
  append(waiting: Waiting<V>): void {
    waiting.queue = this
    waiting.ahead = this.#last
    if (this.#last === null) this.#first = waiting
    else this.#last.behind = waiting
    this.#last = waiting
    this.#length++
  }

  /** @internal */
  remove(waiting: Waiting<V>): void {
    const { ahead, behind } = waiting
    if (ahead === null) this.#first = behind
    else ahead.behind = behind
    if (behind === null) this.#last = ahead
    else behind.ahead = ahead
    waiting.ahead = null
    waiting.behind = null
    this.#length--
  }

  /** @internal */
  describe(): WaitDescription {
    return this.#describe()
  }
}

/** One task's place in a wait queue. */
class Waiting<V> extends Leaf<V> {
  queue: WaitQueue<V>
  task: Task | null = null
  ahead: Waiting<V> | null = null
  behind: Waiting<V> | null = null

  constructor(queue: WaitQueue<V>) {
    super()
    this.queue = queue
  }

  next(value?: unknown): IteratorResult<Suspension, V> {
    if (value === PROBE) return answerProbe()
    if (this.task === null) return announce(this)
    if (this.task !== running.task) return takenBy(this.task, this.describe().what)
    if (this.task.status !== 'running' || this.task.waiting !== null) throw steppedByHand('a wait')
    return { done: true, value: value as V }
  }

  park(task: Task): void {
    this.task = task
    this.queue.append(this)
  }

  unpark(): void {
    this.queue.remove(this)
  }

  describe(): WaitDescription {
    return this.queue.describe()
  }
}
