// Task groups: S77 to S90, and what DESIGN.md "Tasks, groups and errors" says instead.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  cancelAndWait,
  CancelledError,
  ClosedError,
  createTask,
  currentTask,
  sleep,
  sleepForever,
  taskGroup,
  TaskGroupError,
  timeoutOr,
  withScope,
  type Suspension,
  type Task,
  type TaskGroup,
} from 'cede'
import { Diary } from '../support/diary.ts'
import { simulate } from '../support/sim.ts'
import { thrownBy, thrownOf } from '../support/thrown-by.ts'

function* failsAfter(ms: number, error: unknown): Generator<Suspension, never> {
  yield* sleep(ms)
  throw error
}

/** Waits for ever, and takes its time to clean up. */
function* worker(diary: Diary, name: string, cleanupMs = 10): Generator<Suspension, void> {
  try {
    yield* sleepForever()
  } catch {
    diary.timed(`${name} caught`)
  } finally {
    yield* sleep(cleanupMs)
    diary.timed(`${name} has ended`)
  }
}

/** Fails when it is cancelled. */
function* failsInCleanup(error: unknown): Generator<Suspension, void> {
  try {
    yield* sleepForever()
  } finally {
    throw error
  }
}

test('S77: the group is left when all children have ended, those added while it waits included', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    function* spawns(group: TaskGroup, left: number): Generator<Suspension, void> {
      yield* sleep(10)
      diary.timed(`child ${left}`)
      if (left > 0) group.createTask(spawns(group, left - 1))
    }
    const value = yield* taskGroup(function* (group) {
      group.createTask(spawns(group, 2))
      yield* sleep(1)
      diary.timed('the body has ended')
      return 'value of the body'
    })
    assert.equal(value, 'value of the body')
    diary.expect('1 the body has ended', '10 child 2', '20 child 1', '30 child 0')
    assert.equal(sim.now(), 30)
  }))

test('S77: group.tasks are the children that have not ended, oldest first', () =>
  simulate(function* () {
    yield* taskGroup(function* (group) {
      const slow = group.createTask(sleep(20), { name: 'slow' })
      const fast = group.createTask(sleep(10), { name: 'fast' })
      assert.deepEqual(group.tasks, [slow, fast])
      yield* fast
      assert.deepEqual(group.tasks, [slow])
      yield* slow
      assert.deepEqual(group.tasks, [])
    })
  }))

test('S77: cancelling one child is not an error of the group', () =>
  simulate(function* () {
    const value = yield* taskGroup(function* (group) {
      const child = group.createTask(sleepForever())
      const other = group.createTask(sleep(20, 'runs on'))
      yield* sleep(1)
      child.cancel()
      return yield* other
    })
    assert.equal(value, 'runs on')
  }))

test('S78: a failing child cancels siblings and body; all errors are thrown together, in the order they happened', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const [first, second, third] = [new Error('first'), new Error('second'), new Error('third')]
    const error = yield* thrownOf(
      TaskGroupError,
      taskGroup(function* (group) {
        group.createTask(failsInCleanup(second), { name: 'two' })
        group.createTask(failsAfter(5, first), { name: 'one' })
        group.createTask(worker(diary, 'sibling'))
        group.createTask(sleep(1, 'done before'))
        group.createTask(failsInCleanup(third), { name: 'three' })
        yield* worker(diary, 'body', 30)
      }),
    )
    diary.expect('15 sibling has ended', '35 body has ended')
    assert.equal(sim.now(), 35)
    assert.deepEqual(error.errors, [first, second, third])
    assert.equal(error.cause, first)
    assert.equal(error.code, 'CEDE_TASK_GROUP')
    assert.match(error.message, /with 3 errors, in task one, task two, task three; the first: first/)
  }))

test('S79: a failing body cancels the children and is a member of what is thrown', () =>
  simulate(function* () {
    const diary = new Diary()
    const [ofBody, ofChild] = [new Error('of the body'), new Error('of the child')]
    const error = yield* thrownOf(
      TaskGroupError,
      taskGroup(function* (group) {
        group.createTask(worker(diary, 'child'))
        group.createTask(failsInCleanup(ofChild))
        yield* sleep(5)
        throw ofBody
      }),
    )
    diary.expect('15 child has ended')
    assert.deepEqual(error.errors, [ofBody, ofChild])
    assert.match(error.message, /in the body, task/)
  }))

test('S79: a body that fails alone is reported in the same way', () =>
  simulate(function* () {
    const mine = new Error('mine')
    const error = yield* thrownOf(
      TaskGroupError,
      taskGroup(function* () {
        throw mine
      }),
    )
    assert.deepEqual(error.errors, [mine])
  }))

test('S80: an outside cancel, in the body or during the wait: children are cancelled and waited for, then the task is cancelled', async () => {
  for (const bodyMs of [0, 1_000]) {
    await simulate(function* (sim) {
      const diary = new Diary()
      const task = createTask(
        taskGroup(function* (group) {
          group.createTask(worker(diary, 'one'))
          group.createTask(worker(diary, 'two', 20))
          yield* sleep(bodyMs)
        }),
      )
      yield* sleep(5)
      const outcome = yield* cancelAndWait(task, { reason: 'enough' })
      assert.deepEqual(outcome, { status: 'cancelled', reason: 'enough' })
      diary.expect('15 one has ended', '25 two has ended')
      assert.equal(sim.now(), 25)
    })
  }
})

test('S81 (ours): outside cancel plus failing children: the errors win, thrown by the outermost cancelled scope', () =>
  simulate(function* () {
    const diary = new Diary()
    const mine = new Error('mine')
    const body = function* (): Generator<Suspension, void> {
      try {
        yield* taskGroup(function* (group) {
          group.createTask(failsInCleanup(mine))
          yield* sleepForever()
        })
      } catch {
        diary.write('caught inside the cancelled scope')
      }
      yield* sleep(0)
      diary.write('went on')
    }
    const task = createTask(body())
    yield* sleep(1)
    const outcome = yield* cancelAndWait(task)
    assert.ok(outcome.status === 'failed' && outcome.error instanceof TaskGroupError)
    assert.deepEqual(outcome.error.errors, [mine])
    diary.expect()

    const error = yield* thrownOf(TaskGroupError, timeoutOr(10, body(), undefined))
    assert.deepEqual(error.errors, [mine])
  }))

test('S81 (ours): an outside cancel while the group already ends after a failure changes nothing about the errors', () =>
  simulate(function* () {
    const diary = new Diary()
    const mine = new Error('mine')
    const task = createTask(
      taskGroup(function* (group) {
        group.createTask(failsAfter(5, mine))
        group.createTask(worker(diary, 'sibling', 50))
        yield* sleepForever()
      }),
    )
    yield* sleep(20)
    const outcome = yield* cancelAndWait(task)
    assert.ok(outcome.status === 'failed' && outcome.error instanceof TaskGroupError)
    assert.deepEqual(outcome.error.errors, [mine])
    diary.expect('55 sibling has ended')
  }))

test("S82 (ours): the group's own cancel never leaks out", () =>
  simulate(function* (sim) {
    yield* thrownOf(
      TaskGroupError,
      taskGroup(function* (group) {
        group.createTask(failsAfter(5, new Error('mine')))
        yield* sleepForever()
      }),
    )
    assert.equal(currentTask()!.cancelled, false)
    yield* sleep(10)
    assert.equal(sim.now(), 15)

    yield* taskGroup(function* (group) {
      group.cancel()
    })
    yield* sleep(10)
    assert.equal(sim.now(), 25)
  }))

test('S83 (ours): nested groups that fail together: the inner one is a member of what the outer one throws', () =>
  simulate(function* () {
    const diary = new Diary()
    const [ofOuter, ofInner] = [new Error('of the outer'), new Error('of the inner')]
    const error = yield* thrownOf(
      TaskGroupError,
      taskGroup(function* (outer) {
        outer.createTask(failsAfter(5, ofOuter))
        try {
          yield* taskGroup(function* (inner) {
            inner.createTask(failsInCleanup(ofInner))
            yield* sleepForever()
          })
        } catch {
          diary.write('caught inside the cancelled body')
        }
      }),
    )
    assert.equal(error.errors.length, 2)
    assert.equal(error.errors[0], ofOuter)
    const inner: unknown = error.errors[1]
    assert.ok(inner instanceof TaskGroupError)
    assert.deepEqual(inner.errors, [ofInner])
    diary.expect()
  }))

test('S83: an inner group that fails by itself reports first, and may be handled', () =>
  simulate(function* () {
    const value = yield* taskGroup(function* (outer) {
      const sibling = outer.createTask(sleep(50, 'unharmed'))
      yield* thrownOf(
        TaskGroupError,
        taskGroup(function* (inner) {
          inner.createTask(failsAfter(5, new Error('mine')))
        }),
      )
      return yield* sibling
    })
    assert.equal(value, 'unharmed')
  }))

test('S85: createTask is refused after the end and while the group ends', () =>
  simulate(function* () {
    let group: TaskGroup | undefined
    const diary = new Diary()
    const refused = (found: RegExp): void => {
      assert.throws(
        () => group!.createTask(sleep(0)),
        (error) => error instanceof ClosedError && found.test(error.message),
      )
    }
    yield* taskGroup(function* (given) {
      group = given
    })
    refused(/found one that has ended/)

    yield* taskGroup(function* (given) {
      group = given
      given.cancel()
      refused(/found one that was cancelled/)
    })

    function* spawnsWhenCancelled(): Generator<Suspension, void> {
      try {
        yield* sleepForever()
      } finally {
        refused(/found one that is ending after a failure/)
        diary.write('refused')
      }
    }
    yield* thrownOf(
      TaskGroupError,
      taskGroup(function* (given) {
        group = given
        given.createTask(spawnsWhenCancelled())
        yield* sleep(1)
        throw new Error('mine')
      }),
    )
    diary.expect('refused')
  }))

test('S85: a child that starts itself again for ever cannot keep a failing group alive', () =>
  simulate(function* () {
    function* again(group: TaskGroup): Generator<Suspension, void> {
      try {
        yield* sleep(10)
      } finally {
        group.createTask(again(group))
      }
    }
    const mine = new Error('mine')
    const error = yield* thrownOf(
      TaskGroupError,
      taskGroup(function* (group) {
        group.createTask(again(group))
        group.createTask(failsAfter(35, mine))
      }),
    )
    assert.equal(error.errors[0], mine)
    assert.ok(error.errors[1] instanceof ClosedError)
    assert.equal(error.errors.length, 2)
  }))

test('S86 (ours): several cancels while the group waits are survived; it waits until all children have ended', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const task = createTask(
      taskGroup(function* (group) {
        group.createTask(worker(diary, 'child', 100))
      }),
    )
    for (let i = 0; i < 5; i++) {
      yield* sleep(10)
      assert.equal(task.cancel(), true)
    }
    assert.equal((yield* task.join()).status, 'cancelled')
    diary.expect('110 child has ended')
    assert.equal(sim.now(), 110)
  }))

test('S87 (ours): cancel() stops children and body; silent if the body had ended, with its value', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const value = yield* taskGroup(function* (group) {
      group.createTask(worker(diary, 'child'))
      sim.loop.callLater(20, () => group.cancel())
      yield* sleep(1)
      return 'value'
    })
    assert.equal(value, 'value')
    diary.expect('30 child has ended')

    assert.equal(
      yield* taskGroup(function* (group) {
        group.createTask(worker(diary, 'child that has not begun'))
        group.cancel()
        return 'cancelled by the body, which then returned'
      }),
      'cancelled by the body, which then returned',
    )
    diary.expect()
  }))

test('S87 (ours): cancel() before the body has ended: CancelledError with its reason', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const error = yield* thrownOf(
      CancelledError,
      taskGroup(function* (group) {
        group.createTask(worker(diary, 'child'))
        sim.loop.callLater(20, () => group.cancel({ reason: 'enough' }))
        yield* worker(diary, 'body')
      }),
    )
    assert.equal(error.reason, 'enough')
    diary.expect('30 body has ended', '30 child has ended')
    assert.equal(currentTask()!.cancelled, false)
  }))

test('S87 (ours): cancel() before the first wait of the body takes effect at that wait', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    yield* thrownOf(
      CancelledError,
      taskGroup(function* (group) {
        group.cancel()
        assert.equal(group.cancelled, true)
        diary.write('still runs')
        yield* sleep(1)
        diary.write('went on')
      }),
    )
    diary.expect('still runs')
    assert.equal(sim.now(), 0)
  }))

test('S87: cancel() is idempotent, and harmless after the end', () =>
  simulate(function* (sim) {
    let group: TaskGroup | undefined
    const error = yield* thrownOf(
      CancelledError,
      taskGroup(function* (given) {
        group = given
        given.cancel({ reason: 'first' })
        given.cancel({ reason: 'second' })
        yield* sleepForever()
      }),
    )
    assert.equal(error.reason, 'first')
    group!.cancel()
    yield* sleep(10)
    assert.equal(sim.now(), 10)

    yield* taskGroup(function* (given) {
      group = given
    })
    group!.cancel()
    assert.equal(group!.cancelled, false)
    yield* sleep(10)
    assert.equal(sim.now(), 20)
  }))

test('S88: an outside cancel that lands while the group cancels itself still comes out, with its reason', () =>
  simulate(function* () {
    const diary = new Diary()
    let group: TaskGroup | undefined
    const task = createTask(
      (function* () {
        try {
          yield* taskGroup(function* (given) {
            group = given
            given.createTask(worker(diary, 'child', 50))
            yield* sleepForever()
          })
        } catch {
          diary.write('the group reports')
        }
      })(),
    )
    yield* sleep(5)
    group!.cancel({ reason: 'of the group' })
    yield* sleep(5)
    const outcome = yield* cancelAndWait(task, { reason: 'of the task' })
    assert.deepEqual(outcome, { status: 'cancelled', reason: 'of the task' })
    diary.expect('55 child has ended')
  }))

test('S88: errors of children beside cancel() are still thrown as a group, before it or after it', () =>
  simulate(function* () {
    const [before, after] = [new Error('before'), new Error('after')]
    const cancelledAfterFailure = taskGroup(function* (group) {
      group.createTask(failsAfter(1, before))
      try {
        yield* sleepForever()
      } finally {
        group.cancel()
      }
    })
    assert.deepEqual((yield* thrownOf(TaskGroupError, cancelledAfterFailure)).errors, [before])

    const failureAfterCancel = taskGroup(function* (group) {
      group.createTask(failsInCleanup(after))
      yield* sleep(1)
      group.cancel()
    })
    assert.deepEqual((yield* thrownOf(TaskGroupError, failureAfterCancel)).errors, [after])
  }))

test('S89: an eager child that fails, or cancels the group, before its creator got the task back', () =>
  simulate(function* () {
    const diary = new Diary()
    const mine = new Error('mine')
    const failing = taskGroup(function* (group) {
      group.createTask(worker(diary, 'sibling'), { eager: true })
      const child = group.createTask(fails(mine), { eager: true })
      assert.equal(child.status, 'failed')
      diary.write('the body still runs')
      yield* sleep(1_000)
      diary.write('went on')
    })
    assert.deepEqual((yield* thrownOf(TaskGroupError, failing)).errors, [mine])
    diary.expect('the body still runs', '10 sibling has ended')

    function* cancels(group: TaskGroup): Generator<Suspension, void> {
      group.cancel({ reason: 'by a child' })
      yield* sleep(1_000)
      diary.write('the child went on')
    }
    const cancelled = taskGroup(function* (group) {
      group.createTask(worker(diary, 'sibling'), { eager: true })
      const child: Task = group.createTask(cancels(group), { eager: true })
      yield* sleep(1_000)
      assert.fail(`the body went on; the child is ${child.status}`)
    })
    assert.equal((yield* thrownOf(CancelledError, cancelled)).reason, 'by a child')
    diary.expect('20 sibling has ended')
  }))

function* fails(error: unknown): Generator<Suspension, never> {
  throw error
}

test('S89: the eager child of a group is cancelled with it', () =>
  simulate(function* () {
    const diary = new Diary()
    const mine = new Error('mine')
    assert.ok(
      (yield* thrownBy(
        taskGroup(function* (group) {
          group.createTask(worker(diary, 'eager'), { eager: true })
          throw mine
        }),
      )) instanceof TaskGroupError,
    )
    diary.expect('10 eager has ended')
  }))

test('S90 (ours): unwinding through a group whose children do not fail is silent', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const value = yield* withScope(function* (scope) {
      sim.loop.callLater(5, () => scope.cancel())
      return yield* taskGroup(function* (group) {
        group.createTask(worker(diary, 'child'))
        yield* sleepForever()
      })
    })
    assert.equal(value, undefined)
    diary.expect('15 child has ended')
  }))
