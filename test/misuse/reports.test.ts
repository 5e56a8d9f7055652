// Mistakes that no coroutine can be told of go to the exception handler, at the moment they are known.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coroutine, createTask, sleep, type ExceptionContext } from 'cede'
import { simulate } from '../support/sim.ts'
import type { Op } from './support.ts'

const save = coroutine('save', function* (): Op<void> {
  yield* sleep(1)
})

test('a lost star in debug mode: told when the task that made the call ends', async () => {
  const reports: ExceptionContext[] = []
  const toldAt: number[] = []
  await simulate(
    function* (sim) {
      function* forgetful(): Op<void> {
        void save()
        yield* sleep(5)
      }
      const task = createTask(forgetful(), { name: 'forgetful' })
      task.addDoneCallback(() => toldAt.push(sim.now(), reports.length))
      yield* sleep(10)
    },
    { reports, debug: true },
  )
  assert.deepEqual(toldAt, [5, 1])
  assert.equal(reports.length, 1)
  const [{ message, task, stack, error }] = reports as [ExceptionContext]
  assert.match(
    message,
    /^coroutine save\(\) was called by task forgetful and never run; .*`yield\*` forgotten/,
  )
  assert.equal(task?.name, 'forgetful')
  assert.match(stack ?? '', /forgetful .*reports\.test\.ts:\d+/)
  assert.equal(error, undefined)
})

test('a coroutine that is passed on, run later or made a task is not reported', async () => {
  await simulate(
    function* () {
      const held = save()
      yield* sleep(1)
      yield* held
      yield* createTask(save())
    },
    { debug: true },
  )
})

test('each lost coroutine is told once, with its own place', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* () {
      void save()
      void save()
      yield* sleep(1)
    },
    { reports, debug: true },
  )
  const places = reports.map(({ stack }) => /reports\.test\.ts:(\d+)/.exec(stack ?? '')?.[1])
  assert.equal(places.length, 2)
  assert.equal(Number(places[1]) - Number(places[0]), 1)
})

test('an unowned failure: told once, with the task and the very error, by the end of the turn', async () => {
  const reports: ExceptionContext[] = []
  const failure = new Error('disk on fire')
  await simulate(
    function* () {
      createTask(
        (function* (): Op<void> {
          yield* sleep(1)
          throw failure
        })(),
        { name: 'backup' },
      )
      yield* sleep(5)
      assert.equal(reports.length, 1)
    },
    { reports },
  )
  const [report] = reports
  assert.equal(report?.message, 'task backup failed and nobody waits for it')
  assert.equal(report.error, failure)
  assert.equal(report.task?.name, 'backup')
  assert.equal(report.createdAt, undefined)
})

test('an unowned failure in debug mode: with the place where the task was made and the coroutines further out', async () => {
  const reports: ExceptionContext[] = []
  const inner = coroutine('inner', function* readDisk(): Op<void> {
    yield* sleep(1)
    throw new Error('disk on fire')
  })
  function* between(): Op<void> {
    yield* inner()
  }
  const outer = coroutine('outer', function* backUp(): Op<void> {
    yield* between()
  })
  await simulate(
    function* () {
      createTask(outer(), { name: 'backup' })
      yield* sleep(5)
    },
    { reports, debug: true },
  )
  const [report] = reports
  assert.equal(report?.message, 'task backup (outer) failed and nobody waits for it')
  assert.match(report.createdAt ?? '', /reports\.test\.ts:\d+/)
  assert.match(report.outerStack ?? '', /at between .*reports\.test\.ts[^]*at backUp .*reports\.test\.ts/)
  assert.match(String((report.error as Error).stack), /at readDisk .*reports\.test\.ts/)
})

test('a failure that somebody waits for is not reported, even if the wait begins later in the turn', () =>
  simulate(function* () {
    const task = createTask(
      (function* (): Op<void> {
        throw new Error('expected')
      })(),
    )
    yield* sleep(0)
    const outcome = yield* task.join()
    assert.equal(outcome.status, 'failed')
  }))
