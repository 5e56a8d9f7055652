// Runner and shutdown: S91 to S94, and what DESIGN.md "Scheduling" says instead. S95 to S97 need processes of their
// own: test/signals.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ClosedError,
  ContextVar,
  createTask,
  getRunningLoop,
  MisuseError,
  run,
  Runner,
  sleep,
  sleepForever,
  until,
  type ExceptionContext,
  type Suspension,
  type Task,
} from 'cede'
import { SimDriver } from 'cede/lowlevel'
import { Diary } from '../support/diary.ts'
import { Sim } from '../support/sim.ts'

/** Waits for ever, and takes its time to clean up. */
function* worker(diary: Diary, name: string, cleanupMs = 10): Generator<Suspension, void> {
  try {
    yield* sleepForever()
  } finally {
    yield* sleep(cleanupMs)
    diary.timed(`${name} has ended`)
  }
}

function* failsInCleanup(error: unknown): Generator<Suspension, void> {
  try {
    yield* sleepForever()
  } finally {
    throw error
  }
}

test('S91: when the main has ended all other tasks are cancelled and awaited, and only then run settles', async () => {
  const diary = new Diary()
  const driver = new SimDriver()
  let task: Task | undefined
  const value = await run(
    function* () {
      createTask(worker(diary, 'slow', 50))
      task = createTask(worker(diary, 'fast', 10))
      yield* sleep(5)
      diary.timed('the main has ended')
      return 'value'
    },
    { driver },
  )
  assert.equal(value, 'value')
  diary.expect('5 the main has ended', '15 fast has ended', '55 slow has ended')
  assert.equal(driver.now(), 55)
  assert.equal(task!.status, 'cancelled')
  assert.equal(task!.reason, 'the main has ended')
})

test('S91: tasks that cleanup starts at the end are cancelled and awaited as well', async () => {
  const diary = new Diary()
  function* startsAnother(): Generator<Suspension, void> {
    try {
      yield* sleepForever()
    } finally {
      createTask(worker(diary, 'another'))
      yield* sleep(1)
      diary.timed('has started another')
    }
  }
  await run(
    function* () {
      createTask(startsAnother())
      yield* sleep(0)
    },
    { driver: new SimDriver() },
  )
  diary.expect('1 has started another', '11 another has ended')
})

test('S91: a main that fails is followed by the same shutdown', async () => {
  const diary = new Diary()
  const mine = new Error('mine')
  const outcome = run(
    function* () {
      createTask(worker(diary, 'background'))
      yield* sleep(0)
      throw mine
    },
    { driver: new SimDriver() },
  )
  await assert.rejects(outcome, (error) => error === mine)
  diary.expect('10 background has ended')
})

test('S92: errors of tasks cancelled at shutdown go to the exception handler, with the task, before run settles', async () => {
  const reports: ExceptionContext[] = []
  const mine = new Error('mine')
  let task: Task | undefined
  const value = await run(
    function* () {
      task = createTask(failsInCleanup(mine), { name: 'background' })
      yield* sleep(0)
      return 'value'
    },
    { driver: new SimDriver(), exceptionHandler: (context) => void reports.push(context) },
  )
  assert.equal(value, 'value')
  assert.equal(reports.length, 1)
  assert.equal(reports[0]!.error, mine)
  assert.equal(reports[0]!.task, task)
  assert.match(reports[0]!.message, /task background failed/)
})

test("S92: the main's own error is unaffected, and the other tasks are awaited even then", async () => {
  const diary = new Diary()
  const reports: ExceptionContext[] = []
  const [ofMain, ofTask] = [new Error('of the main'), new Error('of the task')]
  const outcome = run(
    function* () {
      createTask(failsInCleanup(ofTask))
      createTask(worker(diary, 'background'))
      yield* sleep(0)
      throw ofMain
    },
    { driver: new SimDriver(), exceptionHandler: (context) => void reports.push(context) },
  )
  await assert.rejects(outcome, (error) => error === ofMain)
  assert.deepEqual(
    reports.map(({ error }) => error),
    [ofTask],
  )
  diary.expect('10 background has ended')
})

test('S94 (ours): run is refused inside a coroutine, and allowed beside and from callbacks', async () => {
  const sim = new Sim()
  const inside = new Diary()
  const value = await sim.run(function* () {
    assert.throws(() => run(sleep(0), { driver: sim.driver }), MisuseError)
    assert.throws(() => sim.runner.run(sleep(0)), /write `yield\* operation`/)
    const nested = new Promise<string>((resolve, reject) => {
      getRunningLoop().callSoon(() => {
        run(sleep(5, 'from a callback'), { driver: sim.driver }).then(resolve, reject)
      })
    })
    inside.write(yield* until(nested))
    return 'value'
  })
  assert.equal(value, 'value')
  inside.expect('from a callback')
  await sim.end()
})

test('S94: after close the runner takes no main; closing twice is fine', async () => {
  const runner = new Runner({ driver: new SimDriver() })
  assert.equal(await runner.run(sleep(1, 'first')), 'first')
  await runner.close()
  await runner.close()
  assert.throws(() => runner.run(sleep(1)), ClosedError)

  const unused = new Runner({ driver: new SimDriver() })
  await unused.close()
  assert.throws(() => unused.run(sleep(1)), /an open runner was expected/)
})

test('S94: a runner that is being closed takes no main either', async () => {
  const diary = new Diary()
  const runner = new Runner({ driver: new SimDriver() })
  await runner.run(function* () {
    createTask(worker(diary, 'background'))
    yield* sleep(0)
  })
  diary.expect()
  const closed = Promise.all([runner.close(), runner.close()])
  assert.throws(() => runner.run(sleep(1)), ClosedError)
  await closed
  diary.expect('10 background has ended')
})

test('S94: context variables persist between runs of one runner', async () => {
  const variable = new ContextVar('variable', { default: 'default' })
  const runner = new Runner({ driver: new SimDriver() })
  function* sets(): Generator<Suspension, string> {
    const before = variable.get()
    variable.set('set by the first run')
    yield* sleep(0)
    return before
  }
  assert.equal(await runner.run(sets), 'default')
  assert.equal(await runner.run(sets), 'set by the first run')
  await runner.close()
  assert.equal(await run(sets, { driver: new SimDriver() }), 'default')
  assert.equal(variable.get(), 'default')
})

test('S94 (ours): background tasks live on between the runs of a runner', async () => {
  const diary = new Diary()
  const sim = new Sim()
  await sim.run(function* () {
    createTask(
      (function* () {
        yield* sleep(10)
        diary.timed('in the background')
      })(),
    )
  })
  diary.expect()
  await sim.run(() => sleep(50))
  diary.expect('10 in the background')
  await sim.end()
})

test('S94: the disposal of await using closes the runner', async () => {
  const runner = new Runner({ driver: new SimDriver() })
  await runner[Symbol.asyncDispose]()
  assert.throws(() => runner.run(sleep(0)), ClosedError)
})
