// DESIGN.md "Cancellation" 6: errors that cleanup throws are held while the outer frames unwind; the outermost
// cancelled scope throws the first, and the exception handler is told of later ones.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  cancelAndWait,
  coroutine,
  createTask,
  sleep,
  sleepForever,
  timeout,
  timeoutOr,
  withScope,
  type CancelScope,
  type Operation,
  type Suspension,
} from 'cede'
import { Diary } from '../support/diary.ts'
import { simulate } from '../support/sim.ts'
import { thrownBy } from '../support/thrown-by.ts'

/** Cleans up, and fails with `error` at the end of it. */
function* failsInCleanup(
  diary: Diary,
  error: Error,
  inner: Operation<unknown> = sleepForever(),
): Generator<Suspension, void> {
  try {
    yield* inner
  } finally {
    yield* sleep(1)
    diary.write(`${error.message} is thrown`)
    throw error
  }
}
const failsInCleanupWrapped = coroutine(failsInCleanup)

function* catches(diary: Diary, inner: Operation<unknown>): Generator<Suspension, void> {
  try {
    yield* inner
    diary.write('went on')
  } catch (error) {
    diary.write(`caught ${String(error)}`)
  } finally {
    diary.write('cleans up')
  }
}
const catchesWrapped = coroutine(catches)

for (const [kind, failing, catching] of [
  ['plain', failsInCleanup, catches],
  ['wrapped', failsInCleanupWrapped, catchesWrapped],
  ['mixed', failsInCleanup, catchesWrapped],
] as const) {
  test(`no catch of an outer function inside the scope sees it; the cancelled task fails with it (${kind})`, () =>
    simulate(function* () {
      const diary = new Diary()
      const mine = new Error('mine')
      const task = createTask(catching(diary, failing(diary, mine)))
      yield* sleep(0)
      assert.deepEqual(yield* cancelAndWait(task), { status: 'failed', error: mine })
      diary.expect('mine is thrown', 'cleans up')
    }))

  test(`the outermost cancelled scope throws it, and outside of that it can be caught (${kind})`, () =>
    simulate(function* () {
      const diary = new Diary()
      const mine = new Error('mine')
      const scoped: ((body: Operation<unknown>) => Operation<unknown>)[] = [
        (body) => timeout(5, body),
        (body) => timeoutOr(5, body, 'fallback'),
        (body) =>
          withScope(function* (scope) {
            createTask(cancels(scope))
            yield* body
          }),
      ]
      for (const open of scoped) {
        assert.equal(yield* thrownBy(open(catching(diary, failing(diary, mine)))), mine)
        diary.expect('mine is thrown', 'cleans up')
      }
    }))

  test(`the first goes to the scope, later ones to the exception handler (${kind})`, () =>
    simulate(
      function* (sim) {
        const diary = new Diary()
        const [first, second, third] = [new Error('first'), new Error('second'), new Error('third')]
        const chain = failing(diary, third, failing(diary, second, failing(diary, first)))
        const task = createTask(catching(diary, chain))
        yield* sleep(0)
        assert.deepEqual(yield* cancelAndWait(task), { status: 'failed', error: first })
        diary.expect('first is thrown', 'second is thrown', 'third is thrown', 'cleans up')
        assert.deepEqual(
          sim.reports.map(({ error, task: reported }) => [error, reported]),
          [
            [second, task],
            [third, task],
          ],
        )
        assert.match(sim.reports[0]!.message, /second error was thrown by the cleanup of task/)
      },
      { reports: [] },
    ))
}

function* cancels(scope: CancelScope): Generator<Suspension, void> {
  yield* sleep(5)
  scope.cancel()
}

test('if an outer scope is cancelled while the error is held, that one throws it', () =>
  simulate(function* () {
    const diary = new Diary()
    const mine = new Error('mine')
    function* slowCleanup(inner: Operation<unknown>): Generator<Suspension, void> {
      try {
        yield* inner
      } finally {
        yield* sleep(20)
      }
    }
    const outer = timeout(15, () => catches(diary, timeout(5, slowCleanup(failsInCleanup(diary, mine)))))
    assert.equal(yield* thrownBy(outer), mine)
    diary.expect('mine is thrown', 'cleans up')
  }))

test('an error inside cleanup that the cleanup itself catches is nobody else’s', () =>
  simulate(function* () {
    const diary = new Diary()
    function* handlesItself(): Generator<Suspension, void> {
      try {
        yield* sleepForever()
      } finally {
        yield* catches(diary, throws(new Error('handled')))
      }
    }
    const task = createTask(handlesItself())
    yield* sleep(0)
    assert.equal((yield* cancelAndWait(task)).status, 'cancelled')
    diary.expect('caught Error: handled', 'cleans up')
  }))

function* throws(error: Error): Generator<Suspension, never> {
  yield* sleep(1)
  throw error
}

test('a catch in the very function whose finally threw runs as part of its cleanup', () =>
  simulate(function* () {
    const diary = new Diary()
    function* catchesItsOwn(): Generator<Suspension, void> {
      try {
        try {
          yield* sleepForever()
        } finally {
          throw new Error('mine')
        }
      } catch (error) {
        diary.write(`caught ${String(error)}`)
        yield* sleep(1)
        diary.write('waited')
      }
    }
    const task = createTask(catches(diary, catchesItsOwn()))
    yield* sleep(0)
    assert.equal((yield* cancelAndWait(task)).status, 'cancelled')
    diary.expect('caught Error: mine', 'waited', 'cleans up')
  }))

test('an error in the cleanup of a task before its cancelled scopes is one of the task, not of the scope', () =>
  simulate(function* () {
    // A scope that was unwound in good order, then a failure of its own.
    const mine = new Error('mine')
    const task = createTask(
      (function* () {
        yield* timeoutOr(5, sleepForever(), undefined)
        throw mine
      })(),
    )
    assert.deepEqual(yield* task.join(), { status: 'failed', error: mine })
  }))

test('an error thrown by the cleanup of a main is what run rejects with', async () => {
  const mine = new Error('mine')
  await assert.rejects(
    simulate(function* (sim) {
      sim.loop.callLater(5, () => {
        for (const task of sim.runner.tasks()) task.cancel()
      })
      yield* failsInCleanup(new Diary(), mine)
    }),
    (error) => error === mine,
  )
})
