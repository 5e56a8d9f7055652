// The names of asyncio's event loop.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createTask,
  Future,
  getRunningLoop,
  type Handle,
  run,
  Runner,
  sleep,
  type ExceptionContext,
  type Loop,
} from 'cede'
import { SimDriver, type Driver } from 'cede/lowlevel'
import { simulate } from '../support/sim.ts'

test('getRunningLoop, Loop', async () => {
  await simulate(function* (sim) {
    const loop: Loop = getRunningLoop()
    assert.equal(loop, sim.loop)
    yield* sleep(0)
  })
  assert.throws(() => getRunningLoop(), { code: 'CEDE_CLOSED' })
})

test('driver: a loop of its own', async () => {
  const driver: Driver = new SimDriver({ startMs: 1_000 })
  await run(sleep(500), { driver })
  assert.equal(driver.now(), 1_500)
})

test('Loop: callSoon, callLater, callAt, time', () =>
  simulate(function* (sim) {
    const loop = getRunningLoop()
    const log: string[] = []
    loop.callLater(5, () => log.push(`later ${String(loop.time())}`))
    loop.callAt(3, () => log.push(`at ${String(loop.time())}`))
    loop.callSoon(() => log.push(`soon ${String(loop.time())}`))
    yield* sleep(10)
    assert.deepEqual(log, ['soon 0', 'at 3', 'later 5'])
    assert.equal(loop.time(), sim.now())
  }))

test('Handle: cancel, cancelled', () =>
  simulate(function* () {
    const handle: Handle = getRunningLoop().callSoon(() => assert.fail('it was cancelled'))
    assert.equal(handle.cancelled(), false)
    handle.cancel()
    assert.equal(handle.cancelled(), true)
    yield* sleep(1)
  }))

test('TimerHandle: when, cancel, reschedule', () =>
  simulate(function* (sim) {
    const calledAt: number[] = []
    const timer = getRunningLoop().callLater(5, () => calledAt.push(sim.now()))
    assert.equal(timer.when(), 5)
    assert.equal(timer.reschedule(8), true)
    assert.equal(timer.when(), 8)
    const other = getRunningLoop().callLater(1, () => assert.fail('it was cancelled'))
    other.cancel()
    assert.equal(other.cancelled(), true)
    yield* sleep(10)
    assert.deepEqual(calledAt, [8])
  }))

test('Future in place of create_future, createTask in place of loop.create_task', () =>
  simulate(function* () {
    const future = new Future<string>()
    const task = createTask(future)
    future.setResult('value')
    assert.equal(yield* task, 'value')
  }))

test('exceptionHandler: an option, replaced at any time', async () => {
  const told: ExceptionContext[] = []
  const runner = new Runner({ driver: new SimDriver(), exceptionHandler: (context) => told.push(context) })
  await runner.run(function* () {
    getRunningLoop().callSoon(() => {
      throw new Error('in a callback')
    })
    yield* sleep(1)
    assert.equal(told.length, 1)
    assert.notEqual(runner.exceptionHandler, null)
    runner.exceptionHandler = (context) => told.push({ ...context, message: 'to the new one' })
    runner.report({ message: 'by hand' })
  })
  await runner.close()
  assert.deepEqual(
    told.map(({ message }) => message),
    ['a callback (anonymous) threw', 'to the new one'],
  )
})

test('debug, slowStepMs: a step that holds the loop is reported', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* (sim) {
      yield* sleep(1)
      sim.driver.elapse(30)
      yield* sleep(1)
    },
    { debug: true, slowStepMs: 20, reports },
  )
  assert.match(reports[0]?.message ?? '', /task main .*held the loop for 30 ms/)
})
