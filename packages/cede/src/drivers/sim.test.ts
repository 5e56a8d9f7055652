import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DriverHost } from '../core/driver.ts'
import { SimDriver, type SimOptions } from './sim.ts'

class TestLoop implements DriverHost {
  /** The clock at each turn. */
  readonly turnsMs: number[] = []
  stalls = 0
  readonly #driver: SimDriver
  inTurn: () => void = () => {}

  constructor(driver: SimDriver) {
    this.#driver = driver
  }

  turn(): void {
    this.turnsMs.push(this.#driver.now())
    this.inTurn()
  }

  stalled(): void {
    this.stalls++
  }
}

function attached(options?: SimOptions): { driver: SimDriver; loop: TestLoop } {
  const driver = new SimDriver(options)
  const loop = new TestLoop(driver)
  driver.attach(loop)
  return { driver, loop }
}

async function rounds(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

test('the clock begins where it was told to, and moves only by alarms and by elapse', async () => {
  const { driver } = attached({ startMs: 1_000 })
  assert.equal(driver.now(), 1_000)
  driver.elapse(5.5)
  await rounds()
  assert.equal(driver.now(), 1_005.5)
  assert.equal(attached().driver.now(), 0)
})

test('a turn that is asked for comes soon, once, and takes no time', async () => {
  const { driver, loop } = attached()
  driver.requestTurn()
  driver.requestTurn()
  assert.deepEqual(loop.turnsMs, [])
  await rounds()
  assert.deepEqual(loop.turnsMs, [0])
})

test('while it is held the clock jumps to the alarm', async () => {
  const { driver, loop } = attached()
  driver.hold(true)
  driver.setAlarm(3_600_000)
  await rounds()
  assert.deepEqual(loop.turnsMs, [3_600_000])
  driver.hold(false)
})

test('a turn that is asked for comes before the clock jumps', async () => {
  const { driver, loop } = attached()
  driver.hold(true)
  driver.setAlarm(100)
  driver.requestTurn()
  loop.inTurn = () => {
    if (loop.turnsMs.length === 1) driver.setAlarm(50)
  }
  await rounds()
  assert.deepEqual(loop.turnsMs, [0, 50])
  driver.hold(false)
})

test('an alarm that is overdue does not turn the clock back', async () => {
  const { driver, loop } = attached({ startMs: 500 })
  driver.hold(true)
  driver.setAlarm(100)
  await rounds()
  assert.deepEqual(loop.turnsMs, [500])
  driver.hold(false)
})

test('promises that are due are let through before the clock jumps', async () => {
  const { driver, loop } = attached()
  driver.hold(true)
  driver.setAlarm(100)
  const chain = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await Promise.resolve()
    assert.equal(driver.now(), 0)
    driver.requestTurn()
  }
  await chain()
  loop.inTurn = () => driver.setAlarm(null)
  await rounds(2)
  assert.deepEqual(loop.turnsMs, [0])
  driver.hold(false)
})

test('while nobody holds it no time passes: alarms do not come', async () => {
  const { driver, loop } = attached()
  driver.setAlarm(10)
  await rounds()
  assert.deepEqual(loop.turnsMs, [])
  driver.hold(true)
  await rounds()
  assert.deepEqual(loop.turnsMs, [10])
  driver.hold(false)
})

test('an alarm that was taken back does not come', async () => {
  const { driver, loop } = attached()
  driver.hold(true)
  driver.setAlarm(10)
  driver.setAlarm(null)
  driver.hold(false)
  await rounds()
  assert.deepEqual(loop.turnsMs, [])
})

test('with nothing to do and nowhere to jump to the loop is told that it is stalled, once', async () => {
  const { driver, loop } = attached()
  driver.hold(true)
  await rounds(10)
  assert.equal(loop.stalls, 1)
  assert.deepEqual(loop.turnsMs, [])
  driver.hold(false)
})

test('a promise that settles late is waited for one more round', async () => {
  const { driver, loop } = attached()
  driver.hold(true)
  await rounds(1)
  driver.requestTurn()
  loop.inTurn = () => driver.setAlarm(20)
  await rounds(3)
  assert.equal(loop.stalls, 0)
  assert.deepEqual(loop.turnsMs.slice(0, 2), [0, 20])
  loop.inTurn = () => {}
  driver.hold(false)
})

test('nobody is told of a stall while the driver is not held', async () => {
  const { driver, loop } = attached()
  driver.hold(true)
  driver.hold(false)
  await rounds(10)
  assert.equal(loop.stalls, 0)
})

test('afterMicrotasks comes after the promise callbacks that are due', async () => {
  const { driver } = attached()
  let done = false
  driver.afterMicrotasks(() => {
    done = true
  })
  for (let i = 0; i < 100; i++) await Promise.resolve()
  assert.equal(done, false)
  await rounds(1)
  assert.equal(done, true)
})
