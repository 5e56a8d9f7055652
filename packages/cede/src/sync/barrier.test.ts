import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownOf } from '../../../../test/support/thrown-by.ts'
import { createTask } from '../core/current.ts'
import { MisuseError } from '../core/errors.ts'
import { sleep } from '../core/sleep.ts'
import { cancelAndWait } from '../flow/wait.ts'
import { gather } from '../flow/gather.ts'
import { withScope } from '../flow/with-scope.ts'
import { Barrier, BrokenBarrierError } from './barrier.ts'

function* arrive(barrier: Barrier, ms: number) {
  yield* sleep(ms)
  return yield* barrier.wait()
}

test('a body that is no operation is refused at the call', () => {
  const barrier = new Barrier(2)
  for (const body of [undefined, 5]) assert.throws(() => barrier.with(body as never), MisuseError)
})

test('tasks go on together, with the order in which they came; round after round', () =>
  simulate(function* (sim) {
    const barrier = new Barrier(3, { name: 'start' })
    for (let round = 1; round <= 3; round++) {
      const tasks = [20, 5, 10].map((ms) => createTask(arrive(barrier, ms)))
      yield* sleep(15)
      assert.equal(barrier.nWaiting, 2)
      assert.deepEqual(barrier.statistics(), { parties: 3, broken: false, tasksWaiting: 2 })
      assert.equal(inspect(barrier), 'Barrier(start: 3 parties, 2 waiting)')
      assert.match(tasks[1]!.waitsFor()!.what, /^1 more at barrier start \(in line: Task-\d+, Task-\d+\)$/)
      assert.deepEqual(yield* gather(tasks), [2, 0, 1])
      assert.equal(sim.now(), round * 20)
      assert.equal(barrier.nWaiting, 0)
    }
  }))

test('a barrier of one lets everyone pass', () =>
  simulate(function* () {
    const barrier = new Barrier(1)
    for (let i = 0; i < 3; i++) assert.equal(yield* barrier.wait(), 0)
  }))

test('one that comes while the others are being let go waits for the next round', () =>
  simulate(function* () {
    const barrier = new Barrier(2)
    const first = createTask(barrier.wait())
    yield* sleep(0)
    assert.equal(yield* barrier.wait(), 1)
    const early = createTask(barrier.wait(), { eager: true })
    assert.equal(barrier.nWaiting, 1)
    assert.equal(first.status, 'ready')
    yield* sleep(0)
    assert.deepEqual([first.status, early.status], ['done', 'waiting'])
    assert.equal(yield* barrier.wait(), 1)
    assert.equal(yield* early, 0)
  }))

test('one that is cancelled is counted no more; a cancelled scope lets nobody go', () =>
  simulate(function* () {
    const barrier = new Barrier(3)
    const tasks = [1, 2].map((ms) => createTask(arrive(barrier, ms)))
    yield* sleep(5)
    tasks[0]!.cancel()
    assert.equal(barrier.nWaiting, 1)
    const third = createTask(barrier.wait())
    yield* sleep(0)
    yield* withScope(function* (scope) {
      scope.cancel()
      yield* barrier.wait()
    })
    assert.equal(barrier.nWaiting, 2)
    assert.equal(yield* barrier.wait(), 2)
    assert.deepEqual([yield* tasks[1]!, yield* third], [0, 1])
  }))

test('one that was let go and is cancelled has passed', () =>
  simulate(function* () {
    const barrier = new Barrier(2)
    const passed: number[] = []
    const task = createTask(
      (function* () {
        passed.push(yield* barrier.wait())
        yield* sleep(1)
      })(),
    )
    yield* sleep(0)
    yield* barrier.wait()
    task.cancel()
    yield* task.join()
    assert.deepEqual(passed, [0])
    assert.equal(barrier.broken, false)
  }))

test('reset sends those who wait away; abort breaks it until reset', () =>
  simulate(function* () {
    const barrier = new Barrier(3, { name: 'start' })
    for (const [act, found] of [
      ['reset', 'it was reset meanwhile'],
      ['abort', 'it was aborted'],
    ] as const) {
      const tasks = [createTask(barrier.wait()), createTask(barrier.wait())]
      yield* sleep(0)
      barrier[act]()
      assert.equal(barrier.nWaiting, 0)
      for (const task of tasks) {
        const error = yield* thrownOf(BrokenBarrierError, task)
        assert.equal(error.message, `wait() at barrier start: expected 3 tasks to come, found that ${found}`)
        assert.equal(error.code, 'CEDE_BROKEN_BARRIER')
      }
      assert.equal(barrier.broken, act === 'abort')
    }
    assert.equal(inspect(barrier), 'Barrier(start: broken)')
    assert.match((yield* thrownOf(BrokenBarrierError, barrier.wait())).message, /found that it is broken$/)
    barrier.reset()
    assert.equal(barrier.broken, false)
    assert.deepEqual(yield* gather([0, 1, 2].map((ms) => arrive(barrier, ms))), [0, 1, 2])
  }))

test('with runs a body behind the barrier', () =>
  simulate(function* () {
    const barrier = new Barrier(2)
    const other = createTask(barrier.with(sleep(5, 'operation')))
    yield* sleep(0)
    assert.equal(
      yield* barrier.with(function* (index) {
        yield* sleep(1)
        return index
      }),
      1,
    )
    assert.equal(yield* other, 'operation')
    const refused = createTask(barrier.with((() => 5) as never))
    yield* sleep(0)
    yield* barrier.wait()
    yield* thrownOf(MisuseError, refused)
  }))

test('the number of parties is checked at the call', () => {
  for (const wrong of [0, -1, 1.5, Number.NaN, Infinity, '2' as never]) {
    assert.throws(() => new Barrier(wrong), {
      name: typeof wrong === 'number' ? 'RangeError' : 'TypeError',
      message: /^new Barrier\(\): a whole number of 1 or more parties/,
    })
  }
})

test('debug mode does not take a body for forgotten that was cancelled in line', () =>
  simulate(
    function* () {
      const barrier = new Barrier(2)
      const cut = createTask(barrier.with(sleep(1)))
      yield* sleep(0)
      yield* cancelAndWait(cut)
    },
    { debug: true },
  ))
