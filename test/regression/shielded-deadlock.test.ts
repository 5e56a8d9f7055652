// A shield holds back the cancel that a deadlock brings; the run must end with the error all the same.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTask, DeadlockError, Future, run, shield, sleepForever, type Task } from 'cede'
import { SimDriver, WaitQueue } from 'cede/lowlevel'

test('a main that waits for ever inside a shield is a deadlock', async () => {
  const driver = new SimDriver()
  await assert.rejects(
    run(() => shield(sleepForever()), { driver }),
    DeadlockError,
  )
})

test('a task that is given up in a deadlock leaves its queue and its future', async () => {
  const queue = new WaitQueue()
  const future = new Future<void>()
  await assert.rejects(
    run(() => shield(queue.wait()), { driver: new SimDriver() }),
    DeadlockError,
  )
  await assert.rejects(
    run(() => shield(future), { driver: new SimDriver() }),
    DeadlockError,
  )
  assert.equal(queue.length, 0)
  future.setResult()
})

test('every task that is given up in a deadlock fails with it', async () => {
  const driver = new SimDriver()
  const tasks: Task[] = []
  const main = function* () {
    tasks.push(createTask(shield(sleepForever())), createTask(shield(sleepForever())))
    yield* shield(sleepForever())
  }
  await assert.rejects(run(main, { driver, exceptionHandler: () => {} }), DeadlockError)
  for (const task of tasks) assert(task.exception() instanceof DeadlockError)
})
