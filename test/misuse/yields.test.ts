// What a coroutine may not yield: everything that no operation has announced. The error comes up at the yield itself.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coroutine, createTask, Future, sleep } from 'cede'
import { misuse, runSlip, slip, untyped, type Op, type Slip } from './support.ts'

function* greeting(): Op<string> {
  yield* sleep(1)
  return 'hello'
}
const wrappedGreeting = coroutine('wrappedGreeting', greeting)

const wrong: readonly (readonly [title: string, main: Slip, words: readonly string[]])[] = [
  [
    'a bare yield',
    function* () {
      yield
    },
    ['yielded nothing', 'bare `yield`', '`yield* sleep(0)`'],
  ],
  [
    'a number',
    function* () {
      yield 5
    },
    ['yielded a number (5)', 'with `yield*`', '`return value` to end with a value'],
  ],
  [
    'null',
    function* () {
      yield null
    },
    ['yielded null'],
  ],
  [
    'a future without the star',
    function* () {
      yield new Future()
    },
    ['yielded a Future', '`yield` without the star', '`yield* operation`'],
  ],
  [
    'a generator without the star',
    function* () {
      yield greeting()
    },
    ['yielded a generator', '`yield` without the star', '`yield* f()`'],
  ],
  [
    'a coroutine without the star',
    function* () {
      yield wrappedGreeting()
    },
    ['yielded coroutine wrappedGreeting()', '`yield` without the star'],
  ],
  [
    'an operation of the library without the star',
    function* () {
      yield sleep(20)
    },
    ['yielded an operation (sleep of 20 ms)', '`yield` without the star'],
  ],
  [
    'a task without the star',
    function* () {
      yield createTask(greeting(), { name: 'greeter' })
    },
    ['yielded task greeter', '`yield` without the star'],
  ],
  [
    'a promise',
    function* () {
      yield Promise.resolve(1)
    },
    ['yielded a promise', '`yield* until(promise)`'],
  ],
  [
    'a function that was not called',
    function* () {
      yield greeting
    },
    ['yielded a function (greeting)', '`yield* greeting()`, calling the function'],
  ],
  [
    'an array',
    function* () {
      yield [sleep(1), sleep(2)]
    },
    ['yielded an array', '`yield* gather([...])`'],
  ],
  [
    'yield* over an array',
    function* () {
      yield* [1, 2, 3]
    },
    ['yielded a number (1)', '`yield*` over a list'],
  ],
  [
    'yield* over an array of operations',
    function* () {
      yield* [sleep(1), sleep(2)]
    },
    ['yielded an operation (sleep of 1 ms)', '`yield*` over a list'],
  ],
  [
    'yield* over a string',
    function* () {
      yield* 'abc'
    },
    ['yielded a string ("a")', '`yield*` over a list or a string'],
  ],
]

for (const [title, main, words] of wrong) {
  test(`${title}: refused inside the coroutine`, async () => {
    await assert.rejects(runSlip(main), misuse(...words))
  })

  test(`${title}: refused inside a wrapped coroutine that runs directly`, async () => {
    const wrapped = coroutine(slip(main))
    await assert.rejects(
      runSlip(function* () {
        yield* wrapped()
      }),
      misuse(...words),
    )
  })

  test(`${title}: refused after a wait, when the loop steps the frame`, async () => {
    const wrapped = coroutine(function* (): Op {
      yield* sleep(1)
      return yield* slip(main)()
    })
    await assert.rejects(
      runSlip(function* () {
        yield* wrapped()
      }),
      misuse(...words),
    )
  })
}

// The engine itself refuses these two, where they stand.
for (const [title, value] of [
  ['yield* over a promise', Promise.resolve(1)],
  ['yield* over a function that was not called', greeting],
] as const) {
  test(`${title}: a TypeError of the engine, at the yield*`, async () => {
    await assert.rejects(
      runSlip(function* oneWhoSlipped() {
        yield* untyped<Op>(value)
      }),
      (error: unknown) => {
        assert.ok(error instanceof TypeError)
        assert.match(error.message, /iterable|iterator/)
        assert.match(error.stack ?? '', /oneWhoSlipped/)
        return true
      },
    )
  })
}

test('the error comes up at the yield, can be caught there, and the coroutine goes on', async () => {
  const seen: unknown[] = []
  const value = await runSlip(function* () {
    for (const slipped of [undefined, 1, greeting(), Promise.resolve()]) {
      try {
        yield slipped
      } catch (error) {
        seen.push(error)
      }
    }
    return yield* sleep(5, 'went on')
  })
  assert.equal(value, 'went on')
  assert.equal(seen.length, 4)
  for (const error of seen) misuse('a coroutine yielded')(error)
})

test('the stack of the error names the function that slipped', async () => {
  function* inner(): Op<void> {
    yield* sleep(1)
    yield untyped(5)
  }
  await assert.rejects(
    runSlip(function* outer() {
      yield* inner()
    }),
    (error: Error) => {
      assert.match(error.stack ?? '', /\n +at inner \(at a `yield` in it\)\n +at outer .*yields\.test\.ts/)
      return true
    },
  )
})

test('finally runs, once, when the error is thrown in', async () => {
  let cleanups = 0
  await assert.rejects(
    runSlip(function* () {
      try {
        yield* [1]
      } finally {
        cleanups++
      }
    }),
    misuse('yielded a number (1)'),
  )
  assert.equal(cleanups, 1)
})
