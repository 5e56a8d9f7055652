// Operations are iterable, so types let `for...of`, spread and destructuring pass. None of them works, and all say so.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  checkpoint,
  coroutine,
  Future,
  gather,
  run,
  sleep,
  sleepForever,
  timeout,
  until,
  type Operation,
} from 'cede'
import { SimDriver, WaitQueue } from 'cede/lowlevel'
import { misuse, runSlip, thrownBy, untyped, type Op } from './support.ts'

// Something no iterator gives, so that the loops below do look at what they get.
const FOUND = Symbol('found')
const words = ['`yield*`', '`next()`', '`for...of`', 'spread']

function* plain(): Op<string> {
  yield* sleep(1)
  return 'plain'
}
const wrapped = coroutine('wrapped', plain)

const operations: Readonly<Record<string, () => Operation<unknown>>> = {
  'sleep()': () => sleep(1),
  'sleepForever()': () => sleepForever(),
  'a future': () => new Future(),
  'a wait queue': () => new WaitQueue().wait(),
  'until()': () => until(new Promise(() => {})),
  'timeout()': () => timeout(5, sleep(1)),
  'gather()': () => gather([sleep(1), sleep(2)]),
  'a plain generator': plain,
  'a wrapped coroutine': wrapped,
}

for (const [name, make] of Object.entries(operations)) {
  test(`${name}: spread is refused`, async () => {
    await assert.rejects(
      runSlip(function* () {
        return [...untyped<Iterable<unknown>>(make())]
      }),
      misuse(...words),
    )
  })

  test(`${name}: for...of is refused`, async () => {
    await assert.rejects(
      runSlip(function* () {
        for (const item of untyped<Iterable<unknown>>(make())) assert.ok(item !== FOUND)
      }),
      misuse(...words),
    )
  })

  test(`${name}: destructuring is refused, at the next wait at the latest`, async () => {
    await assert.rejects(
      runSlip(function* () {
        const [first] = untyped<[unknown]>(make())
        assert.ok(first !== FOUND)
        yield* sleep(1)
      }),
      misuse(...words),
    )
  })

  test(`${name}: destructuring is refused even if nothing is waited for afterwards`, async () => {
    await assert.rejects(
      runSlip(function* () {
        const [first] = untyped<[unknown]>(make())
        return first
      }),
      misuse(...words),
    )
  })

  test(`${name}: next() by hand is refused`, async () => {
    await assert.rejects(
      runSlip(function* () {
        const iterator = make()[Symbol.iterator]()
        iterator.next()
        return yield* sleep(1)
      }),
      misuse('`yield*`', '`next()`'),
    )
  })

  test(`${name}: a walk outside a task is refused`, () => {
    const error = thrownBy(() => [...untyped<Iterable<unknown>>(make())])
    misuse('outside a task', '`run`')(error)
  })
}

test('what was walked by hand does not harm a coroutine that catches the error', async () => {
  const value = await runSlip(function* () {
    try {
      for (const item of untyped<Iterable<unknown>>(wrapped())) assert.ok(item)
    } catch (error) {
      misuse('coroutine wrapped()', '`yield*`')(error)
    }
    yield* sleep(1)
    return yield* wrapped()
  })
  assert.equal(value, 'plain')
})

test('taking a result apart without the star: the message says how to write it', async () => {
  await assert.rejects(
    runSlip(function* () {
      const [a, b] = untyped<[unknown, unknown]>(gather([sleep(1), sleep(2)]))
      return [a, b]
    }),
    misuse('coroutine gather()', '`const [first] = yield* operation`'),
  )
})

test('checkpoint() that does not have to wait passes by hand, since nothing is lost', async () => {
  assert.deepEqual(
    await runSlip(function* () {
      return [...untyped<Iterable<unknown>>(checkpoint())]
    }),
    [],
  )
})

for (const [name, make] of Object.entries(operations)) {
  if (name === 'a plain generator') continue
  test(`await of ${name} where types are not checked: ${name === 'a future' ? 'waits' : 'rejects'}`, async () => {
    if (name === 'a future') {
      const future = new Future<string>()
      future.setResult('value')
      assert.equal(await future, 'value')
      return
    }
    await assert.rejects(
      async () => {
        await untyped<Promise<unknown>>(make())
      },
      misuse('was awaited', 'write `yield* operation`', '`await run(operation)`'),
    )
  })
}

test('an operation returned from main without the star: run rejects and says so', async () => {
  await assert.rejects(
    run(
      untyped<() => Operation<unknown>>(function* () {
        return sleep(1)
      }),
      { driver: new SimDriver() },
    ),
    misuse('sleep() was awaited', 'returned without the star', '`yield* operation`'),
  )
})
