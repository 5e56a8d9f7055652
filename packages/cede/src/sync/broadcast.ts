/**
 * A broadcast channel: what is sent reaches every subscription. Each has a queue of its own, so that one reads ahead of
 * another; what happens when one of them falls behind by a whole queue is the channel's policy.
 *
 * An item is given to all subscriptions at once or to none, so that a sender who waits for the slowest, and is cancelled,
 * has sent nothing. How many of the queues are full is counted, so that nobody walks through them to find out.
 */
import { ClosedError, MisuseError, type CodedError } from '../core/errors.ts'
import { printsAs } from '../core/inspect.ts'
import { GIVE_WAY } from '../core/leaf.ts'
import { nameOf } from '../core/misuse.ts'
import { announce, mayFinishNow } from '../core/running.ts'
import type { Coroutine, CoroutineIterator, Operation, Suspension } from '../core/suspension.ts'
import { Waiting, WaitQueue } from '../core/wait-queue.ts'
import { DONE } from './acquire.ts'
import { requireItem } from './channel.ts'
import { forEach } from './for-each.ts'
import { called, inLine } from './in-line.ts'
import { nameFrom, type NameOptions } from './options.ts'
import { Queue, requireCapacity } from './queue.ts'
import { ENDED, NextItem, PromisedItem, Taking, type Ended, type Source } from './taking.ts'

/**
 * What to do about a subscription whose queue is full: `wait` for it, which holds up everybody; `drop-oldest` of its
 * items; or `close` it, so that it reads what it has and then gets a `LaggedError`.
 */
export type SlowReaderPolicy = 'wait' | 'drop-oldest' | 'close'

const POLICIES: readonly string[] = ['wait', 'drop-oldest', 'close'] satisfies SlowReaderPolicy[]

/** A subscription to a broadcast was too slow, and was closed. */
export class LaggedError extends Error implements CodedError {
  static {
    this.prototype.name = 'LaggedError'
  }
  readonly code = 'CEDE_LAGGED'
}

export interface BroadcastOptions extends NameOptions {
  /** What to do about a subscription that is too slow. Default: `wait`. */
  readonly slowReaders?: SlowReaderPolicy | undefined
}

export interface BroadcastStatistics {
  readonly subscriptions: number
  /** How many of them are full. */
  readonly full: number
  readonly capacity: number
  readonly tasksWaitingToSend: number
}

/**
 * Sends each item to everyone who has subscribed by then.
 *
 * @example
 * import { Broadcast, createTask, run, sleep, type Subscription } from 'cede'
 *
 * function* listen(name: string, news: Subscription<string>) {
 *   yield* news.forEach(function* (item) {
 *     console.log(`${name} hears: ${item}`)
 *   })
 * }
 *
 * await run(function* () {
 *   const radio = new Broadcast<string>(16, { slowReaders: 'drop-oldest' })
 *   createTask(listen('Anna', radio.subscribe()))
 *   createTask(listen('Bob', radio.subscribe()))
 *   yield* radio.send('good morning')
 *   radio.close() // they hear what was sent, and then the end
 *   yield* sleep(0)
 * })
 */
export class Broadcast<T> {
  static {
    printsAs(this.prototype as Broadcast<unknown>, (broadcast) => {
      const name = broadcast.name === '' ? '' : `${broadcast.name}: `
      const over = broadcast.closed ? ', closed' : ''
      return `Broadcast(${name}${String(broadcast.#subscriptions.size)} subscriptions${over})`
    })
  }

  /** How many items a subscription holds that it has not read. */
  readonly capacity: number
  readonly slowReaders: SlowReaderPolicy
  /** For dumps and messages; an empty string if it has none. */
  readonly name: string
  readonly #subscriptions = new Set<Subscription<T>>()
  #full = 0
  #closed = false
  /** @internal Those who wait until all have room. */
  readonly line: WaitQueue<undefined | Ended> = new WaitQueue(
    () => ({
      what: `room in all subscriptions of ${this.called()} (${String(this.#full)} of ${String(this.#subscriptions.size)} full, ${inLine(this.line)})`,
    }),
    () => null,
  )

  /**
   * @param capacity how many items a subscription may be behind; `Infinity`: any number
   * @param options what to do about slow readers, and a name for dumps and messages
   * @throws {RangeError} if `capacity` is no whole number above 0; {MisuseError} if it is no number, or the policy none
   */
  constructor(capacity: number, options?: BroadcastOptions) {
    requireCapacity('new Broadcast()', 'capacity', capacity)
    this.name = nameFrom('new Broadcast()', options)
    const { slowReaders = 'wait' } = options ?? {}
    if (!POLICIES.includes(slowReaders)) {
      throw new MisuseError(
        `new Broadcast(): slowReaders was expected to be one of ${POLICIES.join(', ')}, found ${nameOf(slowReaders)}`,
      )
    }
    this.capacity = capacity
    this.slowReaders = slowReaders
  }

  /** True after `close()`. */
  get closed(): boolean {
    return this.#closed
  }

  /**
   * Begins to listen: what is sent from now on can be read. Close it when it is no longer read. Does not suspend.
   *
   * @throws {ClosedError} if the broadcast is closed
   */
  subscribe(): Subscription<T> {
    if (this.#closed) throw this.closedError('subscribe()')
    const subscription = new Subscription<T>(this)
    this.#subscriptions.add(subscription)
    return subscription
  }

  /**
   * Sends an item to all subscriptions; if there are none it is gone. One that is cancelled while it waits has sent
   * nothing to anybody.
   *
   * Suspends only by the policy `wait`, while a subscription is full.
   *
   * @param item anything but null, which stands for the end
   * @throws {ClosedError} if the broadcast is closed, at the call or while it waits
   * @throws {MisuseError} at the call, if the item is null
   */
  send(item: T): Coroutine<void> {
    this.#check('send()', item)
    return new SendToAll<T>(this, item)
  }

  /**
   * Sends an item to all subscriptions, if none has to be waited for. May be called from anywhere, also outside of
   * coroutines. Does not suspend.
   *
   * @returns false if the policy is `wait`, and a subscription is full: then nobody got the item
   * @throws as `send`
   */
  trySend(item: T): boolean {
    this.#check('trySend()', item)
    if (!this.mayGive()) return false
    this.give(item)
    return true
  }

  /**
   * Ends the broadcast: subscriptions read what they have and then the end; senders that wait get a `ClosedError`.
   * Again: nothing. Does not suspend.
   */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.line.wakeAll(ENDED)
    for (const subscription of this.#subscriptions) subscription.finish()
    this.#subscriptions.clear()
    this.#full = 0
  }

  /** `using radio = ...` closes it. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** How it is used right now, for monitoring. */
  statistics(): BroadcastStatistics {
    return {
      subscriptions: this.#subscriptions.size,
      full: this.#full,
      capacity: this.capacity,
      tasksWaitingToSend: this.line.length,
    }
  }

  // ------------------------------------------------------------------ for its operations

  /** @internal */
  mayGive(): boolean {
    return this.#full === 0 || this.slowReaders !== 'wait'
  }

  /** @internal Nobody has to be waited for. */
  give(item: T): void {
    for (const subscription of this.#subscriptions) {
      if (subscription.full) {
        if (this.slowReaders === 'close') {
          this.#leave(subscription)
          subscription.lag()
          continue
        }
        subscription.dropOldest()
      }
      subscription.accept(item)
    }
  }

  /** @internal */
  becameFull(): void {
    this.#full++
  }

  /** @internal A subscription that was full has room: those who wait to send go on, in their order. */
  gotRoom(subscription: Subscription<T>): void {
    if (!this.#subscriptions.has(subscription)) return
    this.#full--
    this.#goOn()
  }

  /** @internal */
  unsubscribe(subscription: Subscription<T>): void {
    if (this.#leave(subscription)) this.#goOn()
  }

  #leave(subscription: Subscription<T>): boolean {
    if (subscription.full && this.#subscriptions.has(subscription)) this.#full--
    return this.#subscriptions.delete(subscription)
  }

  #goOn(): void {
    for (let send = this.line.first; send !== null && this.#full === 0; send = this.line.first) {
      this.line.remove(send)
      this.give((send as SendToAll<T>).item)
      send.wake(undefined)
    }
  }

  #check(act: string, item: T): void {
    if (this.#closed) throw this.closedError(act)
    requireItem(act, item)
  }

  /** @internal */
  closedError(act: string): ClosedError {
    return new ClosedError(`${act}: ${this.called()} was expected to be open, found it closed`)
  }

  /** @internal */
  called(): string {
    return called('broadcast', this.name)
  }
}

class SendToAll<T> extends Waiting<undefined | Ended, void> {
  readonly #broadcast: Broadcast<T>
  readonly item: T

  constructor(broadcast: Broadcast<T>, item: T) {
    super(broadcast.line)
    this.#broadcast = broadcast
    this.item = item
  }

  override begin(): IteratorResult<Suspension, void> {
    const broadcast = this.#broadcast
    if (broadcast.closed) throw broadcast.closedError('send()')
    if (!broadcast.mayGive()) return announce(this)
    if (!mayFinishNow()) return announce(GIVE_WAY)
    broadcast.give(this.item)
    return DONE
  }

  override end(value: undefined | Ended): IteratorReturnResult<void> {
    if (value === ENDED) throw this.#broadcast.closedError('send()')
    return DONE
  }
}

/** One that listens to a broadcast: reads what was sent since it has subscribed. */
export class Subscription<T> implements CoroutineIterator<T>, Source<T> {
  static {
    printsAs(this.prototype as Subscription<unknown>, (subscription) => {
      const over = subscription.closed ? ', closed' : subscription.lagged ? ', lagged' : ''
      return `Subscription(${String(subscription.size)} items${over})`
    })
  }

  readonly #broadcast: Broadcast<T>
  readonly #queue: Queue<T>
  #closed = false
  #lagged = false
  #dropped = 0

  /** @internal */
  constructor(broadcast: Broadcast<T>) {
    this.#broadcast = broadcast
    this.#queue = new Queue<T>(broadcast.capacity, { name: `subscription to ${broadcast.called()}` })
  }

  /** How many items it has not read. */
  get size(): number {
    return this.#queue.size
  }

  /** How many items were dropped because it was too slow. */
  get dropped(): number {
    return this.#dropped
  }

  /** True if it was too slow and is no longer sent anything. */
  get lagged(): boolean {
    return this.#lagged
  }

  /** True after `close()`. */
  get closed(): boolean {
    return this.#closed
  }

  /**
   * Reads an item; waits while there is none. One that is cancelled while it waits has taken nothing.
   *
   * Suspends only if there is none.
   *
   * @returns null when the broadcast is closed and nothing is left
   * @throws {LaggedError} if it was too slow and was closed for that, and nothing is left
   * @throws {ClosedError} if it was closed by `close()`, at the call or while it waits
   */
  receive(): Coroutine<T | null> {
    this.#requireOpen('receive()')
    return new ReceiveItem<T>(this)
  }

  /**
   * Reads an item if there is one. Does not suspend.
   *
   * @returns undefined if there is none now, null if none will come
   * @throws as `receive`
   */
  tryReceive(): T | undefined | null {
    this.#requireOpen('tryReceive()')
    if (this.size > 0) return this.take()
    if (!this.ended) return undefined
    this.checkEnd('tryReceive()')
    return null
  }

  /**
   * Reads an item, as a step of a loop that ends with the broadcast:
   * `for (let item = yield* news.next(); !item.done; item = yield* news.next())`.
   *
   * Suspends only if there is none.
   *
   * @throws as `receive`
   */
  next(): Coroutine<IteratorResult<T, undefined>> {
    this.#requireOpen('next()')
    return new NextReceived<T>(this)
  }

  /**
   * Reads one item after the other and calls `body` with it, until the broadcast ends or the body returns `false`.
   *
   * Suspends while there is none, and where the body does.
   *
   * @param body is given the item, and returns an operation
   * @throws what the body throws; as `receive`; {MisuseError} at the call, if `body` is no function
   */
  forEach(body: (item: T) => Operation<unknown>): Coroutine<void> {
    return forEach(this, body)
  }

  /** The items, for `for await` in async functions; leaving the loop closes the subscription. Needs no loop. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      yield* PromisedItem.all(this)
      if (!this.#closed) this.checkEnd('for await')
    } finally {
      this.close()
    }
  }

  /** Stops listening; what is left is dropped, and whoever waits gets a `ClosedError`. Again: nothing. Does not suspend. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#broadcast.unsubscribe(this)
    this.#queue.shutdown({ immediate: true })
  }

  /** `using news = radio.subscribe()` closes it. */
  [Symbol.dispose](): void {
    this.close()
  }

  #requireOpen(act: string): void {
    if (this.#closed) this.checkEnd(act)
  }

  // ------------------------------------------------------------------ for its operations

  /** @internal */
  get ended(): boolean {
    return this.#queue.ended
  }

  /** @internal */
  get takers(): WaitQueue<T | Ended> {
    return this.#queue.takers
  }

  /** @internal */
  get full(): boolean {
    return this.#queue.full()
  }

  /** @internal */
  take(): T {
    const wasFull = this.full
    const item = this.#queue.take()
    if (wasFull) this.#broadcast.gotRoom(this)
    return item
  }

  /** @internal */
  accept(item: T): void {
    this.#queue.accept(item)
    if (this.full) this.#broadcast.becameFull()
  }

  /** @internal */
  dropOldest(): void {
    this.take()
    this.#dropped++
  }

  /** @internal No more will come. */
  finish(): void {
    this.#queue.shutdown()
  }

  /** @internal No more will come, because it was too slow. */
  lag(): void {
    this.#lagged = true
    this.#queue.shutdown()
  }

  /** @internal @throws why it ends, if that is no good end */
  checkEnd(act: string): void {
    const broadcast = this.#broadcast
    const of = `${act} of a subscription to ${broadcast.called()}`
    if (this.#closed) throw new ClosedError(`${of}: an open one was expected, found it closed`)
    if (this.#lagged) {
      throw new LaggedError(
        `${of}: expected to be at most ${String(broadcast.capacity)} items behind, found it too slow (policy close)`,
      )
    }
  }
}

class ReceiveItem<T> extends Taking<T, T | null> {
  protected override given(item: T): T {
    return item
  }

  protected override atEnd(): null {
    ;(this.source as Subscription<T>).checkEnd('receive()')
    return null
  }
}

class NextReceived<T> extends NextItem<T> {
  protected override atEnd(): IteratorResult<T, undefined> {
    ;(this.source as Subscription<T>).checkEnd('next()')
    return super.atEnd()
  }
}
