// The names of asyncio's runners, as docs/asyncio.md lists them: each is called once here.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CancelledError, ContextVar, createTask, run, Runner, sleep, sleepForever } from 'cede'
import { SimDriver } from 'cede/lowlevel'

function* answer() {
  yield* sleep(1)
  return 42
}

test('run', async () => {
  assert.equal(await run(answer, { driver: new SimDriver() }), 42)
  assert.equal(await run(sleep(1, 'value'), { driver: new SimDriver() }), 'value')
})

test('Runner: run, getLoop, close, several mains with one context', async () => {
  const runner = new Runner({ driver: new SimDriver() })
  const user = new ContextVar<string>('user')
  await runner.run(function* () {
    user.set('ada')
    createTask(sleepForever())
    yield* sleep(0)
  })
  assert.equal(
    await runner.run(function* () {
      yield* sleep(0)
      return user.get()
    }),
    'ada',
  )
  assert.equal(runner.getLoop().driver.name, 'sim')
  assert.equal([...runner.getLoop().tasks()].length, 0, 'without a main the loop holds no runner')
  await runner.close()
  assert.throws(() => void runner.run(answer), { code: 'CEDE_CLOSED' })
})

test('Runner: Symbol.asyncDispose closes it', async () => {
  const runner = new Runner({ driver: new SimDriver() })
  const ended: string[] = []
  await runner.run(function* () {
    createTask(
      (function* () {
        try {
          yield* sleepForever()
        } finally {
          ended.push('background')
        }
      })(),
    )
    yield* sleep(1)
  })
  assert.deepEqual(ended, [])
  await runner[Symbol.asyncDispose]()
  assert.deepEqual(ended, ['background'])
})

test('run for ever: a main that sleeps for ever ends when it is cancelled', async () => {
  const driver = new SimDriver()
  await assert.rejects(
    run(
      function* () {
        const task = createTask(sleepForever(), { name: 'server' })
        yield* sleep(1)
        task.cancel({ reason: 'enough' })
        yield* task
      },
      { driver },
    ),
    CancelledError,
  )
})
