// Functions that the loop calls and nobody waits for: one that makes a coroutine does nothing, one that is async may be
// rejected with nobody to hear of it. Each is told, and none ends the process: an unhandled rejection would fail the test.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  Condition,
  ConnectError,
  coroutine,
  createTask,
  Future,
  gather,
  getRunningLoop,
  MisuseError,
  netstrings,
  openConnection,
  PriorityQueue,
  retry,
  run,
  Runner,
  sleep,
  startServer,
  type ExceptionContext,
  type ExceptionHandler,
  type Resolver,
} from 'cede'
import {
  BufferedProtocol,
  createConnection,
  createServer,
  FrameReceiver,
  LineReceiver,
  Protocol,
  SimDriver,
  type AnyProtocol,
} from 'cede/lowlevel'
import { simulate } from '../support/sim.ts'
import { thrownOf } from '../support/thrown-by.ts'
import { misuse, untyped, type Op } from './support.ts'

const RUNS_NOBODY =
  /: a function that returns nothing was expected, found one that returned a generator, which nobody would run; write `createTask\(operation\)`$/
const WAITS_NOBODY =
  /: a function that returns nothing was expected, found one that returned a promise, which nobody would wait for; make it a plain function/

/** A method that sends and then waits: what it would do is never done. */
function* waits(): Op<void> {
  yield* sleep(1)
}
async function fails(): Promise<void> {
  throw new Error('on purpose')
}

/** A protocol whose methods are not what its types say. */
function withMethods<P extends AnyProtocol>(
  protocol: P,
  methods: Readonly<Record<string, () => unknown>>,
): P {
  return Object.assign(protocol, methods)
}

class Memory extends BufferedProtocol {
  override getBuffer(): Uint8Array {
    return new Uint8Array(100)
  }
  override bufferUpdated(): void {}
}
class Lines extends LineReceiver {
  override lineReceived(): void {}
}
class Strings extends FrameReceiver<Buffer, string | Uint8Array> {
  constructor() {
    super(netstrings({ limitBytes: 10 }))
  }
  override frameReceived(): void {}
}

const METHODS: readonly (readonly [method: string, make: () => AnyProtocol, sent: string])[] = [
  ['connectionMade', () => new Protocol(), ''],
  ['dataReceived', () => new Protocol(), 'hello'],
  ['eofReceived', () => new Protocol(), 'hello'],
  ['connectionLost', () => new Protocol(), 'hello'],
  ['bufferUpdated', () => new Memory(), 'hello'],
  ['lineReceived', () => new Lines(), 'hello\n'],
  ['lineLimitExceeded', () => new Lines({ limitBytes: 2 }), 'hello\n'],
  ['frameReceived', () => new Strings(), '5:hello,'],
  ['framingFailed', () => new Strings(), 'hello'],
  ['framesEnded', () => new Strings(), '5:hello,'],
]

for (const [method, make, sent] of METHODS) {
  for (const [kind, body, words] of [
    ['a generator', waits, RUNS_NOBODY],
    ['an async function', fails, WAITS_NOBODY],
  ] as const) {
    test(`${method}() of a protocol that is ${kind}: reported, and the connection is closed`, async () => {
      const reports: ExceptionContext[] = []
      let lost = 0
      await simulate(
        function* () {
          const server = yield* createServer(
            () =>
              withMethods(make(), {
                ...(method === 'connectionLost' ? {} : { connectionLost: () => lost++ }),
                [method]: body,
              }),
            { host: '127.0.0.1', port: 0 },
          )
          const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
          writer.write(sent)
          writer.writeEof()
          try {
            yield* reader.readText()
          } catch {
            // Reset, since what was received is not read.
          }
          writer.close()
          server.close()
          yield* server.waitClosed()
        },
        { reports },
      )
      assert.equal(reports.length, 1)
      const [{ message, error }] = reports as [ExceptionContext]
      assert.match(
        message,
        /\(\) of the protocol of .* threw; the connection is closed$|getBuffer and bufferUpdated/,
      )
      misuse(`${method}() of `)(error)
      assert.match((error as Error).message, words)
      assert.equal(lost, method === 'connectionLost' ? 0 : 1)
    })
  }
}

test('rawDataReceived() of a LineReceiver that is a generator', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* () {
      class Raw extends LineReceiver {
        override lineReceived(): void {
          this.setRawMode()
        }
      }
      const server = yield* createServer(() => withMethods(new Raw(), { rawDataReceived: waits }), {
        host: '127.0.0.1',
        port: 0,
      })
      const { writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
      yield* writer.send('raw\nbytes')
      // The server resets it.
      yield* thrownOf(Error, writer.waitClosed())
      server.close()
      yield* server.waitClosed()
    },
    { reports },
  )
  assert.deepEqual(
    reports.map(({ error }) => error instanceof MisuseError),
    [true],
  )
  assert.match(String(reports[0]!.error), /rawDataReceived\(\) of Raw: a function that returns nothing/)
})

test('a callback of a protocol may return a task, or a value that means nothing', () =>
  simulate(function* () {
    const done: string[] = []
    class Sloppy extends LineReceiver {
      override lineReceived(line: string): void {
        return untyped(createTask(remember(line)))
      }
      override framesEnded(): void {
        return untyped(5)
      }
    }
    function* remember(line: string): Op<void> {
      yield* sleep(1)
      done.push(line)
    }
    const server = yield* createServer(() => new Sloppy(), { host: '127.0.0.1', port: 0 })
    const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
    yield* writer.send('one\ntwo\n')
    writer.writeEof()
    yield* reader.readText()
    yield* sleep(5)
    assert.deepEqual(done, ['one', 'two'])
    writer.close()
    server.close()
    yield* server.waitClosed()
  }))

const MAKES = 'that makes a coroutine, which nobody would run; write `createTask(operation)`'

test('a done callback that makes a coroutine, or is none, is refused at the call', () =>
  simulate(function* () {
    const task = createTask(waits())
    for (const target of [task, new Future<void>()]) {
      assert.throws(
        () => target.addDoneCallback(untyped(waits)),
        misuse('addDoneCallback()', `(waits) ${MAKES}`),
      )
      assert.throws(
        () => target.addDoneCallback(untyped(coroutine('wrapped', waits))),
        misuse('addDoneCallback()', `(wrapped) ${MAKES}`),
      )
      assert.throws(
        () => target.addDoneCallback(untyped(5)),
        misuse('addDoneCallback()', 'found a number (5)'),
      )
    }
    yield* task
  }))

test('retryIf and onRetry that make a coroutine are refused at the call', () => {
  for (const name of ['retryIf', 'onRetry'])
    assert.throws(() => retry(waits, { [name]: waits }), misuse('retry()', `(waits) ${MAKES}`))
})

test('a callback that returns a coroutine is told, and one whose promise is rejected', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* () {
      const loop = getRunningLoop()
      loop.callSoon(untyped(() => waits()))
      loop.callSoon(untyped(() => sleep(1)))
      loop.callSoon(untyped(fails))
      loop.callLater(
        1,
        untyped(() => coroutine('wrapped', waits)()),
      )
      createTask(sleep(0)).addDoneCallback(untyped(() => waits()))
      createTask(sleep(0)).addDoneCallback(untyped(fails))
      // These are no slips.
      loop.callSoon(untyped(() => createTask(sleep(0))))
      loop.callSoon(untyped(() => new Future()))
      loop.callSoon(untyped(async () => 5))
      yield* sleep(5)
    },
    { reports },
  )
  const told = reports.map(({ message, error }) => `${message}: ${(error as Error).message}`).sort()
  const returned = (what: string): string =>
    `a callback (anonymous) threw: a callback: a function that returns nothing was expected, found one that returned ${what}, which nobody would run; write \`createTask(operation)\``
  assert.deepEqual(
    told.filter((line) => !line.endsWith('on purpose')),
    [
      returned('a generator'),
      returned('a generator').replace('anonymous', 'call'),
      returned('an operation (sleep of 1 ms)'),
      returned('coroutine wrapped()'),
    ].sort(),
  )
  assert.equal(told.filter((line) => line.endsWith('threw: on purpose')).length, 2)
})

test('an exception handler that makes a coroutine, or is none, is refused where it is set', () => {
  const runner = new Runner({ driver: new SimDriver() })
  for (const [handler, ...words] of [
    [waits, `(waits) ${MAKES}`],
    [coroutine('wrapped', waits), `(wrapped) ${MAKES}`],
    [5, 'found a number (5)'],
  ] as const) {
    const exceptionHandler: ExceptionHandler = untyped(handler)
    const refused = misuse('a function was expected as exceptionHandler, found', ...words)
    assert.throws(() => void run(sleep(0), { driver: new SimDriver(), exceptionHandler }), refused)
    assert.throws(() => new Runner({ driver: new SimDriver(), exceptionHandler }), refused)
    assert.throws(() => (runner.exceptionHandler = exceptionHandler), refused)
  }
  assert.equal(runner.exceptionHandler, null)
})

test('an exception handler that returns a coroutine, or a promise that is rejected: the default one is told of both', async (t) => {
  const printed = t.mock.method(console, 'error', () => {}).mock
  for (const exceptionHandler of [() => waits(), fails]) {
    await run(
      function* () {
        getRunningLoop().callSoon(() => {
          throw new Error('lost')
        })
        yield* sleep(1)
      },
      { driver: new SimDriver(), exceptionHandler: untyped<ExceptionHandler>(exceptionHandler) },
    )
    await new Promise((resolve) => setImmediate(resolve))
  }
  const lines = printed.calls.map(({ arguments: [line] }) => String(line))
  assert.match(
    lines.join('\n'),
    new RegExp(
      [
        'cede: the exception handler threw',
        'TypeError: the exception handler: .*',
        'cede: a callback \\(anonymous\\) threw',
        'Error: lost',
        'cede: the exception handler threw',
        'Error: on purpose',
        'cede: a callback \\(anonymous\\) threw',
        'Error: lost',
      ].join('\n'),
    ),
  )
})

test('a promise that stands where an operation belongs is refused, and its rejection does not end the process', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* () {
      assert.throws(() => createTask(untyped(fails())), misuse('createTask()', 'found a promise'))
      yield* thrownOf(MisuseError, gather(untyped([fails()])))
      yield* thrownOf(
        MisuseError,
        (function* (): Generator<never, void> {
          yield untyped(fails())
        })(),
      )
      const resolver: Resolver = untyped(fails)
      const error = yield* thrownOf(ConnectError, openConnection({ host: 'a.test', port: 1, resolver }))
      assert.match(error.message, /found a promise; make the async function a `function\*`/)
      yield* thrownOf(MisuseError, createConnection(untyped(fails), { host: '127.0.0.1', port: 1 }))
      const server = yield* startServer(untyped(fails), { host: '127.0.0.1', port: 0 })
      const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
      assert.equal(yield* reader.read(), null)
      writer.close()
      server.close()
      yield* server.waitClosed()
    },
    { reports },
  )
  assert.deepEqual(
    reports.map(({ error }) => (error as Error).message),
    [
      'the handler of startServer(): expected an operation, found a promise; make the async function a `function*`, or pass `until(promise)`',
    ],
  )
})

test('policies that are no plain functions are told', async () => {
  for (const [name, words] of [
    ['admit', 'admit() of policy mine: a function that answers at once was expected'],
    ['wrap', 'wrap() of policy mine: a function that answers at once was expected'],
    ['release', 'release() of policy mine: a function that returns nothing was expected'],
  ] as const) {
    for (const method of [waits, fails]) {
      const reports: ExceptionContext[] = []
      await simulate(
        function* () {
          const policies = [{ name: 'mine', [name]: method }]
          const server = yield* startServer(
            function* (_reader, writer) {
              writer.close()
              yield* writer.waitClosed()
            },
            { host: '127.0.0.1', port: 0, policies },
          )
          const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
          try {
            yield* reader.read()
          } catch {
            // Refused.
          }
          writer.close()
          server.close()
          yield* server.waitClosed()
        },
        { reports },
      )
      assert.deepEqual(
        reports.map(({ error }) => (error as Error).message.includes(words)),
        [true],
        name,
      )
    }
  }
})

test('an instrument whose hooks make coroutines is refused', () =>
  simulate(function* () {
    assert.throws(
      () => getRunningLoop().addInstrument({ turnBegins: untyped(waits) }),
      misuse('addInstrument()', 'as turnBegins', `(waits) ${MAKES}`),
    )
    yield* sleep(0)
  }))

test('a comparison that makes a coroutine is refused', () => {
  assert.throws(() => new PriorityQueue(1, untyped(waits)), misuse('new PriorityQueue()', `(waits) ${MAKES}`))
})

test('retryIf and onRetry that return what nobody waits for', () =>
  simulate(function* () {
    for (const options of [{ retryIf: fails }, { retryIf: () => waits() }, { onRetry: fails }]) {
      const error = yield* thrownOf(
        MisuseError,
        retry(function* () {
          throw new Error('again')
        }, untyped(options)),
      )
      assert.match(
        error.message,
        /^(retryIf|onRetry) of retry\(\): a function that (answers at once|returns nothing)/,
      )
    }
  }))

test('a predicate that returns a generator would count as true', () =>
  simulate(function* () {
    const condition = new Condition()
    yield* condition.with(function* () {
      const error = yield* thrownOf(
        MisuseError,
        condition.waitFor(() => waits()),
      )
      assert.match(
        error.message,
        /^waitFor\(\): a predicate that answers at once was expected, found one that returned a generator/,
      )
    })
  }))
