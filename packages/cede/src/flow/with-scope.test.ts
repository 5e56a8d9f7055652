import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createTask,
  Future,
  MisuseError,
  shield,
  sleep,
  sleepForever,
  withScope,
  type CancelScope,
  type Suspension,
} from 'cede'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownBy, thrownOf } from '../../../../test/support/thrown-by.ts'

test('gives the value of its body, or undefined if it was cancelled', () =>
  simulate(function* () {
    assert.equal(yield* withScope(sleep(1, 'value')), 'value')
    assert.equal(
      yield* withScope(function* (scope) {
        scope.cancel()
        yield* sleepForever()
        return 'not reached'
      }),
      undefined,
    )
  }))

test('a body that ends without another wait keeps its value, though its scope was cancelled', () =>
  simulate(function* () {
    const value = yield* withScope(function* (scope) {
      scope.cancel({ reason: 'mine' })
      assert.deepEqual([scope.cancelled, scope.reason], [true, 'mine'])
      return 'value'
    })
    assert.equal(value, 'value')
  }))

test('may be cancelled by somebody else, and only while it is open', () =>
  simulate(function* (sim) {
    let scope: CancelScope | undefined
    const task = createTask(
      (function* () {
        yield* withScope((given) => {
          scope = given
          return sleepForever()
        })
        yield* sleep(10)
        return 'went on'
      })(),
    )
    yield* sleep(5)
    assert.equal(scope!.cancel({ reason: 'first' }), true)
    assert.equal(scope!.cancel({ reason: 'second' }), true)
    assert.equal(scope!.reason, 'first')
    assert.equal(yield* task, 'went on')
    assert.equal(sim.now(), 15)
    assert.equal(scope!.cancel(), false)
    assert.equal(scope!.cancelled, true)
  }))

test('a scope that ended by itself is not cancelled afterwards', () =>
  simulate(function* () {
    let scope: CancelScope | undefined
    yield* withScope(function* (given) {
      scope = given
      yield* sleep(1)
    })
    assert.equal(scope!.cancel(), false)
    assert.equal(scope!.cancelled, false)
    yield* sleep(1)
  }))

test('an error of the body passes, cancelled or not', () =>
  simulate(function* () {
    const mine = new Error('mine')
    for (const cancels of [false, true]) {
      const body = function* (scope: CancelScope): Generator<Suspension, void> {
        if (cancels) scope.cancel()
        throw mine
      }
      assert.equal(yield* thrownBy(withScope(body)), mine)
    }
  }))

test('a value that is ready goes before the cancel', () =>
  simulate(function* () {
    const future = new Future<string>()
    let scope: CancelScope | undefined
    const task = createTask(
      withScope((given) => {
        scope = given
        return future
      }),
    )
    yield* sleep(1)
    future.setResult('value')
    scope!.cancel()
    assert.equal(yield* task, 'value')
  }))

test('runs once', () =>
  simulate(function* () {
    for (const once of [withScope(sleep(1)), shield(sleep(1))]) {
      yield* once
      yield* thrownOf(MisuseError, once)
    }
  }))

test('a body that is no operation is refused where it is entered, and the scope is closed', () =>
  simulate(function* () {
    for (const open of [withScope, shield] as ((body: unknown) => Generator<Suspension>)[]) {
      yield* thrownOf(MisuseError, open(42))
      yield* thrownOf(
        MisuseError,
        open(() => 42),
      )
      yield* sleep(1)
    }
  }))
