// The names of asyncio's exceptions.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CancelledError,
  Future,
  IncompleteReadError,
  InvalidStateError,
  LimitError,
  sleep,
  sleepForever,
  StreamReader,
  TaskGroupError,
  taskGroup,
  timeout,
  TimeoutError,
} from 'cede'
import { simulate } from '../support/sim.ts'
import { thrownBy, thrownOf } from '../support/thrown-by.ts'

test('CancelledError', () =>
  simulate(function* () {
    const future = new Future<void>()
    future.cancel('why')
    const error = yield* thrownOf(CancelledError, future)
    assert.equal(error.code, 'CEDE_CANCELLED')
    assert.equal(error.reason, 'why')
  }))

test('TimeoutError', () =>
  simulate(function* () {
    const error = yield* thrownOf(TimeoutError, timeout(5, sleepForever()))
    assert.equal(error.code, 'CEDE_TIMEOUT')
    assert.equal(error.timeoutMs, 5)
  }))

test('InvalidStateError', () =>
  simulate(function* () {
    const future = new Future<number>()
    assert.throws(() => future.result(), InvalidStateError)
    yield* sleep(0)
  }))

test('TaskGroupError: errors, cause, and picking from it', () =>
  simulate(function* () {
    function* failing() {
      yield* sleep(1)
      throw new RangeError('first')
    }
    function* failingInCleanup() {
      try {
        yield* sleepForever()
      } finally {
        throw new SyntaxError('second')
      }
    }
    const error = yield* thrownOf(
      TaskGroupError,
      taskGroup(function* (group) {
        group.createTask(failing())
        group.createTask(failingInCleanup())
        yield* sleep(5)
      }),
    )
    assert.ok(error instanceof AggregateError)
    assert.equal(error.errors.length, 2)
    assert.equal(error.cause, error.errors[0])
    assert.deepEqual(
      error.errors.filter((one) => one instanceof SyntaxError).map((one) => one.message),
      ['second'],
    )
  }))

test('IncompleteReadError: partial, expected', () =>
  simulate(function* () {
    const reader = new StreamReader()
    reader.feedData(Buffer.from('abc'))
    reader.feedEof()
    const error = yield* thrownOf(IncompleteReadError, reader.readExactly(5))
    assert.equal(error.partial.toString(), 'abc')
    assert.equal(error.expected, 5)
  }))

test('LimitError keeps the data', () =>
  simulate(function* () {
    const reader = new StreamReader({ limitBytes: 4 })
    reader.feedData(Buffer.from('123456789'))
    const error = yield* thrownBy(reader.readLine())
    assert.ok(error instanceof LimitError)
    assert.equal(error.limitBytes, 4)
    assert.equal((yield* reader.readExactly(9)).toString(), '123456789')
  }))
