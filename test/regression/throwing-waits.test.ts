// A wait of somebody's own that throws where it must not: the task ends all the same, and so do the others.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createTask,
  sleep,
  sleepForever,
  TaskGroupError,
  taskGroup,
  timeoutOr,
  type ExceptionContext,
} from 'cede'
import { suspend, type Wait } from 'cede/lowlevel'
import { simulate } from '../support/sim.ts'
import { thrownOf } from '../support/thrown-by.ts'

const broken = new Error('broken')

function breaks(): never {
  throw broken
}

function waitThat(methods: Partial<Wait>): Wait {
  return { park() {}, unpark() {}, describe: () => ({ what: 'a wait' }), ...methods }
}

test('an unpark() that throws is reported; its task and the siblings are cancelled', () => {
  const reports: ExceptionContext[] = []
  return simulate(
    function* () {
      const mine = new Error('mine')
      const ended: string[] = []
      const ends = function* (name: string, wait: () => ReturnType<typeof sleepForever>) {
        try {
          yield* wait()
        } finally {
          ended.push(name)
        }
      }
      const group = taskGroup(function* (group) {
        group.createTask(ends('first', () => suspend(waitThat({ unpark: breaks }))))
        group.createTask(ends('second', sleepForever))
        yield* sleep(1)
        throw mine
      })
      const error = yield* thrownOf(TaskGroupError, group)
      assert.deepEqual(error.errors, [mine])
      assert.deepEqual(ended, ['first', 'second'])
      assert.equal(reports.length, 1)
      assert.equal(reports[0]!.error, broken)
      assert.match(reports[0]!.message, /threw while it was unparked/)
    },
    { reports },
  )
})

test('a describe() that throws stops neither a timeout nor a look at the task', () =>
  simulate(function* () {
    const mute = waitThat({ describe: breaks })
    assert.equal(yield* timeoutOr(5, suspend(mute), 'cut'), 'cut')
    const task = createTask(suspend(mute))
    yield* sleep(1)
    assert.match(task.waitsFor()!.what, /whose describe\(\) threw/)
    task.cancel()
  }))
