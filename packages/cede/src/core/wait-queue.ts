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
import { answerProbe, isProbe } from './probe.ts'
import { announce, cannotSuspend, NOTHING, running } from './running.ts'
import { steppedByHand } from './misuse.ts'
import type { Coroutine, Suspension, WaitDescription } from './suspension.ts'
import { takenBy } from './taken.ts'
import type { Task } from './task.ts'

/** Says for dumps what is waited for and who holds it. Called only when somebody asks. */
export type DescribeWait = () => WaitDescription

/** The `blocker` of the waits in a queue. May be asked whenever somebody waits for a lock. */
export type FindBlocker = (asking: Task) => Task | null

const PLAIN: WaitDescription = { what: 'a wait queue' }

/**
 * A line of tasks that wait, and others wake: what locks and queues are made of, and primitives of your own.
 *
 * First come, first served. Whoever was woken has what it was woken with, even if it is cancelled in that moment; who is
 * cancelled first leaves the line. `V` is what is handed over.
 *
 * @example
 * import { createTask, run, sleep } from 'cede'
 * import { WaitQueue } from 'cede/lowlevel'
 *
 * const line = new WaitQueue<string>(() => ({ what: 'a parcel' }))
 * await run(function* () {
 *   const task = createTask(line.wait())
 *   yield* sleep(0)
 *   line.wakeOne('a book')
 *   console.log(yield* task)
 * })
 */
export class WaitQueue<V = void> {
  #first: Waiting<V, unknown> | null = null
  #last: Waiting<V, unknown> | null = null
  #length = 0
  readonly #describe: DescribeWait
  readonly #findBlocker: FindBlocker | null

  /** @param findBlocker cheaper than `describe` and its `holders`, which are asked without it */
  constructor(describe: DescribeWait = () => PLAIN, findBlocker: FindBlocker | null = null) {
    this.#describe = describe
    this.#findBlocker = findBlocker
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
    first.wake(value)
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
    for (let waiting = this.#first; waiting !== null; waiting = waiting.behind) {
      if (waiting.task !== null) yield waiting.task
    }
  }

  /** The place of whoever waits longest; null if nobody waits. */
  get first(): Waiting<V, unknown> | null {
    return this.#first
  }

  /** @internal */
  append(waiting: Waiting<V, unknown>): void {
    waiting.queue = this
    waiting.ahead = this.#last
    if (this.#last === null) this.#first = waiting
    else this.#last.behind = waiting
    this.#last = waiting
    this.#length++
  }

  /** @internal */
  remove(waiting: Waiting<V, unknown>): void {
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

  /** @internal */
  blocker(asking: Task): Task | null {
    return this.#findBlocker === null ? onlyHolder(this.#describe()) : this.#findBlocker(asking)
  }
}

function onlyHolder({ holders }: WaitDescription): Task | null {
  return holders?.length === 1 ? holders[0]! : null
}

/**
 * One task's place in a wait queue, and the operation that waits there. What may find what it wants at once, or carries
 * something along in line, extends it: `V` is what it is woken with, `T` what it returns.
 *
 * `begin` decides, and waits by `announce(this)`. `end` makes the result of what the place was woken with.
 *
 * @example
 * import { createTask, run, sleep } from 'cede'
 * import { announce, GIVE_WAY, mayFinishNow, Waiting, WaitQueue } from 'cede/lowlevel'
 *
 * // A door that lets in a number of tasks in all.
 * class Door {
 *   free: number
 *   readonly #line = new WaitQueue(() => ({ what: 'a door' }))
 *   constructor(free: number) {
 *     this.free = free
 *   }
 *   enter() {
 *     return new Enter(this, this.#line)
 *   }
 *   letIn() {
 *     if (!this.#line.wakeOne()) this.free++
 *   }
 * }
 *
 * class Enter extends Waiting<void> {
 *   readonly #door: Door
 *   constructor(door: Door, line: WaitQueue) {
 *     super(line)
 *     this.#door = door
 *   }
 *   override begin() {
 *     if (this.#door.free === 0) return announce(this)
 *     if (!mayFinishNow()) return announce(GIVE_WAY) // before it takes anything
 *     this.#door.free--
 *     return this.end()
 *   }
 * }
 *
 * await run(function* () {
 *   const door = new Door(1)
 *   yield* door.enter()
 *   const second = createTask(door.enter())
 *   yield* sleep(0)
 *   door.letIn()
 *   yield* second
 *   console.log('both are in')
 * })
 */
export class Waiting<V, T = V> extends Leaf<T> {
  /** @internal */
  queue: WaitQueue<V>
  /** @internal Null until it waits. */
  task: Task | null = null
  /** @internal */
  ahead: Waiting<V, unknown> | null = null
  /** @internal */
  behind: Waiting<V, unknown> | null = null

  constructor(queue: WaitQueue<V>) {
    super()
    this.queue = queue
  }

  next(value?: unknown): IteratorResult<Suspension, T> {
    if (isProbe(value)) return answerProbe()
    if (this.task === null) {
      if (running.announced !== NOTHING) throw cannotSuspend()
      return this.begin()
    }
    if (this.task !== running.task) return takenBy(this.task, this.describe().what)
    if (this.task.status !== 'running' || this.task.waiting !== null) throw steppedByHand('a wait')
    return this.end(value as V)
  }

  /**
   * The first step, in the task that waits. Ends at once, if it may (`mayFinishNow`), or announces what it waits for:
   * itself (the default), or `GIVE_WAY`, after which it is called again. An operation takes nothing before it is sure
   * to end.
   */
  begin(): IteratorResult<Suspension, T> {
    return announce(this)
  }

  /** What the operation returns, or throws, when it was woken with `value`. Default: that value. */
  end(value: V): IteratorReturnResult<T> {
    return { done: true, value: value as unknown as T }
  }

  /** @internal Out of the queue; gets `value`. */
  wake(value: V): void {
    this.task!.resume(value)
  }

  /** Called when the task waits: takes the place in line. One that overrides it calls it first. */
  park(task: Task): void {
    this.task = task
    this.queue.append(this)
  }

  /** Called when the task was cancelled in line: gives up the place. One that overrides it calls it too. */
  unpark(): void {
    this.queue.remove(this)
  }

  /** What is said in dumps. Default: what the queue says. */
  describe(): WaitDescription {
    return this.queue.describe()
  }

  /** @internal */
  blocker(asking: Task): Task | null {
    return this.queue.blocker(asking)
  }
}
