import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createTask,
  getRunningLoop,
  MisuseError,
  run,
  sleep,
  yieldIfBusy,
  type Operation,
  type Task,
} from 'cede'
import { Diary } from '../../../../test/support/diary.ts'
import { simulate } from '../../../../test/support/sim.ts'

test('it goes on at once until the time is spent, and then lets others run', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    createTask(
      (function* () {
        for (let i = 0; i < 3; i++) {
          diary.timed('other')
          yield* sleep(0)
        }
      })(),
    )
    for (let i = 0; i < 13; i++) {
      sim.elapse(1)
      yield* yieldIfBusy()
      diary.timed('computed')
    }
    diary.expect(
      '1 computed',
      '2 computed',
      '3 computed',
      '4 computed',
      '5 other',
      '5 other',
      '5 computed',
      '6 computed',
      '7 computed',
      '8 computed',
      '9 computed',
      '10 other',
      '10 computed',
      '11 computed',
      '12 computed',
      '13 computed',
    )
  }))

test('giving way ends the turn, so that timers that are due act', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    getRunningLoop().callLater(4, diary.writer('timer'))
    yield* sleep(1)
    for (let i = 0; i < 6; i++) {
      sim.elapse(1)
      yield* yieldIfBusy(4)
      diary.write(`computed ${i + 1}`)
    }
    assert.deepEqual(diary.entries.slice(0, 5), [
      'computed 1',
      'computed 2',
      'computed 3',
      'timer',
      'computed 4',
    ])
  }))

test('a long computation can be cancelled there', () =>
  simulate(function* (sim) {
    let steps = 0
    function* compute() {
      for (;;) {
        steps++
        sim.elapse(1)
        yield* yieldIfBusy(3)
      }
    }
    const tasks: Task[] = []
    getRunningLoop().callLater(10, () => void tasks[0]!.cancel())
    yield* sleep(1)
    tasks.push(createTask(compute()))
    assert.equal((yield* tasks[0]!.join()).status, 'cancelled')
    assert.ok(steps >= 9 && steps <= 12, String(steps))
  }))

test('it gives way once at a time, also if there is no time to spend, or others spend it', () =>
  simulate(function* (sim) {
    let stop = false
    function* others() {
      while (!stop) {
        sim.elapse(10)
        yield* sleep(0)
      }
    }
    const loop = getRunningLoop()
    const diary = new Diary()
    const passesOf = function* (name: string, operation: Operation<void>) {
      const before = loop.passes
      yield* operation
      diary.write(`${name}: ${loop.passes - before}`)
    }
    yield* passesOf('no time to spend', yieldIfBusy(0))
    createTask(others())
    yield* sleep(0)
    // The step of the others came first in this pass: that is taken for this task's, once.
    yield* passesOf('after others', yieldIfBusy())
    yield* passesOf('at the beginning of a step', yieldIfBusy())
    sim.elapse(4)
    yield* passesOf('before the time is spent', yieldIfBusy())
    sim.elapse(1)
    yield* passesOf('afterwards', yieldIfBusy())
    stop = true
    diary.expect(
      'no time to spend: 2',
      'after others: 2',
      'at the beginning of a step: 0',
      'before the time is spent: 0',
      'afterwards: 2',
    )
  }))

test('the host is let in', async () => {
  let asked = 0
  let finished = false
  const immediate = new Promise<void>((resolve) => setImmediate(resolve)).then(() => (finished = true))
  await run(function* () {
    while (!finished) {
      asked++
      yield* yieldIfBusy(1)
    }
  })
  await immediate
  assert.ok(asked > 0)
})

test('a bad budget, and a call by hand, are refused', async () => {
  for (const budget of [-1, NaN]) assert.throws(() => yieldIfBusy(budget), RangeError)
  assert.throws(() => yieldIfBusy('5' as never), MisuseError)
  assert.throws(() => [...(yieldIfBusy() as unknown as Iterable<unknown>)], MisuseError)
  await assert.rejects(
    Promise.resolve(yieldIfBusy() as unknown as Promise<void>),
    /yieldIfBusy\(\) was awaited/,
  )
})
