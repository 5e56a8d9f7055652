// Timeouts: S52 to S65, and what DESIGN.md "Cancellation" 8 says instead.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CancelledError,
  cancelAndWait,
  ContextVar,
  createTask,
  currentTask,
  Future,
  InvalidStateError,
  MisuseError,
  shield,
  sleep,
  sleepForever,
  timeout,
  timeoutAt,
  TimeoutError,
  timeoutOr,
  type Operation,
  type Suspension,
  type TimeoutScope,
} from 'cede'
import { Diary } from '../support/diary.ts'
import { simulate } from '../support/sim.ts'
import { thrownBy, thrownOf } from '../support/thrown-by.ts'

/** Waits for ever; writes what it sees of being stopped, and takes its time for cleanup. */
function* slowToEnd(diary: Diary, cleanupMs: number): Generator<Suspension, void> {
  try {
    yield* sleepForever()
  } catch {
    diary.timed('caught')
  } finally {
    diary.timed('cleanup begins')
    yield* sleep(cleanupMs)
    diary.timed('cleanup ends')
  }
}

test('S52 (ours): on expiry the body is unwound and sees no error; TimeoutError appears outside, and expired is true', () =>
  simulate(function* () {
    const diary = new Diary()
    let scope: TimeoutScope | undefined
    const error = yield* thrownOf(
      TimeoutError,
      timeout(100, (given) => {
        scope = given
        return slowToEnd(diary, 0)
      }),
    )
    diary.expect('100 cleanup begins', '100 cleanup ends')
    assert.equal(scope?.expired, true)
    assert.equal(scope.cancelled, true)
    assert.equal(scope.reason, error)
    assert.equal(error.code, 'CEDE_TIMEOUT')
    assert.equal(error.timeoutMs, 100)
    assert.match(error.message, /within 100 ms, and still waited for for ever/)
  }))

test('S52: the stack of the TimeoutError leads to where the timeout stands', () =>
  simulate(function* () {
    function* placeOfTheTimeout() {
      yield* timeout(5, sleepForever())
    }
    const error = yield* thrownOf(TimeoutError, placeOfTheTimeout())
    assert.match(error.stack ?? '', /at placeOfTheTimeout .*timeouts\.test\.ts/)
  }))

test('S52: after a handled timeout the task is not left cancelled', () =>
  simulate(function* (sim) {
    yield* thrownOf(TimeoutError, timeout(10, sleepForever()))
    assert.equal(currentTask()!.cancelled, false)
    yield* sleep(20)
    assert.equal(sim.now(), 30)
  }))

test('S53: a zero or past deadline cuts even one sleep(0) inside', () =>
  simulate(function* (sim) {
    yield* sleep(50)
    for (const body of [
      timeout(0, sleep(0)),
      timeout(-10, sleep(0)),
      timeoutAt(50, sleep(0)),
      timeoutAt(20, sleep(0)),
    ]) {
      yield* thrownOf(TimeoutError, body)
    }
    assert.equal(sim.now(), 50)
  }))

test('S53 (ours): with a deadline of zero the body runs to its first wait, and a value it produces without one counts', () =>
  simulate(function* () {
    const diary = new Diary()
    const settled = new Future<string>()
    settled.setResult('ready')
    yield* thrownOf(
      TimeoutError,
      timeout(0, function* (scope) {
        assert.equal(scope.expired, true)
        diary.write('begun')
        try {
          // What is ready is not taken any more: operations are checkpoints.
          yield* settled
          diary.write('went on')
        } finally {
          diary.write('cleanup')
        }
      }),
    )
    diary.expect('begun', 'cleanup')
    assert.equal(
      yield* timeout(0, function* (): Operation<string> {
        return 'no wait'
      } as () => Generator<never, string>),
      'no wait',
    )
  }))

test('S54 (ours): Infinity disables', () =>
  simulate(function* (sim) {
    yield* timeout(Infinity, function* (scope) {
      assert.equal(scope.deadlineMs, Infinity)
      yield* sleep(1_000_000)
      scope.reschedule(10)
      assert.equal(scope.deadlineMs, 1_000_010)
      scope.reschedule(Infinity)
      yield* sleep(1_000)
      scope.deadlineMs = sim.now() + 10
      scope.deadlineMs = Infinity
      yield* sleep(1_000)
    })
    assert.equal(sim.now(), 1_002_000)
  }))

test('S54: a deadline can be read and moved both ways while the body runs', () =>
  simulate(function* (sim) {
    const later = timeout(10, function* (scope) {
      assert.equal(scope.deadlineMs, 10)
      yield* sleep(5)
      scope.reschedule(100)
      assert.equal(scope.deadlineMs, 105)
      yield* sleepForever()
    })
    yield* thrownOf(TimeoutError, later)
    assert.equal(sim.now(), 105)

    const sooner = timeout(1_000, function* (scope) {
      scope.deadlineMs = sim.now() + 10
      yield* sleepForever()
    })
    yield* thrownOf(TimeoutError, sooner)
    assert.equal(sim.now(), 115)

    const past = timeout(1_000, function* (scope) {
      scope.deadlineMs = 3
      yield* sleepForever()
    })
    yield* thrownOf(TimeoutError, past)
    assert.equal(sim.now(), 115)
  }))

test('S54: reschedule is refused before the body begins, once it was cut, and after its end', () =>
  simulate(function* () {
    let scope: TimeoutScope | undefined
    const refused = (found: RegExp): void => {
      for (const move of [() => scope!.reschedule(5), () => (scope!.deadlineMs = 5)]) {
        assert.throws(move, (error) => error instanceof InvalidStateError && found.test(error.message))
      }
    }
    yield* timeout(100, function* (given) {
      scope = given
      yield* sleep(1)
    })
    refused(/found one that has ended/)

    yield* thrownOf(
      TimeoutError,
      timeout(100, function* (given) {
        scope = given
        try {
          yield* sleepForever()
        } finally {
          assert.equal(given.deadlineMs, 101)
          refused(/found one that has expired/)
        }
      }),
    )
    refused(/found one that has expired/)
  }))

test('S54: one entry only, and only inside a task', async () => {
  const outside = timeout(10, sleep(1))
  assert.throws(() => outside[Symbol.iterator]().next(), MisuseError)
  await simulate(function* () {
    const once = timeout(10, sleep(1))
    yield* once
    assert.match(String(yield* thrownBy(once)), /runs once|second time|used/)
  })
})

test('S54 (ours): a duration that is no number is refused at the call', () => {
  for (const wrong of [NaN, '10', null, undefined]) {
    assert.throws(() => timeout(wrong as number, sleep(1)), MisuseError)
    assert.throws(() => timeoutAt(wrong as number, sleep(1)), MisuseError)
    assert.throws(() => timeoutOr(wrong as number, sleep(1), null), MisuseError)
  }
})

test('S55 (ours): an outside cancel with time left passes through the timeout, which reports nothing', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const task = createTask(
      (function* () {
        try {
          yield* timeout(100, sleepForever())
        } catch {
          diary.write('caught')
        } finally {
          diary.timed('cleanup')
        }
      })(),
    )
    yield* sleep(10)
    const outcome = yield* cancelAndWait(task, { reason: 'enough' })
    assert.deepEqual(outcome, { status: 'cancelled', reason: 'enough' })
    diary.expect('10 cleanup')
    assert.equal(sim.now(), 10)
  }))

test('S55 (ours): scope.cancel() of a timeout is CancelledError with its reason, also for timeoutOr', () =>
  simulate(function* () {
    const cancelsItself = function* (scope: TimeoutScope): Generator<Suspension, void> {
      scope.cancel({ reason: 'mine' })
      yield* sleepForever()
    }
    for (const operation of [timeout(10, cancelsItself), timeoutOr(10, cancelsItself, null)]) {
      const error = yield* thrownBy(operation)
      assert.ok(error instanceof CancelledError)
      assert.equal(error.reason, 'mine')
    }
  }))

test('S56 (ours): an error thrown while the body unwinds goes before the timeout, unaltered', () =>
  simulate(function* () {
    const mine = new Error('cleanup failed')
    const body = function* (): Generator<Suspension, void> {
      try {
        yield* sleepForever()
      } finally {
        throw mine
      }
    }
    for (const operation of [timeout(10, body), timeoutOr(10, body, 'fallback')]) {
      assert.equal(yield* thrownBy(operation), mine)
    }
    assert.equal(mine.cause, undefined)
  }))

test('S57: nested, both expired: only the outermost reports', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const nested = timeout(100, function* () {
      try {
        yield* timeout(100, sleepForever())
      } catch {
        diary.write('the inner one reports')
      } finally {
        diary.timed('unwound')
      }
    })
    yield* thrownOf(TimeoutError, nested)
    diary.expect('100 unwound')

    // The inner one expires first, and while its body cleans up the outer one expires as well.
    const later = timeout(100, function* () {
      try {
        yield* timeout(50, slowToEnd(diary, 80))
      } catch {
        diary.write('the inner one reports')
      }
    })
    const error = yield* thrownOf(TimeoutError, later)
    assert.equal(error.timeoutMs, 100)
    diary.expect('150 cleanup begins', '230 cleanup ends')
    assert.equal(sim.now(), 230)
  }))

test('S57: nested, only the inner one expired: the inner one reports', () =>
  simulate(function* () {
    const value = yield* timeout(100, function* () {
      const error = yield* thrownOf(TimeoutError, timeout(50, sleepForever()))
      return error.timeoutMs
    })
    assert.equal(value, 50)
  }))

test('S58 (ours): both deadlines passed while the loop was busy: the outermost reports', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const nested = timeout(100, function* () {
      try {
        yield* timeout(50, function* () {
          yield* sleep(10)
          sim.elapse(500)
          yield* sleep(1)
          diary.write('went on')
        })
      } catch {
        diary.write('the inner one reports')
      }
    })
    const error = yield* thrownOf(TimeoutError, nested)
    assert.equal(error.timeoutMs, 100)
    diary.expect()
  }))

test('S58: an inner timeout is handled late: the outer one cuts the next wait', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const nested = timeout(100, function* () {
      try {
        yield* timeout(50, sleepForever())
      } catch (error) {
        assert.ok(error instanceof TimeoutError)
        diary.timed('the inner one reports')
        sim.elapse(500)
      }
      diary.timed('goes on without a wait')
      yield* sleep(1)
      diary.write('went on')
    })
    yield* thrownOf(TimeoutError, nested)
    diary.expect('50 the inner one reports', '550 goes on without a wait')
  }))

test('S59: a timeout inside the cleanup of a cancelled task works', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const task = createTask(
      (function* () {
        try {
          yield* sleepForever()
        } finally {
          yield* thrownOf(TimeoutError, timeout(30, sleepForever()))
          diary.timed('timed out')
          yield* sleep(10)
          diary.timed('cleanup ends')
        }
      })(),
    )
    yield* sleep(5)
    yield* cancelAndWait(task)
    diary.expect('35 timed out', '45 cleanup ends')
    assert.equal(sim.now(), 45)
  }))

test('S59 (ours): a new cancel does not interrupt the timeout inside a cleanup', () =>
  simulate(function* () {
    const diary = new Diary()
    const task = createTask(
      (function* () {
        try {
          yield* sleepForever()
        } finally {
          diary.write(yield* timeout(30, sleep(20, 'slept in peace')))
        }
      })(),
    )
    yield* sleep(5)
    assert.equal(task.cancel(), true)
    yield* sleep(5)
    assert.equal(task.cancel(), true)
    yield* task.join()
    diary.expect('slept in peace')
  }))

test('S60 (ours): timeout <= 0 of a done future or task: cut, since a cancelled scope takes nothing', () =>
  simulate(function* () {
    const future = new Future<string>()
    future.setResult('value')
    yield* thrownOf(TimeoutError, timeout(0, future))
    assert.equal(yield* future, 'value')
    assert.equal(yield* timeoutOr(0, future, 'fallback'), 'fallback')
  }))

test('S60: with timeout <= 0 nothing waits, and cleanup is waited for before TimeoutError', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const error = yield* thrownOf(TimeoutError, timeout(0, slowToEnd(diary, 70)))
    diary.expect('0 cleanup begins', '70 cleanup ends')
    assert.equal(error.timeoutMs, 0)
    assert.equal(sim.now(), 70)
  }))

test('S60 (ours): a timeout around a task ends the wait for it, and leaves the task to its owner', () =>
  simulate(function* () {
    const task = createTask(sleep(50, 'mine'))
    yield* thrownOf(TimeoutError, timeout(0, task))
    yield* thrownOf(TimeoutError, timeout(10, task))
    assert.equal(yield* task, 'mine')
  }))

test("S61: the body runs in the caller's own task, and its context writes are the caller's", () =>
  simulate(function* () {
    const variable = new ContextVar<string>('variable')
    const caller = currentTask()
    yield* timeout(10, function* () {
      assert.equal(currentTask(), caller)
      variable.set('written inside')
      yield* sleep(0)
    })
    assert.equal(variable.get(), 'written inside')
  }))

test('S62: the timeout waits until the body has really ended its cleanup', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    yield* thrownOf(TimeoutError, timeout(10, slowToEnd(diary, 100)))
    diary.expect('10 cleanup begins', '110 cleanup ends')
    assert.equal(sim.now(), 110)
    assert.equal(yield* timeoutOr(10, slowToEnd(diary, 100), 'fallback'), 'fallback')
    assert.equal(sim.now(), 220)
  }))

test('S63 (ours): a body cannot swallow its timeout: what it returns while it unwinds is ignored', () =>
  simulate(function* () {
    const body = function* (): Generator<Suspension, string> {
      try {
        return yield* sleep(1_000, 'in time')
      } catch {
        return 'caught'
      } finally {
        return 'from finally'
      }
    }
    yield* thrownOf(TimeoutError, timeout(10, body))
    assert.equal(yield* timeoutOr(10, body, 'fallback'), 'fallback')
  }))

test('S63 (ours): a value that is there when the deadline comes is returned', () =>
  simulate(function* (sim) {
    const future = new Future<string>()
    // Both in one pass: the value first, then the deadline.
    sim.loop.callLater(10, () => {
      future.setResult('in time')
      sim.elapse(100)
    })
    assert.equal(yield* timeout(10, future), 'in time')

    const busy = timeout(10, function* () {
      sim.elapse(500)
      return 'late, but here'
    })
    assert.equal(yield* busy, 'late, but here')
  }))

test('S63: a body that raises: its error is raised', () =>
  simulate(function* () {
    const mine = new Error('mine')
    const body = function* (): Generator<Suspension, void> {
      yield* sleep(5)
      throw mine
    }
    assert.equal(yield* thrownBy(timeout(10, body)), mine)
  }))

test('S64: cancelling the waiter cancels the body, whose cleanup is waited for', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const task = createTask(timeout(1_000, slowToEnd(diary, 20)))
    yield* sleep(10)
    const { status } = yield* cancelAndWait(task)
    assert.equal(status, 'cancelled')
    diary.expect('10 cleanup begins', '30 cleanup ends')
    assert.equal(sim.now(), 30)
  }))

test('S64 (ours): a body that got its value in the same pass as the cancel keeps it; the cancel comes at the next wait', () =>
  simulate(function* () {
    const diary = new Diary()
    const future = new Future<string>()
    const task = createTask(
      (function* () {
        diary.write(yield* timeout(1_000, future))
        yield* sleep(0)
        diary.write('went on')
      })(),
    )
    yield* sleep(10)
    future.setResult('value')
    task.cancel()
    assert.equal((yield* task.join()).status, 'cancelled')
    diary.expect('value')
  }))

test('S65: with shield inside, the body survives the timeout, also at timeout 0, and its value is returned', () =>
  simulate(function* (sim) {
    assert.equal(yield* timeout(5, shield(sleep(20, 'saved'))), 'saved')
    assert.equal(sim.now(), 20)
    assert.equal(yield* timeout(0, shield(sleep(20, 'saved'))), 'saved')
    assert.equal(sim.now(), 40)
  }))

test('S65 (ours): after the shield the expired timeout cuts the next wait', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const body = function* (): Generator<Suspension, void> {
      diary.write(yield* shield(sleep(20, 'saved')))
      yield* sleep(0)
      diary.write('went on')
    }
    yield* thrownOf(TimeoutError, timeout(5, body))
    diary.expect('saved')
    assert.equal(sim.now(), 20)
  }))
