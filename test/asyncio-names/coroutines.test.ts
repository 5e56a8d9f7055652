// The names of asyncio's coroutines and awaitables.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  asCompleted,
  coroutine,
  fromAsyncIterable,
  sleep,
  withScope,
  type ExceptionContext,
  type Operation,
} from 'cede'
import { suspend } from 'cede/lowlevel'
import { simulate } from '../support/sim.ts'

test('coroutine: a generator function, wrapped or plain', () =>
  simulate(function* () {
    function* plain(n: number) {
      yield* sleep(n)
      return n + 1
    }
    const wrapped = coroutine(plain)
    assert.equal(yield* plain(1), 2)
    assert.equal(yield* wrapped(2), 3)
    assert.equal(wrapped.name, 'plain')
  }))

test('Operation: anything with an iterator that yields suspensions', () =>
  simulate(function* () {
    const twice: Operation<string> = {
      *[Symbol.iterator]() {
        yield* sleep(1)
        return yield* sleep(1, 'twice')
      },
    }
    assert.equal(yield* twice, 'twice')
    assert.equal(yield* twice, 'twice')
  }))

test("suspend: how to make an operation of something of one's own", () =>
  simulate(function* () {
    const parked: string[] = []
    const value = yield* suspend<string>({
      park(task) {
        parked.push(task.name)
        task.resume('resumed')
      },
      unpark() {},
      describe: () => ({ what: 'an example' }),
    })
    assert.deepEqual([value, ...parked], ['resumed', 'main'])
  }))

test('withScope: a body in a scope, in place of `async with`', () =>
  simulate(function* () {
    const log: string[] = []
    const value = yield* withScope(function* (scope) {
      try {
        scope.cancel()
        yield* sleep(1)
        return 'not returned'
      } finally {
        yield* sleep(5)
        log.push('left')
      }
    })
    assert.deepEqual([value, log], [undefined, ['left']])
  }))

test('fromAsyncIterable: async iterators and async generators are read and closed', () =>
  simulate(function* () {
    const log: string[] = []
    async function* numbers() {
      try {
        yield await Promise.resolve(1)
        yield 2
      } finally {
        log.push('closed')
      }
    }
    const reader = fromAsyncIterable(numbers())
    assert.deepEqual(yield* reader.next(), { done: false, value: 1 })
    yield* reader.return()
    assert.deepEqual(log, ['closed'])
    assert.deepEqual(yield* reader.next(), { done: true, value: undefined })
  }))

test('CoroutineIterator: next() is an operation', () =>
  simulate(function* () {
    const ended = asCompleted([sleep(1, 'only')])
    const first = yield* ended.next()
    assert.equal(first.value?.result(), 'only')
    assert.equal((yield* ended.next()).done, true)
  }))

test('debug: a coroutine that never ran is reported', async () => {
  const reports: ExceptionContext[] = []
  const lost = coroutine(function* lost() {
    yield* sleep(1)
  })
  await simulate(
    function* () {
      void lost()
      yield* sleep(1)
    },
    { debug: true, reports },
  )
  assert.match(reports[0]?.message ?? '', /coroutine lost\(\) .* never run/)
})
