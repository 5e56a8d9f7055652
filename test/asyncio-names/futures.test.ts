// The names of asyncio's futures.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CancelledError, createTask, Future, isFuture, sleep, until } from 'cede'
import { simulate } from '../support/sim.ts'

test('Future: setResult, result, exception, done', () =>
  simulate(function* () {
    const future = new Future<string>()
    assert.equal(future.done(), false)
    future.setResult('value')
    assert.equal(future.done(), true)
    assert.equal(future.result(), 'value')
    assert.equal(future.exception(), null)
    assert.equal(yield* future, 'value')
    assert.throws(() => future.setResult('again'), { code: 'CEDE_INVALID_STATE' })
  }))

test('Future: setException', () =>
  simulate(function* () {
    const future = new Future<string>()
    const error = new RangeError('no')
    future.setException(error)
    assert.equal(future.exception(), error)
    assert.throws(() => future.result(), error)
    yield* sleep(0)
  }))

test('Future: cancel, cancelled', () =>
  simulate(function* () {
    const future = new Future<string>()
    assert.equal(future.cancelled(), false)
    assert.equal(future.cancel('why'), true)
    assert.equal(future.cancelled(), true)
    assert.equal(future.cancel(), false)
    assert.throws(() => future.result(), CancelledError)
    yield* sleep(0)
  }))

test('Future: addDoneCallback, removeDoneCallback', () =>
  simulate(function* () {
    const told: string[] = []
    const future = new Future<number>()
    const first = (): void => void told.push('first')
    const second = (): void => void told.push('second')
    future.addDoneCallback(first)
    future.addDoneCallback(second)
    future.addDoneCallback(second)
    assert.equal(future.removeDoneCallback(second), 2)
    future.setResult(1)
    assert.deepEqual(told, [], 'never from inside the call that settles')
    yield* sleep(0)
    assert.deepEqual(told, ['first'])
  }))

test('isFuture', () =>
  simulate(function* () {
    const task = createTask(sleep(0))
    assert.deepEqual([new Future(), task, Promise.resolve(), null].map(isFuture), [true, true, false, false])
    yield* task
  }))

test('until: a promise as an operation', () =>
  simulate(function* () {
    assert.equal(yield* until(Promise.resolve('settled')), 'settled')
    assert.equal(yield* until((signal) => Promise.resolve(signal.aborted)), false)
  }))
