/**
 * Queues: items handed from task to task.
 *
 * An item that is put while somebody waits is handed to whoever waits longest and never lies in between; room that
 * becomes free goes to whoever waits longest to put. So nobody overtakes, and one who was handed something owns it,
 * even if it is cancelled in the same moment.
 *
 * A queue belongs to no loop and no run: it may be filled from callbacks, and outlive the run that made it.
 */
import { ClosedError, InvalidStateError } from '../core/errors.ts'
import { printsAs } from '../core/inspect.ts'
import { GIVE_WAY } from '../core/leaf.ts'
import { nameOf, wrongNumber } from '../core/misuse.ts'
import { announce, mayFinishNow } from '../core/running.ts'
import type {
  Coroutine,
  CoroutineIterator,
  Operation,
  Suspension,
  WaitDescription,
} from '../core/suspension.ts'
import { Waiting, WaitQueue } from '../core/wait-queue.ts'
import { DONE } from './acquire.ts'
import { forEach } from './for-each.ts'
import { called, inLine } from './in-line.ts'
import { nameFrom, requireOptions, type NameOptions } from './options.ts'
import { Ring } from './ring.ts'
import { standsAlone } from './stands-alone.ts'
import { ENDED, NextItem, PromisedItem, Taking, type Ended } from './taking.ts'

/** The queue was shut down: nothing can be put any more, or nothing is left to get. */
export class QueueShutDownError extends ClosedError {
  static {
    this.prototype.name = 'QueueShutDownError'
  }
  override readonly code = 'CEDE_QUEUE_SHUT_DOWN'
}

/** Where a queue keeps its items. */
export interface Store<T> {
  readonly size: number
  push(item: T): void
  /** There must be one. */
  pop(): T
  clear(): T[]
}

export interface QueueStatistics {
  /** How many items it holds. */
  readonly size: number
  readonly maxSize: number
  /** How many wait for an item. */
  readonly tasksWaitingToGet: number
  /** How many wait for room. */
  readonly tasksWaitingToPut: number
  /** Items that were put, and not reported by `taskDone()`. */
  readonly unfinished: number
  readonly isShutDown: boolean
}

/**
 * A queue with a bound: first in, first out.
 *
 * @example
 * import { createTask, Queue, run } from 'cede'
 *
 * function* worker(name: string, jobs: Queue<number>) {
 *   yield* jobs.forEach(function* (job) {
 *     console.log(`${name} has ${job}`)
 *   })
 * }
 *
 * await run(function* () {
 *   const jobs = new Queue<number>(2)
 *   const workers = [createTask(worker('Anna', jobs)), createTask(worker('Bob', jobs))]
 *   for (let job = 1; job <= 5; job++) yield* jobs.put(job) // waits while two are there already
 *   yield* jobs.join()
 *   jobs.shutdown()
 *   for (const each of workers) yield* each
 * })
 */
export class Queue<T> implements CoroutineIterator<T> {
  static {
    printsAs(this.prototype as Queue<unknown>, (queue) => queue.describeSelf())
  }

  /** How many items it holds at most. */
  readonly maxSize: number
  /** For dumps and messages; an empty string if it has none. */
  readonly name: string
  readonly #store: Store<T>
  #unfinished = 0
  #shutDown = false
  /** @internal Those who wait for an item. */
  readonly takers: WaitQueue<T | Ended> = new WaitQueue(
    () => this.#describe('an item of', this.takers),
    nobody,
  )
  /** @internal Those who wait for room. */
  readonly putters: WaitQueue<undefined | Ended> = new WaitQueue(
    () => this.#describe('room in', this.putters),
    nobody,
  )
  /** @internal Those who wait until all is done. */
  readonly joiners: WaitQueue<undefined> = new WaitQueue(
    () => ({ what: `the end of work on ${this.called()}, ${String(this.#unfinished)} items unfinished` }),
    nobody,
  )

  /**
   * @param maxSize how many items it holds before `put` waits; `Infinity`: it never waits, and memory is the limit
   * @param options a name for dumps and messages
   * @throws {RangeError} if `maxSize` is no whole number above 0; {MisuseError} if it is no number
   */
  constructor(maxSize: number, options?: NameOptions)
  /** @internal */
  constructor(maxSize: number, options: NameOptions | undefined, store: Store<T>)
  constructor(maxSize: number, options?: NameOptions, store: Store<T> = new Ring<T>()) {
    const kind = this.nameForMessages()
    const act = kind === 'channel' ? 'channel()' : `new ${kind}()`
    requireCapacity(act, 'maxSize', maxSize)
    this.maxSize = maxSize
    this.name = nameFrom(act, options)
    this.#store = store
  }

  /** How many items it holds. */
  get size(): number {
    return this.#store.size
  }

  /** True if it holds no item. */
  empty(): boolean {
    return this.#store.size === 0
  }

  /** True if it holds as many items as it may. */
  full(): boolean {
    return this.#store.size >= this.maxSize
  }

  /** True after `shutdown()`. */
  get isShutDown(): boolean {
    return this.#shutDown
  }

  /**
   * Puts an item in; waits while the queue is full. One that is cancelled while it waits has put nothing.
   *
   * Suspends only if the queue is full.
   *
   * @throws {QueueShutDownError} at the call if the queue is shut down, or while it waits
   */
  put(item: T): Coroutine<void> {
    this.#requireOpen('put()')
    return new Put(this, item)
  }

  /**
   * Puts an item in if there is room. May be called from anywhere, also outside of coroutines. Does not suspend.
   *
   * @returns false if the queue is full
   * @throws {QueueShutDownError} if the queue is shut down
   */
  tryPut(item: T): boolean {
    this.#requireOpen('tryPut()')
    if (this.full()) return false
    this.accept(item)
    return true
  }

  /**
   * Takes an item; waits while there is none. One that is cancelled while it waits has taken nothing.
   *
   * Suspends only if the queue is empty.
   *
   * @throws {QueueShutDownError} if the queue is shut down and empty: at the call, or while it waits
   */
  get(): Coroutine<T> {
    if (this.ended && this.size === 0) throw this.shutDownError('get()')
    return new Get<T>(this)
  }

  /**
   * Takes an item if there is one. May be called from anywhere, also outside of coroutines. Does not suspend.
   *
   * @returns undefined if there is none; where items may be undefined, ask for `size` first
   * @throws {QueueShutDownError} if the queue is shut down and empty
   */
  tryGet(): T | undefined {
    if (this.size > 0) return this.take()
    if (this.ended) throw this.shutDownError('tryGet()')
    return undefined
  }

  // ------------------------------------------------------------------ loops

  /**
   * Takes an item, as a step of a loop that ends when the queue is shut down and empty:
   * `for (let item = yield* queue.next(); !item.done; item = yield* queue.next())`.
   *
   * Suspends only if the queue is empty.
   */
  next(): Coroutine<IteratorResult<T, undefined>> {
    return new NextItem<T>(this)
  }

  /**
   * Takes one item after the other and calls `body` with it, until the queue is shut down and empty, or the body
   * returns `false`. An item counts as done (`taskDone()`) when its body has ended, however it ended.
   *
   * Suspends while the queue is empty, and where the body does.
   *
   * @param body is given the item, and returns an operation
   * @throws what the body throws; {MisuseError} at the call, if `body` is no function
   */
  forEach(body: (item: T) => Operation<unknown>): Coroutine<void> {
    return forEach(this, body, () => this.taskDone())
  }

  /** The items, for `for await` in async functions; ends when the queue is shut down and empty. Needs no loop. */
  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    return PromisedItem.all(this)
  }

  // ------------------------------------------------------------------ done and over

  /**
   * Tells that an item which was taken has been dealt with, for those who wait in `join()`. Does not suspend.
   *
   * @throws {InvalidStateError} if it is called more often than items were put
   */
  taskDone(): void {
    if (this.#unfinished === 0) {
      throw new InvalidStateError(
        `taskDone(): expected one call for each item that was put into ${this.called()}, found one more`,
      )
    }
    this.#finish(1)
  }

  /**
   * Waits until all items that were put have been dealt with: `taskDone()` was called for each.
   *
   * Suspends unless that is so already.
   */
  join(): Coroutine<void> {
    return new Join(this)
  }

  /** How many items were put and are not dealt with. */
  get unfinished(): number {
    return this.#unfinished
  }

  /**
   * Ends the queue: nothing can be put any more, and whoever waits to put gets a `QueueShutDownError`. What is there can
   * still be taken; after that `get` throws the same, and loops end. Shutting down again is allowed. Does not suspend.
   *
   * @param options.immediate drops what is there, and counts it as done. Default: false
   * @returns what was dropped
   * @throws {MisuseError} at the call, if `options` are none, as `true`
   */
  shutdown(options?: { readonly immediate?: boolean | undefined }): T[] {
    requireOptions('shutdown()', options, () => '`shutdown({ immediate: true })`')
    this.#shutDown = true
    this.putters.wakeAll(ENDED)
    const dropped = (options?.immediate ?? false) ? this.#store.clear() : []
    this.takers.wakeAll(ENDED)
    // Some of them may have been said to be done while they lay here.
    if (dropped.length > 0) this.#finish(Math.min(dropped.length, this.#unfinished))
    return dropped
  }

  /** How it is used right now, for monitoring. */
  statistics(): QueueStatistics {
    return {
      size: this.size,
      maxSize: this.maxSize,
      tasksWaitingToGet: this.takers.length,
      tasksWaitingToPut: this.putters.length,
      unfinished: this.#unfinished,
      isShutDown: this.#shutDown,
    }
  }

  // ------------------------------------------------------------------ for its operations

  /** @internal For `Source`. */
  get ended(): boolean {
    return this.#shutDown
  }

  /** @internal There must be an item. */
  take(): T {
    const item = this.#store.pop()
    if (this.putters.length > 0) this.#letIn()
    return item
  }

  /** @internal There must be room. */
  accept(item: T): void {
    const taker = this.takers.first
    if (taker === null) {
      this.#store.push(item)
    } else {
      this.takers.remove(taker)
      taker.wake(item)
    }
    this.#unfinished++
  }

  #letIn(): void {
    for (let put = this.putters.first; put !== null && !this.full(); put = this.putters.first) {
      this.putters.remove(put)
      try {
        this.accept((put as Put<T>).item)
      } catch (error) {
        // What orders the items has refused this one, which is no matter of whoever takes another.
        put.task!.fail(error)
        continue
      }
      put.wake(undefined)
    }
  }

  #finish(count: number): void {
    this.#unfinished -= count
    if (this.#unfinished === 0) this.joiners.wakeAll(undefined)
  }

  #requireOpen(act: string): void {
    if (this.#shutDown) throw this.shutDownError(act)
  }

  /** @internal */
  shutDownError(act: string): QueueShutDownError {
    return new QueueShutDownError(
      `${act}: ${this.called()} was expected to be open, found it shut down${act === 'get()' ? ' and empty' : ''}`,
    )
  }

  #describe(wanted: string, line: WaitQueue<unknown>): WaitDescription {
    const size = `${String(this.size)} of ${String(this.maxSize)} items`
    return { what: `${wanted} ${this.called()} (${size}, ${inLine(line)})` }
  }

  /** @internal */
  nameForMessages(): string {
    return 'Queue'
  }

  /** @internal */
  called(): string {
    return called(this.nameForMessages(), this.name)
  }

  /** @internal */
  describeSelf(): string {
    const parts = [`${String(this.size)} of ${String(this.maxSize)} items`]
    if (this.takers.length > 0) parts.push(`${String(this.takers.length)} waiting to get`)
    if (this.putters.length > 0) parts.push(`${String(this.putters.length)} waiting to put`)
    if (this.#shutDown) parts.push('shut down')
    return `${this.nameForMessages()}(${this.name === '' ? '' : `${this.name}: `}${parts.join(', ')})`
  }
}

/** Who holds a queue up cannot be told. */
const nobody = (): null => null

/** @throws {RangeError} unless it is a whole number above 0, or Infinity; {MisuseError} if it is no number */
export function requireCapacity(act: string, what: string, capacity: unknown): void {
  if (capacity === Infinity || (Number.isInteger(capacity) && (capacity as number) > 0)) return
  throw wrongNumber(
    capacity,
    `${act}: ${what} was expected to be a whole number above 0, or Infinity, found ${nameOf(capacity)}${unbounded(act, capacity)}`,
  )
}

/** In asyncio no size, and 0, mean no bound. */
function unbounded(act: string, capacity: unknown): string {
  if (capacity !== undefined && capacity !== 0) return standsAlone(act, capacity)
  return `; for no bound write \`${act.slice(0, -1)}Infinity)\``
}

export class Put<T> extends Waiting<undefined | Ended, void> {
  protected readonly sink: Queue<T>
  readonly item: T

  constructor(sink: Queue<T>, item: T) {
    super(sink.putters)
    this.sink = sink
    this.item = item
  }

  override begin(): IteratorResult<Suspension, void> {
    const { sink } = this
    this.requireOpen()
    if (sink.full()) return announce(this)
    if (!mayFinishNow()) return announce(GIVE_WAY)
    sink.accept(this.item)
    return DONE
  }

  override end(value: undefined | Ended): IteratorReturnResult<void> {
    if (value === ENDED) throw this.refused()
    return DONE
  }

  protected requireOpen(): void {
    if (this.sink.isShutDown) throw this.refused()
  }

  protected refused(): Error {
    return this.sink.shutDownError('put()')
  }
}

class Get<T> extends Taking<T, T> {
  protected override given(item: T): T {
    return item
  }

  protected override atEnd(): never {
    throw (this.source as Queue<T>).shutDownError('get()')
  }
}

class Join extends Waiting<undefined, void> {
  readonly #joined: { readonly unfinished: number }
  #foundDone = false

  constructor(joined: Queue<never> | Queue<unknown>) {
    super(joined.joiners)
    this.#joined = joined
  }

  override begin(): IteratorResult<Suspension, void> {
    // What was put while it gave way is not what it was called for.
    if (this.#foundDone) return DONE
    if (this.#joined.unfinished > 0) return announce(this)
    if (mayFinishNow()) return DONE
    this.#foundDone = true
    return announce(GIVE_WAY)
  }
}
