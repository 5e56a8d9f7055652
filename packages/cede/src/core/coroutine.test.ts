import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../../../../test/support/sim.ts'
import { coroutine } from './coroutine.ts'
import { createTask, getRunningLoop } from './current.ts'
import { MisuseError } from './errors.ts'
import { Future } from './future.ts'
import { sleep } from './sleep.ts'
import type { Coroutine, Operation, Suspension } from './suspension.ts'

const add = coroutine(function* add(a: number, b: number) {
  yield* sleep(0)
  return a + b
})

test('the wrapper has the name and the length of the function, or the name that was given', () => {
  assert.equal(add.name, 'add')
  assert.equal(add.length, 2)
  const renamed = coroutine('fetchPage', function* (_url: string): Generator<never, void> {})
  assert.equal(renamed.name, 'fetchPage')
  assert.equal(renamed.length, 1)
  assert.equal(coroutine(function* (): Generator<never, void> {}).name, '')
})

test('arguments, `this` and the value pass through', () =>
  simulate(function* () {
    class Account {
      balance = 10
      deposit = coroutine('deposit', function* (this: Account, amount: number) {
        yield* sleep(1)
        this.balance += amount
        return this.balance
      })
    }
    assert.equal(yield* add(2, 3), 5)
    assert.equal(yield* new Account().deposit(5), 15)
  }))

test('a method may be wrapped once for all instances', () =>
  simulate(function* () {
    class Counter {
      count = 0
      declare next: (this: Counter, by: number) => Coroutine<number>
      static {
        this.prototype.next = coroutine(function* (this: Counter, by: number): Generator<never, number> {
          return (this.count += by)
        })
      }
    }
    const counter = new Counter()
    yield* counter.next(2)
    assert.equal(yield* counter.next(3), 5)
  }))

test('calling runs nothing; the body begins with `yield*`', () =>
  simulate(function* () {
    const begun: string[] = []
    const note = coroutine(function* (): Generator<never, void> {
      begun.push('begun')
    })
    const call = note()
    yield* sleep(1)
    assert.deepEqual(begun, [])
    yield* call
    assert.deepEqual(begun, ['begun'])
  }))

test('a call that does not suspend costs no pass', () =>
  simulate(function* (sim) {
    const instant = coroutine(function* (): Generator<never, number> {
      return 7
    })
    const { passes } = sim.loop
    assert.equal(yield* instant(), 7)
    assert.equal(sim.loop.passes, passes)
  }))

test('a wrapped operation that is no generator is run as well', () =>
  simulate(function* () {
    const naps = coroutine('nap', (ms: number) => sleep(ms, `slept ${ms}`))
    assert.equal(yield* naps(5), 'slept 5')
    assert.equal(getRunningLoop().time(), 5)
  }))

test('what returns no operation is refused when it is called', () => {
  const wrong = coroutine('wrong', (() => Promise.resolve(1)) as never) as () => unknown
  assert.throws(() => wrong(), /coroutine wrong\(\).*a promise/)
  assert.throws(() => (coroutine((() => undefined) as never) as () => unknown)(), MisuseError)
  assert.throws(() => coroutine('no function' as never), MisuseError)
  assert.throws(() => coroutine('name', 5 as never), TypeError)
})

// ------------------------------------------------------------------ used once

test('a second `yield*` throws, and so does a task of it', () =>
  simulate(function* () {
    const call = add(1, 2)
    assert.equal(yield* call, 3)
    try {
      yield* call
      assert.fail('must throw')
    } catch (error) {
      assert.ok(error instanceof MisuseError)
      assert.match(error.message, /coroutine add\(\) was used a second time/)
    }
    assert.throws(() => createTask(call), /used a second time/)
  }))

test('a second use while it runs throws in the second place and leaves the owner unharmed', () =>
  simulate(function* () {
    const shared = add(1, 2)
    const [owner, thief] = [createTask(passOn(shared)), createTask(passOn(shared))]
    const outcome = yield* thief.join()
    assert.ok(outcome.status === 'failed' && outcome.error instanceof MisuseError)
    assert.equal(yield* owner, 3)
  }))

test('stepping a running call by hand throws and leaves the owner unharmed', () =>
  simulate(function* () {
    const shared = add(1, 2)
    const owner = createTask(passOn(shared))
    yield* sleep(0)
    assert.throws(() => shared[Symbol.iterator](), MisuseError)
    const iterator = shared as unknown as Iterator<unknown>
    iterator.next() // may be a `yield*` below a generator that this task shares; told at the next wait or step
    assert.throws(() => iterator.next(), /by someone who does not run it/)
    iterator.next()
    assert.throws(() => sleep(1)[Symbol.iterator]().next(), /walked by hand/)
    assert.equal(yield* owner, 3)
  }))

function* passOn<T>(operation: Operation<T>) {
  return yield* operation
}

// ------------------------------------------------------------------ errors

const failAtOnce = coroutine('failAtOnce', function* (error: unknown): Generator<never, void> {
  throw error
})
const failLater = coroutine('failLater', function* (error: unknown) {
  yield* sleep(1)
  throw error
})
const through = coroutine('through', function* (operation: Operation<unknown>): Generator<
  Suspension,
  unknown
> {
  return yield* operation
})

const kinds: readonly (readonly [string, (error: unknown) => Operation<unknown>])[] = [
  ['that does not suspend', failAtOnce],
  ['that suspended', failLater],
]
for (const [kind, fail] of kinds) {
  test(`an error of a call ${kind} passes through frames as it is, and can be caught at each`, () =>
    simulate(function* () {
      for (const error of [new Error('mine'), 'a string', undefined, null]) {
        try {
          yield* through(passOn(through(through(fail(error)))))
          assert.fail('must throw')
        } catch (found) {
          assert.equal(found, error)
        }
      }
      assert.equal(yield* recover(new Error('mine'), fail), 'recovered: mine')
    }))
}

const recover = coroutine('recover', function* (error: Error, fail: (error: unknown) => Operation<unknown>) {
  try {
    yield* through(fail(error))
    return 'went on'
  } catch (found) {
    yield* sleep(1)
    return `recovered: ${(found as Error).message}`
  }
})

test('`finally` blocks of a failing chain run innermost first, each once', () =>
  simulate(function* () {
    const left: number[] = []
    const nest = coroutine('nest', function* (depth: number): Generator<Suspension, void> {
      try {
        if (depth === 0) yield* failLater(new Error('mine'))
        else yield* nest(depth - 1)
      } finally {
        yield* sleep(0)
        left.push(depth)
      }
    })
    const outcome = yield* createTask(nest(5)).join()
    assert.equal(outcome.status, 'failed')
    assert.deepEqual(left, [0, 1, 2, 3, 4, 5])
  }))

// ------------------------------------------------------------------ chains

const wrappedCount = coroutine('wrappedCount', function* (depth: number, steps: string[]): Generator<
  Suspension,
  number
> {
  if (depth === 0) return 0
  yield* sleep(1)
  steps.push(`wrapped ${depth}`)
  return 1 + (yield* plainCount(depth - 1, steps))
})

function* plainCount(depth: number, steps: string[]): Generator<Suspension, number> {
  if (depth === 0) return 0
  const below = yield* wrappedCount(depth - 1, steps)
  yield* sleep(1)
  steps.push(`plain ${depth}`)
  return 1 + below
}

test('plain and wrapped calls mix in one chain, suspending on the way down and up', () =>
  simulate(function* () {
    const steps: string[] = []
    assert.equal(yield* plainCount(6, steps), 6)
    assert.deepEqual(steps, ['wrapped 5', 'wrapped 3', 'wrapped 1', 'plain 2', 'plain 4', 'plain 6'])
    assert.equal(getRunningLoop().time(), 6)
  }))

test('values that are awaited arrive where they were awaited, at every depth', () =>
  simulate(function* () {
    const futures = Array.from({ length: 5 }, () => new Future<number>())
    const sum = coroutine('sum', function* (index: number): Generator<Suspension, number> {
      if (index === futures.length) return 0
      const mine = yield* futures[index]!
      return mine + (yield* sum(index + 1))
    })
    const task = createTask(sum(0))
    for (const [index, future] of futures.entries()) {
      yield* sleep(1)
      future.setResult(10 ** index)
    }
    assert.equal(yield* task, 11_111)
  }))

// ------------------------------------------------------------------ depth

const DEEP = 100_000

const descend = coroutine('descend', function* (depth: number, bottom: () => Operation<number>): Generator<
  Suspension,
  number
> {
  if (depth === 0) return yield* bottom()
  return 1 + (yield* descend(depth - 1, bottom))
})

test('recursion 100,000 deep with a wait at the bottom', () =>
  simulate(function* () {
    assert.equal(yield* descend(DEEP, () => sleep(5, 0)), DEEP)
    assert.equal(getRunningLoop().time(), 5)
  }))

test('recursion 100,000 deep without any wait', () =>
  simulate(function* (sim) {
    const { passes } = sim.loop
    assert.equal(yield* descend(DEEP, instantZero), DEEP)
    assert.equal(sim.loop.passes, passes, 'calls that go through the loop spend no pass')
  }))

const instantZero = coroutine('instantZero', function* (): Generator<never, number> {
  return 0
})

test('an error from 100,000 deep arrives at the top', () =>
  simulate(function* () {
    for (const fail of [failAtOnce, failLater]) {
      const error = new Error('from below')
      try {
        yield* descend(DEEP, () => fail(error) as Operation<never>)
        assert.fail('must throw')
      } catch (found) {
        assert.equal(found, error)
      }
    }
  }))

test('a task cancelled 100,000 deep unwinds all its frames', () =>
  simulate(function* () {
    let left = 0
    const nest = coroutine('nest', function* (depth: number): Generator<Suspension, void> {
      try {
        if (depth === 0) yield* sleep(1_000)
        else yield* nest(depth - 1)
      } finally {
        left++
      }
    })
    const task = createTask(nest(DEEP))
    yield* sleep(0)
    task.cancel()
    assert.equal((yield* task.join()).status, 'cancelled')
    assert.equal(left, DEEP + 1)
  }))

test('mutual recursion through plain generators in between is as deep', () =>
  simulate(function* () {
    const even = coroutine('even', function* (n: number): Generator<Suspension, boolean> {
      return n === 0 ? true : yield* plainOdd(n - 1)
    })
    function* plainOdd(n: number): Generator<Suspension, boolean> {
      return n === 0 ? false : yield* even(n - 1)
    }
    assert.equal(yield* even(DEEP), true)
    assert.equal(yield* even(DEEP + 1), false)
  }))
