import assert from 'node:assert/strict'
import { setImmediate as afterImmediates } from 'node:timers/promises'
import { test } from 'node:test'
import { inspect } from 'node:util'
import {
  cancelAndWait,
  createTask,
  currentTask,
  dumpTasks,
  gather,
  InvalidStateError,
  MisuseError,
  Queue,
  QueueShutDownError,
  run,
  sleep,
  sleepForever,
  until,
} from 'cede'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownOf } from '../../../../test/support/thrown-by.ts'

function* getter(queue: Queue<string>, name: string, got: string[]) {
  got.push(`${name} ${yield* queue.get()}`)
}

test('put waits while it is full, get while it is empty; items come out as they went in', () =>
  simulate(function* (sim) {
    const queue = new Queue<number>(2)
    const producer = createTask(
      (function* () {
        for (let i = 1; i <= 5; i++) yield* queue.put(i)
        return sim.now()
      })(),
    )
    yield* sleep(10)
    assert.deepEqual([queue.size, queue.full(), queue.statistics().tasksWaitingToPut], [2, true, 1])
    const got: number[] = []
    for (let i = 0; i < 5; i++) {
      got.push(yield* queue.get())
      yield* sleep(10)
    }
    assert.deepEqual(got, [1, 2, 3, 4, 5])
    assert.equal(yield* producer, 30, 'the last one had room when the third was taken')
    assert.equal(queue.empty(), true)
  }))

test('what is put goes to those who wait, in their order, and nobody overtakes them', () =>
  simulate(function* () {
    const queue = new Queue<string>(1)
    const got: string[] = []
    for (const name of 'abc') createTask(getter(queue, name, got), { name })
    yield* sleep(0)
    for (const item of ['1', '2']) assert.equal(queue.tryPut(item), true)
    // They have not run yet, but what was put is theirs.
    assert.equal(queue.tryGet(), undefined)
    const late = createTask(getter(queue, 'late', got))
    yield* sleep(0)
    assert.deepEqual(got, ['a 1', 'b 2'])
    queue.tryPut('3')
    queue.tryPut('4')
    yield* late
    assert.deepEqual(got, ['a 1', 'b 2', 'c 3', 'late 4'])
  }))

test('room goes to those who wait to put, in their order', () =>
  simulate(function* () {
    const queue = new Queue<string>(1)
    queue.tryPut('0')
    const putters = ['1', '2', '3'].map((item) => createTask(queue.put(item)))
    yield* sleep(0)
    assert.equal(queue.tryGet(), '0')
    assert.equal(queue.tryPut('too early'), false)
    putters[1]!.cancel()
    assert.equal(queue.tryGet(), '1')
    assert.equal(queue.tryGet(), '3')
    assert.equal(queue.tryGet(), undefined)
    yield* gather([putters[0]!, putters[2]!])
  }))

test('loops end when the queue is shut down and empty', () =>
  simulate(function* () {
    const queue = new Queue<number>(10)
    const seen: string[] = []
    const loops = [
      createTask(
        (function* () {
          for (let item = yield* queue.next(); !item.done; item = yield* queue.next()) {
            seen.push(`next ${item.value}`)
          }
        })(),
      ),
      createTask(
        queue.forEach(function* (item) {
          seen.push(`forEach ${item}`)
          yield* sleep(0)
        }),
      ),
    ]
    yield* sleep(0)
    for (let i = 1; i <= 4; i++) queue.tryPut(i)
    queue.shutdown()
    yield* gather(loops)
    assert.deepEqual(seen, ['next 1', 'next 3', 'next 4', 'forEach 2'])
  }))

test('forEach stops when the body returns false, and counts each item as done however its body ends', () =>
  simulate(function* () {
    const queue = new Queue<number>(10)
    for (let i = 1; i <= 4; i++) queue.tryPut(i)
    yield* queue.forEach(function* (item) {
      return item < 2
    } as (item: number) => Generator<never, boolean>)
    assert.equal(queue.unfinished, 2)
    const mine = new Error('mine')
    assert.equal(
      yield* thrownOf(
        Error,
        queue.forEach(() => {
          throw mine
        }),
      ),
      mine,
    )
    assert.equal(queue.unfinished, 1)
    const last = createTask(queue.forEach(sleepForever))
    yield* sleep(0)
    yield* cancelAndWait(last)
    yield* queue.join()
    assert.throws(() => queue.forEach(null as never), MisuseError)
  }))

test('join waits for taskDone of every item', () =>
  simulate(function* (sim) {
    const queue = new Queue<number>(10)
    yield* queue.join()
    for (let i = 1; i <= 3; i++) queue.tryPut(i)
    createTask(
      (function* () {
        for (;;) {
          yield* queue.get()
          yield* sleep(10)
          queue.taskDone()
          if (queue.unfinished === 0) return
        }
      })(),
    )
    yield* queue.join()
    assert.equal(sim.now(), 30)
    assert.throws(() => queue.taskDone(), InvalidStateError)
  }))

test('shutdown gives back what it drops', () => {
  const queue = new Queue<number>(3)
  for (const item of [1, 2, 3]) queue.tryPut(item)
  assert.deepEqual(queue.shutdown(), [])
  assert.deepEqual(queue.shutdown({ immediate: true }), [1, 2, 3])
  assert.equal(queue.unfinished, 0)
})

test('after shutdown, put and get are refused at the call', () => {
  const queue = new Queue<number>(3, { name: 'jobs' })
  queue.shutdown()
  for (const act of ['put', 'tryPut', 'get', 'tryGet'] as const) {
    assert.throws(
      () => void queue[act](1),
      (error) => {
        assert.ok(error instanceof QueueShutDownError)
        assert.equal(error.code, 'CEDE_QUEUE_SHUT_DOWN')
        assert.match(error.message, new RegExp(`^${act}\\(\\): Queue jobs was expected to be open`))
        return true
      },
    )
  }
})

test('a size that is no whole number above 0 is refused', () => {
  for (const size of [0, -1, 1.5, NaN, '3', undefined]) {
    assert.throws(() => new Queue(size as number), typeof size === 'number' ? RangeError : MisuseError)
  }
  assert.equal(new Queue(Infinity).full(), false)
})

test('a cancelled scope takes nothing, and puts nothing', () =>
  simulate(function* () {
    const queue = new Queue<number>(10)
    queue.tryPut(1)
    const seen: string[] = []
    const putting = createTask(
      (function* () {
        currentTask()!.cancel()
        try {
          yield* queue.put(2)
          seen.push('put')
        } finally {
          seen.push(`${queue.size} in it`)
        }
      })(),
    )
    const getting = createTask(
      (function* () {
        currentTask()!.cancel()
        yield* queue.get()
        seen.push('got')
      })(),
    )
    yield* putting.join()
    yield* getting.join()
    assert.deepEqual(seen, ['1 in it'])
    assert.equal(queue.size, 1)
  }))

test('a loop over ready operations gives way to others', () =>
  simulate(function* () {
    const queue = new Queue<number>(Infinity)
    let turns = 0
    const other = createTask(
      (function* () {
        for (;;) {
          turns++
          yield* sleep(0)
        }
      })(),
    )
    for (let i = 0; i < 1_000; i++) yield* queue.put(i)
    for (let i = 0; i < 1_000; i++) assert.equal(yield* queue.get(), i)
    assert.ok(turns >= 10, String(turns))
    yield* cancelAndWait(other)
  }))

test('an operation walked by hand outside of a task takes nothing', () => {
  const queue = new Queue<number>(1)
  queue.tryPut(1)
  assert.throws(() => [...(queue.get() as unknown as Iterable<unknown>)], MisuseError)
  assert.throws(() => [...(queue.put(2) as unknown as Iterable<unknown>)], MisuseError)
  assert.equal(queue.size, 1)
})

test('async functions loop with for await, in line with tasks, and with no loop running', async () => {
  const queue = new Queue<number>(10)
  const seen: number[] = []
  const consumer = (async () => {
    for await (const item of queue) seen.push(item)
  })()
  queue.tryPut(1)
  queue.tryPut(2)
  await afterImmediates()
  assert.deepEqual(seen, [1, 2])
  await run(function* () {
    // The async function waits longer than this task.
    const task = createTask(queue.get())
    yield* sleep(0)
    assert.equal(queue.statistics().tasksWaitingToGet, 2)
    yield* queue.put(3)
    yield* queue.put(4)
    assert.equal(yield* task, 4)
    queue.shutdown()
    yield* until(consumer)
  })
  assert.deepEqual(seen, [1, 2, 3])
})

test('leaving a for await loses nothing', async () => {
  const queue = new Queue<number>(10)
  for (const item of [1, 2, 3]) queue.tryPut(item)
  for await (const item of queue) if (item === 2) break
  assert.equal(queue.tryGet(), 3)
})

test('a dump says what is waited for, and who waits in line', () =>
  simulate(function* () {
    const queue = new Queue<number>(1, { name: 'jobs' })
    assert.equal(inspect(queue), 'Queue(jobs: 0 of 1 items)')
    const getters = ['Anna', 'Bob'].map((name) => createTask(queue.get(), { name }))
    yield* sleep(0)
    assert.match(dumpTasks(), /an item of Queue jobs \(0 of 1 items, in line: Anna, Bob\)/)
    assert.equal(inspect(queue), 'Queue(jobs: 0 of 1 items, 2 waiting to get)')
    for (let i = 0; i < 3; i++) queue.tryPut(i)
    yield* gather(getters)
    const putter = createTask(queue.put(9), { name: 'Carl' })
    const joiner = createTask(queue.join(), { name: 'Dora' })
    yield* sleep(0)
    assert.equal(putter.waitsFor()!.what, 'room in Queue jobs (1 of 1 items, in line: Carl)')
    assert.equal(joiner.waitsFor()!.what, 'the end of work on Queue jobs, 3 items unfinished')
    assert.deepEqual(queue.statistics(), {
      size: 1,
      maxSize: 1,
      tasksWaitingToGet: 0,
      tasksWaitingToPut: 1,
      unfinished: 3,
      isShutDown: false,
    })
    putter.cancel()
    joiner.cancel()
    yield* putter.join()
    yield* joiner.join()
  }))

test('shutdown refuses what are no options', () => {
  const queue = new Queue<number>(1)
  queue.tryPut(1)
  for (const [wrong, found] of [
    [true, 'a boolean (true)'],
    [null, 'null'],
  ]) {
    assert.throws(() => queue.shutdown(wrong as never), {
      code: 'CEDE_MISUSE',
      message: `shutdown(): options were expected, found ${String(found)}; write \`shutdown({ immediate: true })\``,
    })
  }
  assert.equal(queue.isShutDown, false)
  assert.deepEqual(queue.shutdown({ immediate: true }), [1])
})
