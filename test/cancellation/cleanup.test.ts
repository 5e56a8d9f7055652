// DESIGN.md "Cancellation" 5 and 8: what cleanup may do while its frame unwinds, and which scope reports.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  cancelAndWait,
  coroutine,
  createTask,
  Future,
  shield,
  sleep,
  sleepForever,
  taskGroup,
  TaskGroupError,
  timeout,
  TimeoutError,
  timeoutOr,
  withScope,
  type CancelScope,
  type Suspension,
} from 'cede'
import { WaitQueue } from 'cede/lowlevel'
import { Diary } from '../support/diary.ts'
import { simulate } from '../support/sim.ts'
import { thrownOf } from '../support/thrown-by.ts'

function* waitsIn(cleanup: () => Generator<Suspension, unknown>): Generator<Suspension, void> {
  try {
    yield* sleepForever()
  } finally {
    yield* cleanup()
  }
}

test('cleanup may wait for everything: time, values, queues, other tasks', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const future = new Future<string>()
    const queue = new WaitQueue<string>()
    const other = createTask(sleep(40, 'of the task'))
    const task = createTask(
      waitsIn(function* () {
        yield* sleep(10)
        diary.timed('slept')
        diary.timed(yield* future)
        diary.timed(yield* queue.wait())
        diary.timed(yield* other)
      }),
    )
    yield* sleep(0)
    sim.loop.callLater(20, () => future.setResult('of the future'))
    sim.loop.callLater(30, () => queue.wakeOne('of the queue'))
    yield* cancelAndWait(task)
    diary.expect('10 slept', '20 of the future', '30 of the queue', '40 of the task')
  }))

test('no cancel of any scope around it interrupts a cleanup, earlier or later', () =>
  simulate(function* () {
    const diary = new Diary()
    const scopes: CancelScope[] = []
    const task = createTask(
      withScope(function* (outer) {
        scopes.push(outer)
        yield* timeout(15, () =>
          withScope(function* (inner) {
            scopes.push(inner)
            yield* waitsIn(function* () {
              for (let i = 0; i < 4; i++) {
                yield* sleep(10)
                diary.timed('cleaning')
              }
            })
          }),
        )
        diary.write('went on in the outer scope')
      }),
    )
    yield* sleep(5)
    const [outer, inner] = scopes
    inner!.cancel()
    yield* sleep(5)
    outer!.cancel()
    // Meanwhile the timeout between the two expires.
    yield* sleep(10)
    task.cancel()
    assert.equal((yield* task.join()).status, 'cancelled')
    diary.expect('15 cleaning', '25 cleaning', '35 cleaning', '45 cleaning')
  }))

test('when cleanup ends, unwinding goes on to the scope that is then the outermost cancelled one', () =>
  simulate(function* () {
    for (const cancelsTask of [false, true]) {
      const diary = new Diary()
      const scopes: CancelScope[] = []
      const task = createTask(
        (function* () {
          yield* withScope(function* (outer) {
            scopes.push(outer)
            yield* withScope(function* (inner) {
              scopes.push(inner)
              yield* waitsIn(function* () {
                yield* sleep(10)
              })
            })
            diary.write('after the inner scope')
            yield* sleep(10)
          })
          diary.write('after the outer scope')
          yield* sleep(10)
          diary.write('at the end')
        })(),
      )
      yield* sleep(5)
      scopes[1]!.cancel()
      yield* sleep(5)
      scopes[0]!.cancel()
      if (cancelsTask) task.cancel()
      const { status } = yield* task.join()
      assert.equal(status, cancelsTask ? 'cancelled' : 'done')
      diary.expect(...(cancelsTask ? [] : ['after the outer scope', 'at the end']))
    }
  }))

test('inner scopes on the way report nothing: no timeout, no fallback, no error', () =>
  simulate(function* () {
    const diary = new Diary()
    const nested = function* (): Generator<Suspension, void> {
      try {
        diary.write(`value ${yield* timeoutOr(5, sleepForever(), 'fallback')}`)
      } catch (error) {
        diary.write(String(error))
      }
    }
    // The inner timeout expires in the same pass as the outer one.
    yield* thrownOf(TimeoutError, timeout(5, nested()))
    diary.expect()

    // The inner scope was cancelled first, and while its body cleans up the outer one is cancelled.
    const scopes: CancelScope[] = []
    const task = createTask(
      (function* () {
        const value = yield* withScope(function* (inner) {
          scopes.push(inner)
          yield* waitsIn(function* () {
            yield* sleep(10)
          })
        })
        diary.write(`the scope reports ${String(value)}`)
      })(),
    )
    yield* sleep(1)
    scopes[0]!.cancel()
    yield* sleep(1)
    task.cancel()
    yield* task.join()
    diary.expect()
  }))

test('a timeout inside cleanup works, as do scopes and groups', () =>
  simulate(function* () {
    const diary = new Diary()
    const task = createTask(
      waitsIn(function* () {
        diary.timed(yield* timeoutOr(10, sleepForever(), 'gave up being polite'))
        yield* thrownOf(TimeoutError, timeout(10, sleepForever()))
        diary.timed('timed out')
        const value = yield* withScope(function* (scope) {
          scope.cancel()
          yield* sleepForever()
        })
        diary.timed(`scope ${String(value)}`)
        yield* thrownOf(
          TaskGroupError,
          taskGroup(function* (group) {
            group.createTask(failing())
            yield* sleepForever()
          }),
        )
        diary.timed('the group has failed')
      }),
    )
    yield* sleep(5)
    yield* cancelAndWait(task)
    diary.expect('15 gave up being polite', '25 timed out', '25 scope undefined', '25 the group has failed')
  }))

function* failing(): Generator<Suspension, never> {
  throw new Error('mine')
}

test('cleanup inside the cleanup of a scope that was opened in it unwinds by the same rules', () =>
  simulate(function* () {
    const diary = new Diary()
    const task = createTask(
      waitsIn(function* () {
        yield* timeoutOr(
          10,
          waitsIn(function* () {
            diary.timed('inner cleanup begins')
            yield* sleep(20)
            diary.timed('inner cleanup ends')
          }),
          undefined,
        )
        diary.timed('outer cleanup goes on')
        yield* sleep(5)
        diary.timed('outer cleanup ends')
      }),
    )
    yield* sleep(5)
    yield* cancelAndWait(task)
    diary.expect(
      '15 inner cleanup begins',
      '35 inner cleanup ends',
      '35 outer cleanup goes on',
      '40 outer cleanup ends',
    )
  }))

test('what a frame returns while it unwinds is ignored', () =>
  simulate(function* () {
    const diary = new Diary()
    function* returnsInFinally(): Generator<Suspension, string> {
      try {
        yield* sleepForever()
      } finally {
        yield* sleep(1)
        return 'from finally'
      }
    }
    const returnsWrapped = coroutine(returnsInFinally)
    for (const make of [returnsInFinally, returnsWrapped]) {
      const task = createTask(
        (function* () {
          diary.write(yield* make())
          return 'went on'
        })(),
      )
      yield* sleep(1)
      assert.deepEqual(yield* cancelAndWait(task, { reason: 'mine' }), {
        status: 'cancelled',
        reason: 'mine',
      })
      assert.equal(yield* timeoutOr(1, make(), 'fallback'), 'fallback')
    }
    diary.expect()
  }))

test('a finally that goes on with its loop after a wait is left at its next one, as cleanup whose grace is spent', () =>
  simulate(
    function* (sim) {
      const diary = new Diary()
      function* goesOnOnce(): Generator<Suspension, void> {
        for (let round = 0; round < 2; round++) {
          try {
            yield* sleepForever()
          } finally {
            diary.timed(`round ${round}`)
            if (round === 0) continue
          }
        }
        diary.write('left the loop')
      }
      const task = createTask(goesOnOnce())
      yield* sleep(1)
      assert.equal((yield* cancelAndWait(task, { graceMs: 100 })).status, 'cancelled')
      diary.expect('1 round 0', '101 round 1')
      assert.equal(sim.reports.length, 1)
    },
    { reports: [] },
  ))

test('a catch block does not run for a cancel, whatever it catches', () =>
  simulate(function* () {
    const diary = new Diary()
    function* swallows(): Generator<Suspension, void> {
      for (;;) {
        try {
          yield* sleepForever()
        } catch (error) {
          diary.write(String(error))
        }
      }
    }
    const task = createTask(swallows())
    yield* sleep(1)
    yield* cancelAndWait(task)
    assert.equal(yield* timeoutOr(1, swallows(), 'cut'), 'cut')
    diary.expect()
  }))

test('what `using` holds is disposed in its turn', () =>
  simulate(function* () {
    const diary = new Diary()
    function* holds(name: string, inner: Generator<Suspension, unknown>): Generator<Suspension, void> {
      using resource = { name, [Symbol.dispose]: () => diary.write(`${name} disposed`) }
      try {
        yield* inner
        diary.write(`${resource.name} went on`)
      } finally {
        yield* sleep(1)
        diary.write(`${resource.name} cleaned up`)
      }
    }
    const task = createTask(
      holds(
        'outer',
        holds(
          'inner',
          waitsIn(() => sleepsBriefly()),
        ),
      ),
    )
    yield* sleep(1)
    assert.equal((yield* cancelAndWait(task)).status, 'cancelled')
    diary.expect('inner cleaned up', 'inner disposed', 'outer cleaned up', 'outer disposed')
  }))

function* sleepsBriefly(): Generator<Suspension, void> {
  yield* sleep(1)
}

test('a cleanup that does not wait runs in the very step of the unwinding', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const task = createTask(
      (function* () {
        try {
          yield* sleepForever()
        } finally {
          diary.write('cleanup')
        }
      })(),
    )
    yield* sleep(0)
    const { passes } = sim.loop
    task.cancel()
    yield* sleep(0)
    assert.equal(task.status, 'cancelled')
    assert.equal(sim.loop.passes, passes + 1)
    diary.expect('cleanup')
  }))

test('a shield holds every outer cancel back, and has a timeout of its own inside', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const task = createTask(
      (function* () {
        yield* timeout(5, () =>
          shield(function* () {
            diary.timed(yield* timeoutOr(30, sleepForever(), 'its own timeout'))
            yield* sleep(10)
            diary.timed('the shield ends')
          }),
        )
        diary.write('the value was there: no TimeoutError')
        yield* sleep(0)
        diary.write('went on')
      })(),
    )
    yield* sleep(10)
    task.cancel()
    assert.equal((yield* task.join()).status, 'cancelled')
    diary.expect('30 its own timeout', '40 the shield ends', 'the value was there: no TimeoutError')
    assert.equal(sim.now(), 40)
  }))

test('a scope inside a shield is cut as usual; its cleanup is not interrupted by what waits outside', () =>
  simulate(function* () {
    const diary = new Diary()
    const task = createTask(
      shield(function* () {
        yield* withScope(function* (scope) {
          diary.timed('begins')
          createTask(cancelsAfter(20, scope))
          yield* waitsIn(function* () {
            yield* sleep(20)
            diary.timed('cleaned up')
          })
        })
        return 'value of the shield'
      }),
    )
    yield* sleep(10)
    task.cancel()
    assert.deepEqual(yield* task.join(), { status: 'done', value: 'value of the shield' })
    diary.expect('0 begins', '40 cleaned up')
  }))

function* cancelsAfter(ms: number, scope: CancelScope): Generator<Suspension, void> {
  yield* sleep(ms)
  scope.cancel()
}
