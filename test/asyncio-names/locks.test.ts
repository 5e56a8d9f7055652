// The names of asyncio's locks and their kin.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  Barrier,
  BoundedSemaphore,
  BrokenBarrierError,
  Condition,
  createTask,
  Event,
  gather,
  InvalidStateError,
  Lock,
  Semaphore,
  sleep,
} from 'cede'
import { simulate } from '../support/sim.ts'
import { thrownOf } from '../support/thrown-by.ts'

test('Lock: acquire, release, locked', () =>
  simulate(function* () {
    const lock = new Lock()
    yield* lock.acquire()
    assert.equal(lock.locked(), true)
    const waiter = createTask(lock.acquire())
    yield* sleep(0)
    assert.equal(waiter.done(), false)
    lock.release()
    yield* waiter
    assert.equal(lock.locked(), true, 'the one who waited has it')
    lock.release()
    assert.equal(lock.locked(), false)
    assert.throws(() => lock.release(), InvalidStateError)
  }))

test('with: of a lock, a condition and a semaphore', () =>
  simulate(function* () {
    const lock = new Lock()
    const condition = new Condition()
    const semaphore = new Semaphore(1)
    for (const each of [lock, condition, semaphore]) {
      const locked = yield* each.with(function* () {
        yield* sleep(1)
        return each.locked()
      })
      assert.deepEqual([locked, each.locked()], [true, false])
    }
  }))

test('Event: wait, set, clear, isSet', () =>
  simulate(function* () {
    const event = new Event()
    const waiter = createTask(event.wait())
    yield* sleep(0)
    assert.deepEqual([event.isSet(), waiter.done()], [false, false])
    event.set()
    assert.equal(event.isSet(), true)
    yield* waiter
    yield* event.wait()
    event.clear()
    assert.equal(event.isSet(), false)
  }))

test('Condition: acquire, release, locked, wait, notify', () =>
  simulate(function* () {
    const condition = new Condition({ lock: new Lock() })
    const told: string[] = []
    function* waiter(name: string) {
      yield* condition.acquire()
      yield* condition.wait()
      told.push(name)
      condition.release()
    }
    const tasks = ['one', 'two', 'three'].map((name) => createTask(waiter(name)))
    yield* sleep(0)
    assert.equal(condition.locked(), false, 'wait() has given the lock back')
    yield* condition.acquire()
    assert.equal(condition.locked(), true)
    assert.equal(condition.notify(), 1)
    condition.release()
    yield* sleep(0)
    assert.deepEqual(told, ['one'])
    yield* condition.acquire()
    assert.equal(condition.notify(2), 2)
    condition.release()
    assert.throws(() => condition.notify(), InvalidStateError)
    yield* gather(tasks)
    assert.deepEqual(told, ['one', 'two', 'three'])
  }))

test('Condition: waitFor, notifyAll', () =>
  simulate(function* () {
    const condition = new Condition()
    let stock = 0
    const takers = [2, 1].map((wanted) =>
      createTask(
        condition.with(function* () {
          assert.equal(
            yield* condition.waitFor(() => stock >= wanted && `${wanted} of ${stock}`),
            `${wanted} of 2`,
          )
        }),
      ),
    )
    yield* sleep(0)
    yield* condition.with(function* () {
      stock = 2
      assert.equal(condition.notifyAll(), 2)
      yield* sleep(0)
    })
    yield* gather(takers)
  }))

test('Semaphore: acquire, release, locked', () =>
  simulate(function* () {
    const semaphore = new Semaphore(2)
    yield* semaphore.acquire()
    assert.equal(semaphore.locked(), false)
    yield* semaphore.acquire()
    assert.equal(semaphore.locked(), true)
    const waiter = createTask(semaphore.acquire())
    yield* sleep(0)
    assert.equal(waiter.done(), false)
    semaphore.release()
    yield* waiter
    for (let i = 0; i < 3; i++) semaphore.release()
    assert.equal(semaphore.value, 3, 'one more than at first')
  }))

test('BoundedSemaphore: released too often', () =>
  simulate(function* () {
    const semaphore = new BoundedSemaphore()
    yield* semaphore.acquire()
    semaphore.release()
    assert.throws(() => semaphore.release(), InvalidStateError)
  }))

test('Barrier: wait, parties, nWaiting, broken', () =>
  simulate(function* () {
    const barrier = new Barrier(3)
    assert.deepEqual([barrier.parties, barrier.nWaiting, barrier.broken], [3, 0, false])
    const tasks = [0, 1].map(() => createTask(barrier.wait()))
    yield* sleep(0)
    assert.equal(barrier.nWaiting, 2)
    assert.deepEqual(yield* gather([...tasks, barrier.wait()]), [0, 1, 2])
    assert.equal(barrier.nWaiting, 0)
  }))

test('Barrier: with', () =>
  simulate(function* () {
    const barrier = new Barrier(2)
    function* arrive(name: string) {
      return yield* barrier.with(function* (index) {
        yield* sleep(1)
        return `${name} is ${index}`
      })
    }
    assert.deepEqual(yield* gather([arrive('Anna'), arrive('Bob')]), ['Anna is 0', 'Bob is 1'])
  }))

test('Barrier: reset, abort, BrokenBarrierError', () =>
  simulate(function* () {
    const barrier = new Barrier(2)
    const first = createTask(barrier.wait())
    yield* sleep(0)
    barrier.reset()
    yield* thrownOf(BrokenBarrierError, first)
    assert.equal(barrier.broken, false)

    const second = createTask(barrier.wait())
    yield* sleep(0)
    barrier.abort()
    const error: unknown = yield* thrownOf(BrokenBarrierError, second)
    assert.ok(error instanceof BrokenBarrierError)
    assert.equal(barrier.broken, true)
    yield* thrownOf(BrokenBarrierError, barrier.wait())
  }))
