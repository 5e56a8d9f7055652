import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  allTasks,
  createTask,
  gather,
  gatherSettled,
  getRunningLoop,
  MisuseError,
  race,
  sleep,
  type Operation,
  type Suspension,
} from 'cede'
import { Diary } from '../../../../test/support/diary.ts'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownOf } from '../../../../test/support/thrown-by.ts'

test('a record keeps its keys, whatever they are', () =>
  simulate(function* () {
    const results = yield* gather({ slow: sleep(10, 1), fast: sleep(1, 'two'), __proto__: null } as {
      slow: Operation<number>
      fast: Operation<string>
    })
    assert.deepEqual(Object.entries(results), [
      ['slow', 1],
      ['fast', 'two'],
    ])
  }))

test('a list with something that is no operation starts nothing', () =>
  simulate(function* () {
    const diary = new Diary()
    const begins = function* (): Generator<Suspension, void> {
      diary.write('begun')
      yield* sleep(10)
    }
    const wrong: unknown[] = [undefined, 42, 'text', Promise.resolve(), sleep]
    for (const item of wrong) {
      const operations = [begins(), item as Operation<void>]
      for (const together of [gather, gatherSettled, race]) {
        yield* thrownOf(TypeError, (together as (operations: unknown) => Operation<unknown>)(operations))
      }
    }
    yield* sleep(1)
    diary.expect()
    assert.equal(allTasks().length, 1)
  }))

test('no list at all is refused', () =>
  simulate(function* () {
    for (const wrong of [undefined, null, 42, 'text', sleep(1)]) {
      yield* thrownOf(MisuseError, gather(wrong as unknown as readonly Operation<void>[]))
    }
  }))

test('a task that has ended before is taken as it is, a failed one included', () =>
  simulate(function* () {
    const mine = new Error('mine')
    const done = createTask(sleep(0, 'done'))
    const failed = createTask(
      (function* (): Generator<Suspension, never> {
        throw mine
      })(),
    )
    const settled = yield* gatherSettled([done, failed])
    assert.deepEqual(settled, [
      { status: 'done', value: 'done' },
      { status: 'failed', error: mine },
    ])
    const diary = new Diary()
    const other = createTask(
      (function* () {
        try {
          yield* sleep(1_000)
        } finally {
          diary.write('cancelled')
        }
      })(),
    )
    yield* sleep(0)
    assert.equal(yield* thrownOf(Error, gather([done, other, failed])), mine)
    diary.expect('cancelled')
  }))

test('ten thousand operations at once', () =>
  simulate(function* (sim) {
    const results = yield* gather(Array.from({ length: 10_000 }, (_, index) => sleep(index % 10, index)))
    assert.equal(results.length, 10_000)
    assert.ok(results.every((value, index) => value === index))
    assert.equal(sim.now(), 9)
    assert.equal(getRunningLoop(), sim.loop)
  }))
