import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cancelAndWait, createTask, every, MisuseError, sleep, type Turn } from 'cede'
import { Diary } from '../../../../test/support/diary.ts'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownBy } from '../../../../test/support/thrown-by.ts'

test('turns keep their phase, and missed ones are counted', () =>
  simulate(function* (sim) {
    yield* sleep(7)
    const diary = new Diary()
    yield* every(100, function* ({ number, missed, dueMs }) {
      diary.timed(`turn ${number}, ${missed} missed, due ${dueMs}`)
      if (number === 2) yield* sleep(250)
      if (number === 5) yield* sleep(100)
      return number < 7
    })
    diary.expect(
      '107 turn 1, 0 missed, due 107',
      '207 turn 2, 0 missed, due 207',
      '507 turn 5, 2 missed, due 507',
      '607 turn 6, 0 missed, due 607',
      '707 turn 7, 0 missed, due 707',
    )
    assert.equal(sim.now(), 707)
  }))

test('with immediate the first turn is at once', () =>
  simulate(function* () {
    const diary = new Diary()
    const turn = function* ({ number }: Turn) {
      diary.timed(`turn ${number}`)
      yield* sleep(10)
      return number < 2
    }
    yield* every(50, turn, { immediate: true })
    diary.expect('0 turn 0', '50 turn 1', '100 turn 2')
  }))

test('a loop that was blocked gives the turn late, and then goes on in phase', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const task = createTask(
      every(100, function* ({ number, missed }) {
        diary.timed(`turn ${number}, ${missed} missed`)
      } as (turn: Turn) => Generator<never>),
    )
    yield* sleep(150)
    sim.elapse(200)
    yield* sleep(100)
    yield* cancelAndWait(task)
    diary.expect('100 turn 1, 0 missed', '350 turn 2, 0 missed', '400 turn 4, 1 missed')
  }))

test('an error of the body ends it', () =>
  simulate(function* () {
    const mine = new Error('mine')
    const failing = every(10, () => {
      throw mine
    })
    assert.equal(yield* thrownBy(failing), mine)
  }))

test('bad arguments are refused at the call', () => {
  for (const interval of [0, -1, NaN, Infinity, '5']) {
    const expected = typeof interval === 'number' ? RangeError : MisuseError
    assert.throws(() => every(interval as number, () => sleep(0)), expected)
  }
  assert.throws(() => every(10, sleep(0) as never), MisuseError)
})
