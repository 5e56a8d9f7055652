/**
 * Channels: a queue with two kinds of ends, which knows when it is over. It ends by itself when all senders are closed,
 * so that with several producers nobody has to count them; and senders learn that nobody receives any more.
 *
 * All ends share one `Queue`. Closing the last sender shuts it down, and closing the last receiver does so at once;
 * what differs from a queue is only what the ends say about it.
 */
import { ClosedError, MisuseError, type CodedError } from '../core/errors.ts'
import { printsAs } from '../core/inspect.ts'
import type { Coroutine, CoroutineIterator, Operation, Suspension } from '../core/suspension.ts'
import type { Waiting, WaitQueue } from '../core/wait-queue.ts'
import { forEach } from './for-each.ts'
import type { NameOptions } from './options.ts'
import { Put, Queue, requireCapacity } from './queue.ts'
import { ENDED, NextItem, PromisedItem, Taking, type Ended } from './taking.ts'

/** All receivers of a channel are closed: what is sent would reach nobody. */
export class BrokenChannelError extends Error implements CodedError {
  static {
    this.prototype.name = 'BrokenChannelError'
  }
  readonly code = 'CEDE_BROKEN_CHANNEL'
}

export interface ChannelStatistics {
  /** How many items were sent and not received. */
  readonly size: number
  readonly capacity: number
  /** Ends that are open. */
  readonly senders: number
  readonly receivers: number
  readonly tasksWaitingToSend: number
  readonly tasksWaitingToReceive: number
}

/** The two ends of a new channel; more are made by `clone()`. */
export interface Channel<T> {
  readonly sender: Sender<T>
  readonly receiver: Receiver<T>
}

/** What a channel may carry: anything but null, which stands for its end. */
type Item = object | string | number | bigint | boolean | symbol | undefined

/**
 * Makes a channel: what goes in at a sender comes out at a receiver, each item at one of them, first in, first out.
 *
 * Both ends can be cloned, to give each task its own to close. When all senders are closed, receivers get what is left
 * and then the end; when all receivers are closed, senders get a `BrokenChannelError`, and what is left is dropped.
 *
 * @param capacity how many items may lie in between before `send` waits; `Infinity`: it never waits
 * @param options a name for dumps and messages
 * @throws {RangeError} if `capacity` is no whole number above 0; {MisuseError} if it is no number
 *
 * Does not suspend.
 *
 * @example
 * import { channel, run, taskGroup, type Sender } from 'cede'
 *
 * function* produce(name: string, sender: Sender<string>) {
 *   try {
 *     for (let i = 1; i <= 3; i++) yield* sender.send(`${name} ${i}`)
 *   } finally {
 *     sender.close()
 *   }
 * }
 *
 * await run(function* () {
 *   const { sender, receiver } = channel<string>(1)
 *   yield* taskGroup(function* (group) {
 *     group.createTask(produce('a', sender.clone()))
 *     group.createTask(produce('b', sender))
 *     yield* receiver.forEach(function* (item) {
 *       console.log(item)
 *     })
 *   })
 * })
 */
export function channel<T extends Item>(capacity: number, options?: NameOptions): Channel<T> {
  requireCapacity('channel()', 'capacity', capacity)
  const core = new ChannelCore<T>(capacity, options)
  return { sender: new Sender<T>(core), receiver: new Receiver<T>(core) }
}

/** What all ends of a channel share. */
class ChannelCore<T> extends Queue<T> {
  senders = 0
  receivers = 0

  override nameForMessages(): string {
    return 'channel'
  }

  channelStatistics(): ChannelStatistics {
    return {
      size: this.size,
      capacity: this.maxSize,
      senders: this.senders,
      receivers: this.receivers,
      tasksWaitingToSend: this.putters.length,
      tasksWaitingToReceive: this.takers.length,
    }
  }
}

/** The end of a channel at which items go in. */
export class Sender<T> {
  static {
    printsAs(this.prototype as Sender<unknown>, ({ core, closed }) => printedEnd('Sender', core, closed))
  }

  /** @internal */
  readonly core: ChannelCore<T>
  #closed = false

  /** @internal */
  constructor(core: ChannelCore<T>) {
    this.core = core
    core.senders++
  }

  /** True after `close()`. */
  get closed(): boolean {
    return this.#closed
  }

  /**
   * Sends an item; waits while the channel holds as many as it may. One that is cancelled while it waits has sent
   * nothing.
   *
   * Suspends only if the channel is full.
   *
   * @param item anything but null, which stands for the end
   * @throws {BrokenChannelError} if all receivers are closed, at the call or while it waits
   * @throws {ClosedError} if this end is closed, at the call or while it waits
   * @throws {MisuseError} at the call, if the item is null
   */
  send(item: T): Coroutine<void> {
    this.#check('send()', item)
    return new Send<T>(this, item)
  }

  /**
   * Sends an item if there is room. May be called from anywhere, also outside of coroutines. Does not suspend.
   *
   * @returns false if the channel is full
   * @throws as `send`
   */
  trySend(item: T): boolean {
    this.#check('trySend()', item)
    return this.core.tryPut(item)
  }

  /**
   * One more sender for the same channel, to be closed by itself. Does not suspend.
   *
   * @throws {ClosedError} if this end is closed
   */
  clone(): Sender<T> {
    this.#requireOpen('clone()')
    return new Sender<T>(this.core)
  }

  /** Closes this end; if it is the last, receivers get what is left and then the end. Again: nothing. Does not suspend. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    const { core } = this
    wakeThose(core.putters, (waiting) => waiting instanceof Send && waiting.sender === this)
    if (--core.senders === 0) core.shutdown()
  }

  /** `using sender = ...` closes it. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** How the channel is used right now, for monitoring. */
  statistics(): ChannelStatistics {
    return this.core.channelStatistics()
  }

  #check(act: string, item: T): void {
    this.#requireOpen(act)
    if (this.core.receivers === 0) throw this.refused(act)
    requireItem(act, item)
  }

  #requireOpen(act: string): void {
    if (this.#closed) throw this.refused(act)
  }

  /** @internal Why nothing can be sent. */
  refused(act: string): Error {
    if (this.#closed) return endClosed(act, 'sender', this.core)
    return new BrokenChannelError(
      `${act} to ${this.core.called()}: an open receiver was expected, found that all are closed`,
    )
  }
}

/** The end of a channel at which items come out. Each item comes out at one receiver. */
export class Receiver<T> implements CoroutineIterator<T> {
  static {
    printsAs(this.prototype as Receiver<unknown>, ({ core, closed }) => printedEnd('Receiver', core, closed))
  }

  /** @internal */
  readonly core: ChannelCore<T>
  #closed = false

  /** @internal */
  constructor(core: ChannelCore<T>) {
    this.core = core
    core.receivers++
  }

  /** True after `close()`. */
  get closed(): boolean {
    return this.#closed
  }

  /**
   * Receives an item; waits while there is none. One that is cancelled while it waits has taken nothing.
   *
   * Suspends only if the channel is empty.
   *
   * @returns null when all senders are closed and nothing is left
   * @throws {ClosedError} if this end is closed, at the call or while it waits
   */
  receive(): Coroutine<T | null> {
    this.#requireOpen('receive()')
    return new Receive<T>(this)
  }

  /**
   * Receives an item if there is one. May be called from anywhere, also outside of coroutines. Does not suspend.
   *
   * @returns undefined if there is none now, null if none will come
   * @throws {ClosedError} if this end is closed
   */
  tryReceive(): T | undefined | null {
    this.#requireOpen('tryReceive()')
    if (this.core.size > 0) return this.core.take()
    return this.core.ended ? null : undefined
  }

  /**
   * Receives an item, as a step of a loop that ends with the channel:
   * `for (let item = yield* receiver.next(); !item.done; item = yield* receiver.next())`.
   *
   * Suspends only if the channel is empty.
   *
   * @throws {ClosedError} as `receive`
   */
  next(): Coroutine<IteratorResult<T, undefined>> {
    this.#requireOpen('next()')
    return new ReceiveNext<T>(this)
  }

  /**
   * Receives one item after the other and calls `body` with it, until the channel ends or the body returns `false`.
   *
   * Suspends while the channel is empty, and where the body does.
   *
   * @param body is given the item, and returns an operation
   * @throws what the body throws; {ClosedError} as `receive`; {MisuseError} at the call, if `body` is no function
   */
  forEach(body: (item: T) => Operation<unknown>): Coroutine<void> {
    return forEach(this, body)
  }

  /** The items, for `for await` in async functions; ends with the channel, or when this end is closed. Needs no loop. */
  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    this.#requireOpen('for await')
    return PromisedItem.all(this.core, this)
  }

  /**
   * One more receiver for the same channel, to be closed by itself. Does not suspend.
   *
   * @throws {ClosedError} if this end is closed
   */
  clone(): Receiver<T> {
    this.#requireOpen('clone()')
    return new Receiver<T>(this.core)
  }

  /**
   * Closes this end; if it is the last, senders get a `BrokenChannelError`, and what is left is dropped. Again: nothing.
   * Does not suspend.
   */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    const { core } = this
    wakeThose(core.takers, (waiting) => (waiting as { readonly receiver?: unknown }).receiver === this)
    if (--core.receivers === 0) core.shutdown({ immediate: true })
  }

  /** `using receiver = ...` closes it. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** How the channel is used right now, for monitoring. */
  statistics(): ChannelStatistics {
    return this.core.channelStatistics()
  }

  #requireOpen(act: string): void {
    if (this.#closed) throw endClosed(act, 'receiver', this.core)
  }
}

class Send<T> extends Put<T> {
  readonly sender: Sender<T>

  constructor(sender: Sender<T>, item: T) {
    super(sender.core, item)
    this.sender = sender
  }

  protected override requireOpen(): void {
    if (this.sender.closed || this.sender.core.receivers === 0) throw this.refused()
  }

  protected override refused(): Error {
    return this.sender.refused('send()')
  }
}

class Receive<T> extends Taking<T, T | null> {
  readonly receiver: Receiver<T>

  constructor(receiver: Receiver<T>) {
    super(receiver.core)
    this.receiver = receiver
  }

  override begin(): IteratorResult<Suspension, T | null> {
    if (this.receiver.closed) throw endClosed('receive()', 'receiver', this.receiver.core)
    return super.begin()
  }

  protected override given(item: T): T {
    return item
  }

  protected override atEnd(): null {
    if (this.receiver.closed) throw endClosed('receive()', 'receiver', this.receiver.core)
    return null
  }
}

class ReceiveNext<T> extends NextItem<T> {
  readonly receiver: Receiver<T>

  constructor(receiver: Receiver<T>) {
    super(receiver.core)
    this.receiver = receiver
  }

  override begin(): IteratorResult<Suspension, IteratorResult<T, undefined>> {
    if (this.receiver.closed) throw endClosed('next()', 'receiver', this.receiver.core)
    return super.begin()
  }

  protected override atEnd(): IteratorResult<T, undefined> {
    if (this.receiver.closed) throw endClosed('next()', 'receiver', this.receiver.core)
    return super.atEnd()
  }
}

/** Ends the waits at one end, of those at all of them. */
function wakeThose<V>(
  line: WaitQueue<V | Ended>,
  at: (waiting: Waiting<V | Ended, unknown>) => boolean,
): void {
  for (let waiting = line.first; waiting !== null;) {
    const next: Waiting<V | Ended, unknown> | null = waiting.behind
    if (at(waiting)) {
      line.remove(waiting)
      waiting.wake(ENDED)
    }
    waiting = next
  }
}

/** @throws {MisuseError} for null */
export function requireItem(act: string, item: unknown): void {
  if (item !== null) return
  throw new MisuseError(
    `${act}: an item was expected, found null, which stands for the end; send undefined instead`,
  )
}

function endClosed(act: string, end: string, core: ChannelCore<never> | ChannelCore<unknown>): ClosedError {
  return new ClosedError(
    `${act} at a ${end} of ${core.called()}: an open ${end} was expected, found it closed`,
  )
}

function printedEnd(kind: string, core: ChannelCore<unknown>, closed: boolean): string {
  const over = closed ? 'closed' : `${String(core.senders)} senders, ${String(core.receivers)} receivers`
  return `${kind}(${core.name === '' ? '' : `${core.name}: `}${String(core.size)} of ${String(core.maxSize)} items, ${over})`
}
