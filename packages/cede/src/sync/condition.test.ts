import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import { seededRandom } from '../core/random.ts'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownBy, thrownOf } from '../../../../test/support/thrown-by.ts'
import { createTask } from '../core/current.ts'
import { InvalidStateError, MisuseError, TimeoutError } from '../core/errors.ts'
import { checkpoint, sleep } from '../core/sleep.ts'
import type { Operation } from '../core/suspension.ts'
import { currentTask, type Task } from '../core/task.ts'
import { timeout, timeoutOr } from '../flow/timeout.ts'
import { withScope } from '../flow/with-scope.ts'
import { Condition } from './condition.ts'
import { Lock } from './lock.ts'

function* waiter(condition: Condition, name: string, diary: string[]): Operation<string> {
  return yield* condition.with(function* () {
    try {
      yield* condition.wait()
      diary.push(`${name} notified`)
    } finally {
      assert.equal(condition.lock.statistics().holder, currentTask(), `${name} holds the lock again`)
      diary.push(`${name} out`)
    }
    return name
  })
}

test('notify wakes the longest waiting, one by one as the lock is handed on', () =>
  simulate(function* () {
    const condition = new Condition({ name: 'jobs' })
    const diary: string[] = []
    const tasks = ['a', 'b', 'c', 'd'].map((name) => createTask(waiter(condition, name, diary), { name }))
    yield* sleep(0)
    assert.equal(condition.locked(), false)
    assert.equal(condition.statistics().tasksWaiting, 4)
    assert.equal(tasks[0]!.waitsFor()!.what, 'a notice of condition jobs (in line: a, b, c, d)')
    yield* condition.with(function* () {
      assert.equal(condition.notify(), 1)
      assert.equal(condition.notify(2), 2)
      assert.equal(condition.notify(0), 0)
      assert.deepEqual(condition.statistics(), {
        tasksWaiting: 1,
        lock: { locked: true, holder: currentTask(), tasksWaiting: 3 },
      })
      assert.equal(inspect(condition), 'Condition(jobs: locked, 1 waiting)')
      yield* sleep(10)
      assert.deepEqual(diary, [], 'not before the lock is given back')
    })
    yield* sleep(1)
    assert.deepEqual(diary, ['a notified', 'a out', 'b notified', 'b out', 'c notified', 'c out'])
    yield* condition.acquire()
    assert.equal(condition.notifyAll(), 1)
    assert.equal(condition.notifyAll(), 0)
    condition.release()
    assert.equal(yield* tasks[3]!, 'd')
  }))

test('a wait that is cancelled takes the lock again before any cleanup, however long that takes', async () => {
  await simulate(
    function* (sim) {
      const condition = new Condition()
      const diary: string[] = []
      const task = createTask(waiter(condition, 'a', diary))
      yield* sleep(0)
      yield* condition.with(function* () {
        task.cancel({ graceMs: 5 })
        yield* sleep(100)
        assert.deepEqual(diary, [], 'the end of the grace does not take the lock from its holder')
      })
      assert.equal((yield* task.join()).status, 'cancelled')
      assert.equal(sim.now(), 100)
      assert.deepEqual(diary, ['a out'])
      assert.equal(condition.locked(), false)
      sim.reports.length = 0
    },
    { reports: [] },
  )
})

test('a timeout around a wait: the error comes with the lock held', () =>
  simulate(function* (sim) {
    const condition = new Condition()
    yield* condition.with(function* () {
      createTask(condition.with(sleep(20)))
      yield* thrownOf(TimeoutError, timeout(5, condition.wait()))
      assert.equal(sim.now(), 20)
      assert.equal(condition.lock.statistics().holder, currentTask())
    })
    assert.equal(condition.locked(), false)
  }))

test('who was notified returns from wait, even if it is cancelled before it has the lock', () =>
  simulate(function* () {
    const condition = new Condition()
    const diary: string[] = []
    const [a, b] = ['a', 'b'].map((name) => createTask(waiter(condition, name, diary)))
    yield* sleep(0)
    yield* condition.with(function* () {
      condition.notify()
      a!.cancel()
      yield* sleep(5)
      assert.equal(a!.status, 'waiting')
    })
    yield* a!.join()
    assert.deepEqual(diary, ['a notified', 'a out'])
    assert.equal(b!.status, 'waiting', 'the notice was not passed on')
    yield* condition.with(function* () {
      condition.notifyAll()
      yield* checkpoint()
    })
    yield* b!
  }))

test('in a cancelled scope wait ends at once, with the lock, and nobody else ran', () =>
  simulate(function* () {
    const condition = new Condition()
    yield* condition.with(function* () {
      const other = createTask(condition.with(sleep(0)))
      yield* sleep(0)
      yield* withScope(function* (scope) {
        scope.cancel()
        yield* condition.wait()
        assert.fail('not reached')
      })
      assert.equal(condition.lock.statistics().holder, currentTask())
      assert.equal(other.status, 'waiting')
    })
    yield* sleep(1)
  }))

test('waitFor refuses a predicate that answers later', () =>
  simulate(function* () {
    const condition = new Condition()
    yield* condition.with(function* () {
      for (const predicate of [async () => false, () => sleep(0), () => condition.wait()]) {
        const error = yield* thrownOf(MisuseError, condition.waitFor<unknown>(predicate))
        assert.match(
          error.message,
          /^waitFor\(\): a predicate that answers at once was expected, found .*(promise|operation|wait)/,
        )
      }
      const task = createTask(sleep(0))
      assert.equal(yield* condition.waitFor(() => task), task, 'a value like any other')
    })
  }))

test('waitFor asks at first and after each notice, and returns what the predicate gave', () =>
  simulate(function* () {
    const condition = new Condition()
    const jobs: string[] = []
    let asked = 0
    function* take() {
      return yield* condition.with(function* () {
        const found = yield* condition.waitFor(() => {
          asked++
          return jobs.at(0)
        })
        jobs.shift()
        return found
      })
    }
    const takers = [createTask(take()), createTask(take())]
    yield* sleep(0)
    assert.equal(asked, 2)
    for (const job of ['', 'one', 'two']) {
      yield* condition.with(function* () {
        if (job !== '') jobs.push(job)
        condition.notifyAll()
        yield* checkpoint()
      })
      yield* sleep(1)
    }
    assert.deepEqual([yield* takers[0]!, yield* takers[1]!], ['one', 'two'])
    jobs.push('there already')
    assert.equal(yield* take(), 'there already')
    const error = new Error('mine')
    const failing = condition.with(
      condition.waitFor(() => {
        throw error
      }),
    )
    assert.equal(yield* thrownBy(failing), error)
    assert.equal(condition.locked(), false)
  }))

test('several conditions share a lock', () =>
  simulate(function* () {
    const lock = new Lock()
    const [full, empty] = [new Condition({ lock }), new Condition({ lock })]
    const diary: string[] = []
    const tasks = [createTask(waiter(full, 'full', diary)), createTask(waiter(empty, 'empty', diary))]
    yield* sleep(0)
    yield* lock.with(function* () {
      empty.notifyAll()
      yield* checkpoint()
    })
    yield* tasks[1]!
    assert.deepEqual(diary, ['empty notified', 'empty out'])
    yield* lock.with(function* () {
      full.notifyAll()
      yield* checkpoint()
    })
    yield* tasks[0]!
  }))

test('misuse: without the lock, by another task, wrong arguments', () =>
  simulate(function* () {
    const condition = new Condition({ name: 'jobs' })
    for (const operation of [condition.wait(), condition.waitFor(() => true)]) {
      const error = yield* thrownOf(InvalidStateError, operation)
      assert.match(
        error.message,
        /^wait.*: condition jobs was expected to be held by task main, found it free$/,
      )
    }
    assert.throws(() => condition.notify(), {
      code: 'CEDE_INVALID_STATE',
      message: /^notify\(\): .* found it free$/,
    })
    assert.throws(() => condition.notifyAll(), { code: 'CEDE_INVALID_STATE', message: /^notifyAll\(\): / })
    createTask(condition.with(sleep(10)), { name: 'holder' })
    yield* sleep(0)
    const error = yield* thrownOf(InvalidStateError, condition.wait())
    assert.match(error.message, /found it held by holder$/)
    assert.throws(() => condition.notify(), /found it held by holder$/)
    for (const wrong of [-1, 1.5, Number.NaN, '1' as never])
      assert.throws(() => condition.notify(wrong), typeof wrong === 'number' ? RangeError : MisuseError)
    assert.throws(() => condition.waitFor(undefined as never), MisuseError)
    assert.throws(() => condition.waitFor(function* () {}), /makes a coroutine/)
    assert.throws(() => new Condition({ lock: {} as Lock }), MisuseError)
    yield* sleep(20)
    yield* condition.with(function* () {
      const once = condition.wait()
      const twice = createTask(timeoutOr(1, condition.with(once), 'cut'))
      assert.equal(yield* timeoutOr(5, condition.wait(), 'cut'), 'cut')
      assert.equal(yield* twice, 'cut')
      yield* thrownOf(MisuseError, once)
    })
  }))

test('whatever is cancelled and notified in whatever order: no notice is lost, the lock is always held inside', async () => {
  for (let seed = 0; seed < 60; seed++) {
    const random = seededRandom(seed)
    const below = (limit: number) => Math.floor(random() * limit)
    await simulate(
      function* () {
        const condition = new Condition()
        let items = 0
        let taken = 0
        let given = 0
        let inside = 0
        function* taker() {
          yield* condition.acquire()
          try {
            inside++
            while (items === 0) {
              inside--
              try {
                yield* condition.wait()
              } finally {
                assert.equal(condition.lock.statistics().holder, currentTask())
                assert.equal(++inside, 1)
              }
            }
            items--
            taken++
            if (random() < 0.5) yield* sleep(below(2))
          } finally {
            inside--
            condition.release()
          }
        }
        const tasks: Task[] = []
        for (let i = 0; i < 15; i++) {
          tasks.push(createTask(random() < 0.3 ? timeoutOr(below(5), taker(), null) : taker()))
          if (random() < 0.6) yield* sleep(below(2))
          if (random() < 0.5) {
            yield* condition.with(function* () {
              items++
              given++
              condition.notify()
              if (random() < 0.5) yield* sleep(below(3))
            })
          }
          if (random() < 0.4) tasks[below(tasks.length)]!.cancel()
        }
        yield* sleep(10)
        // As long as anyone waits there is nothing to take: one notice was enough for each item.
        if (condition.statistics().tasksWaiting > 0) assert.equal(items, 0, `seed ${seed}: a notice was lost`)
        assert.equal(taken + items, given)
        assert.deepEqual(condition.statistics().lock, { locked: false, holder: null, tasksWaiting: 0 })
        for (const task of tasks) {
          task.cancel()
          const outcome = yield* task.join()
          if (outcome.status === 'failed') throw outcome.error
        }
      },
      { shuffleSeed: seed },
    )
  }
})
