// A coroutine object runs once, in one task. A second use throws, and the first one does not notice.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  coroutine,
  createTask,
  Future,
  type ExceptionContext,
  gather,
  getRunningLoop,
  sleep,
  timeout,
  until,
  type Operation,
} from 'cede'
import { suspend, WaitQueue } from 'cede/lowlevel'
import { simulate } from '../support/sim.ts'
import { misuse, type Op } from './support.ts'

const work = coroutine('work', function* (): Op<string> {
  yield* sleep(10)
  return 'done'
})

const operations: Readonly<Record<string, () => Operation<string>>> = {
  'a wrapped coroutine': work,
  'sleep()': () => sleep(10, 'done'),
  'timeout()': () => timeout(50, sleep(10, 'done')),
}

for (const [name, make] of Object.entries(operations)) {
  test(`${name}: a second yield* in the same task throws`, () =>
    simulate(function* () {
      const operation = make()
      assert.equal(yield* operation, 'done')
      let caught: unknown
      try {
        yield* operation
      } catch (error) {
        caught = error
      }
      misuse('used a second time', 'call the function again', '`createTask`')(caught)
    }))

  test(`${name}: a task made of it first, then yield*: the task is unharmed`, () =>
    simulate(function* () {
      const operation = make()
      const owner = createTask(operation)
      let caught: unknown
      try {
        yield* operation
      } catch (error) {
        caught = error
      }
      misuse('used a second time')(caught)
      assert.equal(yield* owner, 'done')
    }))

  test(`${name}: used from another task while it waits: the owner gets its value`, () =>
    simulate(function* (sim) {
      const operation = make()
      const owner = createTask(operation)
      yield* sleep(3)
      const intruder = createTask(
        (function* (): Op<string> {
          return yield* operation
        })(),
      )
      const outcome = yield* intruder.join()
      assert.equal(outcome.status, 'failed')
      misuse('used a second time')(outcome.status === 'failed' && outcome.error)
      assert.equal(sim.now(), 3)
      assert.equal(yield* owner, 'done')
      assert.equal(sim.now(), 10)
    }))

  test(`${name}: a second task of it is refused at the call`, () =>
    simulate(function* () {
      const operation = make()
      const owner = createTask(operation)
      if (name !== 'a wrapped coroutine') yield* sleep(1)
      assert.throws(() => createTask(operation), misuse('used a second time'))
      assert.equal(yield* owner, 'done')
    }))
}

test('the same operation twice in one gather is one member, and no mistake', () =>
  simulate(function* () {
    const operation = work()
    assert.deepEqual(yield* gather([operation, operation]), ['done', 'done'])
  }))

test('a plain generator used again after its end gives undefined: the language says so, and nothing can tell', () =>
  simulate(function* () {
    function* plain(): Op<string> {
      yield* sleep(1)
      return 'value'
    }
    const generator = plain()
    assert.equal(yield* generator, 'value')
    assert.equal(yield* generator, undefined)
  }))

// A plain generator cannot refuse by itself; the wait at its end does.
const waits: Readonly<Record<string, () => Operation<string>>> = {
  'a sleep': () => sleep(10, 'done'),
  'a future': () => {
    const future = new Future<string>()
    getRunningLoop().callLater(10, () => future.setResult('done'))
    return future
  },
  'a task': () => createTask(sleep(10, 'done')),
  'a wait queue': () => {
    const queue = new WaitQueue<string>()
    getRunningLoop().callLater(10, () => queue.wakeOne('done'))
    return queue.wait()
  },
  "a suspension of one's own": () =>
    suspend({
      park: (task) => void getRunningLoop().callLater(10, () => task.resume('done')),
      unpark: () => assert.fail('nobody cancels it'),
      describe: () => ({ what: 'an example' }),
    }),
  'a promise': () => {
    const future = new Future<string>()
    getRunningLoop().callLater(10, () => future.setResult('done'))
    return until(future.asPromise())
  },
  'a wrapped coroutine': work,
  'a timeout': () => timeout(50, sleep(10, 'done')),
}

function* through(operation: Operation<string>): Op<string> {
  return yield* operation
}

for (const [name, make] of Object.entries(waits)) {
  test(`a plain generator that waits for ${name}, stepped by a second task: that one is told, the owner is unharmed`, () =>
    simulate(function* (sim) {
      const generator = through(through(make()))
      const owner = createTask(generator, { name: 'owner' })
      yield* sleep(3)
      const log: string[] = []
      function* intrude(): Op<string> {
        try {
          return yield* generator
        } catch (error) {
          misuse('in task owner was stepped by somebody else', '`createTask`')(error)
          assert.match((error as Error).stack ?? '', /at intrude .*used-twice\.test\.ts/)
          log.push('told')
        }
        yield* sleep(1)
        return 'went on'
      }
      assert.equal(yield* intrude(), 'went on')
      assert.equal(yield* createTask(through(intrude())), 'went on')
      assert.equal(yield* coroutine(intrude)(), 'went on')
      assert.deepEqual(log, ['told', 'told', 'told'])
      assert.equal(yield* owner, 'done')
      assert.equal(sim.now(), 10)
    }))
}

test('a plain generator whose owner has its value and was not stepped yet', () =>
  simulate(function* () {
    const future = new Future<string>()
    const generator = through(future)
    const owner = createTask(generator)
    yield* sleep(1)
    future.setResult('value')
    let caught: unknown
    try {
      yield* generator
    } catch (error) {
      caught = error
    }
    misuse('stepped by somebody else')(caught)
    assert.equal(yield* owner, 'value')
  }))

test('a task of a generator that another task has begun: the task fails, the other is unharmed', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* () {
      const generator = through(sleep(10, 'done'))
      createTask(generator, { name: 'late' })
      assert.equal(yield* generator, 'done')
    },
    { reports },
  )
  assert.equal(reports.length, 1)
  assert.equal(reports[0]?.task?.name, 'late')
  misuse('in task main was stepped by somebody else')(reports[0].error)
})

test('for...of over a generator that waits in another task ends', () =>
  simulate(function* () {
    const generator = through(sleep(10, 'done'))
    const owner = createTask(generator)
    yield* sleep(1)
    assert.throws(() => {
      for (const item of generator) assert.ok(item)
    }, misuse('stepped by someone who does not run it'))
    yield* owner.join()
  }))
