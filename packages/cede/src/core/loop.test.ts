import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Diary } from '../../../../test/support/diary.ts'
import { ManualDriver } from '../../../../test/support/manual-driver.ts'
import { Sim, simulate } from '../../../../test/support/sim.ts'
import { createTask, getRunningLoop } from './current.ts'
import { Loop } from './loop.ts'
import { RunnerCore, type ExceptionContext } from './runner.ts'
import { checkpoint, sleep, sleepForever } from './sleep.ts'
import { suspend } from './suspend.ts'
import type { Operation, Wait } from './suspension.ts'
import type { Task } from './task.ts'
import { describeTasks } from '../debug/dump.ts'
import { printReport } from '../debug/report.ts'

const reporters = { defaultExceptionHandler: printReport, describeTasks }

function made(options?: { readonly shuffleSeed?: number }): {
  driver: ManualDriver
  loop: Loop
  diary: Diary
} {
  const driver = new ManualDriver()
  return { driver, loop: new Loop(driver, options), diary: new Diary() }
}

test('time() is the clock of the driver, read anew at each call', () => {
  const { driver, loop } = made()
  driver.nowMs = 5
  assert.equal(loop.time(), 5)
  loop.callSoon(() => {
    assert.equal(loop.time(), 5)
    driver.nowMs = 17
    assert.equal(loop.time(), 17)
  })
  driver.turn()
})

test('callSoon, callLater and callAt call once, in their time, without arguments', () => {
  const { driver, loop, diary } = made()
  const note =
    (name: string) =>
    (...args: unknown[]) =>
      diary.write(`${name} at ${loop.time()}, ${args.length} arguments`)
  driver.nowMs = 100
  loop.callAt(130, note('at'))
  loop.callLater(20, note('later'))
  loop.callSoon(note('soon'))
  driver.turns()
  while (driver.alarmMs !== null) driver.ring()
  diary.expect('soon at 100, 0 arguments', 'later at 120, 0 arguments', 'at at 130, 0 arguments')
  driver.nowMs = 500
  driver.turn()
  diary.expect()
})

test('an idle loop asks for nothing; asking twice before a turn is one turn', () => {
  const { driver, loop, diary } = made()
  assert.equal(driver.turnAsked, false)
  loop.callSoon(diary.writer('a'))
  loop.callSoon(diary.writer('b'))
  assert.equal(driver.turns(), 1)
  assert.equal(driver.alarmMs, null)
  diary.expect('a', 'b')
})

test('a timer armed from outside of a turn counts from now, not from the last turn', () => {
  const { driver, loop, diary } = made()
  loop.callSoon(() => {})
  driver.turn()
  driver.nowMs = 1_000
  const handle = loop.callLater(10, diary.writer('acted'))
  assert.equal(handle.when(), 1_010)
  assert.equal(driver.alarmMs, 1_010)
  driver.nowMs = 1_009.9
  driver.turn()
  diary.expect()
  driver.ring()
  diary.expect('acted')
})

test('an earlier timer armed from outside moves the alarm, a later one does not', () => {
  const { driver, loop } = made()
  loop.callLater(50, () => {})
  assert.equal(driver.alarmMs, 50)
  loop.callLater(80, () => {})
  assert.equal(driver.alarmMs, 50)
  loop.callAt(20, () => {})
  assert.equal(driver.alarmMs, 20)
})

test('a timer armed after a long computation is late, never early', () => {
  const { driver, loop, diary } = made()
  loop.callSoon(() => {
    driver.nowMs += 70 // computes, and the loop has not read the clock since
    loop.callLater(10, () => diary.write(`acted at ${driver.nowMs}`))
    driver.nowMs += 5
  })
  driver.turn()
  assert.ok(driver.alarmMs !== null && driver.alarmMs >= 80, `found an alarm at ${String(driver.alarmMs)}`)
  driver.ring()
  diary.expect('acted at 85')
})

test('overdue timers all act in one pass, by deadline', () => {
  const { driver, loop, diary } = made()
  for (const ms of [30, 10, 20]) loop.callLater(ms, () => diary.write(`${ms} in pass ${loop.passes}`))
  driver.nowMs = 100
  driver.turn()
  diary.expect('10 in pass 1', '20 in pass 1', '30 in pass 1')
})

test('timers take their place behind what is ready when a pass begins', () => {
  const { driver, loop, diary } = made()
  loop.callLater(10, diary.writer('timer'))
  driver.nowMs = 10
  loop.callSoon(() => {
    diary.write('ready')
    loop.callSoon(diary.writer('next pass'))
  })
  driver.turn()
  diary.expect('ready', 'timer', 'next pass')
})

test('a turn that has used its time ends, and asks for the next one', () => {
  const { driver, loop } = made()
  let passes = 0
  const again = (): void => {
    passes++
    driver.nowMs += 0.02
    loop.callSoon(again)
  }
  loop.callSoon(again)
  for (let turn = 1; turn <= 5; turn++) {
    driver.turn()
    assert.equal(driver.turnAsked, true)
    assert.ok(passes >= turn * 10 && passes <= turn * 42, `${passes} passes after ${turn} turns`)
  }
})

test('the clock is read once in some steps, not at every one', () => {
  const { driver, loop } = made()
  for (let i = 0; i < 3_200; i++) loop.callSoon(() => {})
  const before = driver.readings
  driver.turn()
  assert.ok(driver.readings - before <= 107, `${driver.readings - before} readings`)
})

test('slow steps: each is a turn, so that everybody else waits for one of them', () => {
  const { driver, loop } = made()
  let steps = 0
  const slow = (): void => {
    steps++
    driver.nowMs += 10
    loop.callSoon(slow)
  }
  loop.callSoon(slow)
  for (let turn = 1; turn <= 5; turn++) {
    driver.turn()
    assert.equal(steps, turn)
  }
})

test('a failure is not reported before others could come to wait for it, however slow their steps are', () => {
  const { driver, loop } = made()
  const reports: ExceptionContext[] = []
  const runner = new RunnerCore({ ...reporters, loop, exceptionHandler: (context) => reports.push(context) })
  const { outcome } = runner.start(function* () {
    const failing = createTask(fails())
    for (let i = 0; i < 20; i++) {
      driver.nowMs += 10
      yield* sleep(0)
    }
    try {
      yield* failing
    } catch (error) {
      return error
    }
    return null
  })
  void outcome
  driver.turns()
  assert.deepEqual(reports, [])
  runner.createTask(fails(), {}, 'test')
  driver.turns()
  assert.equal(reports.length, 1)
})

function* fails(): Operation<never> {
  yield* checkpoint()
  throw new Error('on purpose')
}

test('slow operations that need not wait: their task gives way sooner and sooner, and later again when they are quick', () => {
  const { driver, loop } = made()
  const runner = new RunnerCore({ ...reporters, loop })
  let done = 0
  let eachMs = 1
  runner.createTask(
    (function* () {
      for (;;) {
        yield* checkpoint()
        done++
        driver.nowMs += eachMs
      }
    })(),
    {},
    'test',
  )
  const inOneTurn = (): number => {
    const before = done
    driver.turn()
    return done - before
  }
  const first = inOneTurn()
  assert.ok(first >= 128, `${first} operations in the first turn`)
  const slow = Array.from({ length: 6 }, inOneTurn)
  assert.ok(slow.at(-1)! <= 2, `${slow.join(', ')} operations in the turns after`)
  eachMs = 0.000_1
  const quick = Array.from({ length: 10 }, inOneTurn)
  assert.ok(quick.at(-1)! >= 128, `${quick.join(', ')} operations in the turns after that`)
})

test('a pass cut short goes on in the next turn, before anything new and before timers', () => {
  const { driver, loop, diary } = made()
  const count = 200
  for (let i = 0; i < count; i++) {
    loop.callSoon(() => {
      diary.write(`entry ${i}`)
      driver.nowMs += 0.1
      if (i === 0) {
        loop.callSoon(diary.writer('scheduled by the pass'))
        loop.callAt(0, diary.writer('timer'))
      }
    })
  }
  driver.turn()
  const first = diary.entries.length
  assert.ok(first > 0 && first < count, `the first turn ran ${first} of ${count}`)
  assert.equal(loop.passes, 1)
  loop.callSoon(diary.writer('from outside, meanwhile'))
  driver.turns()
  diary.expect(
    ...Array.from({ length: count }, (_, i) => `entry ${i}`),
    'scheduled by the pass',
    'from outside, meanwhile',
    'timer',
  )
  assert.equal(loop.passes, 2)
})

test('an error in a callback does not stop the pass', () => {
  const { driver, loop, diary } = made()
  const reports: ExceptionContext[] = []
  const runner = new RunnerCore({
    ...reporters,
    loop,
    exceptionHandler: (report) => void reports.push(report),
  })
  loop.addRunner(runner)
  const error = new Error('mine')
  loop.callSoon(() => {
    throw error
  })
  loop.callSoon(diary.writer('goes on'))
  driver.turn()
  loop.removeRunner(runner)
  diary.expect('goes on')
  assert.deepEqual(reports, [{ message: 'a callback (anonymous) threw', error }])
})

test('without any run an error in a callback is printed', (t) => {
  const printed = t.mock.method(console, 'error', () => {})
  const { driver, loop } = made()
  const error = new Error('mine')
  loop.callSoon(function named() {
    throw error
  })
  driver.turn()
  assert.deepEqual(printed.mock.calls[0]!.arguments, ['a callback (named) threw', error])
})

test('the driver holds the process only while there are runners', () => {
  const { driver, loop } = made()
  const [one, two] = [new RunnerCore({ ...reporters, loop }), new RunnerCore({ ...reporters, loop })]
  assert.equal(driver.held, false)
  loop.addRunner(one)
  loop.addRunner(two)
  loop.removeRunner(one)
  assert.equal(driver.held, true)
  loop.removeRunner(two)
  assert.equal(driver.held, false)
})

test('tasks() lists what has not ended, of all runners', async () => {
  const sim = new Sim()
  const other = new RunnerCore({ ...reporters, loop: sim.loop })
  const second = other.start(sleep(50))
  await sim.run(function* () {
    createTask(sleep(20), { name: 'background' })
    yield* sleep(10)
    assert.deepEqual(
      [...sim.loop.tasks()].map((task) => task.name),
      ['main', 'main', 'background'],
    )
    yield* sleep(20)
    assert.equal([...sim.loop.tasks()].length, 2)
  })
  await second.outcome
  await other.close()
  await sim.end()
})

test('a callback that was scheduled from outside of the loop belongs to the one run there is, and may make tasks', async () => {
  const sim = new Sim({ reports: [] })
  const diary = new Diary()
  await sim.run(function* () {
    queueMicrotask(() =>
      sim.loop.callSoon(() => {
        assert.equal(getRunningLoop(), sim.loop)
        createTask(sleep(0)).addDoneCallback(diary.writer('done'))
      }),
    )
    yield* sleep(1)
  })
  await sim.end()
  diary.expect('done')
})

// ------------------------------------------------------------------ handles

test('when() tells the due time; a handle that never comes tells Infinity', () => {
  const { driver, loop } = made()
  driver.nowMs = 5
  assert.equal(loop.callLater(10, () => {}).when(), 15)
  assert.equal(loop.callAt(3, () => {}).when(), 3)
  assert.equal(loop.callLater(Infinity, () => {}).when(), Infinity)
  assert.equal(loop.callAt(Infinity, () => {}).when(), Infinity)
  driver.turn()
  assert.equal(driver.alarmMs, 15)
})

test('reschedule() moves a callback later or earlier, and also one that was never to come', () => {
  const { driver, loop, diary } = made()
  const [later, earlier, never] = [
    loop.callLater(10, diary.writer('moved later')),
    loop.callLater(50, diary.writer('moved earlier')),
    loop.callLater(Infinity, diary.writer('was never to come')),
  ]
  assert.deepEqual([later.reschedule(40), earlier.reschedule(20), never.reschedule(30)], [true, true, true])
  assert.deepEqual([later.when(), earlier.when(), never.when()], [40, 20, 30])
  assert.equal(driver.alarmMs, 20)
  while (driver.alarmMs !== null) driver.ring()
  diary.expect('moved earlier', 'was never to come', 'moved later')
})

test('reschedule() to Infinity keeps a callback from coming, until it is moved again', () => {
  const { driver, loop, diary } = made()
  const handle = loop.callLater(10, diary.writer('acted'))
  loop.callLater(100, () => {})
  assert.equal(handle.reschedule(Infinity), true)
  assert.equal(handle.when(), Infinity)
  driver.nowMs = 50
  driver.turn()
  diary.expect()
  assert.equal(handle.reschedule(10), true)
  driver.ring()
  diary.expect('acted')
  assert.equal(driver.nowMs, 60)
})

test('reschedule() of a callback that has run, is about to run or was cancelled moves nothing', () => {
  const { driver, loop, diary } = made()
  const ran = loop.callLater(0, diary.writer('ran'))
  driver.turn()
  const cancelled = loop.callLater(10, diary.writer('cancelled'))
  cancelled.cancel()
  const mover = (): void => assert.equal(due.reschedule(100), false)
  loop.callLater(10, mover)
  const due = loop.callLater(10, diary.writer('due'))
  driver.ring()
  assert.deepEqual([ran.reschedule(5), cancelled.reschedule(5), due.reschedule(5)], [false, false, false])
  diary.expect('ran', 'due')
  assert.equal(driver.alarmMs, null)
})

test('reschedule() with what is no number is refused and leaves the callback where it was', () => {
  const { driver, loop, diary } = made()
  const handle = loop.callLater(10, diary.writer('acted'))
  assert.throws(() => handle.reschedule(NaN), /reschedule\(\): a duration was expected/)
  assert.throws(() => handle.reschedule('20' as never), RangeError)
  assert.equal(handle.when(), 10)
  driver.ring()
  diary.expect('acted')
})

test('cancel() takes a callback back; after it has run it changes nothing', () => {
  const { driver, loop, diary } = made()
  const [soon, later] = [loop.callSoon(diary.writer('soon')), loop.callLater(5, diary.writer('later'))]
  const gone = [loop.callSoon(diary.writer('never')), loop.callLater(5, diary.writer('never'))]
  for (const handle of gone) handle.cancel()
  driver.turn()
  driver.ring()
  diary.expect('soon', 'later')
  assert.deepEqual([soon.cancelled(), later.cancelled()], [false, false])
  assert.deepEqual(
    gone.map((handle) => handle.cancelled()),
    [true, true],
  )
})

test('a cancelled timer does not wake the driver', () => {
  const { driver, loop } = made()
  const handle = loop.callLater(5, () => {})
  handle.cancel()
  // The alarm may come; then there is nothing to do, and no other is set.
  driver.nowMs = 5
  driver.turn()
  assert.equal(driver.alarmMs, null)
  assert.equal(driver.turnAsked, false)
})

// ------------------------------------------------------------------ shuffling

function shuffled(seed: number | undefined): string[] {
  const { driver, loop, diary } = made(seed === undefined ? {} : { shuffleSeed: seed })
  for (let i = 0; i < 6; i++) {
    loop.callSoon(() => {
      diary.write(`first ${i}`)
      loop.callSoon(diary.writer(`second ${i}`))
    })
  }
  driver.turns()
  return diary.entries
}

test('a seed gives each pass an order of its own, the same for the same seed', () => {
  const plain = shuffled(undefined)
  const orders = new Set<string>()
  for (let seed = 1; seed <= 20; seed++) {
    const order = shuffled(seed)
    assert.deepEqual(order, shuffled(seed))
    assert.deepEqual(new Set(order.slice(0, 6)), new Set(plain.slice(0, 6)), 'passes are not mixed')
    assert.deepEqual(new Set(order), new Set(plain))
    orders.add(order.join())
  }
  assert.ok(orders.size > 15, `only ${orders.size} orders`)
})

// ------------------------------------------------------------------ instruments

test('an instrument sees the life of a task', async () => {
  const sim = new Sim()
  const diary = new Diary()
  const named =
    (what: string) =>
    (task: Task): void =>
      diary.write(`${what} ${task.name}`)
  const takeOff = sim.loop.addInstrument({
    taskCreated: named('created'),
    stepBegins: named('step'),
    stepEnds: named('end of step'),
    parked: (task, wait) => diary.write(`${task.name} parked on ${wait.describe().what}`),
    resumed: (task, wait) => diary.write(`${task.name} resumed from ${wait.describe().what}`),
    unparked: (task, wait) => diary.write(`${task.name} unparked from ${wait.describe().what}`),
    taskDone: named('done'),
  })
  await sim.run(function* () {
    const task = createTask(sleepForever(), { name: 'forever' })
    yield* sleep(5)
    task.cancel()
    yield* task.join()
    takeOff()
    yield* sleep(0)
  })
  await sim.end()
  diary.expect(
    'created main',
    'step main',
    'created forever',
    'main parked on sleep of 5 ms',
    'end of step main',
    'step forever',
    'forever parked on for ever, until cancelled',
    'end of step forever',
    'main resumed from sleep of 5 ms',
    'step main',
    'forever unparked from for ever, until cancelled',
    'main parked on task forever',
    'end of step main',
    'step forever',
    'done forever',
    'main resumed from task forever',
    'end of step forever',
    'step main',
  )
})

test('turns are told to instruments', () => {
  const { driver, loop, diary } = made()
  loop.addInstrument({ turnBegins: diary.writer('begins'), turnEnds: diary.writer('ends') })
  loop.callSoon(diary.writer('callback'))
  driver.turns()
  diary.expect('begins', 'callback', 'ends')
})

test('an instrument that throws is reported and taken off; the others go on', async () => {
  const reports: ExceptionContext[] = []
  const error = new Error('from the instrument')
  const seen: string[] = []
  await simulate(
    function* (sim) {
      let calls = 0
      sim.loop.addInstrument({
        stepBegins() {
          calls++
          throw error
        },
      })
      sim.loop.addInstrument({ stepBegins: (task) => void seen.push(task.name) })
      const task = createTask(sleep(5), { name: 'watched' })
      yield* task
      assert.equal(calls, 1)
    },
    { reports },
  )
  assert.deepEqual(reports, [{ message: 'an instrument threw and was taken off', error }])
  assert.deepEqual(seen, ['watched', 'watched', 'main'])
})

test('a wait whose park throws fails in the coroutine, and instruments see it ended', () =>
  simulate(function* () {
    const broken: Wait = {
      park() {
        throw new Error('cannot park')
      },
      unpark: () => assert.fail('was never parked'),
      describe: () => ({ what: 'a broken wait' }),
    }
    try {
      yield* suspend(broken)
      assert.fail('must throw')
    } catch (error) {
      assert.match(String(error), /cannot park/)
    }
    yield* sleep(5)
    assert.equal(getRunningLoop().time(), 5)
  }))

test('a wait whose park throws after it has resumed the task is reported, and the value arrives', async () => {
  const reports: ExceptionContext[] = []
  const error = new Error('too late')
  const hasty: Wait = {
    park(task) {
      task.resume('value')
      throw error
    },
    unpark() {},
    describe: () => ({ what: 'a hasty wait' }),
  }
  const value = await simulate(() => suspend<string>(hasty), { reports })
  assert.equal(value, 'value')
  assert.deepEqual(
    reports.map((report) => [report.message, report.error]),
    [['a wait of task main threw while it was parked on', error]],
  )
})
