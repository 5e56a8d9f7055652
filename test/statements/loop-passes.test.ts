/** S1-S19: passes of the loop, their order, handles, and errors that nobody receives. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ClosedError,
  ContextVar,
  createTask,
  getRunningLoop,
  MisuseError,
  run,
  sleep,
  sleepForever,
  type ExceptionContext,
  type Handle,
  type TimerHandle,
} from 'cede'
import { Loop } from '../../packages/cede/src/core/loop.ts'
import { Diary } from '../support/diary.ts'
import { isCollected } from '../support/garbage.ts'
import { ManualDriver } from '../support/manual-driver.ts'
import { Sim, simulate } from '../support/sim.ts'

test('S1: callbacks run in the order of registration, each exactly once', () =>
  simulate(function* () {
    const diary = new Diary()
    const loop = getRunningLoop()
    for (const name of ['a', 'b', 'c']) loop.callSoon(diary.writer(name))
    yield* sleep(0)
    yield* sleep(0)
    diary.expect('a', 'b', 'c')
  }))

test('S1: callbacks registered from outside the loop share that order', async () => {
  const sim = new Sim()
  const diary = new Diary()
  await sim.run(function* () {
    sim.loop.callSoon(diary.writer('inside'))
    // A microtask runs after the step: on this thread, but in no step and no callback of the loop.
    queueMicrotask(() => {
      sim.loop.callSoon(diary.writer('outside 1'))
      sim.loop.callSoon(diary.writer('outside 2'))
    })
    yield* sleep(1)
    diary.expect('inside', 'outside 1', 'outside 2')
  })
  await sim.end()
})

test('S2: a pass runs what was ready when it began; what that schedules belongs to the next pass', () =>
  simulate(function* () {
    const diary = new Diary()
    const loop = getRunningLoop()
    const first = loop.passes + 1
    const note = (name: string) => () => diary.write(`${name} in pass ${loop.passes - first}`)
    loop.callSoon(() => {
      note('a')()
      loop.callSoon(() => {
        note('from a')()
        loop.callSoon(note('from from a'))
      })
    })
    loop.callSoon(note('b'))
    yield* sleep(1)
    diary.expect('a in pass 0', 'b in pass 0', 'from a in pass 1', 'from from a in pass 2')
  }))

test('S2 (ours): passes run back to back within a time budget, then the driver has its turn', () => {
  const driver = new ManualDriver()
  const loop = new Loop(driver)
  const diary = new Diary()
  const chain = (left: number, costMs: number) => () => {
    diary.write(`left ${left}`)
    driver.nowMs += costMs
    if (left > 0) loop.callSoon(chain(left - 1, costMs))
  }
  loop.callSoon(chain(3, 0))
  assert.equal(driver.turns(), 1)
  diary.expect('left 3', 'left 2', 'left 1', 'left 0')

  // The clock is read after 1, 2, 4 ... steps of a turn, so time is noticed after some passes at the latest.
  loop.callSoon(chain(200, 0.05))
  const turns = driver.turns()
  assert.ok(turns > 3 && turns < 100, `expected some turns for 10 ms of work, found ${turns}`)
  assert.equal(diary.entries.length, 201)
})

test('S3: with something ready the driver is asked for a turn now', () => {
  const driver = new ManualDriver()
  const loop = new Loop(driver)
  loop.callSoon(() => {})
  assert.equal(driver.turnAsked, true)
  driver.turn()
  assert.equal(driver.turnAsked, false)
  assert.equal(driver.alarmMs, null)
})

test('S3: with nothing ready the alarm is set for the earliest live timer; cancelled ones are ignored', () => {
  const driver = new ManualDriver()
  const loop = new Loop(driver)
  let early: TimerHandle | null = null
  loop.callSoon(() => {
    early = loop.callLater(10, () => assert.fail('was cancelled'))
    loop.callLater(20, () => {})
    loop.callLater(30, () => {})
  })
  driver.turn()
  assert.equal(driver.alarmMs, 10)
  loop.callSoon(() => early!.cancel())
  driver.turn()
  assert.equal(driver.alarmMs, 20)
  driver.ring()
  assert.equal(driver.nowMs, 20)
  assert.equal(driver.alarmMs, 30)
})

test('S3 (ours): there is no longest wait; a timer may be years away', () => {
  const driver = new ManualDriver()
  const loop = new Loop(driver)
  const years = 10 * 365 * 24 * 3_600_000
  loop.callSoon(() => void loop.callLater(years, () => {}))
  driver.turn()
  assert.equal(driver.alarmMs, years)
})

test('S4: callLater(0) runs behind every callSoon of its pass and ahead of what those schedule', () =>
  simulate(function* () {
    const diary = new Diary()
    const loop = getRunningLoop()
    loop.callSoon(() => {
      loop.callLater(0, diary.writer('timer'))
      loop.callSoon(() => {
        diary.write('soon')
        loop.callSoon(diary.writer('from soon'))
      })
    })
    loop.callSoon(() => {
      loop.callSoon(() => {
        diary.write('later soon')
        loop.callSoon(diary.writer('from later soon'))
      })
    })
    yield* sleep(1)
    diary.expect('soon', 'later soon', 'timer', 'from soon', 'from later soon')
  }))

test('S5: timers act by deadline, also when all are overdue', () =>
  simulate(function* () {
    const diary = new Diary()
    const loop = getRunningLoop()
    loop.callLater(-1, diary.writer('-1'))
    loop.callLater(-2, diary.writer('-2'))
    loop.callAt(-10, diary.writer('at -10'))
    loop.callLater(0, diary.writer('0'))
    yield* sleep(1)
    diary.expect('at -10', '-2', '-1', '0')
  }))

test('S5 (ours): equal deadlines act in the order of creation', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const loop = getRunningLoop()
    loop.callLater(20, diary.writer('a, in 20'))
    loop.callAt(20, diary.writer('b, at 20'))
    yield* sleep(10)
    loop.callLater(10, diary.writer('c, in 10'))
    loop.callAt(20, diary.writer('d, at 20'))
    sim.elapse(100)
    loop.callAt(20, diary.writer('e, at 20'))
    yield* sleep(1)
    // c was armed in the step in which 100 ms passed: it counts from the end of that.
    diary.expect('a, in 20', 'b, at 20', 'd, at 20', 'e, at 20')
    yield* sleep(10)
    diary.expect('c, in 10')
  }))

test('S6 (ours): a timer never acts early, and the driver is asked once for a tiny delay', () => {
  const driver = new ManualDriver()
  const loop = new Loop(driver)
  const diary = new Diary()
  loop.callSoon(() => void loop.callLater(0.001, diary.writer('woken')))
  driver.turn()
  assert.equal(driver.alarmMs, 0.001)
  driver.nowMs = 0.0009
  driver.turn()
  diary.expect()
  assert.equal(driver.turnAsked, false, 'the loop must not spin until the deadline')
  assert.equal(driver.alarmMs, 0.001)
  driver.ring()
  diary.expect('woken')
})

test('S6: a delay that is no number is refused at the call', () =>
  simulate(function* () {
    const loop = getRunningLoop()
    const found = /a number of milliseconds, found/
    assert.throws(() => loop.callLater(null as never, () => {}), found)
    assert.throws(() => loop.callLater(undefined as never, () => {}), RangeError)
    assert.throws(() => loop.callLater(NaN, () => {}), RangeError)
    assert.throws(() => loop.callAt('5' as never, () => {}), found)
    assert.throws(() => loop.callAt(NaN, () => {}), RangeError)
    assert.throws(() => sleep(NaN), MisuseError)
    assert.throws(() => sleep(null as never), TypeError)
    yield* sleep(0)
  }))

test('S7 (ours): a cancelled timer is out of the loop at once', () =>
  simulate(function* () {
    const loop = getRunningLoop()
    const handles = Array.from({ length: 200 }, (_, i) =>
      loop.callLater(i + 1, () => assert.fail('cancelled')),
    )
    const live = loop.callLater(500, () => {})
    assert.equal([...loop.timers].length, 201)
    for (const handle of handles) handle.cancel()
    assert.deepEqual([...loop.timers], [live])
    assert.equal(loop.timers.nextDeadlineMs(), 500)
    yield* sleep(500)
  }))

test('S7 (ours): a cancelled timer is let go of while others wait', async () => {
  const driver = new ManualDriver()
  const loop = new Loop(driver)
  loop.callLater(1_000, () => {})
  const ref = (() => {
    const handle = loop.callLater(1_000, () => {})
    loop.callLater(1_000, () => {})
    handle.cancel()
    return new WeakRef(handle)
  })()
  assert.equal(await isCollected(ref), true)
  assert.equal([...loop.timers].length, 2)
})

test('S8: a cancelled handle never runs, whether it was ready, waiting for its time, or due', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const loop = getRunningLoop()
    const soon = loop.callSoon(() => assert.fail('was cancelled'))
    const later = loop.callLater(5, () => assert.fail('was cancelled'))
    soon.cancel()
    later.cancel()
    assert.deepEqual([soon.cancelled(), later.cancelled()], [true, true])

    // Both are due in one pass, and the first takes the second back from the ready queue.
    loop.callLater(10, () => {
      second.cancel()
      diary.write('first')
    })
    const second = loop.callLater(11, () => assert.fail('was cancelled'))
    yield* sleep(1)
    sim.elapse(20)
    yield* sleep(1)
    diary.expect('first')
    assert.equal(second.cancelled(), true)
    second.cancel()
  }))

test('S8: a cancelled handle lets go of its callback', async () => {
  const loop = new Loop(new ManualDriver())
  const kept: (Handle | TimerHandle)[] = []
  const refs = [
    (callback: () => void) => loop.callSoon(callback),
    (callback: () => void) => loop.callLater(1_000, callback),
  ].map((schedule) => {
    const held = { big: 'data' }
    const handle = schedule(() => assert.ok(held.big))
    kept.push(handle)
    handle.cancel()
    return new WeakRef(held)
  })
  for (const ref of refs) assert.equal(await isCollected(ref), true)
  assert.equal(kept.length, 2)
})

test('S9: an error in a callback goes to the exception handler, and the loop goes on', async () => {
  const reports: ExceptionContext[] = []
  const error = new Error('mine')
  const diary = new Diary()
  await simulate(
    function* () {
      const loop = getRunningLoop()
      loop.callSoon(function namedByMe() {
        throw error
      })
      loop.callSoon(diary.writer('next'))
      loop.callLater(5, () => {
        throw error
      })
      yield* sleep(10)
      diary.expect('next')
    },
    { reports },
  )
  assert.deepEqual(
    reports.map(({ message, error }) => ({ message, error })),
    [
      { message: 'a callback (namedByMe) threw', error },
      { message: 'a callback (anonymous) threw', error },
    ],
  )
})

test('S10 (ours): close() of a runner may be called twice; afterwards it takes no main', async () => {
  const sim = new Sim()
  assert.equal(await sim.run(() => sleep(5, 'value')), 'value')
  await Promise.all([sim.runner.close(), sim.runner.close()])
  await sim.runner.close()
  assert.throws(() => sim.run(() => sleep(0)), ClosedError)
  await sim.end()
})

test('S10 (ours): close() is refused inside a coroutine of the loop', async () => {
  const sim = new Sim()
  await sim.run(function* () {
    yield* sleep(0)
    return assert.rejects(sim.runner.close(), MisuseError)
  })
  await sim.end()
})

test('S14 (ours): a main that failed leaves nothing that could end a later one', async () => {
  const sim = new Sim()
  const error = new Error('first')
  await assert.rejects(
    sim.run(function* () {
      yield* sleep(5)
      throw error
    }),
    (found) => found === error,
  )
  assert.equal(await sim.run(() => sleep(100, 'second')), 'second')
  assert.equal(sim.now(), 105)
  await sim.end()
})

test('S15: run() inside a coroutine of the loop is refused', () =>
  simulate(function* () {
    yield* sleep(0)
    assert.throws(() => run(sleep(0)), /run\(\) was called inside task main.*write `yield\* operation`/)
    assert.throws(() => run(sleep(0)), TypeError)
  }))

test('S15: a turn of the loop inside a turn is refused', () =>
  simulate(function* (sim) {
    assert.throws(() => sim.loop.turn(), MisuseError)
    let inCallback: unknown
    sim.loop.callSoon(() => {
      try {
        sim.loop.turn()
      } catch (error) {
        inCallback = error
      }
    })
    yield* sleep(0)
    yield* sleep(0)
    assert.ok(inCallback instanceof MisuseError)
  }))

test('S16 (ours): callSoon from outside wakes a loop that waits for a timer', async () => {
  const sim = new Sim()
  const diary = new Diary()
  await sim.run(function* () {
    // Called while nothing is ready and the alarm is an hour away.
    setImmediate(() => sim.loop.callSoon(() => diary.write(`woken at ${sim.now()}`)))
    yield* sleep(0)
    yield* sleep(0)
    yield* sleep(3_600_000)
  })
  diary.expect('woken at 0')
  await sim.end()
})

test('S16 (ours): a handle may be cancelled from outside until it starts', async () => {
  const sim = new Sim()
  await sim.run(function* () {
    const handle = sim.loop.callLater(10, () => assert.fail('was cancelled'))
    queueMicrotask(() => handle.cancel())
    yield* sleep(20)
  })
  await sim.end()
})

test('S17: what is no function is refused as a callback, and so is a generator function', () =>
  simulate(function* () {
    const loop = getRunningLoop()
    const body = function* (): Generator<never, void> {}
    for (const wrong of [null, 'text', {}, body()]) {
      assert.throws(() => loop.callSoon(wrong as never), TypeError)
      assert.throws(() => loop.callLater(5, wrong as never), MisuseError)
      assert.throws(() => loop.callAt(5, wrong as never), /callAt\(\): a function was expected/)
    }
    assert.throws(() => loop.callSoon(body as never), /write `createTask\(operation\)`/)
    yield* sleep(0)
  }))

test('S17: in debug mode a slow step is reported with its task, also if it started an eager task meanwhile', async () => {
  const reports: ExceptionContext[] = []
  await simulate(
    function* (sim) {
      sim.elapse(150)
      createTask(elapsing(sim, 20), { name: 'fast', eager: true })
      createTask(elapsing(sim, 120), { name: 'slow', eager: true })
      yield* sleep(1)
    },
    { reports, debug: true },
  )
  assert.deepEqual(
    reports.map(({ message, task }) => [task?.name, /held the loop for (\d+) ms/.exec(message)?.[1]]),
    [
      ['slow', '120'],
      ['main', '290'],
    ],
  )
})

function* elapsing(sim: Sim, ms: number) {
  sim.elapse(ms)
}

test('S18: an exception handler that throws is reported through the default one, and so is what it was told', async (t) => {
  const printed = t.mock.method(console, 'error', () => {})
  const mine = new Error('from the callback')
  const broken = new Error('from the handler')
  const sim = new Sim()
  sim.runner.exceptionHandler = () => {
    throw broken
  }
  await sim.run(function* () {
    sim.loop.callSoon(() => {
      throw mine
    })
    yield* sleep(1)
  })
  await sim.end()
  const all = printed.mock.calls.flatMap((call) => call.arguments as unknown[])
  const threw = all.findIndex((part) => String(part).includes('the exception handler threw'))
  const told = all.findIndex((part) => /a callback .* threw/.test(String(part)))
  assert.ok(threw >= 0 && told > threw, 'both are told')
  assert.ok(all.indexOf(broken) > threw && all.indexOf(mine) > told, 'each with its error')
})

test('S18: a default handler that throws is only logged', async (t) => {
  const printed: unknown[][] = []
  const broken = new Error('the console is broken')
  t.mock.method(console, 'error', (...args: unknown[]) => {
    printed.push(args)
    if (printed.length === 1) throw broken
  })
  const sim = new Sim()
  sim.runner.exceptionHandler = null
  await sim.run(function* () {
    sim.loop.callSoon(() => {
      throw new Error('mine')
    })
    yield* sleep(1)
  })
  await sim.end()
  const logged = printed.slice(1).flat()
  assert.ok(logged.some((part) => String(part).includes('the default exception handler threw')))
  assert.ok(logged.includes(broken))
})

const user = new ContextVar('user', { default: 'nobody' })

test('S18: the exception handler runs in the context of the callback or task that failed', async () => {
  const sim = new Sim()
  const seen: string[] = []
  sim.runner.exceptionHandler = ({ message }) => void seen.push(`${message}: ${user.get()}`)
  await sim.run(function* () {
    user.set('callback')
    sim.loop.callSoon(() => {
      throw new Error('mine')
    })
    user.set('main')
    createTask(failingAs('task'), { name: 'failing' })
    yield* sleep(1)
  })
  await sim.end()
  assert.deepEqual(seen, [
    'a callback (anonymous) threw: callback',
    'task failing failed and nobody waits for it: task',
  ])
})

function* failingAs(name: string) {
  user.set(name)
  yield* sleep(0)
  throw new Error('mine')
}

test('S19: a task made for a closed runner is refused, and its body never begins', async () => {
  const sim = new Sim({ debug: true })
  const diary = new Diary()
  function* body() {
    diary.write('begun')
    yield* sleep(0)
  }
  await sim.run(function* () {
    // Left over when the main ends, so it runs after the runner was closed.
    sim.loop.callLater(5, () => {
      diary.write('callback')
      assert.throws(() => createTask(body()), ClosedError)
    })
    createTask(sleepForever())
    yield* sleep(1)
  })
  await sim.runner.close()
  await run(() => sleep(10), { driver: sim.driver })
  diary.expect('callback')
  await sim.end()
})

test('S19: outside of a running loop a task is refused', () => {
  const diary = new Diary()
  function* body() {
    diary.write('begun')
    yield* sleep(0)
  }
  assert.throws(() => createTask(body()), /createTask\(\): .*found no running loop; use `run\(main\)`/)
  assert.throws(() => getRunningLoop(), ClosedError)
  diary.expect()
})
