// The names of asyncio's queues.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTask, LifoQueue, PriorityQueue, Queue, QueueShutDownError, sleep } from 'cede'
import { simulate } from '../support/sim.ts'
import { thrownOf } from '../support/thrown-by.ts'

test('Queue: put, get, size, empty, full, maxSize', () =>
  simulate(function* () {
    const queue = new Queue<string>(2)
    assert.deepEqual([queue.maxSize, queue.size, queue.empty(), queue.full()], [2, 0, true, false])
    yield* queue.put('one')
    yield* queue.put('two')
    assert.deepEqual([queue.size, queue.empty(), queue.full()], [2, false, true])
    const third = createTask(queue.put('three'))
    yield* sleep(0)
    assert.equal(third.done(), false)
    assert.equal(yield* queue.get(), 'one')
    yield* third
    assert.equal(yield* queue.get(), 'two')
    assert.equal(yield* queue.get(), 'three')
    assert.throws(() => new Queue(0), RangeError)
    assert.equal(new Queue(Infinity).full(), false)
  }))

test('Queue: tryPut, tryGet', () =>
  simulate(function* () {
    const queue = new Queue<string>(1)
    assert.equal(queue.tryGet(), undefined, 'QueueEmpty')
    assert.equal(queue.tryPut('one'), true)
    assert.equal(queue.tryPut('two'), false, 'QueueFull')
    assert.equal(queue.tryGet(), 'one')
    yield* sleep(0)
  }))

test('Queue: join, taskDone', () =>
  simulate(function* (sim) {
    const queue = new Queue<number>(10)
    for (const ms of [10, 20]) yield* queue.put(ms)
    function* worker() {
      while (!queue.empty()) {
        yield* sleep(yield* queue.get())
        queue.taskDone()
      }
    }
    createTask(worker())
    yield* queue.join()
    assert.equal(sim.now(), 30)
    assert.throws(() => queue.taskDone(), { code: 'CEDE_INVALID_STATE' })
  }))

test('Queue: shutdown, QueueShutDownError', () =>
  simulate(function* () {
    const queue = new Queue<string>(10)
    for (const item of ['one', 'two', 'three']) yield* queue.put(item)
    queue.shutdown()
    assert.throws(() => queue.put('four'), QueueShutDownError)
    assert.equal(yield* queue.get(), 'one')
    assert.deepEqual(queue.shutdown({ immediate: true }), ['two', 'three'])
    assert.throws(() => queue.get(), QueueShutDownError)

    const empty = new Queue<string>(1)
    const waiter = createTask(empty.get())
    yield* sleep(0)
    empty.shutdown()
    const error: unknown = yield* thrownOf(QueueShutDownError, waiter)
    assert.ok(error instanceof QueueShutDownError)
  }))

test('PriorityQueue: the least first', () =>
  simulate(function* () {
    const jobs = new PriorityQueue<readonly [urgency: number, name: string]>(10, ([a], [b]) => b - a)
    yield* jobs.put([1, 'tidy up'])
    yield* jobs.put([9, 'put out the fire'])
    yield* jobs.put([1, 'water the plants'])
    const names: string[] = []
    while (!jobs.empty()) names.push((yield* jobs.get())[1])
    assert.deepEqual(names, ['put out the fire', 'tidy up', 'water the plants'])
  }))

test('LifoQueue: the last first', () =>
  simulate(function* () {
    const plates = new LifoQueue<string>(10)
    yield* plates.put('lower')
    yield* plates.put('upper')
    assert.deepEqual([yield* plates.get(), yield* plates.get()], ['upper', 'lower'])
  }))
