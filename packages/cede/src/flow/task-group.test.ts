import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  cancelAndWait,
  coroutine,
  createTask,
  InvalidStateError,
  MisuseError,
  sleep,
  sleepForever,
  taskGroup,
  TaskGroupError,
  type Suspension,
  type TaskGroup,
} from 'cede'
import { Diary } from '../../../../test/support/diary.ts'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownOf } from '../../../../test/support/thrown-by.ts'

function* service(diary: Diary, ready: (port: number) => void): Generator<Suspension, void> {
  try {
    yield* sleep(10)
    ready(8080)
    diary.timed('is ready')
    yield* sleepForever()
  } finally {
    yield* sleep(5)
    diary.timed('has ended')
  }
}

test('start: waits until the child reports, and gives what it reported; the child goes on', () =>
  simulate(function* () {
    const diary = new Diary()
    yield* taskGroup(function* (group) {
      const port = yield* group.start<number>((ready) => service(diary, ready), { name: 'service' })
      assert.equal(port, 8080)
      assert.deepEqual(
        group.tasks.map((task) => task.name),
        ['service'],
      )
      diary.timed('started')
      yield* sleep(10)
      group.cancel()
    })
    diary.expect('10 is ready', '10 started', '25 has ended')
  }))

test('start: a child that ends, or is cancelled, without reporting is an error of start', () =>
  simulate(function* () {
    yield* taskGroup(function* (group) {
      const error = yield* thrownOf(
        InvalidStateError,
        group.start(() => sleep(5)),
      )
      assert.match(error.message, /was expected to call ready\(\), and ended without it/)
      const starting = group.start(() => sleepForever())
      createTask(
        (function* () {
          yield* sleep(5)
          for (const task of group.tasks) task.cancel()
        })(),
      )
      yield* thrownOf(InvalidStateError, starting)
    })
  }))

test('start: a child that fails before it reports fails the group', () =>
  simulate(function* () {
    const mine = new Error('mine')
    const error = yield* thrownOf(
      TaskGroupError,
      taskGroup(function* (group) {
        yield* group.start(function* () {
          yield* sleep(5)
          throw mine
        })
      }),
    )
    assert.deepEqual(error.errors, [mine])
  }))

test('start: cancelled while it waits, it cancels the child and waits for it', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const task = createTask(
      taskGroup(function* (group) {
        yield* group.start<number>((ready) => service(diary, ready))
      }),
    )
    yield* sleep(5)
    assert.equal((yield* cancelAndWait(task)).status, 'cancelled')
    diary.expect('10 has ended')
    assert.equal(sim.now(), 10)
  }))

test('start: ready may be called once', () =>
  simulate(function* () {
    const error = yield* thrownOf(
      TaskGroupError,
      taskGroup(function* (group) {
        yield* group.start(function* (ready) {
          ready(1)
          ready(2)
          yield* sleep(0)
        })
      }),
    )
    assert.ok(error.errors[0] instanceof InvalidStateError)
  }))

function* timed(diary: Diary, name: string, ms: number): Generator<Suspension, string> {
  diary.timed(`${name} begins`)
  yield* sleep(ms)
  return name
}

test('limit: no more children run at once; the others get their turn in order', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    yield* taskGroup(
      function* (group) {
        for (const [name, ms] of [
          ['a', 30],
          ['b', 10],
          ['c', 10],
          ['d', 10],
        ] as const) {
          group.createTask(timed(diary, name, ms))
        }
      },
      { limit: 2 },
    )
    diary.expect('0 a begins', '0 b begins', '10 c begins', '20 d begins')
    assert.equal(sim.now(), 30)
  }))

test('limit: a child that fails or is cancelled gives its place back, running or waiting', () =>
  simulate(function* () {
    const diary = new Diary()
    yield* taskGroup(
      function* (group) {
        const running = group.createTask(timed(diary, 'running', 1_000))
        const waiting = group.createTask(timed(diary, 'waiting', 1_000))
        const last = group.createTask(timed(diary, 'last', 10))
        yield* sleep(5)
        waiting.cancel()
        yield* sleep(5)
        running.cancel()
        assert.equal(yield* last, 'last')
      },
      { limit: 1 },
    )
    diary.expect('0 running begins', '10 last begins')
  }))

test('limit: a place that was handed over in the pass of a cancel is not lost', () =>
  simulate(function* () {
    const diary = new Diary()
    yield* taskGroup(
      function* (group) {
        group.createTask(timed(diary, 'first', 10))
        const second = group.createTask(timed(diary, 'second', 10))
        const third = group.createTask(timed(diary, 'third', 10))
        yield* sleep(10)
        second.cancel()
        assert.equal(yield* third, 'third')
      },
      { limit: 1 },
    )
    assert.equal(diary.entries.at(-1)?.endsWith('third begins'), true)
  }))

test('limit: a child can start others while all places are taken', () =>
  simulate(function* () {
    const diary = new Diary()
    function* spawns(group: TaskGroup): Generator<Suspension, void> {
      group.createTask(timed(diary, 'grandchild', 1))
      yield* sleep(10)
    }
    yield* taskGroup(
      function* (group) {
        group.createTask(spawns(group))
      },
      { limit: 1 },
    )
    diary.expect('10 grandchild begins')
  }))

test('a limit that is no whole number above 0 is refused at the call', () => {
  for (const limit of [0, -1, 1.5, NaN, '2' as unknown as number]) {
    assert.throws(
      () => taskGroup(() => sleep(0), { limit }),
      typeof limit === 'number' ? RangeError : MisuseError,
    )
  }
})

const labelled = coroutine('labelled', function* () {
  yield* sleep(1)
})

test('children keep the name of their coroutine, with a limit and without', () =>
  simulate(function* () {
    const labels: string[] = []
    for (const options of [{}, { limit: 1 }]) {
      yield* taskGroup(function* (group) {
        labels.push(group.createTask(labelled()).label)
        yield* sleep(0)
      }, options)
    }
    assert.deepEqual(labels, ['labelled', 'labelled'])
  }))
