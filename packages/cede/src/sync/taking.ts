/** What all operations that take an item have in common, whether it is from a queue or from a channel. */
import { GIVE_WAY } from '../core/leaf.ts'
import { announce, mayFinishNow } from '../core/running.ts'
import type { Suspension } from '../core/suspension.ts'
import { Waiting, type WaitQueue } from '../core/wait-queue.ts'

/** What those who wait are woken with when nothing more will come, or can be put. */
export const ENDED: unique symbol = Symbol('cede.ended')
export type Ended = typeof ENDED

export interface Source<T> {
  readonly size: number
  /** @internal Nothing more will come than what is there. */
  readonly ended: boolean
  /** @internal */
  readonly takers: WaitQueue<T | Ended>
  /** @internal Takes an item; there must be one. */
  take(): T
}

/** @internal `R` is what it returns for an item, or at the end. */
export abstract class Taking<T, R> extends Waiting<T | Ended, R> {
  protected readonly source: Source<T>

  constructor(source: Source<T>) {
    super(source.takers)
    this.source = source
  }

  override begin(): IteratorResult<Suspension, R> {
    const { source } = this
    if (source.size === 0) return source.ended ? { done: true, value: this.atEnd() } : announce(this)
    if (!mayFinishNow()) return announce(GIVE_WAY)
    return { done: true, value: this.given(source.take()) }
  }

  override end(value: T | Ended): IteratorReturnResult<R> {
    return { done: true, value: value === ENDED ? this.atEnd() : this.given(value) }
  }

  protected abstract given(item: T): R

  /** Returns or throws what stands for the end. */
  protected abstract atEnd(): R
}

/** @internal An item for one that is no task, but awaits a promise. */
export class PromisedItem<T> extends Waiting<T | Ended> {
  readonly #resolve: (item: T | Ended) => void
  /** At which end it waits. */
  readonly receiver: object | null

  private constructor(source: Source<T>, receiver: object | null, resolve: (item: T | Ended) => void) {
    super(source.takers)
    this.receiver = receiver
    this.#resolve = resolve
    // It is never behind a `yield*`, and need not be told of as forgotten.
    this.claimed = true
  }

  override wake(item: T | Ended): void {
    this.#resolve(item)
  }

  /** The items one by one, for `for await`. It takes its turn in line with the tasks that wait. */
  static async *all<T>(
    source: Source<T>,
    receiver: { readonly closed: boolean } | null = null,
  ): AsyncGenerator<T, void, undefined> {
    while (receiver?.closed !== true) {
      const item = await PromisedItem.#next(source, receiver)
      if (item === ENDED) return
      yield item
    }
  }

  static #next<T>(source: Source<T>, receiver: object | null): Promise<T | Ended> | T | Ended {
    if (source.size > 0) return source.take()
    if (source.ended) return ENDED
    return new Promise((resolve) => source.takers.append(new PromisedItem(source, receiver, resolve)))
  }
}

/** @internal A step of an iteration: `next()` of a CoroutineIterator. */
export class NextItem<T> extends Taking<T, IteratorResult<T, undefined>> {
  protected override given(item: T): IteratorResult<T, undefined> {
    return { done: false, value: item }
  }

  protected override atEnd(): IteratorResult<T, undefined> {
    return { done: true, value: undefined }
  }
}
