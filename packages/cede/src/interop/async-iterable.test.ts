import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import {
  cancelAndWait,
  createTask,
  fromAsyncIterable,
  gather,
  MisuseError,
  sleep,
  timeoutOr,
  type AsyncIterableReader,
  type Suspension,
} from 'cede'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownBy } from '../../../../test/support/thrown-by.ts'

async function* numbers(count: number, log: string[] = []): AsyncGenerator<number, void> {
  try {
    for (let i = 1; i <= count; i++) yield i
  } finally {
    log.push('closed')
  }
}

function* rest<T>(reader: AsyncIterableReader<T>): Generator<Suspension, T[]> {
  const items: T[] = []
  for (let item = yield* reader.next(); item.done !== true; item = yield* reader.next())
    items.push(item.value)
  return items
}

/** An async iterable whose items are pushed by hand. */
class Source implements AsyncIterable<string>, AsyncIterator<string, undefined> {
  asked = 0
  readonly #waiting: ((result: IteratorResult<string, undefined>) => void)[] = []

  next(): Promise<IteratorResult<string, undefined>> {
    this.asked++
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  push(value: string): void {
    this.#waiting.shift()!({ done: false, value })
  }

  end(): void {
    this.#waiting.shift()!({ done: true, value: undefined })
  }
}

test('reads to the end, and says so again', () =>
  simulate(function* () {
    const reader = fromAsyncIterable(numbers(3))
    assert.deepEqual(yield* rest(reader), [1, 2, 3])
    assert.deepEqual(yield* reader.next(), { done: true, value: undefined })
    assert.deepEqual(yield* rest(fromAsyncIterable(Readable.from(['a', 'b']))), ['a', 'b'])
  }))

test('asks for an item only when it is wanted', () =>
  simulate(function* (sim) {
    const source = new Source()
    const reader = fromAsyncIterable(source)
    yield* sleep(1)
    assert.equal(source.asked, 0)
    sim.loop.callLater(5, () => source.push('a'))
    assert.deepEqual(yield* reader.next(), { done: false, value: 'a' })
    assert.equal(source.asked, 1)
  }))

test('a cancelled next loses nothing: its item is given to the next call', () =>
  simulate(function* () {
    const source = new Source()
    const reader = fromAsyncIterable(source)
    assert.equal(yield* timeoutOr(5, reader.next(), 'cut'), 'cut')
    source.push('a')
    assert.deepEqual(yield* reader.next(), { done: false, value: 'a' })
    assert.equal(source.asked, 1)

    assert.equal(yield* timeoutOr(5, reader.next(), 'cut'), 'cut')
    assert.equal(yield* timeoutOr(0, reader.next(), 'cut'), 'cut')
    source.end()
    assert.deepEqual(yield* reader.next(), { done: true, value: undefined })
    assert.equal(source.asked, 2)
  }))

test('return ends it early, so that its finally runs, and only once', () =>
  simulate(function* () {
    const log: string[] = []
    const reader = fromAsyncIterable(numbers(3, log))
    yield* reader.next()
    yield* reader.return()
    assert.deepEqual(log, ['closed'])
    yield* reader.return()
    assert.deepEqual(yield* reader.next(), { done: true, value: undefined })
    assert.deepEqual(log, ['closed'])

    const withoutReturn = fromAsyncIterable(new Source())
    yield* withoutReturn.return()
    assert.deepEqual(yield* withoutReturn.next(), { done: true, value: undefined })
  }))

test('return works in the cleanup of a cancelled task', () =>
  simulate(function* () {
    const log: string[] = []
    const task = createTask(
      (function* () {
        const reader = fromAsyncIterable(numbers(3, log))
        try {
          yield* reader.next()
          yield* sleep(1_000)
        } finally {
          yield* reader.return()
        }
      })(),
    )
    yield* sleep(5)
    yield* cancelAndWait(task)
    assert.deepEqual(log, ['closed'])
  }))

test('an error is thrown where it is read, and ends the reader', () =>
  simulate(function* () {
    const mine = new Error('mine')
    async function* fails(): AsyncGenerator<number, void> {
      yield 1
      throw mine
    }
    const reader = fromAsyncIterable(fails())
    assert.deepEqual(yield* reader.next(), { done: false, value: 1 })
    assert.equal(yield* thrownBy(reader.next()), mine)
    assert.deepEqual(yield* reader.next(), { done: true, value: undefined })
  }))

test('several tasks may read: each item goes to one of them, in their order', () =>
  simulate(function* (sim) {
    const source = new Source()
    const reader = fromAsyncIterable(source)
    sim.loop.callLater(5, () => source.push('a'))
    sim.loop.callLater(6, () => source.push('b'))
    sim.loop.callLater(7, () => source.end())
    const items = yield* gather([reader.next(), reader.next(), reader.next()])
    assert.deepEqual(items, [
      { done: false, value: 'a' },
      { done: false, value: 'b' },
      { done: true, value: undefined },
    ])
  }))

test('a reader that is cancelled passes its turn on', () =>
  simulate(function* () {
    const source = new Source()
    const reader = fromAsyncIterable(source)
    const tasks = [1, 2, 3].map(() => createTask(reader.next()))
    yield* sleep(1)
    yield* cancelAndWait(tasks[1]!)
    yield* cancelAndWait(tasks[0]!)
    source.push('a')
    assert.deepEqual(yield* tasks[2]!, { done: false, value: 'a' })
    assert.equal(source.asked, 1)
  }))

test('what is no async iterable is refused at the call', () => {
  for (const wrong of [undefined, null, [1, 2], 'text', numbers]) {
    assert.throws(() => fromAsyncIterable(wrong as unknown as AsyncIterable<number>), MisuseError)
  }
})
