/** Reads one after the other, for loops. */
import { coroutine } from '../core/coroutine.ts'
import { MisuseError } from '../core/errors.ts'
import { Leaf } from '../core/leaf.ts'
import type {
  Coroutine,
  CoroutineIterator,
  Operation,
  Suspension,
  WaitDescription,
} from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import type { Read } from './read.ts'
import type { StreamReader } from './stream-reader.ts'

/** A read as a step of an iteration. */
class NextItem<T> extends Leaf<IteratorResult<T, undefined>> {
  readonly #read: Read<T | null>

  constructor(read: Read<T | null>) {
    super()
    this.#read = read
    // Whether it was run is told of this one.
    read.claimed = true
  }

  next(value?: unknown): IteratorResult<Suspension, IteratorResult<T, undefined>> {
    const step = this.#read.next(value)
    if (step.done !== true) return step
    const item = step.value
    return {
      done: true,
      value: item === null ? { done: true, value: undefined } : { done: false, value: item },
    }
  }

  // Parked on is the read itself.
  park(task: Task): void {
    this.#read.park(task)
  }

  unpark(): void {
    this.#read.unpark()
  }

  describe(): WaitDescription {
    return this.#read.describe()
  }
}

/** Behind `reader.forEachLine`. */
export const eachLine: (reader: StreamReader, body: (line: string) => Operation<unknown>) => Coroutine<void> =
  coroutine(
    'forEachLine',
    function* (
      reader: StreamReader,
      body: (line: string) => Operation<unknown>,
    ): Generator<Suspension, void> {
      for (let line = yield* reader.readTextLine(); line !== null; line = yield* reader.readTextLine()) {
        if ((yield* body(line)) === false) return
      }
    },
  )

/** Reads one after the other, for a loop in a generator. */
export class Items<T> implements CoroutineIterator<T> {
  readonly #act: string
  readonly #read: () => Read<T | null>

  constructor(act: string, read: () => Read<T | null>) {
    this.#act = act
    this.#read = read
  }

  next(): Coroutine<IteratorResult<T, undefined>> {
    return new NextItem(this.#read())
  }

  /** Real, so that `for...of` is told what to write where types were not checked. */
  [Symbol.iterator](): never {
    throw new MisuseError(
      `${this.#act} was walked by \`for...of\` or spread: a loop that waits was expected; write ` +
        '`for (let item = yield* items.next(); !item.done; item = yield* items.next())`, or `yield* reader.forEachLine(body)`',
    )
  }
}
