import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { simulate } from '../../../../test/support/sim.ts'
import { createTask } from './current.ts'
import { CancelledError } from './errors.ts'
import { seededRandom } from './random.ts'
import { sleep } from './sleep.ts'
import type { Task } from './task.ts'
import { Waiting, WaitQueue } from './wait-queue.ts'

function* waiter(queue: WaitQueue<string>, name: string, woken: string[]) {
  const value = yield* queue.wait()
  woken.push(`${name} ${value}`)
  return value
}

/** Tasks that wait, in the order of their names. */
function* waiting(queue: WaitQueue<string>, names: string, woken: string[]) {
  const tasks = Array.from(names).map((name) => createTask(waiter(queue, name, woken), { name }))
  yield* sleep(0)
  return tasks
}

function namesIn(queue: WaitQueue<string>): string {
  return [...queue.tasks()].map((task) => task.name).join('')
}

test('waiting tasks are woken first come, first served', () =>
  simulate(function* () {
    const queue = new WaitQueue<string>()
    const woken: string[] = []
    yield* waiting(queue, 'abcd', woken)
    assert.equal(queue.length, 4)
    assert.equal(namesIn(queue), 'abcd')
    assert.equal(queue.wakeOne('1'), true)
    assert.equal(queue.wake(2, '2'), 2)
    assert.equal(queue.length, 1)
    assert.deepEqual(woken, [], 'nobody runs inside a wake')
    yield* sleep(0)
    assert.deepEqual(woken, ['a 1', 'b 2', 'c 2'])
    assert.equal(queue.wakeAll('3'), 1)
    yield* sleep(0)
    assert.deepEqual(woken.slice(3), ['d 3'])
  }))

test('waking an empty queue wakes nobody and keeps nothing', () =>
  simulate(function* () {
    const queue = new WaitQueue<string>()
    assert.equal(queue.wakeOne('lost?'), false)
    assert.equal(queue.wake(5, 'lost?'), 0)
    assert.equal(queue.wakeAll('lost?'), 0)
    assert.equal(queue.failAll(new Error()), 0)
    const woken: string[] = []
    yield* waiting(queue, 'a', woken)
    assert.equal(queue.length, 1)
    queue.wakeAll('later')
    yield* sleep(0)
    assert.deepEqual(woken, ['a later'])
  }))

for (const [where, index] of [
  ['at the front', 0],
  ['in the middle', 1],
  ['at the end', 2],
] as const) {
  test(`a task cancelled ${where} leaves the queue; the others keep their order`, () =>
    simulate(function* () {
      const queue = new WaitQueue<string>()
      const woken: string[] = []
      const tasks = yield* waiting(queue, 'abc', woken)
      tasks[index]!.cancel()
      assert.equal(queue.length, 2)
      const left = 'abc'.replace('abc'[index]!, '')
      assert.equal(namesIn(queue), left)
      yield* waiting(queue, 'd', woken)
      assert.equal(namesIn(queue), `${left}d`)
      queue.wakeAll('x')
      yield* sleep(0)
      assert.deepEqual(
        woken,
        Array.from(`${left}d`).map((name) => `${name} x`),
      )
    }))
}

test('a value handed to a task that is cancelled before its next step is delivered', () =>
  simulate(function* () {
    const queue = new WaitQueue<string>()
    const woken: string[] = []
    const [a, b] = yield* waiting(queue, 'ab', woken)
    queue.wakeOne('item')
    a!.cancel()
    queue.wakeOne('other')
    yield* sleep(0)
    assert.deepEqual(woken, ['a item', 'b other'])
    assert.deepEqual([a!.status, b!.status], ['done', 'done'])
  }))

test('a task cancelled before the hand-over is handed nothing; the next in line gets it', () =>
  simulate(function* () {
    const queue = new WaitQueue<string>()
    const woken: string[] = []
    const [a] = yield* waiting(queue, 'ab', woken)
    a!.cancel()
    assert.equal(queue.wakeOne('item'), true)
    assert.equal(queue.wakeOne('none left'), false)
    yield* sleep(0)
    assert.deepEqual(woken, ['b item'])
  }))

test('failAll throws the error into everyone who waits now', () =>
  simulate(function* () {
    const queue = new WaitQueue<string>()
    const woken: string[] = []
    const tasks = yield* waiting(queue, 'ab', woken)
    const error = new CancelledError('closed')
    assert.equal(queue.failAll(error), 2)
    assert.equal(queue.length, 0)
    for (const task of tasks) {
      const outcome = yield* task.join()
      assert.ok(outcome.status === 'failed' && outcome.error === error)
    }
    assert.deepEqual(woken, [])
  }))

test('moveTo moves the longest waiting tasks to the end of another queue without waking them', () =>
  simulate(function* () {
    const [from, to] = [new WaitQueue<string>(), new WaitQueue<string>()]
    const woken: string[] = []
    const [a, b] = yield* waiting(from, 'abcd', woken)
    yield* waiting(to, 'x', woken)
    assert.equal(from.moveTo(to), 1)
    assert.equal(from.moveTo(to, 2), 2)
    assert.deepEqual([namesIn(from), namesIn(to)], ['d', 'xabc'])
    assert.deepEqual([from.length, to.length], [1, 4])
    assert.equal(b!.status, 'waiting')
    // One that has moved leaves the queue where it stands now.
    a!.cancel()
    assert.deepEqual([namesIn(from), namesIn(to)], ['d', 'xbc'])
    assert.equal(from.moveTo(to, 10), 1)
    assert.equal(from.moveTo(to, 10), 0)
    to.wakeAll('v')
    yield* sleep(0)
    assert.deepEqual(woken, ['x v', 'b v', 'c v', 'd v'])
  }))

test('a dump is told what the owner of the queue says, anew each time', () =>
  simulate(function* () {
    let asked = 0
    const queue = new WaitQueue<string>(() => ({ what: `asked ${++asked}` }))
    const [task] = yield* waiting(queue, 'a', [])
    assert.equal(asked, 0)
    assert.equal(task!.waitsFor()!.what, 'asked 1')
    assert.equal(task!.waitsFor()!.what, 'asked 2')
    queue.wakeAll('')
    yield* sleep(0)
  }))

test('a wait runs once', () =>
  simulate(function* () {
    const queue = new WaitQueue<string>(() => ({ what: 'a test queue' }))
    const wait = queue.wait()
    const first = createTask(wait)
    assert.throws(() => createTask(wait), /a test queue.*was used a second time/)
    yield* sleep(0)
    queue.wakeAll('value')
    assert.equal(yield* first, 'value')
  }))

test('whatever is woken and cancelled in whatever order: every item handed over arrives, exactly once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 40 }), async (seed, count) => {
      const random = seededRandom(seed)
      const received: string[] = []
      let handed = 0
      await simulate(
        function* () {
          const [queue, other] = [new WaitQueue<string>(), new WaitQueue<string>()]
          const tasks: Task[] = []
          for (let i = 0; i < count; i++) {
            tasks.push(createTask(receiver(queue, received)))
            yield* sleep(0)
            if (random() < 0.5 && (random() < 0.5 ? queue : other).wakeOne(`item ${handed}`)) handed++
            if (random() < 0.4) tasks[Math.floor(random() * tasks.length)]!.cancel()
            if (random() < 0.2) queue.moveTo(other)
          }
          for (const left of [queue, other]) while (left.wakeOne(`item ${handed}`)) handed++
        },
        { shuffleSeed: seed },
      )
      assert.deepEqual(received.sort(), Array.from({ length: handed }, (_, i) => `item ${i}`).sort())
    }),
    { numRuns: 100 },
  )
})

function* receiver(queue: WaitQueue<string>, received: string[]) {
  received.push(yield* queue.wait())
  yield* sleep(0)
}

/** A place in line that counts how often anybody follows or sets its links. */
class CountedPlace extends Waiting<void> {
  static touches = 0

  constructor(queue: WaitQueue) {
    super(queue)
    for (const link of ['ahead', 'behind'] as const) {
      let neighbour: Waiting<void, unknown> | null = null
      Object.defineProperty(this, link, {
        get: () => (CountedPlace.touches++, neighbour),
        set: (other: Waiting<void, unknown> | null) => (CountedPlace.touches++, (neighbour = other)),
      })
    }
  }
}

test('cancelling a waiter touches its neighbours and nobody else, however long the line is', async () => {
  const touched: number[][] = []
  for (const length of [10, 10_000]) {
    await simulate(function* () {
      const queue = new WaitQueue()
      const tasks = Array.from({ length }, () => createTask(new CountedPlace(queue)))
      yield* sleep(0)
      const cost = [length - 1, (length - 1) >> 1, 0].map((index) => {
        const before = CountedPlace.touches
        tasks[index]!.cancel()
        return CountedPlace.touches - before
      })
      assert.equal(queue.length, length - 3)
      queue.wakeAll()
      yield* sleep(0)
      touched.push(cost)
    })
  }
  const [few, many] = touched
  assert.deepEqual(many, few)
  assert.ok(few!.every((count) => count > 0))
})
