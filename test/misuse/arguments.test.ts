// What is passed where an operation, a duration or a callback belongs: refused at the call where that is possible.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { test } from 'node:test'
import {
  abortSignal,
  allTasks,
  any,
  asCompleted,
  cancelAndWait,
  ClosedError,
  coroutine,
  createTask,
  fromAsyncIterable,
  gather,
  gatherSettled,
  getRunningLoop,
  mapLimit,
  type Operation,
  race,
  run,
  shield,
  sleep,
  TaskGroupError,
  taskGroup,
  timeout,
  timeoutAt,
  timeoutOr,
  until,
  wait,
  withScope,
  withStore,
} from 'cede'
import { simulate } from '../support/sim.ts'
import { misuse, thrownBy, untyped, type Op } from './support.ts'

function* plain(): Op<string> {
  yield* sleep(1)
  return 'plain'
}
const wrapped = coroutine('wrapped', plain)
const asyncFunction = () => Promise.resolve(1)

/** What may stand where an operation belongs, and what the message says about it. */
const notOperations: readonly (readonly [title: string, value: () => unknown, words: readonly string[]])[] = [
  ['a promise', () => Promise.resolve(1), ['found a promise', '`function*`', '`until(promise)`']],
  ['the result of an async function', () => asyncFunction(), ['found a promise']],
  ['a string', () => 'text', ['found a string ("text")']],
  ['a number', () => 5, ['found a number (5)']],
  ['undefined', () => undefined, ['found undefined', 'an operation is what a call of a `function*`']],
  ['an array', () => [sleep(1)], ['found an array', '`gather([...])`']],
  ['an object', () => ({ a: 1 }), ['found an object']],
]

for (const [title, value, words] of notOperations) {
  test(`createTask(${title})`, () =>
    simulate(function* () {
      assert.throws(
        () => createTask(untyped(value())),
        misuse('createTask(): expected an operation', ...words),
      )
      assert.equal(allTasks().length, 1)
      yield* sleep(0)
    }))

  test(`run(${title})`, () => {
    assert.throws(() => void run(untyped(value())), misuse('run(): expected an operation', ...words))
  })

  test(`run(a function that returns ${title})`, () => {
    assert.throws(() => void run(untyped(value)), misuse('run(): expected an operation', ...words))
  })

  test(`timeout(ms, ${title}), shield(${title}), withScope(${title})`, () =>
    simulate(function* () {
      for (const [act, make] of [
        ['timeout()', () => timeout(5, untyped(value()))],
        ['timeoutOr()', () => timeoutOr(5, untyped(value()), null)],
        ['shield()', () => shield(untyped(value()))],
        ['withScope()', () => withScope(untyped(value()))],
        ['withStore()', () => withStore(new AsyncLocalStorage(), 1, untyped(value()))],
      ] as const) {
        let caught: unknown
        try {
          yield* make()
        } catch (error) {
          caught = error
        }
        misuse(act === 'timeoutOr()' ? 'timeout' : act, 'expected an operation', ...words)(caught)
      }
    }))

  test(`gather([${title}]), race, any: refused, and the others are cancelled`, () =>
    simulate(function* (sim) {
      type Together = (operations: readonly Operation<unknown>[]) => Operation<unknown>
      for (const together of [gather, gatherSettled, race, any] as readonly Together[]) {
        let caught: unknown
        try {
          yield* together([sleep(1_000), untyped(value())])
        } catch (error) {
          caught = error
        }
        misuse('expected an operation', ...words)(caught)
      }
      assert.equal(sim.now(), 0)
    }))

  test(`mapLimit with a function that returns ${title}`, () =>
    simulate(function* () {
      for (const limit of [2, Infinity]) {
        let caught: unknown
        try {
          yield* mapLimit([1, 2], limit, untyped(value))
        } catch (error) {
          caught = error
        }
        misuse('mapLimit()', 'expected an operation', ...words)(caught)
      }
    }))

  test(`a child of a limited group that is ${title}`, () =>
    simulate(function* () {
      yield* taskGroup(
        function* (group) {
          assert.throws(() => group.createTask(untyped(value())), misuse('createTask()', ...words))
          yield* sleep(0)
        },
        { limit: 1 },
      )
    }))

  // What can be walked is walked, and refused at its first item: see yields.test.ts.
  if (title !== 'an array' && title !== 'a string') {
    test(`a wrapped function that returns ${title}`, () => {
      const wrong = coroutine('wrong', untyped<() => Op>(value))
      assert.throws(() => wrong(), misuse('coroutine wrong(): expected an operation', ...words))
    })
  }
}

test('createTask(generatorFunction): the function was not called', () =>
  simulate(function* () {
    assert.throws(() => createTask(untyped(plain)), misuse('found a function (plain)', 'call it: `plain()`'))
    yield* sleep(0)
  }))

test('gather([generatorFunction]): the function was not called', () =>
  simulate(function* () {
    let caught: unknown
    try {
      yield* gather([untyped<Op>(plain)])
    } catch (error) {
      caught = error
    }
    misuse('found a function (plain)', 'call it: `plain()`')(caught)
  }))

test('taskGroup(async function): the group fails with the mistake', () =>
  simulate(function* () {
    let caught: unknown
    try {
      yield* taskGroup(untyped(asyncFunction))
    } catch (error) {
      caught = error
    }
    assert.ok(caught instanceof TaskGroupError)
    misuse('taskGroup(): expected an operation, found a promise')(caught.cause)
  }))

test('group.start with a function that returns a promise', () =>
  simulate(function* () {
    let caught: unknown
    try {
      yield* taskGroup(function* (group) {
        yield* group.start(untyped(asyncFunction))
      })
    } catch (error) {
      caught = error
    }
    assert.ok(caught instanceof TaskGroupError)
    misuse('start()', 'expected an operation, found a promise')(caught.cause)
  }))

test('coroutine(async function) is refused where it is wrapped', () => {
  const words = ['coroutine(): expected a generator function, not an async one', '`function*`', '`yield*`']
  assert.throws(() => coroutine(untyped(async () => {})), misuse(...words))
  assert.throws(
    () =>
      coroutine(
        'named',
        untyped(async () => {}),
      ),
    misuse(...words),
  )
  assert.throws(() => coroutine(untyped(async function* () {})), misuse(...words))
})

test('coroutine(what is no function)', () => {
  for (const value of [plain(), undefined, null, 5]) {
    assert.throws(
      () => coroutine(untyped(value)),
      misuse('coroutine(): expected a generator function, found'),
    )
  }
  assert.throws(
    () => coroutine(untyped('only a name')),
    misuse('expected a generator function, found undefined'),
  )
})

const outside: readonly (readonly [title: string, act: () => unknown])[] = [
  ['createTask()', () => createTask(plain())],
  ['getRunningLoop()', () => getRunningLoop()],
  ['allTasks()', () => allTasks()],
  ['asCompleted()', () => asCompleted([plain()])],
]
for (const [title, act] of outside) {
  test(`${title} outside a run`, () => {
    const error = thrownBy(act)
    assert.ok(error instanceof ClosedError)
    assert.equal(error.code, 'CEDE_CLOSED')
    assert.match(error.message, /no running loop; use `run\(main\)` to start one/)
    assert.ok(error.message.startsWith(title))
  })
}

/** What `act` throws in a callback of the host while `run` waits for it. */
function* thrownInCallback(act: () => unknown): Op {
  return yield* until(new Promise((resolve) => setImmediate(() => resolve(thrownBy(act)))))
}

for (const [title, act] of outside) {
  test(`${title} in a callback of the host, while a run is going on`, async () => {
    const error = await run(thrownInCallback(act))
    assert.ok(error instanceof ClosedError)
    assert.ok(error.message.startsWith(`${title}: expected to be called from a coroutine`))
    assert.match(error.message, /found code that no run has called \(in a timer, an event, a promise\)/)
    assert.match(error.message, /write `group\.createTask\(operation\)`/)
    assert.match(
      error.message,
      /`loop\.callSoon\(\(\) => \{ createTask\(operation\) \}\)` with a loop kept from inside$/,
    )
  })
}

test('createTask() in a callback of the host, with two runs: a loop would not know for which', async () => {
  const [error] = await Promise.all([run(thrownInCallback(() => createTask(plain()))), run(sleep(30))])
  assert.ok(error instanceof ClosedError)
  assert.match(error.message, /while 2 runs are going on; write `group\.createTask\(operation\)`$/)
  assert.match((thrownBy(() => createTask(plain())) as Error).message, /found no running loop/)
})

test('what the message recommends works', async () => {
  const values = await run(
    taskGroup(function* (group) {
      const loop = getRunningLoop()
      const started = yield* until(
        new Promise<Operation<string>[]>((resolve) => {
          setImmediate(() => {
            const first = group.createTask(plain())
            loop.callSoon(() => resolve([first, createTask(wrapped())]))
          })
        }),
      )
      return yield* gather(started)
    }),
  )
  assert.deepEqual(values, ['plain', 'plain'])
})

test('abortSignal() outside a coroutine', () => {
  assert.throws(() => abortSignal(), misuse('abortSignal()', 'inside a coroutine', 'no running task'))
})

test('run() inside a coroutine, also in one that another coroutine waits for', () =>
  simulate(function* () {
    const words = ['run() was called inside task main', 'write `yield* operation`', '`createTask(operation)`']
    assert.throws(() => void run(plain), misuse(...words))
    function* deeper(): Op<void> {
      yield* sleep(1)
      assert.throws(() => void run(plain), misuse(...words))
    }
    yield* deeper()
    yield* createTask(deeper(), { name: 'other' }).join()
  }))

test('run() with options that are none', () => {
  assert.throws(() => void run(plain, untyped(5)), misuse('run(): options', 'found a number (5)'))
  assert.throws(() => void run(plain, { shuffleSeed: 1 }), misuse('run(): shuffleSeed', 'driver'))
  assert.throws(() => void run(plain, { cleanupGraceMs: -1 }), RangeError)
})

test('gather(a, b) without the array', () =>
  simulate(function* () {
    const lists: readonly (readonly [unknown, string])[] = [
      [sleep(1), 'an operation (sleep of 1 ms)'],
      [wrapped(), 'coroutine wrapped()'],
      [plain(), 'a generator'],
      [createTask(sleep(0), { name: 'child' }), 'task child'],
      [undefined, 'undefined'],
      ['text', 'a string ("text")'],
    ]
    for (const [list, found] of lists) {
      let caught: unknown
      try {
        yield* gather(untyped(list))
      } catch (error) {
        caught = error
      }
      misuse(`gather(): expected a list of operations, found ${found}`, '`gather([first, second])`')(caught)
    }
  }))

test('race of nothing would never end', () =>
  simulate(function* () {
    let caught: unknown
    try {
      yield* race([])
    } catch (error) {
      caught = error
    }
    misuse('race()', 'at least one')(caught)
  }))

test('wait for operations instead of tasks, and for nothing', () => {
  assert.throws(
    () => wait(untyped([sleep(1)])),
    misuse('wait(): a task or a future', '`createTask(operation)`'),
  )
  assert.throws(() => wait([]), misuse('wait(): at least one'))
  const future = untyped(Promise.resolve())
  assert.throws(() => wait([future]), misuse('wait(): a task or a future', 'found a promise'))
})

const durations: readonly (readonly [title: string, act: (ms: never) => unknown])[] = [
  ['sleep()', sleep],
  ['timeout()', (ms) => timeout(ms, sleep(1))],
  ['timeoutAt()', (ms) => timeoutAt(ms, sleep(1))],
  ['timeoutOr()', (ms) => timeoutOr(ms, sleep(1), null)],
]
for (const [title, act] of durations) {
  test(`${title} without a number`, () => {
    for (const [value, found] of [
      ['1', 'a string ("1")'],
      [undefined, 'undefined'],
      [null, 'null'],
      [NaN, 'a number (NaN)'],
      [sleep(1), 'an operation (sleep of 1 ms)'],
      [new Date(0), 'a Date'],
    ] as const) {
      assert.throws(
        () => act(untyped(value)),
        misuse(`${title}: a number of milliseconds was expected, found ${found}`),
      )
    }
  })
}

test('callbacks that are none, or that would make a coroutine nobody runs', () =>
  simulate(function* () {
    const loop = getRunningLoop()
    const schedule: readonly (readonly [title: string, act: (callback: never) => unknown])[] = [
      ['callSoon()', (callback) => loop.callSoon(callback)],
      ['callLater()', (callback) => loop.callLater(1, callback)],
      ['callAt()', (callback) => loop.callAt(1, callback)],
    ]
    for (const [title, act] of schedule) {
      for (const fn of [plain, wrapped]) {
        assert.throws(
          () => act(untyped(fn)),
          misuse(`${title}: a function was expected`, 'makes a coroutine', '`createTask(operation)`'),
        )
      }
      assert.throws(
        () => act(untyped(plain())),
        misuse(`${title}: a function was expected, found a generator`),
      )
      assert.throws(() => act(untyped(undefined)), misuse(title, 'found undefined'))
    }
    assert.throws(() => loop.callLater(untyped('1'), () => {}), RangeError)
    yield* sleep(0)
  }))

test('until() of an operation, of nothing, of a function that returns no promise', () =>
  simulate(function* () {
    assert.throws(() => until(untyped(sleep(1))), misuse('until(): expected a promise', '`yield* operation`'))
    assert.throws(() => until(untyped(5)), misuse('until(): expected a promise, found a number (5)'))
    let caught: unknown
    try {
      yield* until(untyped<() => Promise<number>>(() => 5))
    } catch (error) {
      caught = error
    }
    misuse('until(): expected a function that returns a promise, found a number (5)')(caught)
    assert.equal(
      yield* until(createTask(sleep(1, 'a task may be waited for as a promise too'))),
      'a task may be waited for as a promise too',
    )
  }))

test('fromAsyncIterable() of something that is not async', () => {
  assert.throws(() => fromAsyncIterable(untyped([1])), misuse('expected an async iterable, found an array'))
})

test('limits that are none', () => {
  const text = untyped<number>('2')
  assert.throws(() => mapLimit([1], text, () => sleep(1)), misuse('mapLimit(): a limit of 1 or more'))
  assert.throws(() => taskGroup(sleep(1), { limit: text }), misuse('taskGroup(): a limit of 1 or more'))
  for (const limit of [0, -1, 1.5, NaN]) {
    const outOfRange = { name: 'RangeError', message: /: a limit of 1 or more was expected, found a number/ }
    assert.throws(() => mapLimit([1], limit, () => sleep(1)), outOfRange)
    assert.throws(() => taskGroup(sleep(1), { limit }), outOfRange)
  }
})

test('wait() without a list, also for a task that has ended', () =>
  simulate(function* () {
    const task = createTask(sleep(0))
    yield* task
    for (const tasks of [task, 5, undefined, sleep(1)]) {
      assert.throws(() => wait(untyped(tasks)), misuse('wait(): expected a list of operations, found'))
    }
  }))

test('a timeoutMs that is no number', () =>
  simulate(function* () {
    const task = createTask(sleep(0))
    for (const timeoutMs of [NaN, untyped<number>('5')]) {
      assert.throws(() => wait([task], { timeoutMs }), misuse('wait(): timeoutMs was expected'))
      assert.throws(() => asCompleted([task], { timeoutMs }), misuse('asCompleted(): timeoutMs was expected'))
      assert.throws(
        () => cancelAndWait(task, { timeoutMs }),
        misuse('cancelAndWait(): timeoutMs was expected'),
      )
    }
    yield* task
  }))

test('a task that waits for itself', () =>
  simulate(function* () {
    const holder: { task?: ReturnType<typeof createTask> } = {}
    holder.task = createTask(
      (function* (): Op {
        return yield* holder.task!
      })(),
      { name: 'narcissus' },
    )
    const outcome = yield* holder.task.join()
    misuse('task narcissus waits for itself')(outcome.status === 'failed' && outcome.error)
  }))
