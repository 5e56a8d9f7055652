/** What everything that one task at a time may hold promises: locks, semaphores and limiters of one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createTask,
  dumpTasks,
  InvalidStateError,
  MisuseError,
  sleep,
  sleepForever,
  timeoutOr,
  withScope,
  type Body,
  type Coroutine,
  type Operation,
  type Outcome,
  type Suspension,
  type Task,
} from 'cede'
import { seededRandom } from '../../packages/cede/src/core/random.ts'
import { Diary } from '../support/diary.ts'
import { simulate } from '../support/sim.ts'
import { thrownBy, thrownOf } from '../support/thrown-by.ts'

export interface Mutex {
  acquire(): Coroutine<void>
  tryAcquire(): boolean
  release(): void
  with<T>(body: Body<T>): Coroutine<T>
  locked(): boolean
}

export interface MutexKind<L extends Mutex = Mutex> {
  readonly name: string
  /** A free one. */
  make(): L
  /** How many tasks wait for it. */
  waiting(lock: L): number
  /** Dumps can tell who holds it. */
  readonly knowsHolder: boolean
  /** A release too many is an error. */
  readonly bounded: boolean
}

function* hold(lock: Mutex, diary: Diary, name: string, ms: number): Operation<string> {
  return yield* lock.with(function* () {
    diary.write(`${name} in`)
    try {
      yield* sleep(ms)
      diary.write(`${name} done`)
    } finally {
      diary.write(`${name} out`)
    }
    return name
  })
}

/** Holds the lock by hand, and writes when. */
function* holdByHand(lock: Mutex, diary: Diary, name: string, ms: number): Operation<string> {
  yield* lock.acquire()
  diary.write(`${name} in`)
  try {
    yield* sleep(ms)
  } finally {
    diary.write(`${name} out`)
    lock.release()
  }
  return name
}

/** Throws what the task has failed with. */
function noError<T>(outcome: Outcome<T>): Outcome<T> {
  if (outcome.status === 'failed') throw outcome.error
  return outcome
}

export function lockContract<L extends Mutex>(kind: MutexKind<L>): void {
  const { name } = kind
  const make = () => kind.make()
  const waiting = (lock: L) => kind.waiting(lock)
  const titled = (title: string) => `${name}: ${title}`

  test(titled('free at first; held inside with(), whose value is returned; free again'), () =>
    simulate(function* () {
      const lock = make()
      assert.equal(lock.locked(), false)
      const value = yield* lock.with(function* () {
        assert.equal(lock.locked(), true)
        yield* sleep(5)
        assert.equal(lock.locked(), true)
        return 'value'
      })
      assert.equal(value, 'value')
      assert.equal(lock.locked(), false)
      assert.equal(yield* lock.with(sleep(1, 'an operation')), 'an operation')
      assert.equal(lock.locked(), false)
    }),
  )

  test(titled('one at a time, in the order in which they came'), () =>
    simulate(function* () {
      const lock = make()
      const diary = new Diary()
      const tasks = [
        createTask(hold(lock, diary, 'a', 3)),
        createTask(holdByHand(lock, diary, 'b', 1)),
        createTask(hold(lock, diary, 'c', 2)),
      ]
      yield* sleep(0)
      assert.equal(waiting(lock), 2)
      for (const task of tasks) yield* task
      diary.expect('a in', 'a done', 'a out', 'b in', 'b out', 'c in', 'c done', 'c out')
      assert.equal(lock.locked(), false)
      assert.equal(waiting(lock), 0)
    }),
  )

  test(titled('nobody overtakes between a release and the step of the next in line'), () =>
    simulate(function* () {
      const lock = make()
      const diary = new Diary()
      yield* lock.acquire()
      const waiter = createTask(holdByHand(lock, diary, 'waiter', 2))
      yield* sleep(0)
      lock.release()
      assert.equal(lock.locked(), true, 'handed over at once')
      assert.equal(lock.tryAcquire(), false)
      yield* holdByHand(lock, diary, 'newcomer', 0)
      yield* waiter
      diary.expect('waiter in', 'waiter out', 'newcomer in', 'newcomer out')
    }),
  )

  test(titled('tryAcquire() takes it if it is free and never waits'), () =>
    simulate(function* () {
      const lock = make()
      assert.equal(lock.tryAcquire(), true)
      assert.equal(lock.locked(), true)
      const other = createTask(
        (function* () {
          return lock.tryAcquire()
        })(),
      )
      assert.equal(yield* other, false)
      lock.release()
      assert.equal(lock.locked(), false)
    }),
  )

  test(titled('an error of the body passes, and the lock is free'), () =>
    simulate(function* () {
      const lock = make()
      const error = new Error('mine')
      const bodies: (() => Operation<unknown>)[] = [
        () => {
          throw error
        },
        function* () {
          throw error
        },
        function* () {
          yield* sleep(1)
          throw error
        },
      ]
      for (const body of bodies) {
        assert.equal(yield* thrownBy(lock.with(body)), error)
        assert.equal(lock.locked(), false)
      }
      // The same for one that had to wait for it.
      for (const body of bodies) {
        const first = createTask(lock.with(sleep(1)))
        yield* sleep(0)
        assert.equal(yield* thrownBy(lock.with(body)), error)
        assert.equal(lock.locked(), false)
        yield* first
      }
    }),
  )

  test(
    titled('a body that is no operation is refused, at the call if it can be seen there; the lock is free'),
    () =>
      simulate(function* () {
        const lock = make()
        for (const body of [undefined, 5, Promise.resolve()]) {
          assert.throws(() => lock.with(body as never), {
            code: 'CEDE_MISUSE',
            message: /with\(\).*expected an operation/,
          })
        }
        for (const body of [() => 5, () => Promise.resolve()]) {
          const error = yield* thrownOf(MisuseError, lock.with(body as never))
          assert.match(error.message, /with\(\).*expected an operation/)
          assert.equal(lock.locked(), false)
        }
      }),
  )

  test(titled('debug mode does not take a body for forgotten that was cancelled in line'), () =>
    simulate(
      function* () {
        const lock = make()
        const holder = createTask(lock.with(sleepForever()))
        yield* sleep(0)
        const waiter = createTask(
          (function* () {
            return yield* timeoutOr(5, lock.with(sleep(1)), 'cut')
          })(),
        )
        assert.equal(yield* waiter, 'cut')
        holder.cancel()
      },
      { debug: true },
    ),
  )

  test(titled('with() runs once, and not outside of tasks'), () =>
    simulate(function* () {
      const lock = make()
      const once = lock.with(sleep(0, 'value'))
      assert.equal(yield* once, 'value')
      assert.match((yield* thrownOf(MisuseError, once)).message, /with\(\).*used a second time/)
      const acquired = lock.acquire()
      yield* acquired
      assert.match((yield* thrownOf(MisuseError, acquired)).message, /used a second time/)
      lock.release()
    }).then(() => {
      const lock = make()
      for (const operation of [lock.with(sleep(0)), lock.acquire()]) {
        assert.throws(() => operation[Symbol.iterator]().next(), MisuseError)
        assert.equal(lock.locked(), false)
      }
    }),
  )

  test(titled('one that is cancelled while it waits leaves the line at once, and never runs its body'), () =>
    simulate(function* () {
      const lock = make()
      const diary = new Diary()
      yield* lock.acquire()
      const tasks = ['a', 'b', 'c', 'd'].map((each, index) =>
        createTask((index % 2 === 0 ? hold : holdByHand)(lock, diary, each, 0), { name: each }),
      )
      yield* sleep(0)
      assert.equal(waiting(lock), 4)
      tasks[0]!.cancel()
      tasks[3]!.cancel()
      assert.equal(waiting(lock), 2)
      yield* sleep(0)
      assert.equal(tasks[0]!.status, 'cancelled')
      lock.release()
      yield* tasks[2]!
      diary.expect('b in', 'b out', 'c in', 'c done', 'c out')
      assert.equal(lock.locked(), false)
    }),
  )

  for (const [how, body] of [
    ['with()', hold],
    ['acquire()', holdByHand],
  ] as const) {
    test(titled(`one that was handed the lock by ${how} has it, and is cancelled at its next wait`), () =>
      simulate(function* () {
        const lock = make()
        const diary = new Diary()
        yield* lock.acquire()
        const victim = createTask(body(lock, diary, 'victim', 1_000))
        const next = createTask(body(lock, diary, 'next', 0))
        yield* sleep(0)
        lock.release()
        victim.cancel()
        assert.equal(lock.locked(), true)
        yield* next
        assert.equal(victim.status, 'cancelled')
        assert.deepEqual(
          diary.entries.filter((entry) => !entry.endsWith('done')),
          ['victim in', 'victim out', 'next in', 'next out'],
        )
        assert.equal(lock.locked(), false)
      }),
    )
  }

  test(titled('it is held until the cleanup of a cancelled body has ended'), () =>
    simulate(function* () {
      const lock = make()
      const diary = new Diary()
      function* slowly(): Operation<void> {
        try {
          yield* sleepForever()
        } finally {
          yield* sleep(10)
          diary.timed('cleaned up')
        }
      }
      const victim = createTask(lock.with(slowly))
      yield* sleep(0)
      const next = createTask(lock.with(() => (diary.timed('next'), sleep(0))))
      yield* sleep(0)
      victim.cancel()
      yield* next
      diary.expect('10 cleaned up', '10 next')
    }),
  )

  test(titled('a cancelled scope takes nothing, though the lock is free'), () =>
    simulate(function* () {
      const lock = make()
      const diary = new Diary()
      for (const operation of [() => lock.acquire(), () => hold(lock, diary, 'a', 0)]) {
        yield* withScope(function* (scope) {
          scope.cancel()
          yield* operation()
          diary.write('never')
        })
        assert.equal(lock.locked(), false)
      }
      const unborn = createTask(lock.with(() => (diary.write('never'), sleep(0))))
      unborn.cancel()
      yield* unborn.join()
      assert.equal(lock.locked(), false)
      diary.expect()
    }),
  )

  test(titled('a loop that takes it again and again lets others run'), () =>
    simulate(function* () {
      const lock = make()
      let turns = 0
      let others = -1
      createTask(
        (function* () {
          others = turns
        })(),
      )
      for (; turns < 500; turns++) yield* lock.with(function* () {})
      assert.ok(others >= 0 && others <= 128, `the other task ran after ${others} turns`)
    }),
  )

  test(titled('a timeout at any moment leaves it free in the end, and the others get it'), async () => {
    for (let ms = 0; ms <= 12; ms++) {
      await simulate(function* () {
        const lock = make()
        const diary = new Diary()
        const first = createTask(hold(lock, diary, 'first', 4))
        yield* sleep(0)
        const cut = createTask(timeoutOr(ms, hold(lock, diary, 'cut', 4), 'cut'))
        const last = createTask(hold(lock, diary, 'last', 1))
        assert.equal(yield* last, 'last')
        assert.equal(yield* cut, 'cut')
        yield* first
        assert.equal(lock.locked(), false)
        const between = ms < 4 || (ms === 4 && !diary.entries.includes('cut in')) ? [] : ['cut in', 'cut out']
        assert.deepEqual(
          diary.entries.filter((entry) => !entry.endsWith('done')),
          ['first in', 'first out', ...between, 'last in', 'last out'],
        )
      })
    }
  })

  test(
    titled('a cancel in any pass, in plain generators and nested: cleanup runs, nothing is lost'),
    async () => {
      for (const shuffleSeed of [undefined, 1, 2, 3]) {
        for (let pass = 0; pass <= 12; pass++) {
          await simulate(
            function* () {
              const lock = make()
              let inside = 0
              let began = 0
              let cleanups = 0
              function* critical() {
                assert.equal(++inside, 1)
                try {
                  yield* sleep(0)
                  yield* sleep(0)
                } finally {
                  // A cancel may come here too, in a cleanup that no cancel has begun.
                  try {
                    yield* sleep(0)
                  } finally {
                    assert.equal(inside--, 1)
                  }
                }
              }
              function* outer(): Operation<void> {
                began++
                try {
                  yield* inner()
                } finally {
                  cleanups++
                }
              }
              function* inner(): Operation<void> {
                yield* lock.with(critical)
              }
              const tasks = [outer, outer, outer].map((body) => createTask(body()))
              for (let i = 0; i < pass; i++) yield* sleep(0)
              tasks[1]!.cancel()
              for (const task of tasks) noError(yield* task.join())
              assert.deepEqual([tasks[0]!.status, tasks[2]!.status], ['done', 'done'])
              assert.deepEqual([inside, cleanups, lock.locked(), waiting(lock)], [0, began, false, 0])
            },
            shuffleSeed === undefined ? {} : { shuffleSeed },
          )
        }
      }
    },
  )

  test(titled('a body that yields without the star and goes on all the same: the lock is free'), () =>
    simulate(function* () {
      const lock = make()
      function* slips(): Generator<unknown, string> {
        try {
          yield 'no operation'
        } catch (error) {
          assert.ok(error instanceof MisuseError)
        }
        return 'goes on'
      }
      assert.equal(yield* lock.with(slips as () => Operation<string>), 'goes on')
      assert.equal(lock.locked(), false)
    }),
  )

  test(titled('with() in 10,000 nested calls, and as the operation of a task'), () =>
    simulate(function* () {
      const lock = make()
      const others = Array.from({ length: 10_000 }, make)
      function* nested(depth: number): Operation<number> {
        if (depth === others.length) return yield* lock.with(sleep(1, depth))
        return yield* others[depth]!.with(() => nested(depth + 1))
      }
      assert.equal(yield* createTask(lock.with(() => sleep(1, 'value'))), 'value')
      assert.equal(yield* nested(0), 10_000)
      assert.ok(others.every((other) => !other.locked()))
      const stuck = createTask(nested(0))
      yield* sleep(0)
      stuck.cancel()
      yield* stuck.join()
      assert.ok([lock, ...others].every((other) => !other.locked()))
    }),
  )

  test(
    titled('whatever is cancelled in whatever order: one at a time, and everyone else gets it'),
    async () => {
      for (let seed = 0; seed < 40; seed++) {
        const random = seededRandom(seed)
        const below = (limit: number) => Math.floor(random() * limit)
        await simulate(
          function* () {
            const lock = make()
            let inside = 0
            function* critical() {
              assert.equal(++inside, 1)
              try {
                for (let i = below(3); i > 0; i--) yield* sleep(below(3))
              } finally {
                try {
                  if (random() < 0.3) yield* sleep(below(2))
                } finally {
                  inside--
                }
              }
            }
            function* visitor(): Generator<Suspension, string> {
              for (let i = 1 + below(3); i > 0; i--) {
                const way = random()
                if (way < 0.4) {
                  yield* lock.with(critical)
                } else if (way < 0.7) {
                  yield* lock.acquire()
                  try {
                    yield* critical()
                  } finally {
                    lock.release()
                  }
                } else if (way < 0.85) {
                  yield* timeoutOr(below(4), lock.with(critical), null)
                } else if (lock.tryAcquire()) {
                  try {
                    yield* critical()
                  } finally {
                    lock.release()
                  }
                }
                if (random() < 0.5) yield* sleep(below(2))
              }
              return 'done'
            }
            const tasks: Task<string>[] = []
            for (let i = 0; i < 12; i++) {
              tasks.push(createTask(visitor()))
              if (random() < 0.5) yield* sleep(below(2))
              if (random() < 0.4) tasks[below(tasks.length)]!.cancel()
            }
            for (const task of tasks) {
              const { status } = noError(yield* task.join())
              assert.equal(status, task.cancelled && status !== 'done' ? 'cancelled' : 'done')
            }
            assert.deepEqual([inside, lock.locked(), waiting(lock)], [0, false, 0])
          },
          { shuffleSeed: seed },
        )
      }
    },
  )

  test(titled('a dump names those in line, in their order'), () =>
    simulate(function* () {
      const lock = make()
      function* keeper() {
        yield* lock.with(sleep(10))
      }
      createTask(keeper(), { name: 'keeper' })
      yield* sleep(0)
      const tasks = ['x', 'b', 'a'].map((each) => createTask(lock.with(sleep(0)), { name: each }))
      yield* sleep(0)
      const wait = tasks[2]!.waitsFor()!
      assert.match(wait.what, /in line: x, b, a\)$/)
      if (kind.knowsHolder) {
        assert.deepEqual(
          wait.holders?.map((holder) => holder.name),
          ['keeper'],
        )
        assert.match(dumpTasks(), /in line: x, b, a\), held by keeper$/m)
      }
      // One in line is probed for its stack, which changes nothing.
      assert.match(dumpTasks(), /3 tasks x, b, a: waiting/)
      for (const task of tasks) yield* task
    }),
  )

  if (kind.bounded) {
    test(titled('a release too many is an error at the call, and changes nothing'), () =>
      simulate(function* () {
        const lock = make()
        assert.throws(() => lock.release(), InvalidStateError)
        yield* lock.with(sleep(0))
        assert.throws(() => lock.release(), {
          code: 'CEDE_INVALID_STATE',
          message: /^release\(\) of .*found/,
        })
        assert.equal(lock.locked(), false)
        assert.equal(lock.tryAcquire(), true)
        lock.release()
      }),
    )
  }
}
