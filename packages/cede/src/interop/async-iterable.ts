/** Async iterables in coroutines. */
import { coroutine } from '../core/coroutine.ts'
import { wrongArgument } from '../core/misuse.ts'
import type { Coroutine, Suspension } from '../core/suspension.ts'
import { WaitQueue } from '../core/wait-queue.ts'
import { until } from './until.ts'

/** An async iterable whose `next` is an operation. */
export interface AsyncIterableReader<T> {
  /** The next item, or `done` at the end. If the wait is cancelled, the item is given to the next call. */
  next(): Coroutine<IteratorResult<T, undefined>>
  /** Ends the iterable early, as leaving a `for await` does; a coroutine should call it in a `finally`. */
  return(): Coroutine<void>
}

/**
 * Reads an async iterable (a Node stream, an async generator) from a coroutine.
 *
 * @throws {MisuseError} at the call, if it is not an async iterable
 *
 * @example
 * import { fromAsyncIterable, run } from 'cede'
 *
 * async function* numbers() {
 *   yield 1
 *   yield 2
 * }
 * await run(function* () {
 *   const reader = fromAsyncIterable(numbers())
 *   for (let item = yield* reader.next(); !item.done; item = yield* reader.next()) console.log(item.value)
 * })
 */
export function fromAsyncIterable<T>(iterable: AsyncIterable<T>): AsyncIterableReader<T> {
  if (typeof (iterable as Partial<AsyncIterable<T>> | undefined)?.[Symbol.asyncIterator] !== 'function') {
    throw wrongArgument(
      'fromAsyncIterable()',
      'an async iterable',
      iterable,
      'what is not async needs no reader: write `for (const item of items)`',
    )
  }
  return new Reader<T>(iterable[Symbol.asyncIterator]())
}

class Reader<T> implements AsyncIterableReader<T> {
  readonly #iterator: AsyncIterator<T>
  /** Asked for, and not received by anyone yet. */
  #asked: Promise<IteratorResult<T, unknown>> | null = null
  #ended = false
  /** Each item goes to one reader: whoever comes while another waits is next. */
  #reading = false
  readonly #turns: WaitQueue = new WaitQueue(() => ({ what: 'the next item of an async iterable, in turn' }))

  constructor(iterator: AsyncIterator<T>) {
    this.#iterator = iterator
  }

  next(): Coroutine<IteratorResult<T, undefined>> {
    return readNext(this)
  }

  return(): Coroutine<void> {
    return endReader(this)
  }

  *take(): Generator<Suspension, IteratorResult<T, undefined>> {
    if (this.#reading) yield* this.#turns.wait()
    this.#reading = true
    try {
      return yield* this.#ask()
    } finally {
      this.#reading = this.#turns.wakeOne()
    }
  }

  *#ask(): Generator<Suspension, IteratorResult<T, undefined>> {
    if (this.#ended) return { done: true, value: undefined }
    this.#asked ??= this.#iterator.next()
    try {
      const result = yield* until(this.#asked)
      this.#asked = null
      if (result.done !== true) return result
    } catch (error) {
      this.#ended = true
      throw error
    }
    this.#ended = true
    return { done: true, value: undefined }
  }

  *end(): Generator<Suspension, void> {
    if (this.#ended) return
    this.#ended = true
    if (this.#iterator.return !== undefined) yield* until(this.#iterator.return())
  }
}

const readNext = coroutine('next', function* <T>(reader: Reader<T>): Generator<
  Suspension,
  IteratorResult<T, undefined>
> {
  return yield* reader.take()
})

const endReader = coroutine('return', function* (reader: Reader<unknown>): Generator<Suspension, void> {
  yield* reader.end()
})
