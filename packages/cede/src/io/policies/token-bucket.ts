/**
 * A token bucket: tokens come at a steady rate, a full bucket holds `burst` of them, and who wants some waits for them
 * in a queue.
 *
 * Nothing ticks. How many tokens there are is worked out from the clock when somebody asks, and the one timer of a
 * bucket is armed for the moment when the first of its queue can have what it wants. So the rate is exact, and an idle
 * bucket costs nothing.
 *
 * A bucket with a parent gives only what both have. The first of its queue waits for the bucket's own tokens, and then,
 * without taking them, in the queue of the parent; when the parent grants, all are taken at once. So one that is
 * cancelled anywhere on the way has taken nothing.
 *
 * Grants are given by the timer alone, so that neither a claim nor its withdrawal runs the code of somebody else.
 */
import { InvalidStateError } from '../../core/errors.ts'
import { GIVE_WAY, Leaf } from '../../core/leaf.ts'
import { Loop } from '../../core/loop.ts'
import { nameOf, steppedByHand, wrongArgument } from '../../core/misuse.ts'
import { answerProbe, isProbe } from '../../core/probe.ts'
import { announce, mayFinishNow, running } from '../../core/running.ts'
import type { Coroutine, Suspension, WaitDescription } from '../../core/suspension.ts'
import { takenBy } from '../../core/taken.ts'
import type { Task } from '../../core/task.ts'
import type { TimerHandle } from '../../core/timer-handle.ts'

export interface TokenBucketOptions {
  /** How many tokens come in a second. */
  readonly perSecond: number
  /** How many the bucket holds; it is full at first. */
  readonly burst: number
  /** Another bucket that every token must come from as well: the limit that several buckets have in common. */
  readonly parent?: TokenBucket | undefined
}

/**
 * Tokens that come in this many milliseconds count as there: rounded times could otherwise leave a sliver to wait for
 * that is too short to wait for. They are owed to the bucket, so the rate stays exact.
 */
const SOON_MS = 0.001

/**
 * Limits how often something is done: at most `burst` at once, and `perSecond` on average.
 *
 * In any time of t seconds no more than `burst + t * perSecond` tokens are given. Tasks get them first come first
 * served: one that wants many is not overtaken by those that want few. Time is that of the loop.
 *
 * @example
 * import { run, TokenBucket } from 'cede'
 *
 * await run(function* () {
 *   const bucket = new TokenBucket({ perSecond: 100, burst: 3 })
 *   const startedMs = Date.now()
 *   for (let i = 0; i < 6; i++) yield* bucket.take() // three at once, then one every 10 ms
 *   console.log(Date.now() - startedMs >= 29)
 * })
 */
export class TokenBucket {
  /** How many tokens come in a second. */
  readonly perSecond: number
  /** How many the bucket holds. */
  readonly burst: number
  readonly parent: TokenBucket | null
  /** @internal All that a token must come from: this bucket, its parent, and so on. */
  readonly chain: readonly TokenBucket[]
  readonly #perMs: number
  /** At the last reading. */
  #tokens: number
  #readMs = 0
  /** Whose clock that was. */
  #loop: Loop | null = null
  #first: Claim | null = null
  #last: Claim | null = null
  #waiting = 0
  #timer: TimerHandle | null = null
  /** The timer grants; whoever claims meanwhile is seen by it. */
  #granting = false

  /** @throws {RangeError} if `perSecond` or `burst` is no finite number above 0; {MisuseError} if `parent` is no bucket */
  constructor({ perSecond, burst, parent }: TokenBucketOptions) {
    checkAmount('new TokenBucket()', 'perSecond', perSecond)
    checkAmount('new TokenBucket()', 'burst', burst)
    if (parent !== undefined && !(parent instanceof TokenBucket)) {
      throw wrongArgument('new TokenBucket()', 'a TokenBucket as parent', parent, 'leave it out for none')
    }
    this.perSecond = perSecond
    this.burst = burst
    this.parent = parent ?? null
    this.chain = [this, ...(parent?.chain ?? [])]
    this.#perMs = perSecond / 1_000
    this.#tokens = burst
  }

  /** How many tokens could be taken at once by somebody who need not queue; those of the parents count too. */
  get available(): number {
    if (this.#loop !== null) this.#refill(this.#loop)
    return Math.max(0, Math.min(this.#tokens, this.parent?.available ?? Infinity))
  }

  /** How many wait for tokens. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * Takes `count` tokens, and waits until there are as many. Suspends only if they are not there, or if others wait
   * already. One that is cancelled while it waits has taken nothing, and those behind it move up.
   *
   * More than `burst` can be taken as well: for that one, when its turn has come, the bucket holds as many as it wants.
   *
   * @param count default: 1
   * @throws {RangeError} at the call, if `count` is no finite number above 0
   * @throws {InvalidStateError} if tasks of another loop wait for tokens of this bucket
   */
  take(count = 1): Coroutine<void> {
    checkAmount('take()', 'count', count)
    return new Take(this, count)
  }

  /**
   * Takes `count` tokens if they are there and nobody waits for some. Does not suspend.
   *
   * @param count default: 1
   * @returns false if nothing was taken; always, if `count` is more than `burst`
   * @throws {RangeError} if `count` is no finite number above 0
   * @throws {ClosedError} if no loop is running
   */
  tryTake(count = 1): boolean {
    checkAmount('tryTake()', 'count', count)
    return this.takeNow(Loop.currentRunner('tryTake()').loop, count)
  }

  // ------------------------------------------------------------------ for those who are no tasks

  /** @internal Like `tryTake`. */
  takeNow(loop: Loop, count: number): boolean {
    return this.takeUpTo(loop, count, count) > 0
  }

  /** @internal Takes as many whole tokens as there are, but no more than `most` and no less than `least`; or 0. */
  takeUpTo(loop: Loop, most: number, least: number): number {
    let count = most
    for (const bucket of this.chain) {
      bucket.#refill(loop)
      if (bucket.#first !== null) return 0
      if (!bucket.#has(count)) count = Math.floor(bucket.#tokens + bucket.#soon)
    }
    if (count < least) return 0
    for (const bucket of this.chain) bucket.#tokens -= count
    return count
  }

  /** @internal Stands in the queue for `count` tokens; `granted` is called by the loop when they were taken. */
  claim(loop: Loop, count: number, granted: () => void): Claim {
    this.#refill(loop)
    const claim = new Claim(count, granted)
    claim.ahead = this.#last
    if (this.#last === null) this.#first = claim
    else this.#last.behind = claim
    this.#last = claim
    this.#waiting++
    if (this.#first === claim && !this.#granting) this.#attend()
    return claim
  }

  /** @internal Leaves the queue, before it was granted. */
  withdraw(claim: Claim): void {
    const wasFirst = this.#first === claim
    if (claim.atParent !== null) this.parent!.withdraw(claim.atParent)
    this.#remove(claim)
    // What came for it above `burst` is gone.
    this.#refill(this.#loop!)
    if (wasFirst && !this.#granting) this.#attend()
  }

  /** @internal When the first of the queue gets its tokens, if that depends on nobody else. */
  get grantMs(): number | undefined {
    return this.#timer?.when()
  }

  // ------------------------------------------------------------------ within

  get #soon(): number {
    return this.#perMs * SOON_MS
  }

  #has(count: number): boolean {
    return this.#tokens + this.#soon >= count
  }

  #refill(loop: Loop): void {
    if (loop !== this.#loop) this.#moveTo(loop)
    const nowMs = loop.time()
    const room = Math.max(this.burst, this.#first?.count ?? 0)
    this.#tokens = Math.min(room, this.#tokens + (nowMs - this.#readMs) * this.#perMs)
    this.#readMs = nowMs
  }

  /** Clocks of two loops have nothing in common: what came since the last reading is not known. */
  #moveTo(loop: Loop): void {
    if (this.#first !== null) {
      throw new InvalidStateError(
        'a TokenBucket was expected to be used in one loop at a time, found that those of another loop wait for its tokens',
      )
    }
    this.#loop = loop
    this.#readMs = loop.time()
  }

  /** Looks after the first of the queue. Only the timer grants, though it may be due at once. */
  #attend(): void {
    this.#timer?.cancel()
    this.#timer = null
    const first = this.#first
    if (first === null || first.atParent !== null) return
    const loop = this.#loop!
    if (this.parent !== null && this.#has(first.count)) {
      first.atParent = this.parent.claim(loop, first.count, () => this.#grantedByParent(first))
      return
    }
    const missing = Math.max(0, first.count - this.#tokens)
    this.#timer = loop.callAtSystem(this.#readMs + missing / this.#perMs, () => this.#due())
  }

  #due(): void {
    this.#timer = null
    this.#refill(this.#loop!)
    try {
      if (this.parent === null) this.#grantAll()
    } finally {
      // Whoever waits behind one that throws must not wait for ever.
      this.#attend()
    }
  }

  #grantAll(): void {
    this.#granting = true
    try {
      for (let first = this.#first; first !== null && this.#has(first.count); first = this.#first) {
        this.#grant(first)
      }
    } finally {
      this.#granting = false
    }
  }

  #grantedByParent(claim: Claim): void {
    this.#refill(this.#loop!)
    claim.atParent = null
    try {
      this.#grant(claim)
    } finally {
      this.#attend()
    }
  }

  #grant(claim: Claim): void {
    this.#tokens -= claim.count
    this.#remove(claim)
    claim.granted()
  }

  #remove({ ahead, behind }: Claim): void {
    if (ahead === null) this.#first = behind
    else ahead.behind = behind
    if (behind === null) this.#last = ahead
    else behind.ahead = ahead
    this.#waiting--
  }
}

/** A place in the queue of a bucket. */
export class Claim {
  readonly count: number
  readonly granted: () => void
  ahead: Claim | null = null
  behind: Claim | null = null
  /** Its place in the queue of the parent, while it waits there. */
  atParent: Claim | null = null

  constructor(count: number, granted: () => void) {
    this.count = count
    this.granted = granted
  }
}

class Take extends Leaf<void> {
  readonly #bucket: TokenBucket
  readonly #count: number
  #gaveWay = false
  #task: Task | null = null
  #claim: Claim | null = null

  constructor(bucket: TokenBucket, count: number) {
    super()
    this.#bucket = bucket
    this.#count = count
  }

  next(value?: unknown): IteratorResult<Suspension, void> {
    if (isProbe(value)) return answerProbe()
    const task = this.#task
    if (task !== null) {
      if (task !== running.task) return takenBy(task, this.describe().what)
      if (task.status !== 'running' || this.#claim !== null) throw steppedByHand('a take()')
      return { done: true, value: undefined }
    }
    // A cancelled task takes nothing.
    if (!this.#gaveWay && !mayFinishNow()) {
      this.#gaveWay = true
      return announce(GIVE_WAY)
    }
    if (this.#bucket.takeNow(Loop.currentRunner('take()').loop, this.#count)) {
      return { done: true, value: undefined }
    }
    return announce(this)
  }

  park(task: Task): void {
    this.#task = task
    this.#claim = this.#bucket.claim(task.runner.loop, this.#count, () => {
      this.#claim = null
      task.resume(undefined)
    })
  }

  unpark(): void {
    this.#bucket.withdraw(this.#claim!)
    this.#claim = null
  }

  describe(): WaitDescription {
    const { perSecond, waiting, grantMs } = this.#bucket
    const what = `${String(this.#count)} tokens of a bucket (${String(perSecond)} per second, ${String(waiting)} waiting)`
    return waiting === 1 && grantMs !== undefined ? { what, deadlineMs: grantMs } : { what }
  }
}

/** @throws {RangeError} unless `value` is a finite number above 0 */
export function checkAmount(act: string, what: string, value: unknown): void {
  if (typeof value === 'number' && value > 0 && value < Infinity) return
  throw new RangeError(`${act}: ${what} was expected to be a finite number above 0, found ${nameOf(value)}`)
}
