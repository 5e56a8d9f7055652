import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coroutine, createTask, getRunningLoop, run, sleep, timeout } from 'cede'
import { createConnection, createServer, Protocol, SimDriver, type Transport } from 'cede/lowlevel'

function collect(): {
  messages: string[]
  stacks: string[]
  exceptionHandler: (c: { message: string; stack?: string | undefined }) => void
} {
  const messages: string[] = []
  const stacks: string[] = []
  return {
    messages,
    stacks,
    exceptionHandler: (context) => {
      messages.push(context.message)
      if (context.stack !== undefined) stacks.push(context.stack)
    },
  }
}

const hello = coroutine('hello', function* () {
  yield* sleep(1)
})

test('S17: a step that holds the loop for long is reported with the task and its stack', async () => {
  const driver = new SimDriver()
  const seen = collect()
  function* busy() {
    driver.elapse(250)
    yield* sleep(1)
    driver.elapse(99)
  }
  await run(
    function* () {
      yield* createTask(busy(), { name: 'busy' })
    },
    { driver, debug: true, exceptionHandler: seen.exceptionHandler },
  )
  assert.equal(seen.messages.length, 1)
  assert.match(seen.messages[0]!, /^task busy held the loop for 250 ms/)
  assert.match(seen.stacks[0]!, /at busy /)
})

test('S17: a slow callback is reported by name', async () => {
  const driver = new SimDriver()
  const seen = collect()
  function slow(): void {
    driver.elapse(30)
  }
  await run(
    function* () {
      getRunningLoop().callSoon(slow)
      yield* sleep(1)
    },
    { driver, debug: true, slowStepMs: 30, exceptionHandler: seen.exceptionHandler },
  )
  assert.deepEqual(
    seen.messages.map((message) => message.slice(0, 40)),
    ['a callback (slow) held the loop for 30 m'],
  )
})

test('without debug mode neither steps nor calls are watched', async () => {
  const driver = new SimDriver()
  const seen = collect()
  await run(
    function* () {
      void hello()
      driver.elapse(1000)
      yield* sleep(1)
    },
    { driver, exceptionHandler: seen.exceptionHandler },
  )
  assert.deepEqual(seen.messages, [])
})

test('a coroutine that was called and never run is reported when its task ends, with the place', async () => {
  const driver = new SimDriver()
  const seen = collect()
  function* forgetful() {
    void hello()
    yield* hello()
  }
  await run(
    function* () {
      yield* createTask(forgetful(), { name: 'forgetful' })
    },
    { driver, debug: true, exceptionHandler: seen.exceptionHandler },
  )
  assert.equal(seen.messages.length, 1)
  assert.match(seen.messages[0]!, /^coroutine hello\(\) was called by task forgetful and never run/)
  assert.match(seen.stacks[0]!, /at forgetful .*debug-mode\.test\.ts/)
})

test('operations of the library that were never run are reported too, each place once', async () => {
  const seen = collect()
  function* forgetful() {
    for (let i = 0; i < 3; i++) {
      // eslint-disable-next-line @typescript-eslint/no-floating-promises -- what this test is about
      sleep(1_000)
      // eslint-disable-next-line @typescript-eslint/no-floating-promises -- what this test is about
      timeout(5, () => sleep(1))
      yield* sleep(0)
    }
  }
  await run(
    function* () {
      yield* createTask(forgetful(), { name: 'forgetful' })
    },
    { driver: new SimDriver(), debug: true, exceptionHandler: seen.exceptionHandler },
  )
  assert.deepEqual(
    seen.messages.map((message) => message.replace(/;.*/, '')),
    [
      'an operation (sleep of 1000 ms) was called by task forgetful and never run',
      'timeout() was called by task forgetful and never run',
    ],
  )
  for (const stack of seen.stacks) assert.match(stack, /at forgetful .*debug-mode\.test\.ts/)
})

test('in a task that lives on they are reported after a thousand more', async () => {
  const seen = collect()
  let before = -1
  function* forgetful() {
    for (let i = 0; i < 600; i++) {
      // eslint-disable-next-line @typescript-eslint/no-floating-promises -- what this test is about
      sleep(1_000)
      yield* sleep(0)
    }
    before = seen.messages.length
  }
  await run(
    function* () {
      yield* createTask(forgetful(), { name: 'forgetful' })
    },
    { driver: new SimDriver(), debug: true, exceptionHandler: seen.exceptionHandler },
  )
  assert.equal(before, 1)
  assert.equal(seen.messages.length, 1)
})

test('a slow callback of a protocol is reported with its class, its method and the connection', async () => {
  const driver = new SimDriver()
  const seen = collect()
  class Greeter extends Protocol {
    override connectionMade(transport: Transport): void {
      driver.elapse(150)
      transport.close()
    }
    override connectionLost(): void {
      driver.elapse(150)
    }
  }
  await run(
    function* () {
      const server = yield* createServer(() => new Greeter(), { host: '127.0.0.1', port: 0 })
      const { transport } = yield* createConnection(
        () =>
          new (class extends Protocol {
            override eofReceived(): void {
              driver.elapse(150)
            }
          })(),
        { host: '127.0.0.1', port: server.port },
      )
      yield* sleep(1_000)
      transport.close()
      server.close()
      yield* server.waitClosed()
    },
    { driver, debug: true, exceptionHandler: seen.exceptionHandler },
  )
  assert.deepEqual(
    seen.messages.map((message) => message.replace(/ without .*/, '').replace(/:\d+\)/, ':port)')).sort(),
    [
      'a callback (Greeter.connectionLost, 127.0.0.1:port) held the loop for 150 ms',
      'a callback (Greeter.connectionMade, 127.0.0.1:port) held the loop for 150 ms',
      'a callback (a protocol.eofReceived, 127.0.0.1:port) held the loop for 150 ms',
      // Within it the connection was made.
      'a callback (createServer(), 127.0.0.1:port) held the loop for 150 ms',
    ],
  )
})
