/** S98-S105: locks, events, conditions, semaphores and barriers. Ours hand over directly, so nothing has to be passed on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  Barrier,
  BoundedSemaphore,
  BrokenBarrierError,
  Condition,
  createTask,
  currentTask,
  Event,
  gather,
  InvalidStateError,
  Lock,
  Semaphore,
  sleep,
  timeout,
  TimeoutError,
  type ExceptionContext,
  type Operation,
} from 'cede'
import { Diary } from '../support/diary.ts'
import { simulate } from '../support/sim.ts'
import { thrownOf } from '../support/thrown-by.ts'

/** Takes it, writes, and holds it for some passes. */
function* hold(lock: Lock | Semaphore, diary: Diary, name: string, passes = 1): Operation<string> {
  yield* lock.acquire()
  try {
    diary.write(name)
    for (let i = 0; i < passes; i++) yield* sleep(0)
  } finally {
    lock.release()
  }
  return name
}

test('S98: a lock is FIFO, and a newcomer queues behind live waiters between release and the step of the waiter', () =>
  simulate(function* () {
    const lock = new Lock()
    const diary = new Diary()
    yield* lock.acquire()
    const tasks = ['a', 'b', 'c'].map((name) => createTask(hold(lock, diary, name)))
    yield* sleep(0)
    lock.release()
    // Nobody of them has run yet, and the lock is theirs.
    assert.equal(lock.locked(), true)
    assert.equal(lock.tryAcquire(), false)
    yield* hold(lock, diary, 'newcomer')
    for (const task of tasks) yield* task
    diary.expect('a', 'b', 'c', 'newcomer')
  }))

test('S98: releasing an unlocked lock, and a bounded semaphore too often, is an error', () =>
  simulate(function* () {
    const lock = new Lock()
    assert.throws(() => lock.release(), InvalidStateError)
    yield* lock.acquire()
    lock.release()
    assert.throws(() => lock.release(), InvalidStateError)
    const semaphore = new BoundedSemaphore(2)
    assert.throws(() => semaphore.release(), InvalidStateError)
    yield* semaphore.acquire()
    semaphore.release()
    assert.throws(() => semaphore.release(), InvalidStateError)
  }))

test('S98: a lock has no owner, so another task may release it', () =>
  simulate(function* () {
    const lock = new Lock()
    yield* createTask(lock.acquire())
    assert.equal(lock.locked(), true)
    lock.release()
    assert.equal(lock.locked(), false)
  }))

test('S98 (ours): a lock is not re-entrant; a task that waits for its own lock is reported', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* () {
      const lock = new Lock()
      yield* lock.acquire()
      yield* thrownOf(TimeoutError, timeout(5, lock.acquire()))
      lock.release()
      assert.equal(lock.locked(), false)
    },
    { reports },
  )
  assert.match(
    reports[0]!.message,
    /^a cycle of locks: task main waits for a lock \(in line: main\), held by task main;/,
  )
  assert.equal(reports.length, 1)
})

test('S99 (ours): a waiter cancelled before the release is passed over, one cancelled after it holds the lock first', () =>
  simulate(function* () {
    for (const cancelFirst of [true, false]) {
      const lock = new Lock()
      const diary = new Diary()
      yield* lock.acquire()
      const [victim, next] = ['victim', 'next'].map((name) => createTask(hold(lock, diary, name)))
      yield* sleep(0)
      if (cancelFirst) victim!.cancel()
      lock.release()
      if (!cancelFirst) victim!.cancel()
      yield* next!
      assert.equal(victim!.status, 'cancelled')
      assert.equal(lock.locked(), false)
      diary.expect(...(cancelFirst ? ['next'] : ['victim', 'next']))
    }
  }))

test('S99: however release and cancel meet, at most one holds it', () =>
  simulate(function* () {
    for (const order of ['release cancel', 'cancel release']) {
      const lock = new Lock()
      let holders = 0
      function* once() {
        yield* lock.acquire()
        try {
          assert.equal(++holders, 1)
          yield* sleep(0)
        } finally {
          holders--
          lock.release()
        }
      }
      yield* lock.acquire()
      const tasks = [0, 1, 2].map(() => createTask(once()))
      yield* sleep(0)
      for (const act of order.split(' ')) {
        if (act === 'release') lock.release()
        else tasks[0]!.cancel()
      }
      const late = createTask(once())
      for (const task of [...tasks, late]) {
        const outcome = yield* task.join()
        assert.notEqual(outcome.status, 'failed')
      }
      assert.equal(lock.locked(), false)
    }
  }))

test('S100: set() wakes everyone waiting then, even if clear() follows at once', () =>
  simulate(function* () {
    const event = new Event()
    const tasks = [0, 1, 2].map(() => createTask(event.wait()))
    yield* sleep(0)
    event.set()
    event.clear()
    const late = createTask(event.wait())
    yield* sleep(0)
    assert.deepEqual(
      tasks.map((task) => task.status),
      ['done', 'done', 'done'],
    )
    assert.equal(late.status, 'waiting')
    assert.equal(event.isSet(), false)
    late.cancel()
  }))

test('S101 (ours): wait() holds the lock again however it ends; a cancel is held back until then', () =>
  simulate(function* (sim) {
    const condition = new Condition()
    const diary = new Diary()
    function* waits() {
      yield* condition.acquire()
      try {
        yield* condition.wait()
        diary.timed('notified')
        yield* sleep(0)
      } finally {
        assert.equal(condition.lock.statistics().holder, currentTask())
        diary.timed('holds the lock')
        condition.release()
      }
    }
    // Cancelled while it waits, with the lock held by another task.
    const waiting = createTask(waits())
    yield* sleep(0)
    yield* condition.with(function* () {
      waiting.cancel()
      waiting.cancel({ reason: 'again' })
      yield* sleep(10)
      diary.expect()
    })
    yield* waiting.join()
    assert.equal(waiting.status, 'cancelled')
    diary.expect('10 holds the lock')
    // Cancelled after the notice, while it waits for the lock: the notice comes first.
    const notified = createTask(waits())
    yield* sleep(0)
    yield* condition.with(function* () {
      condition.notify()
      notified.cancel()
      yield* sleep(10)
      diary.expect()
    })
    yield* notified.join()
    assert.equal(notified.status, 'cancelled')
    diary.expect('20 notified', '20 holds the lock')
    assert.equal(sim.now(), 20)
    assert.equal(condition.locked(), false)
  }))

test('S102 (ours): a notice reaches the one that was notified, or another one if it was cancelled before', () =>
  simulate(function* () {
    for (const cancelFirst of [true, false]) {
      const condition = new Condition()
      let items = 0
      const takers: string[] = []
      function* take(name: string) {
        yield* condition.with(function* () {
          yield* condition.waitFor(() => items > 0)
          items--
          takers.push(name)
        })
      }
      const [a, b] = [createTask(take('a')), createTask(take('b'))]
      yield* sleep(0)
      yield* condition.with(function* () {
        if (cancelFirst) a.cancel()
        items++
        condition.notify()
        if (!cancelFirst) a.cancel()
        yield* sleep(0)
      })
      yield* sleep(1)
      assert.deepEqual(takers, [cancelFirst ? 'b' : 'a'])
      assert.equal(items, 0)
      b.cancel()
      yield* b.join()
    }
  }))

test('S103: a semaphore is FIFO', () =>
  simulate(function* () {
    const semaphore = new Semaphore(1)
    const diary = new Diary()
    const tasks = ['a', 'b', 'c', 'd'].map((name) => createTask(hold(semaphore, diary, name, 2)))
    yield* sleep(0)
    const late = createTask(hold(semaphore, diary, 'late'))
    for (const task of [...tasks, late]) yield* task
    diary.expect('a', 'b', 'c', 'd', 'late')
  }))

test('S103 (ours): a permit is handed over at once, so while tasks wait none is free and locked() is true', () =>
  simulate(function* () {
    const semaphore = new Semaphore(2)
    const diary = new Diary()
    yield* semaphore.acquire()
    yield* semaphore.acquire()
    const tasks = ['a', 'b', 'c'].map((name) => createTask(hold(semaphore, diary, name, 3)))
    yield* sleep(0)
    semaphore.release()
    semaphore.release()
    assert.equal(semaphore.locked(), true)
    assert.equal(semaphore.value, 0)
    yield* sleep(0)
    // Both permits found their task in one pass.
    diary.expect('a', 'b')
    for (const task of tasks) yield* task
    diary.expect('c')
    assert.equal(semaphore.value, 2)
  }))

test('S104 (ours): a waiter cancelled after being granted a permit has it, gives it back, and wakes the next', () =>
  simulate(function* () {
    const semaphore = new Semaphore(1)
    const diary = new Diary()
    yield* semaphore.acquire()
    const tasks = ['a', 'b', 'c'].map((name) => createTask(hold(semaphore, diary, name)))
    yield* sleep(0)
    semaphore.release()
    tasks[0]!.cancel()
    tasks[1]!.cancel()
    yield* tasks[2]!
    diary.expect('a', 'c')
    assert.deepEqual(
      tasks.map((task) => task.status),
      ['cancelled', 'cancelled', 'done'],
    )
    assert.deepEqual(semaphore.statistics(), { value: 1, tasksWaiting: 0 })
  }))

test('S105: a barrier gives the indices 0 to N-1, each once, and is used again', () =>
  simulate(function* () {
    const barrier = new Barrier(4)
    for (let round = 0; round < 3; round++) {
      const indices = yield* gather([1, 2, 3, 4].map(() => barrier.wait()))
      assert.deepEqual(indices.toSorted(), [0, 1, 2, 3])
      assert.equal(barrier.nWaiting, 0)
    }
  }))

test('S105 (ours): it is empty as soon as the last one has come; later ones wait for the next round', () =>
  simulate(function* () {
    const barrier = new Barrier(2)
    const diary = new Diary()
    function* pass(name: string) {
      yield* barrier.wait()
      diary.write(name)
    }
    const tasks = ['a', 'b', 'c'].map((name) => createTask(pass(name)))
    yield* sleep(0)
    yield* sleep(0)
    assert.equal(barrier.nWaiting, 1)
    diary.expect('b', 'a')
    yield* pass('d')
    for (const task of tasks) yield* task
    diary.expect('d', 'c')
  }))

test('S105: a cancelled waiter only lowers the count', () =>
  simulate(function* () {
    const barrier = new Barrier(3)
    const tasks = [0, 1].map(() => createTask(barrier.wait()))
    yield* sleep(0)
    assert.equal(barrier.nWaiting, 2)
    tasks[0]!.cancel()
    assert.equal(barrier.nWaiting, 1)
    assert.equal(barrier.broken, false)
    const indices = yield* gather([tasks[1]!, barrier.wait(), barrier.wait()])
    assert.deepEqual(indices.toSorted(), [0, 1, 2])
  }))

test('S105: reset() and abort() give BrokenBarrierError to those who wait', () =>
  simulate(function* () {
    const barrier = new Barrier(2)
    for (const act of ['reset', 'abort'] as const) {
      const task = createTask(barrier.wait())
      yield* sleep(0)
      barrier[act]()
      yield* thrownOf(BrokenBarrierError, task)
      assert.equal(barrier.broken, act === 'abort')
    }
    yield* thrownOf(BrokenBarrierError, barrier.wait())
    barrier.reset()
    yield* gather([barrier.wait(), barrier.wait()])
  }))
