/**
 * What locks, queues and channels promise, as models that never wait: plain lists of who holds what and who is in line.
 * Every operation of a program is told to the model of its thing in the moment in which the library decides it, and the
 * model says what must come of it and who must be woken with what. Written without a look at how the library does it.
 */

/** How an operation ends. */
export type Outcome = { readonly returns: unknown } | { readonly throws: string }

/** What one that waits is woken with: an outcome, or something whose meaning depends on what it waits in. */
export type Given = Outcome | { readonly item: Item } | 'ended'

export const DONE: Outcome = { returns: undefined }
export const fault = (code: string): Outcome => ({ throws: code })

/** What operations that take an item return where there is none. */
export const END = 'the end'
export const NONE = 'nothing now'

/** An item exists once. */
export class Item {
  readonly id: number
  readonly priority: number
  /** The library has taken it in. */
  put = false
  received = 0
  dropped = 0

  constructor(id: number, priority: number) {
    this.id = id
    this.priority = priority
  }
}

/** Somebody who holds something: a task of the program; null is a callback. */
export type Who = { readonly id: number } | null

export interface CallOptions {
  /** How it ends with what it is given. */
  readonly present?: (given: Given) => Outcome
  /** What it brings: an item that is put, a borrower. */
  readonly subject?: unknown
  /** At which end of a channel. */
  readonly end?: unknown
  /** Of a wait that gave a lock back: how it takes it again when it was cut. */
  readonly again?: () => Call
}

/** One operation under way. */
export class Call {
  readonly who: NonNullable<Who>
  readonly what: string
  /** What must come of it now: an outcome, or a wait in a line. */
  readonly decide: () => Given | Line
  readonly present: (given: Given) => Outcome
  readonly subject: unknown
  readonly end: unknown
  readonly again: (() => Call) | null
  bornCancelled = false
  parked = false
  gaveWay = false
  /** It has got its notice, and waits for the lock: that is no longer cut. */
  told = false
  /** Its task was cancelled already when it was woken: it waited in a cleanup. */
  wokenCancelled = false
  line: Line | null = null
  /** In which line it was woken, and with what. */
  wokenFrom: Line | null = null
  given: Given | null = null

  constructor(who: NonNullable<Who>, what: string, decide: () => Given | Line, more: CallOptions = {}) {
    this.who = who
    this.what = what
    this.decide = decide
    this.present = more.present ?? ((given) => given as Outcome)
    this.subject = more.subject
    this.end = more.end
    this.again = more.again ?? null
  }
}

/** Who must have been woken, in this order within each line. */
export class Expected {
  calls: Call[] = []
}

/** Who waits, in the order in which they came. */
export class Line {
  readonly name: string
  readonly calls: Call[] = []
  /** The one who alone can end the waits in it. */
  readonly blocker: () => Who
  readonly #expected: Expected

  constructor(name: string, expected: Expected, blocker: () => Who = () => null) {
    this.name = name
    this.#expected = expected
    this.blocker = blocker
  }

  get length(): number {
    return this.calls.length
  }

  add(call: Call): void {
    this.calls.push(call)
    call.line = this
  }

  remove(call: Call): void {
    this.calls.splice(this.calls.indexOf(call), 1)
    call.line = null
  }

  wake(given: Given, call: Call = this.calls[0]!): Call {
    this.remove(call)
    call.given = given
    call.wokenFrom = this
    this.#expected.calls.push(call)
    return call
  }

  wakeAll(given: Given): void {
    while (this.length > 0) this.wake(given)
  }
}

// ---------------------------------------------------------------------- what is held

export class LockModel {
  holder: Who = null
  readonly line: Line

  constructor(name: string, expected: Expected) {
    this.line = new Line(`${name}.line`, expected, () => this.holder)
  }

  take(who: Who): Outcome | Line {
    if (this.holder !== null) return this.line
    this.holder = who
    return DONE
  }

  giveBack(): Outcome {
    if (this.holder === null) return fault('CEDE_INVALID_STATE')
    this.holder = this.line.calls[0]?.who ?? null
    if (this.holder !== null) this.line.wake(DONE)
    return DONE
  }
}

export class ConditionModel {
  readonly lock: LockModel
  readonly line: Line

  constructor(name: string, expected: Expected) {
    this.lock = new LockModel(`${name}.lock`, expected)
    this.line = new Line(`${name}.notices`, expected)
  }

  wait(who: Who): Outcome | Line {
    if (this.lock.holder !== who) return fault('CEDE_INVALID_STATE')
    this.lock.giveBack()
    return this.line
  }

  notify(who: Who, count: number): Outcome {
    if (who === null || this.lock.holder !== who) return fault('CEDE_INVALID_STATE')
    const told = this.line.calls.slice(0, count)
    for (const call of told) {
      this.line.remove(call)
      this.lock.line.add(call)
      call.told = true
    }
    return { returns: told.length }
  }
}

export class SemaphoreModel {
  value: number
  readonly bound: number
  readonly line: Line

  constructor(name: string, expected: Expected, value: number, bound: number) {
    this.value = value
    this.bound = bound
    this.line = new Line(`${name}.line`, expected)
  }

  take(): Outcome | Line {
    if (this.value === 0) return this.line
    this.value--
    return DONE
  }

  giveBack(): Outcome {
    if (this.value >= this.bound) return fault('CEDE_INVALID_STATE')
    if (this.line.length > 0) this.line.wake(DONE)
    else this.value++
    return DONE
  }
}

export class LimiterModel {
  total: number
  /** With the task that took the token. */
  readonly borrowers = new Map<unknown, Who>()
  readonly line: Line

  constructor(name: string, expected: Expected, total: number) {
    this.total = total
    this.line = new Line(`${name}.line`, expected, () => this.#onlyHolder())
  }

  take(who: Who, borrower: unknown = who): Outcome | Line {
    const asks = this.line.calls.some((call) => call.subject === borrower)
    if (asks || this.borrowers.has(borrower)) return fault('CEDE_INVALID_STATE')
    if (this.borrowers.size >= this.total) return this.line
    this.borrowers.set(borrower, who)
    return DONE
  }

  giveBack(borrower: unknown): Outcome {
    if (!this.borrowers.delete(borrower)) return fault('CEDE_INVALID_STATE')
    this.#grant()
    return DONE
  }

  setTotal(total: number): Outcome {
    this.total = total
    this.#grant()
    return DONE
  }

  #grant(): void {
    while (this.line.length > 0 && this.borrowers.size < this.total) {
      const { subject, who } = this.line.wake(DONE)
      this.borrowers.set(subject, who)
    }
  }

  #onlyHolder(): Who {
    return this.total === 1 && this.borrowers.size === 1 ? [...this.borrowers.values()][0]! : null
  }
}

// ---------------------------------------------------------------------- what tasks wait for together

export class EventModel {
  isSet = false
  readonly line: Line

  constructor(name: string, expected: Expected) {
    this.line = new Line(`${name}.line`, expected)
  }

  wait(): Outcome | Line {
    return this.isSet ? DONE : this.line
  }

  set(isSet: boolean): Outcome {
    this.isSet = isSet
    if (isSet) this.line.wakeAll(DONE)
    return DONE
  }
}

export class BarrierModel {
  readonly parties: number
  broken = false
  readonly line: Line

  constructor(name: string, expected: Expected, parties: number) {
    this.parties = parties
    this.line = new Line(`${name}.line`, expected)
  }

  wait(): Outcome | Line {
    if (this.broken) return fault('CEDE_BROKEN_BARRIER')
    if (this.line.length < this.parties - 1) return this.line
    for (let index = 0; this.line.length > 0; index++) this.line.wake({ returns: index })
    return { returns: this.parties - 1 }
  }

  end(broken: boolean): Outcome {
    this.broken = broken
    this.line.wakeAll(fault('CEDE_BROKEN_BARRIER'))
    return DONE
  }
}

// ---------------------------------------------------------------------- what is handed over

export type Order = 'fifo' | 'lifo' | 'priority'

export class QueueModel {
  readonly order: Order
  readonly maxSize: number
  /** In the order in which they came in. */
  items: Item[] = []
  unfinished = 0
  ended = false
  readonly takers: Line
  readonly putters: Line
  readonly joiners: Line

  constructor(name: string, expected: Expected, order: Order, maxSize: number) {
    this.order = order
    this.maxSize = maxSize
    this.takers = new Line(`${name}.takers`, expected)
    this.putters = new Line(`${name}.putters`, expected)
    this.joiners = new Line(`${name}.joiners`, expected)
  }

  get full(): boolean {
    return this.items.length >= this.maxSize
  }

  put(item: Item): Given | Line {
    if (this.ended) return 'ended'
    if (this.full) return this.putters
    this.accept(item)
    return DONE
  }

  take(): Given | Line {
    if (this.items.length === 0) return this.ended ? 'ended' : this.takers
    return { item: this.pop() }
  }

  accept(item: Item): void {
    this.unfinished++
    if (this.takers.length > 0) this.takers.wake({ item })
    else this.items.push(item)
  }

  pop(): Item {
    const item = this.#next()
    this.items.splice(this.items.indexOf(item), 1)
    while (this.putters.length > 0 && !this.full) this.accept(this.putters.wake(DONE).subject as Item)
    return item
  }

  #next(): Item {
    const { items } = this
    if (this.order === 'fifo') return items[0]!
    if (this.order === 'lifo') return items.at(-1)!
    return items.reduce((least, item) => (item.priority < least.priority ? item : least))
  }

  taskDone(count = 1): Outcome {
    if (this.unfinished === 0) return fault('CEDE_INVALID_STATE')
    this.unfinished = Math.max(0, this.unfinished - count)
    if (this.unfinished === 0) this.joiners.wakeAll(DONE)
    return DONE
  }

  join(): Outcome | Line {
    return this.unfinished > 0 ? this.joiners : DONE
  }

  /** Returns the numbers of those that were dropped. */
  shutdown(immediate: boolean): Outcome {
    this.ended = true
    this.putters.wakeAll('ended')
    this.takers.wakeAll('ended')
    const dropped = immediate ? this.items.splice(0) : []
    for (const item of dropped) item.dropped++
    if (dropped.length > 0 && this.unfinished > 0) this.taskDone(dropped.length)
    return { returns: numbersOf(dropped) }
  }
}

export function numbersOf(items: readonly Item[]): string {
  return items
    .map(({ id }) => id)
    .sort((a, b) => a - b)
    .join(' ')
}

/** One end of a channel. */
export class EndModel {
  closed = false
}

export class ChannelModel extends QueueModel {
  senders = 1
  receivers = 1

  closeSender(end: EndModel): Outcome {
    if (end.closed) return DONE
    end.closed = true
    this.#wakeThose(this.putters, end)
    if (--this.senders === 0) this.shutdown(false)
    return DONE
  }

  closeReceiver(end: EndModel): Outcome {
    if (end.closed) return DONE
    end.closed = true
    this.#wakeThose(this.takers, end)
    if (--this.receivers === 0) this.shutdown(true)
    return DONE
  }

  #wakeThose(line: Line, end: EndModel): void {
    for (const call of line.calls.filter((one) => one.end === end)) line.wake('ended', call)
  }
}

export class SubscriptionModel {
  readonly queue: QueueModel
  closed = false
  lagged = false
  dropped = 0

  constructor(queue: QueueModel) {
    this.queue = queue
  }
}

export class BroadcastModel {
  readonly policy: 'wait' | 'drop-oldest' | 'close'
  subscriptions: SubscriptionModel[] = []
  closed = false
  readonly line: Line

  constructor(name: string, expected: Expected, policy: 'wait' | 'drop-oldest' | 'close') {
    this.policy = policy
    this.line = new Line(`${name}.senders`, expected)
  }

  get full(): number {
    return this.subscriptions.filter(({ queue }) => queue.full).length
  }

  send(item: Item): Given | Line {
    if (this.closed) return 'ended'
    if (this.policy === 'wait' && this.full > 0) return this.line
    this.#give(item)
    return DONE
  }

  take(from: SubscriptionModel): Given | Line {
    const given = from.queue.take()
    this.#goOn()
    return given
  }

  unsubscribe(one: SubscriptionModel): Outcome {
    if (one.closed) return DONE
    one.closed = true
    this.#leave(one)
    this.#goOn()
    one.queue.shutdown(true)
    return DONE
  }

  close(): Outcome {
    this.closed = true
    this.line.wakeAll('ended')
    for (const { queue } of this.subscriptions) queue.shutdown(false)
    this.subscriptions = []
    return DONE
  }

  #leave(one: SubscriptionModel): void {
    this.subscriptions = this.subscriptions.filter((other) => other !== one)
  }

  #give(item: Item): void {
    for (const one of this.subscriptions) {
      if (!one.queue.full) {
        one.queue.accept(item)
      } else if (this.policy === 'close') {
        one.lagged = true
        this.#leave(one)
        one.queue.shutdown(false)
      } else {
        one.queue.pop()
        one.dropped++
        one.queue.accept(item)
      }
    }
  }

  #goOn(): void {
    while (this.line.length > 0 && this.full === 0) this.#give(this.line.wake(DONE).subject as Item)
  }
}
