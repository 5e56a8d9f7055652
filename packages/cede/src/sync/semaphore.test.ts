import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import { simulate } from '../../../../test/support/sim.ts'
import { createTask } from '../core/current.ts'
import { MisuseError } from '../core/errors.ts'
import { seededRandom } from '../core/random.ts'
import { sleep } from '../core/sleep.ts'
import type { Task } from '../core/task.ts'
import { BoundedSemaphore } from './bounded-semaphore.ts'
import { Semaphore } from './semaphore.ts'

test('as many at once as there are permits', () =>
  simulate(function* (sim) {
    const semaphore = new Semaphore(3, { name: 'slots' })
    let inside = 0
    let most = 0
    function* visit() {
      yield* semaphore.with(function* () {
        most = Math.max(most, ++inside)
        yield* sleep(10)
        inside--
      })
    }
    const tasks = Array.from({ length: 7 }, () => createTask(visit()))
    yield* sleep(0)
    assert.deepEqual(semaphore.statistics(), { value: 0, tasksWaiting: 4 })
    assert.equal(semaphore.locked(), true)
    assert.equal(inspect(semaphore), 'Semaphore(slots: 0 free, 4 waiting)')
    assert.match(tasks[6]!.waitsFor()!.what, /^a permit of semaphore slots \(in line: Task-\d+, /)
    for (const task of tasks) yield* task
    assert.equal(most, 3)
    assert.equal(sim.now(), 30)
    assert.equal(semaphore.value, 3)
  }))

test('a release may come first, from anybody, and more often than an acquire', () =>
  simulate(function* (sim) {
    const semaphore = new Semaphore(0)
    assert.equal(semaphore.locked(), true)
    assert.equal(semaphore.tryAcquire(), false)
    const waiter = createTask(semaphore.acquire())
    yield* sleep(0)
    sim.loop.callSoon(() => semaphore.release())
    yield* waiter
    semaphore.release()
    semaphore.release()
    assert.equal(semaphore.value, 2)
    assert.equal(semaphore.tryAcquire(), true)
    yield* semaphore.acquire()
    assert.equal(semaphore.locked(), true)
  }))

test('the number of permits is checked at the call', () => {
  for (const wrong of [-1, 1.5, Number.NaN, Infinity, '1' as never, null as never]) {
    assert.throws(() => new Semaphore(wrong), {
      name: typeof wrong === 'number' ? 'RangeError' : 'TypeError',
      message: /^new Semaphore\(\): a whole number of 0 or more permits/,
    })
    assert.throws(() => new BoundedSemaphore(wrong), typeof wrong === 'number' ? RangeError : MisuseError)
  }
  // Nobody could ever have a permit of it.
  assert.throws(() => new BoundedSemaphore(0), RangeError)
})

test('ten thousand waiters that are all cancelled leave one by one, at no cost that grows with the line', () =>
  simulate(function* () {
    const semaphore = new Semaphore(0)
    const tasks = Array.from({ length: 10_000 }, () => createTask(semaphore.acquire()))
    yield* sleep(0)
    assert.equal(semaphore.statistics().tasksWaiting, 10_000)
    // The worst order for a list that has to be searched.
    for (let i = 0; i < tasks.length; i += 2) tasks[i]!.cancel()
    for (let i = tasks.length - 1; i > 0; i -= 2) tasks[i]!.cancel()
    assert.equal(semaphore.statistics().tasksWaiting, 0)
    semaphore.release()
    assert.equal(semaphore.value, 1)
  }))

test('whatever is cancelled in whatever order: no permit is made or lost', async () => {
  for (let seed = 0; seed < 60; seed++) {
    const random = seededRandom(seed)
    const below = (limit: number) => Math.floor(random() * limit)
    await simulate(
      function* () {
        const permits = 1 + below(3)
        const semaphore = new BoundedSemaphore(permits)
        let inside = 0
        function* visit() {
          yield* semaphore.acquire()
          assert.ok(++inside <= permits)
          try {
            yield* sleep(below(3))
          } finally {
            inside--
            semaphore.release()
          }
        }
        const tasks: Task[] = []
        for (let i = 0; i < 20; i++) {
          tasks.push(createTask(visit()))
          if (random() < 0.4) yield* sleep(below(2))
          if (random() < 0.5) tasks[below(tasks.length)]!.cancel()
          assert.ok(semaphore.value === 0 || semaphore.statistics().tasksWaiting === 0)
        }
        for (const task of tasks) {
          const outcome = yield* task.join()
          if (outcome.status === 'failed') throw outcome.error
        }
        assert.deepEqual(semaphore.statistics(), { value: permits, tasksWaiting: 0 })
      },
      { shuffleSeed: seed },
    )
  }
})
