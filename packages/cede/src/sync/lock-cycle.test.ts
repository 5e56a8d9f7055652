import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../../../../test/support/sim.ts'
import { createTask } from '../core/current.ts'
import { DeadlockError } from '../core/errors.ts'
import type { ExceptionContext } from '../core/runner.ts'
import { sleep } from '../core/sleep.ts'
import type { Operation } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import { gather } from '../flow/gather.ts'
import { race } from '../flow/race.ts'
import { taskGroup } from '../flow/task-group.ts'
import { timeoutOr } from '../flow/timeout.ts'
import { CapacityLimiter } from './capacity-limiter.ts'
import { Lock } from './lock.ts'

/** Takes one after the other, and holds them all. */
function* takesAll(locks: readonly Pick<Lock, 'with'>[]): Operation<void> {
  const [first, ...rest] = locks
  if (first === undefined) return
  yield* first.with(function* () {
    yield* sleep(1)
    yield* takesAll(rest)
  })
}

function lastReport(reports: readonly ExceptionContext[]): ExceptionContext {
  assert.equal(reports.length, 1)
  return reports[0]!
}

test('two tasks that wait for each other: reported once, with both stacks, while others go on', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* () {
      const [a, b] = [new Lock({ name: 'a' }), new Lock({ name: 'b' })]
      const tasks = [
        createTask(takesAll([a, b]), { name: 'ab' }),
        createTask(takesAll([b, a]), { name: 'ba' }),
      ]
      yield* sleep(100)
      const report = lastReport(reports)
      assert.equal(
        report.message,
        'a cycle of locks: task ba waits for lock a (in line: ba), held by task ab; task ab waits for lock b (in line: ' +
          'ab), held by task ba; none of them goes on until somebody else releases a lock, or a cancel or timeout ends ' +
          'one of the waits',
      )
      assert.equal(report.task, tasks[1])
      const heads = report.stack!.split('\n').filter((line) => !line.startsWith('    at '))
      assert.deepEqual(heads, ['task ba:', 'task ab:'])
      const [, ofBa, ofAb] = report.stack!.split(/^task \w+:\n/m)
      for (const stack of [ofBa!, ofAb!]) {
        assert.ok(stack.split('\n').filter((line) => line.includes('takesAll')).length >= 2, stack)
      }
      // Any cancel ends it, and both locks are free then.
      tasks[0]!.cancel()
      yield* tasks[1]!
      assert.deepEqual([a.locked(), b.locked()], [false, false])
    },
    { reports },
  )
  assert.equal(reports.length, 1)
})

test('longer cycles, and one through a task that is awaited', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* () {
      const locks = ['a', 'b', 'c', 'd'].map((name) => new Lock({ name }))
      const ring = locks.map((lock, i) =>
        createTask(takesAll([lock, locks[(i + 1) % 4]!]), { name: `r${i}` }),
      )
      yield* sleep(10)
      const { message } = lastReport(reports)
      for (const [i, next] of [1, 2, 3, 0].entries())
        assert.match(message, new RegExp(`r${i} waits .*held by task r${next}`))
      ring[2]!.cancel()
      for (const task of ring) yield* task.join()

      reports.length = 0
      const lock = new Lock()
      const parent: Task = createTask(
        lock.with(function* () {
          const child = createTask(lock.with(sleep(1)), { name: 'child' })
          yield* child
        }),
        { name: 'parent' },
      )
      yield* sleep(10)
      assert.match(
        lastReport(reports).message,
        /^a cycle of locks: task child waits for a lock \(in line: child\), held by task parent; task parent waits for task child; /,
      )
      parent.cancel()
      yield* parent.join()
    },
    { reports },
  )
  assert.equal(reports.length, 1)
})

test('through a gather or a group inside with(), whose members want the lock: reported once', async () => {
  for (const wait of ['gather', 'group', 'race']) {
    const reports: ExceptionContext[] = []
    await simulate(
      function* () {
        const lock = new Lock({ name: 'own' })
        const wants = () => [1, 2, 3].map((ms) => takesOneAfter(lock, ms))
        const parent: Task = createTask(
          lock.with(function* () {
            if (wait === 'gather') yield* gather(wants())
            else if (wait === 'race') yield* race([...wants(), sleep(20)])
            else
              yield* taskGroup(function* (group) {
                for (const operation of wants()) group.createTask(operation)
                yield* sleep(0)
              })
          }),
          { name: 'parent' },
        )
        yield* sleep(10)
        if (wait === 'race') {
          assert.deepEqual(reports, [], 'any member may end a race')
        } else {
          assert.match(
            lastReport(reports).message,
            /^a cycle of locks: (task Task-\d+) waits for lock own \(in line: Task-\d+\), held by task parent; task parent waits for (gather|task group), 3 to go, among them \1; /,
          )
          parent.cancel()
        }
        yield* parent.join()
        assert.equal(lock.locked(), false)
      },
      { reports },
    )
  }
})

function* takesOneAfter(lock: Lock, ms: number): Operation<void> {
  yield* sleep(ms)
  yield* takesAll([lock])
}

test('a second cycle through a task that is in the first one still is reported too', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* () {
      const [a, b] = [new Lock({ name: 'a' }), new Lock({ name: 'b' })]
      const impatient = createTask(timeoutOr(20, takesAll([a, b]), 'gave up'), { name: 'impatient' })
      const next = createTask(takesAll([a, b]), { name: 'next' })
      const last = createTask(takesAll([b, a]), { name: 'last' })
      yield* sleep(10)
      assert.match(lastReport(reports).message, /impatient/)
      // Whoever gives up hands its lock to the next, who comes into the same cycle.
      assert.equal(yield* impatient, 'gave up')
      yield* sleep(10)
      assert.equal(reports.length, 2)
      assert.match(
        reports[1]!.message,
        /task next waits for lock b .*; task last waits for lock a .*held by task next;/,
      )
      last.cancel()
      yield* next
    },
    { reports },
  )
})

test('one that tries again and again in the same cycle is reported once', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* () {
      const [a, b] = [new Lock({ name: 'a' }), new Lock({ name: 'b' })]
      const patient = createTask(takesAll([a, b]), { name: 'patient' })
      yield* b.with(function* () {
        yield* sleep(0)
        for (let i = 0; i < 3; i++) assert.equal(yield* timeoutOr(5, takesAll([a]), 'gave up'), 'gave up')
      })
      yield* patient
      assert.equal(reports.length, 1)
    },
    { reports },
  )
})

test('a lock is not re-entrant: one that waits for its own lock is told, and a limiter of one refuses', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* () {
      const lock = new Lock({ name: 'own' })
      assert.equal(yield* timeoutOr(5, takesAll([lock, lock]), 'cut'), 'cut')
      assert.match(
        lastReport(reports).message,
        /task main waits for lock own \(in line: main\), held by task main; none/,
      )
      assert.equal(lock.locked(), false)
      const limiter = new CapacityLimiter(1)
      reports.length = 0
      const tasks = [
        createTask(takesAll([lock, limiter]), { name: 'one' }),
        createTask(takesAll([limiter, lock]), { name: 'two' }),
      ]
      yield* sleep(10)
      assert.match(
        lastReport(reports).message,
        /waits for a token of a limiter \(1 of 1 borrowed; in line: \w+\), held by/,
      )
      tasks[0]!.cancel()
      yield* tasks[1]!
    },
    { reports },
  )
})

test('what is no cycle is not reported, though others are in one', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* () {
      const locks = Array.from({ length: 20 }, () => new Lock())
      // A long chain of waits, in which the last one sleeps.
      const chain = locks.map((_, i) => createTask(takesAll(locks.slice(i).slice(0, 2).reverse())))
      for (const task of chain) yield* task
      assert.equal(reports.length, 0)
      const [a, b] = locks
      const pair = [createTask(takesAll([a!, b!])), createTask(takesAll([b!, a!]))]
      yield* sleep(5)
      assert.equal(reports.length, 1)
      // Those who come later wait for the two, and are in no cycle themselves.
      const later = Array.from({ length: 10 }, () => createTask(takesAll([a!])))
      yield* sleep(5)
      assert.equal(reports.length, 1)
      for (const task of [...later, ...pair]) task.cancel()
      for (const task of [...later, ...pair]) yield* task.join()
    },
    { reports },
  )
})

test('a total deadlock is a DeadlockError that names holders and those in line', async () => {
  const reports: ExceptionContext[] = []
  const error: unknown = await simulate(
    function* () {
      const [a, b] = [new Lock({ name: 'a' }), new Lock({ name: 'b' })]
      const one = createTask(takesAll([a, b]), { name: 'one' })
      createTask(takesAll([b, a]), { name: 'two' })
      yield* one
    },
    { reports },
  ).then(
    () => assert.fail('it must not end'),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof DeadlockError)
  assert.match(error.report, /^task one: waiting for less than 1 s: lock b \(in line: one\), held by two$/m)
  assert.match(error.report, /^task two: waiting for less than 1 s: lock a \(in line: two\), held by one$/m)
  assert.equal(reports.length, 1)
})
