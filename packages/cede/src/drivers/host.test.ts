import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { test, type TestContext } from 'node:test'
import { runChild } from '../../../../test/support/child.ts'
import type { DriverHost } from '../core/driver.ts'
import { HostDriver } from './host.ts'

/** A loop that counts what it is called for, and may do something in its turns. */
class TestLoop implements DriverHost {
  turns = 0
  stalls = 0
  inTurn: () => void = () => {}

  turn(): void {
    this.turns++
    this.inTurn()
  }

  stalled(): void {
    this.stalls++
  }
}

function attached(): { driver: HostDriver; loop: TestLoop } {
  const driver = new HostDriver()
  const loop = new TestLoop()
  driver.attach(loop)
  return { driver, loop }
}

class FakeTimer {
  readonly callback: () => void
  readonly delayMs: number
  cleared = false
  needed = true

  constructor(callback: () => void, delayMs: number) {
    this.callback = callback
    this.delayMs = delayMs
  }

  ref(): void {
    this.needed = true
  }

  unref(): void {
    this.needed = false
  }
}

/** The host's clock and timers, in the hands of the test. */
class FakeTime {
  nowMs = 0
  readonly timers: FakeTimer[] = []

  constructor(t: TestContext) {
    t.mock.method(performance, 'now', () => this.nowMs)
    t.mock.method(globalThis, 'setTimeout', (callback: () => void, delayMs: number) => {
      const timer = new FakeTimer(callback, delayMs)
      this.timers.push(timer)
      return timer
    })
    t.mock.method(globalThis, 'clearTimeout', (timer: FakeTimer) => {
      timer.cleared = true
    })
  }

  get last(): FakeTimer {
    return this.timers.at(-1)!
  }

  /** The last timer comes, after `ms`. */
  fire(ms: number): void {
    this.nowMs += ms
    this.last.callback()
  }
}

const microtasks = (): Promise<void> => Promise.resolve()
const polled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('a turn that is asked for comes in a microtask; asking twice is one turn', async () => {
  const { driver, loop } = attached()
  driver.requestTurn()
  driver.requestTurn()
  assert.equal(loop.turns, 0)
  await microtasks()
  assert.equal(loop.turns, 1)
  await polled()
  assert.equal(loop.turns, 1)
})

test('a turn that is asked for inside a turn waits until the host has polled for I/O', async () => {
  const { driver, loop } = attached()
  loop.inTurn = () => {
    if (loop.turns < 3) driver.requestTurn()
  }
  driver.requestTurn()
  for (let i = 0; i < 50; i++) await microtasks()
  assert.equal(loop.turns, 1)
  await polled()
  await polled()
  await polled()
  assert.equal(loop.turns, 3)
})

test('promises that ask for turns for ever do not keep the host from polling', async () => {
  const { driver, loop } = attached()
  let stop = false
  const askAgain = async (): Promise<void> => {
    while (!stop) {
      driver.requestTurn()
      await microtasks()
    }
  }
  const asking = askAgain()
  let turnsBeforePoll = 0
  for (let i = 0; i < 500; i++) await microtasks()
  turnsBeforePoll = loop.turns
  stop = true
  await asking
  assert.ok(turnsBeforePoll > 1 && turnsBeforePoll < 50, `${turnsBeforePoll} turns without a poll`)
  await polled()
  const turns = loop.turns
  driver.requestTurn()
  await microtasks()
  assert.equal(loop.turns, turns + 1, 'after a poll turns come in microtasks again')
})

test('an error of a turn leaves the driver able to give the next one', async (t) => {
  const { driver, loop } = attached()
  const time = new FakeTime(t)
  driver.setAlarm(10)
  loop.inTurn = () => {
    throw new Error('mine')
  }
  assert.throws(() => time.fire(10), /mine/)
  loop.inTurn = () => {}
  driver.requestTurn()
  await microtasks()
  assert.equal(loop.turns, 2)
})

test('afterMicrotasks comes after all promise callbacks that are due', async () => {
  const { driver } = attached()
  let done = false
  driver.afterMicrotasks(() => {
    done = true
  })
  for (let i = 0; i < 100; i++) await microtasks()
  assert.equal(done, false)
  await polled()
  assert.equal(done, true)
})

// ------------------------------------------------------------------ alarms

test('an alarm gives one turn, not before its time', (t) => {
  const { driver, loop } = attached()
  const time = new FakeTime(t)
  driver.setAlarm(100.5)
  assert.equal(time.last.delayMs, 101, 'rounded up, so that the host does not come early')
  time.fire(100) // the host's clock is coarser than ours
  assert.equal(loop.turns, 0)
  assert.equal(time.timers.length, 2)
  assert.equal(time.last.delayMs, 1)
  time.fire(0.5)
  assert.equal(loop.turns, 1)
  assert.equal(time.timers.length, 2)
})

test('an earlier alarm sets the timer again', (t) => {
  const { driver, loop } = attached()
  const time = new FakeTime(t)
  driver.setAlarm(100)
  driver.setAlarm(40)
  assert.deepEqual(
    time.timers.map((timer) => [timer.delayMs, timer.cleared]),
    [
      [100, true],
      [40, false],
    ],
  )
  time.fire(40)
  assert.equal(loop.turns, 1)
})

test('a later alarm leaves the timer alone, which is set again when it comes', (t) => {
  const { driver, loop } = attached()
  const time = new FakeTime(t)
  for (let deadlineMs = 100; deadlineMs <= 1_000; deadlineMs++) driver.setAlarm(deadlineMs)
  assert.equal(time.timers.length, 1)
  time.fire(100)
  assert.equal(loop.turns, 0)
  assert.equal(time.last.delayMs, 900)
  time.fire(900)
  assert.equal(loop.turns, 1)
})

test('an alarm that was taken back gives no turn', (t) => {
  const { driver, loop } = attached()
  const time = new FakeTime(t)
  driver.setAlarm(100)
  driver.setAlarm(null)
  time.fire(100)
  assert.equal(loop.turns, 0)
  assert.equal(time.timers.length, 1)
})

test('an alarm comes once', (t) => {
  const { driver, loop } = attached()
  const time = new FakeTime(t)
  driver.setAlarm(10)
  time.fire(10)
  driver.setAlarm(20)
  assert.equal(time.timers.length, 2)
  time.fire(10)
  assert.equal(loop.turns, 2)
})

test('an alarm that is overdue comes soon, not inside the call', (t) => {
  const { driver, loop } = attached()
  const time = new FakeTime(t)
  time.nowMs = 1_000
  driver.setAlarm(5)
  assert.equal(loop.turns, 0)
  assert.equal(time.last.delayMs, 1)
})

test("an alarm further away than the host's longest timer is set in parts", (t) => {
  const { driver, loop } = attached()
  const time = new FakeTime(t)
  const longest = 2 ** 31 - 1
  driver.setAlarm(2.5 * longest)
  assert.equal(time.last.delayMs, longest)
  time.fire(longest)
  assert.equal(time.last.delayMs, longest)
  time.fire(longest)
  assert.equal(time.last.delayMs, Math.ceil(0.5 * longest))
  assert.equal(loop.turns, 0)
  time.fire(0.5 * longest)
  assert.equal(loop.turns, 1)
})

test('an alarm that comes while a turn is asked for gives no second turn', async (t) => {
  const { driver, loop } = attached()
  const time = new FakeTime(t)
  driver.setAlarm(10)
  driver.requestTurn()
  time.fire(10)
  await microtasks()
  assert.equal(loop.turns, 1)
})

// ------------------------------------------------------------------ what keeps the process

test('the timer keeps the process while the driver is held and an alarm is set', (t) => {
  const { driver } = attached()
  const time = new FakeTime(t)
  driver.setAlarm(100)
  const needed: boolean[] = [time.last.needed]
  driver.hold(true)
  needed.push(time.last.needed)
  driver.setAlarm(null)
  needed.push(time.last.needed)
  driver.setAlarm(200)
  needed.push(time.last.needed)
  driver.hold(false)
  needed.push(time.last.needed)
  assert.deepEqual(needed, [false, true, false, true, false])
  assert.equal(time.timers.length, 1)
})

test('a timer that is set again is needed only if the old one was', (t) => {
  const { driver } = attached()
  const time = new FakeTime(t)
  driver.setAlarm(100)
  driver.setAlarm(50)
  assert.equal(time.last.needed, false)
  driver.setAlarm(80)
  time.fire(50)
  assert.equal(time.last.needed, false)
  driver.hold(true)
  time.fire(30)
  driver.setAlarm(90)
  assert.equal(time.last.needed, true)
  driver.hold(false)
})

test('while it is held the driver hears when the process is about to end', () => {
  const { driver, loop } = attached()
  const before = process.listenerCount('beforeExit')
  driver.hold(true)
  driver.hold(true)
  assert.equal(process.listenerCount('beforeExit'), before + 1)
  process.listeners('beforeExit').at(-1)!(0)
  assert.equal(loop.stalls, 1)
  driver.hold(false)
  driver.hold(false)
  assert.equal(process.listenerCount('beforeExit'), before)
})

const programs = fileURLToPath(new URL('../../../../test/support/host-programs.ts', import.meta.url))

test('a process lives as long as its run sleeps', { timeout: 60_000 }, async () => {
  const ended = await runChild(programs, ['sleeps'])
  assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, 'slept\n', ''])
})

test('timers that nobody needs any more do not keep the process', { timeout: 60_000 }, async () => {
  const ended = await runChild(programs, ['leaves-timers'])
  assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, 'main ended\n', ''])
})

test(
  'timers of a cancelled task and of a timeout that was not needed do not keep the process',
  { timeout: 60_000 },
  async () => {
    const ended = await runChild(programs, ['cancels-timers'])
    assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, 'main ended\n', ''])
  },
)

test('a run that waits for a timer after an idle time is woken', { timeout: 60_000 }, async () => {
  const ended = await runChild(programs, ['second-run'])
  assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, 'first\nsecond\n', ''])
})
