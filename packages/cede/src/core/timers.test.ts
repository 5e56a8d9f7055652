import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { usedHeap } from '../../../../test/support/garbage.ts'
import { Timer, Timers } from './timers.ts'

class TestTimer extends Timer {
  readonly id: number
  readonly #acted: number[]

  constructor(id: number, acted: number[]) {
    super()
    this.id = id
    this.#acted = acted
  }

  due(): void {
    assert.equal(this.list, null, 'a timer that acts is out of its list')
    this.#acted.push(this.id)
  }
}

/** Timers with the clock handling of the loop around them. */
class Bench {
  readonly timers = new Timers()
  readonly acted: number[] = []
  /** The true time; the timers know only the last reading. */
  clockMs = 0
  readMs = 0
  made = 0

  make(): TestTimer {
    return new TestTimer(this.made++, this.acted)
  }

  arm(durationMs: number): TestTimer {
    const timer = this.make()
    this.timers.arm(timer, durationMs, this.readMs)
    return timer
  }

  armAt(deadlineMs: number): TestTimer {
    const timer = this.make()
    this.timers.armAt(timer, deadlineMs)
    return timer
  }

  read(): void {
    this.timers.clockRead(this.clockMs - this.readMs)
    this.readMs = this.clockMs
  }

  /** Reads the clock, as at the end of a turn, and again after `ms`; then collects. @returns who acted */
  pass(ms: number): number[] {
    this.read()
    this.clockMs += ms
    this.read()
    this.timers.collectDue(this.readMs)
    return this.acted.splice(0)
  }
}

test('timers of one duration act in the order in which they were armed', () => {
  const bench = new Bench()
  for (let i = 0; i < 5; i++) bench.arm(10)
  assert.deepEqual(bench.pass(9), [])
  assert.deepEqual(bench.pass(1), [0, 1, 2, 3, 4])
  assert.equal(bench.timers.nextDeadlineMs(), null)
})

test('timers act by deadline, ties by creation, whatever list they stand in', () => {
  const bench = new Bench()
  bench.arm(30)
  bench.armAt(20)
  bench.arm(10)
  bench.armAt(10)
  bench.arm(20)
  bench.read()
  bench.armAt(-5)
  assert.equal(bench.timers.nextDeadlineMs(), -5)
  assert.deepEqual(bench.pass(30), [5, 2, 3, 1, 4, 0])
})

test('nextDeadlineMs passes over cancelled timers', () => {
  const bench = new Bench()
  const [first, second] = [bench.arm(10), bench.arm(10)]
  bench.arm(20)
  const absolute = bench.armAt(5)
  assert.equal(bench.timers.nextDeadlineMs(), 5)
  bench.timers.disarm(absolute)
  assert.equal(bench.timers.nextDeadlineMs(), 10)
  bench.timers.disarm(first)
  assert.equal(bench.timers.nextDeadlineMs(), 10)
  bench.timers.disarm(second)
  assert.equal(bench.timers.nextDeadlineMs(), 20)
})

test('disarming twice, or after the timer has acted, does nothing', () => {
  const bench = new Bench()
  const [first, second] = [bench.arm(10), bench.arm(10)]
  bench.timers.disarm(first)
  bench.timers.disarm(first)
  assert.deepEqual(bench.pass(10), [1])
  bench.timers.disarm(second)
  assert.equal([...bench.timers].length, 0)
})

test('a timer may be armed again, with the same duration or another', () => {
  const bench = new Bench()
  const timer = bench.arm(10)
  assert.deepEqual(bench.pass(10), [0])
  bench.timers.arm(timer, 10, bench.readMs)
  bench.timers.disarm(timer)
  bench.timers.arm(timer, 5, bench.readMs)
  assert.equal(timer.deadlineMs, 15)
  assert.deepEqual(bench.pass(5), [0])
})

test('a timer armed against an old reading is moved at the next one, so that it never acts early', () => {
  const bench = new Bench()
  bench.clockMs = 100 // 100 ms have passed since the last reading
  const timer = bench.arm(10)
  assert.equal(bench.timers.hasFresh, true)
  bench.read()
  assert.equal(bench.timers.hasFresh, false)
  assert.equal(timer.deadlineMs, 110)
  bench.clockMs = 105
  bench.read()
  assert.equal(timer.deadlineMs, 110, 'moved once')
  assert.deepEqual(bench.pass(4), [])
  assert.deepEqual(bench.pass(1), [0])
})

test('only the timers armed since the last reading are moved', () => {
  const bench = new Bench()
  const before = bench.arm(10)
  bench.read()
  const [a, b, c] = [bench.arm(10), bench.arm(10), bench.arm(10)]
  bench.timers.disarm(a) // the first fresh one of the list
  bench.clockMs = 7
  bench.read()
  assert.deepEqual([before.deadlineMs, b.deadlineMs, c.deadlineMs], [10, 17, 17])
})

test('absolute deadlines are not moved', () => {
  const bench = new Bench()
  const timer = bench.armAt(10)
  assert.equal(bench.timers.hasFresh, false)
  bench.clockMs = 7
  bench.read()
  assert.equal(timer.deadlineMs, 10)
})

test('a timer that is armed while timers act is collected in the same round only if it is due', () => {
  const bench = new Bench()
  class Arming extends Timer {
    due(): void {
      bench.acted.push(-1)
      bench.timers.arm(bench.make(), 0, bench.readMs)
      bench.timers.arm(bench.make(), 1, bench.readMs)
    }
  }
  bench.timers.arm(new Arming(), 5, 0)
  assert.deepEqual(bench.pass(5), [-1, 0])
  assert.deepEqual(bench.pass(1), [1])
})

test('iterating gives the live timers', () => {
  const bench = new Bench()
  const timers = [bench.arm(10), bench.arm(20), bench.armAt(5), bench.arm(10)]
  bench.timers.disarm(timers[1]!)
  assert.deepEqual(new Set(bench.timers), new Set([timers[0], timers[2], timers[3]]))
})

test('empty lists of many durations are swept, and their durations may come again', () => {
  const bench = new Bench()
  const timers = Array.from({ length: 500 }, (_, i) => bench.arm(1_000 - i))
  for (const timer of timers) if (timer.id % 50 !== 0) bench.timers.disarm(timer)
  assert.equal([...bench.timers].length, 10)
  assert.equal(bench.timers.nextDeadlineMs(), 1_000 - 450)
  for (let i = 0; i < 500; i++) bench.arm(1_000 - i)
  const acted = bench.pass(1_000)
  assert.equal(acted.length, 510)
  // By deadline, that is from the last made to the first; of equal deadlines the older one comes first.
  assert.deepEqual(acted.slice(0, 3), [999, 998, 997])
  assert.deepEqual(acted.slice(-3), [501, 0, 500])
})

test('when a sweep takes the first lists as well, the earliest of the others comes first', () => {
  for (const stride of [7, 11, 13, 77, 101, 149, 199]) {
    for (const gone of [149, 151, 160, 200]) {
      const bench = new Bench()
      const timers = Array.from({ length: 300 }, (_, i) => bench.arm(1 + ((i * stride) % 300)))
      const byDeadline = [...timers].sort((a, b) => a.deadlineMs - b.deadlineMs)
      for (const timer of byDeadline.slice(0, gone)) bench.timers.disarm(timer)
      assert.equal(bench.timers.nextDeadlineMs(), gone + 1)
      assert.deepEqual(
        bench.pass(300),
        byDeadline.slice(gone).map((timer) => timer.id),
      )
    }
  }
})

test('a duration that was used once leaves nothing behind', () => {
  const bench = new Bench()
  const useOnce = (from: number): void => {
    for (let i = 0; i < 100_000; i++) {
      bench.arm(from + i)
      bench.pass(from + i)
    }
  }
  useOnce(0)
  const before = usedHeap()
  useOnce(0.5)
  const grownBytes = usedHeap() - before
  assert.ok(grownBytes < 2_000_000, `${grownBytes} bytes for 100,000 durations`)
})

/** What the timers must do, in the simplest way. */
class Model {
  #live: { id: number; deadlineMs: number; fresh: boolean }[] = []

  arm(id: number, deadlineMs: number, fresh: boolean): void {
    this.#live.push({ id, deadlineMs, fresh })
  }

  disarm(id: number): void {
    this.#live = this.#live.filter((timer) => timer.id !== id)
  }

  read(passedMs: number): void {
    for (const timer of this.#live) {
      if (timer.fresh) timer.deadlineMs += passedMs
      timer.fresh = false
    }
  }

  next(): number | null {
    return this.#live.length === 0 ? null : Math.min(...this.#live.map((timer) => timer.deadlineMs))
  }

  /** Stands in the order of creation, and sorting keeps that among equals. */
  collect(nowMs: number): number[] {
    const due = this.#live.filter((timer) => timer.deadlineMs <= nowMs)
    this.#live = this.#live.filter((timer) => timer.deadlineMs > nowMs)
    return due.sort((a, b) => a.deadlineMs - b.deadlineMs).map((timer) => timer.id)
  }

  ids(): number[] {
    return this.#live.map((timer) => timer.id)
  }
}

type Action =
  | { readonly kind: 'arm'; readonly durationMs: number }
  | { readonly kind: 'armAt'; readonly fromNowMs: number }
  | { readonly kind: 'disarm'; readonly which: number }
  | { readonly kind: 'disarmMany'; readonly every: number }
  | { readonly kind: 'disarmFirst'; readonly count: number }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'read' }
  | { readonly kind: 'pass' }

/** Few durations, as programs have them, or so many that lists come and go and are swept. */
function actions(longestMs: number): fc.Arbitrary<Action[]> {
  const durationMs = fc.integer({ min: 0, max: longestMs })
  return fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.record({ kind: fc.constant('arm' as const), durationMs }) },
      {
        weight: 2,
        arbitrary: fc.record({
          kind: fc.constant('armAt' as const),
          fromNowMs: fc.integer({ min: -20, max: 100 }),
        }),
      },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('disarm' as const), which: fc.nat() }) },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('disarmMany' as const),
          every: fc.integer({ min: 2, max: 30 }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('disarmFirst' as const), count: fc.nat({ max: 150 }) }),
      },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.nat({ max: 20 }) }) },
      { weight: 2, arbitrary: fc.constant({ kind: 'read' as const }) },
      { weight: 2, arbitrary: fc.constant({ kind: 'pass' as const }) },
    ),
    { maxLength: 600, size: 'max' },
  )
}

function checkAgainstModel(list: readonly Action[]): void {
  const bench = new Bench()
  const model = new Model()
  const timers: TestTimer[] = []
  const earliestMs = new Map<number, number>()
  const read = (): void => {
    model.read(bench.clockMs - bench.readMs)
    bench.read()
  }
  const disarm = (timer: TestTimer): void => {
    bench.timers.disarm(timer)
    model.disarm(timer.id)
  }
  for (const action of list) {
    switch (action.kind) {
      case 'arm': {
        const timer = bench.arm(action.durationMs)
        timers.push(timer)
        earliestMs.set(timer.id, bench.clockMs + action.durationMs)
        model.arm(timer.id, bench.readMs + action.durationMs, true)
        break
      }
      case 'armAt': {
        const deadlineMs = bench.readMs + action.fromNowMs
        const timer = bench.armAt(deadlineMs)
        timers.push(timer)
        earliestMs.set(timer.id, deadlineMs)
        model.arm(timer.id, deadlineMs, false)
        break
      }
      case 'disarm':
        if (timers.length > 0) disarm(timers[action.which % timers.length]!)
        break
      case 'disarmMany':
        for (const timer of timers) if (timer.id % action.every !== 0) disarm(timer)
        break
      case 'disarmFirst': {
        const live = timers.filter((timer) => timer.list !== null)
        live.sort((a, b) => a.deadlineMs - b.deadlineMs)
        for (const timer of live.slice(0, action.count)) disarm(timer)
        break
      }
      case 'time':
        bench.clockMs += action.ms
        break
      case 'read':
        read()
        break
      case 'pass': {
        read()
        const acted = bench.pass(0)
        assert.deepEqual(acted, model.collect(bench.readMs))
        for (const id of acted) assert.ok(earliestMs.get(id)! <= bench.clockMs, 'acted early')
      }
    }
    assert.equal(bench.timers.nextDeadlineMs(), model.next())
  }
  assert.deepEqual(
    [...bench.timers].map((timer) => (timer as TestTimer).id).sort((a, b) => a - b),
    model.ids(),
  )
  read()
  assert.deepEqual(bench.pass(10_000), (model.read(10_000), model.collect(bench.readMs)))
}

test('any sequence of actions does what a plain sorted list does: few durations', () => {
  fc.assert(fc.property(actions(5), checkAgainstModel), { numRuns: 200 })
})

test('any sequence of actions does what a plain sorted list does: many durations', () => {
  fc.assert(fc.property(actions(2_000), checkAgainstModel), { numRuns: 200 })
})
