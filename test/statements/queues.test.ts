// Queues: S106 to S110, and what DESIGN.md says instead.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createTask,
  gather,
  InvalidStateError,
  LifoQueue,
  PriorityQueue,
  Queue,
  QueueShutDownError,
  run,
  sleep,
  timeout,
  TimeoutError,
  type Task,
} from 'cede'
import { Sim, simulate } from '../support/sim.ts'
import { thrownOf } from '../support/thrown-by.ts'

/** Every kind of queue; what is said here holds for all. */
const kinds: readonly [string, (maxSize: number) => Queue<number>][] = [
  ['Queue', (maxSize) => new Queue<number>(maxSize)],
  ['LifoQueue', (maxSize) => new LifoQueue<number>(maxSize)],
  ['PriorityQueue', (maxSize) => new PriorityQueue<number>(maxSize)],
]

function* startGetters(queue: Queue<number>, count: number) {
  const tasks: Task<number>[] = []
  for (let i = 0; i < count; i++) tasks.push(createTask(queue.get()))
  yield* sleep(0)
  return tasks
}

for (const [kind, make] of kinds) {
  test(`S106 (ours): a ${kind} belongs to no loop: it outlives runs, and hands items from one loop to another`, async () => {
    const queue = make(1)
    await run(queue.put(1))
    assert.equal(await run(queue.get()), 1)
    const [one, two] = [new Sim(), new Sim()]
    const got = one.run(() => queue.get())
    const blocked = two.run(function* () {
      yield* queue.put(2)
      yield* queue.put(3)
      yield* queue.put(4)
    })
    assert.equal(await got, 2)
    assert.equal(await one.run(() => queue.get()), 3)
    await blocked
    assert.equal(queue.tryGet(), 4)
    await one.end()
    await two.end()
  })

  test(`S107: a cancelled get of a ${kind} loses no item, and the next getter is served`, () =>
    simulate(function* () {
      const queue = make(5)
      const [first, second, third] = yield* startGetters(queue, 3)
      first!.cancel()
      queue.tryPut(1)
      queue.tryPut(2)
      assert.deepEqual(yield* gather([second!, third!]), [1, 2])
      assert.equal((yield* first!.join()).status, 'cancelled')
      assert.equal(queue.size, 0)
    }))

  test(`S107 (ours): a getter of a ${kind} that was handed an item and is cancelled has the item`, () =>
    simulate(function* () {
      const queue = make(5)
      const received: number[] = []
      const getter = createTask(
        (function* () {
          received.push(yield* queue.get())
          yield* sleep(0)
          received.push(-1)
        })(),
      )
      yield* sleep(0)
      queue.tryPut(1)
      getter.cancel()
      assert.equal((yield* getter.join()).status, 'cancelled')
      assert.deepEqual(received, [1])
    }))

  test(`S107: a deadline that comes with an item of a ${kind}: either the item is got, or it is still there`, () =>
    simulate(function* (sim) {
      for (const itemMs of [9, 10, 11]) {
        const queue = make(5)
        const startMs = sim.now()
        createTask(
          (function* () {
            yield* sleep(itemMs)
            queue.tryPut(itemMs)
          })(),
        )
        let got: number | null = null
        try {
          got = yield* timeout(10, queue.get())
        } catch (error) {
          assert.ok(error instanceof TimeoutError)
        }
        yield* sleep(startMs + 20 - sim.now())
        assert.deepEqual(got === null ? [queue.tryGet()] : [got, queue.tryGet()].slice(0, 1), [itemMs])
      }
    }))

  test(`S107: cancelled getters and putters leave the lists of a ${kind}`, () =>
    simulate(function* () {
      const queue = make(1)
      const getters = yield* startGetters(queue, 100)
      assert.equal(queue.statistics().tasksWaitingToGet, 100)
      for (const getter of getters) getter.cancel()
      assert.equal(queue.statistics().tasksWaitingToGet, 0)
      queue.tryPut(0)
      const putters = Array.from({ length: 100 }, (_, i) => createTask(queue.put(i)))
      yield* sleep(0)
      assert.equal(queue.statistics().tasksWaitingToPut, 100)
      for (const putter of putters) putter.cancel()
      assert.equal(queue.statistics().tasksWaitingToPut, 0)
      for (const task of [...getters, ...putters]) yield* task.join()
      assert.deepEqual([queue.tryGet(), queue.tryGet()], [0, undefined])
    }))

  test(`S108: a cancelled put stores nothing in a ${kind}, and the next putter gets the room`, () =>
    simulate(function* () {
      const queue = make(1)
      queue.tryPut(0)
      const putters = [1, 2, 3].map((item) => createTask(queue.put(item)))
      yield* sleep(0)
      putters[0]!.cancel()
      assert.equal(queue.tryGet(), 0)
      // The room went to the second in the same moment; cancelling it now comes too late.
      putters[1]!.cancel()
      assert.equal(queue.tryGet(), 2)
      assert.equal(queue.tryGet(), 3)
      assert.equal(queue.tryGet(), undefined)
      const outcomes = []
      for (const putter of putters) outcomes.push((yield* putter.join()).status)
      assert.deepEqual(outcomes, ['cancelled', 'done', 'done'])
      assert.equal(queue.unfinished, 3)
    }))

  test(`S109 (ours): a ${kind} hands over directly: a get never overtakes one that waits`, () =>
    simulate(function* () {
      const queue = make(5)
      const [waiting] = yield* startGetters(queue, 1)
      yield* queue.put(1)
      // The waiting one has not run since; what was put is out of reach already.
      assert.equal(queue.size, 0)
      const late = createTask(queue.get())
      yield* sleep(0)
      assert.equal(late.done(), false)
      assert.equal(yield* waiting!, 1)
      yield* queue.put(2)
      assert.equal(yield* late, 2)
    }))

  test(`S109: many producers and consumers of a ${kind}: every item arrives once`, () =>
    simulate(
      function* () {
        const queue = make(3)
        const received: number[] = []
        const consumers = Array.from({ length: 4 }, () =>
          createTask(
            queue.forEach(function* (item) {
              received.push(item)
              if (item % 3 === 0) yield* sleep(item % 5)
            }),
          ),
        )
        const produce = function* (from: number) {
          for (let i = from; i < from + 50; i++) {
            yield* queue.put(i)
            if (i % 7 === 0) yield* sleep(1)
          }
        }
        yield* gather([produce(0), produce(50), produce(100)])
        yield* queue.join()
        queue.shutdown()
        yield* gather(consumers)
        assert.deepEqual(
          received.sort((a, b) => a - b),
          Array.from({ length: 150 }, (_, i) => i),
        )
      },
      { shuffleSeed: 7 },
    ))

  test(`S110: shutting down an empty ${kind} ends the waits of getters, and refuses what comes later`, () =>
    simulate(function* () {
      const queue = make(1)
      const getters = yield* startGetters(queue, 2)
      queue.shutdown()
      for (const getter of getters) yield* thrownOf(QueueShutDownError, getter)
      assert.throws(() => queue.put(1), QueueShutDownError)
      assert.throws(() => queue.tryPut(1), QueueShutDownError)
      assert.throws(() => queue.get(), QueueShutDownError)
      assert.throws(() => queue.tryGet(), QueueShutDownError)
      queue.shutdown()
      yield* queue.join()
    }))

  test(`S110: shutting down a ${kind} with items ends the waits of putters; what is there can be taken, then no more`, () =>
    simulate(function* () {
      const queue = make(1)
      queue.tryPut(1)
      const putter = createTask(queue.put(2))
      yield* sleep(0)
      queue.shutdown()
      yield* thrownOf(QueueShutDownError, putter)
      const joiner = createTask(queue.join())
      assert.equal(yield* queue.get(), 1)
      assert.throws(() => queue.get(), QueueShutDownError)
      yield* sleep(0)
      assert.equal(joiner.done(), false)
      queue.taskDone()
      yield* joiner
    }))

  test(`S110: an immediate shutdown of a ${kind} drops items and counts them as done; those taken still need taskDone`, () =>
    simulate(function* () {
      const queue = make(3)
      for (let i = 1; i <= 3; i++) queue.tryPut(i)
      yield* queue.get()
      const joiner = createTask(queue.join())
      yield* sleep(0)
      assert.equal(queue.shutdown({ immediate: true }).length, 2)
      assert.equal(queue.size, 0)
      assert.throws(() => queue.get(), QueueShutDownError)
      yield* sleep(0)
      assert.equal(joiner.done(), false)
      queue.taskDone()
      yield* joiner
      assert.throws(() => queue.taskDone(), InvalidStateError)
    }))

  test(`S110: join of a ${kind} returns at once when nothing is unfinished; taskDone too often is refused`, () =>
    simulate(function* (sim) {
      const queue = make(3)
      const { passes } = sim.loop
      yield* queue.join()
      assert.equal(sim.loop.passes, passes, 'it did not suspend')
      assert.throws(
        () => queue.taskDone(),
        (error) =>
          error instanceof InvalidStateError &&
          error.message ===
            `taskDone(): expected one call for each item that was put into a ${kind}, found one more`,
      )
      queue.tryPut(1)
      yield* queue.get()
      queue.taskDone()
      assert.throws(() => queue.taskDone(), InvalidStateError)
    }))
}
