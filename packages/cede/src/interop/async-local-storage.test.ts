import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { test } from 'node:test'
import {
  cancelAndWait,
  createTask,
  Future,
  gather,
  getRunningLoop,
  run,
  sleep,
  sleepForever,
  taskGroup,
  timeoutOr,
  until,
  withStore,
  type Suspension,
} from 'cede'
import { SimDriver, WaitQueue } from 'cede/lowlevel'
import { Sim, simulate } from '../../../../test/support/sim.ts'
import { thrownBy } from '../../../../test/support/thrown-by.ts'

const storage = new AsyncLocalStorage<string>()
const store = (): string | undefined => storage.getStore()

/** Sets a store, and looks at it after every kind of wait. */
function* keeps(name: string, rounds = 3): Generator<Suspension, string[]> {
  storage.enterWith(name)
  const seen: (string | undefined)[] = []
  for (let round = 0; round < rounds; round++) {
    yield* sleep(1)
    seen.push(store())
    yield* sleep(0)
    seen.push(store())
    yield* until(Promise.resolve())
    seen.push(store())
    yield* nested()
    seen.push(store())
  }
  return [...new Set(seen.map(String))]
}

function* nested(): Generator<Suspension, void> {
  yield* sleep(1)
}

test('interleaved tasks each see their own store, after every kind of wait', () =>
  simulate(function* () {
    const seen = yield* gather(['a', 'b', 'c', 'd'].map((name) => keeps(name)))
    assert.deepEqual(seen, [['a'], ['b'], ['c'], ['d']])
    assert.equal(store(), undefined)
  }))

test('the same in any order of the ready queue', async () => {
  for (let shuffleSeed = 1; shuffleSeed <= 20; shuffleSeed++) {
    await simulate(
      function* () {
        const seen = yield* gather(['a', 'b', 'c'].map((name) => keeps(name)))
        assert.deepEqual(seen, [['a'], ['b'], ['c']])
      },
      { shuffleSeed },
    )
  }
})

test('enterWith inside a task stays for its next steps', () =>
  simulate(function* () {
    yield* sleep(0)
    storage.enterWith('first')
    yield* sleep(1)
    assert.equal(store(), 'first')
    storage.enterWith('second')
    yield* sleep(1)
    yield* sleep(1)
    assert.equal(store(), 'second')
  }))

test('the main runs in the store of the code that called run', async () => {
  const driver = new SimDriver()
  const main = function* (): Generator<Suspension, string | undefined> {
    yield* sleep(1)
    return store()
  }
  const values = await Promise.all([
    storage.run('one', () => run(main, { driver })),
    storage.run('two', () => run(main, { driver })),
    run(main, { driver }),
  ])
  assert.deepEqual(values, ['one', 'two', undefined])
  assert.equal(store(), undefined)
})

test('what a task starts inherits its store, as it is at that moment', () =>
  simulate(function* () {
    const reads = function* (): Generator<Suspension, string | undefined> {
      const before = store()
      yield* sleep(5)
      assert.equal(store(), before)
      return before
    }
    storage.enterWith('parent')
    const child = createTask(reads())
    const eager = createTask(reads(), { eager: true })
    storage.enterWith('changed afterwards')
    assert.deepEqual([yield* child, yield* eager], ['parent', 'parent'])
    assert.deepEqual(yield* gather([reads(), reads()]), ['changed afterwards', 'changed afterwards'])
    yield* taskGroup(function* (group) {
      assert.equal(yield* group.createTask(reads()), 'changed afterwards')
    })
  }))

test("a child's enterWith is not seen by its parent or its siblings", () =>
  simulate(function* () {
    storage.enterWith('parent')
    const child = createTask(keeps('child'))
    const eager = createTask(keeps('eager'), { eager: true })
    assert.equal(store(), 'parent')
    const sibling = createTask(
      (function* () {
        yield* sleep(3)
        return store()
      })(),
    )
    assert.deepEqual([yield* child, yield* eager, yield* sibling], [['child'], ['eager'], 'parent'])
    assert.equal(store(), 'parent')
  }))

test('who settles a future or hands over a value does not hand over its store', () =>
  simulate(function* () {
    const future = new Future<string>()
    const queue = new WaitQueue<string>()
    const waiter = createTask(
      (function* () {
        storage.enterWith('waiter')
        return [yield* future, store(), yield* queue.wait(), store()]
      })(),
    )
    yield* sleep(1)
    yield* withStore(storage, 'settler', function* () {
      future.setResult('value')
      yield* sleep(1)
      queue.wakeOne('item')
    })
    assert.deepEqual(yield* waiter, ['value', 'waiter', 'item', 'waiter'])
  }))

test('across until: whoever settles the promise, the task sees its own store', () =>
  simulate(function* () {
    storage.enterWith('task')
    let inFunction: string | undefined
    yield* until(
      () =>
        new Promise<void>((resolve) => {
          inFunction = store()
          storage.run('elsewhere', () => void Promise.resolve().then(resolve))
        }),
    )
    assert.equal(inFunction, 'task')
    assert.equal(store(), 'task')

    const asyncFunction = async (): Promise<string | undefined> => {
      storage.enterWith('async function')
      await Promise.resolve()
      return store()
    }
    assert.equal(yield* withStore(storage, 'task', until(asyncFunction)), 'async function')
  }))

test('callSoon, callLater and done callbacks run in the store of their registration', () =>
  simulate(function* () {
    const seen: Record<string, string | undefined> = {}
    const loop = getRunningLoop()
    const future = new Future<void>()
    storage.enterWith('a')
    loop.callSoon(() => (seen['soon'] = store()))
    loop.callLater(5, () => (seen['later'] = store()))
    future.addDoneCallback(() => (seen['done'] = store()))
    storage.enterWith('b')
    loop.callSoon(() => {
      storage.enterWith('from a callback')
      loop.callSoon(() => (seen['nested'] = store()))
    })
    yield* sleep(1)
    assert.equal(store(), 'b')
    future.setResult()
    yield* sleep(10)
    assert.deepEqual(seen, { soon: 'a', later: 'a', done: 'a', nested: 'from a callback' })
  }))

test("cleanup of a cancelled task runs in the task's store", () =>
  simulate(function* () {
    const seen: (string | undefined)[] = []
    const task = createTask(
      (function* () {
        storage.enterWith('task')
        try {
          yield* sleepForever()
        } finally {
          seen.push(store())
          yield* sleep(1)
          seen.push(store())
        }
      })(),
    )
    yield* sleep(1)
    yield* withStore(storage, 'canceller', cancelAndWait(task))
    assert.deepEqual(seen, ['task', 'task'])
  }))

test('outside of the loop nothing is left of any store', async () => {
  const sim = new Sim()
  await sim.run(function* () {
    storage.enterWith('inside')
    yield* sleep(1)
  })
  assert.equal(store(), undefined)
  await sim.run(function* () {
    assert.equal(store(), undefined)
    yield* sleep(0)
  })
  await sim.end()
})

test('withStore: the store holds for the body, and is put back after a value', () =>
  simulate(function* () {
    storage.enterWith('before')
    const value = yield* withStore(storage, 'inside', function* () {
      assert.equal(store(), 'inside')
      yield* sleep(1)
      assert.equal(store(), 'inside')
      assert.equal(yield* createTask(reads()), 'inside')
      return 'value'
    })
    assert.equal(value, 'value')
    assert.equal(store(), 'before')
    yield* sleep(1)
    assert.equal(store(), 'before')
    assert.equal(yield* withStore(storage, 'inside', reads()), 'inside')
  }))

function* reads(): Generator<Suspension, string | undefined> {
  yield* sleep(1)
  return store()
}

test('withStore: it is put back after an error and after a cancel, also to nothing', () =>
  simulate(function* () {
    const mine = new Error('mine')
    const fails = function* (): Generator<Suspension, never> {
      yield* sleep(1)
      throw mine
    }
    assert.equal(yield* thrownBy(withStore(storage, 'inside', fails)), mine)
    assert.equal(store(), undefined)

    yield* timeoutOr(5, withStore(storage, 'inside', sleepForever()), undefined)
    assert.equal(store(), undefined)
    yield* sleep(1)
    assert.equal(store(), undefined)
  }))

test('withStore: nested, each is put back in its turn', () =>
  simulate(function* () {
    yield* withStore(storage, 'outer', function* () {
      yield* withStore(storage, 'inner', sleep(1))
      assert.equal(store(), 'outer')
      yield* sleep(1)
      assert.equal(store(), 'outer')
    })
    assert.equal(store(), undefined)
  }))

test('several storages are kept at once', () =>
  simulate(function* () {
    const other = new AsyncLocalStorage<number>()
    const task = createTask(
      (function* () {
        storage.enterWith('text')
        other.enterWith(42)
        yield* sleep(5)
        return [store(), other.getStore()]
      })(),
    )
    other.enterWith(7)
    yield* sleep(2)
    assert.deepEqual([store(), other.getStore()], [undefined, 7])
    assert.deepEqual(yield* task, ['text', 42])
  }))

test('asyncLocalStorage: false keeps nothing per task', async () => {
  const main = function* (): Generator<Suspension, string[][]> {
    return yield* gather([keeps('a'), keeps('b')])
  }
  const seen = await run(main, { driver: new SimDriver(), asyncLocalStorage: false })
  assert.notDeepEqual(seen, [['a'], ['b']])
  assert.deepEqual(await run(main, { driver: new SimDriver() }), [['a'], ['b']])
})
