import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTask, getRunningLoop, sleep } from 'cede'
import { suspend } from 'cede/lowlevel'
import { simulate } from './sim.ts'

test('a run that leaves nothing behind passes and gives its value', async () => {
  const value = await simulate(function* (sim) {
    createTask(sleep(50))
    yield* sleep(10)
    return sim.now()
  })
  assert.equal(value, 10)
})

test('a timer that is left fails the test', async () => {
  await assert.rejects(
    simulate(function* () {
      getRunningLoop().callLater(10, () => {})
      return yield* sleep(0)
    }),
    /a timer is still armed for 10 ms/,
  )
})

test('a report that nobody expected fails the test, an expected one does not', async () => {
  function* main() {
    getRunningLoop().callSoon(() => {
      throw new Error('from the callback')
    })
    yield* sleep(0)
    yield* sleep(0)
  }
  await assert.rejects(simulate(main), /exception handler was told: .*from the callback/s)
  await simulate(main, { reports: [] })
})

test('a wait that is never ended fails the test', async () => {
  // Its unpark is skipped by the wait itself, which resumes a second time later: the loop must be told once.
  await assert.rejects(
    simulate(function* (sim) {
      const forgetful = {
        park() {},
        unpark() {
          sim.loop.instrument!.resumed(task, forgetful)
        },
        describe: () => ({ what: 'a forgetful wait' }),
      }
      const task = createTask(suspend(forgetful))
      yield* sleep(0)
      task.cancel()
      yield* sleep(0)
    }),
    /while parked on/,
  )
})

test('what the main throws comes through', async () => {
  const error = new Error('mine')
  await assert.rejects(
    simulate(function* () {
      yield* sleep(5)
      throw error
    }),
    (found) => found === error,
  )
})
