// DESIGN.md "Cancellation" 7: cleanup has a grace. When it is spent the task is reported with its stack and its
// cleanup is unwound as well.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  cancelAndWait,
  createTask,
  run,
  sleep,
  sleepForever,
  taskGroup,
  timeoutOr,
  withScope,
  type CancelScope,
  type Operation,
  type Suspension,
} from 'cede'
import { SimDriver } from 'cede/lowlevel'
import { Diary } from '../support/diary.ts'
import { simulate, type Sim } from '../support/sim.ts'
import { thrownBy } from '../support/thrown-by.ts'

/** Its cleanup takes `ms`, and has a cleanup of its own. */
function* slowCleanup(diary: Diary, ms: number, name = 'cleanup'): Generator<Suspension, void> {
  try {
    yield* sleepForever()
  } finally {
    try {
      yield* sleep(ms)
      diary.timed(`${name} ended`)
    } finally {
      diary.timed(`${name} left`)
    }
  }
}

function* around(diary: Diary, inner: Operation<unknown>): Generator<Suspension, void> {
  try {
    yield* inner
    diary.write('went on')
  } finally {
    diary.timed('outer cleanup')
  }
}

function takeReports(sim: Sim): string[] {
  return sim.reports.splice(0).map(({ message }) => message)
}

test("by default cleanup has the runner's cleanupGraceMs: 10 seconds", () =>
  simulate(
    function* (sim) {
      const diary = new Diary()
      const task = createTask(around(diary, slowCleanup(diary, 60_000)))
      yield* sleep(5)
      assert.equal((yield* cancelAndWait(task, { reason: 'mine' })).status, 'cancelled')
      diary.expect('10005 cleanup left', '10005 outer cleanup')
      assert.equal(takeReports(sim).length, 1)
    },
    { reports: [] },
  ))

test('cleanupGraceMs of the run is used where cancel gives none', () =>
  simulate(
    function* (sim) {
      const diary = new Diary()
      const task = createTask(slowCleanup(diary, 60_000))
      yield* sleep(5)
      yield* cancelAndWait(task)
      diary.expect('205 cleanup left')
      assert.equal(yield* timeoutOr(10, slowCleanup(diary, 60_000), 'cut'), 'cut')
      diary.expect('415 cleanup left')
      assert.equal(takeReports(sim).length, 2)
    },
    { reports: [], cleanupGraceMs: 200 },
  ))

test('graceMs of cancel goes before it, longer or shorter', () =>
  simulate(
    function* (sim) {
      for (const graceMs of [50, 5_000]) {
        const diary = new Diary()
        const task = createTask(slowCleanup(diary, 60_000))
        yield* sleep(0)
        const begunMs = sim.now()
        yield* cancelAndWait(task, { graceMs })
        diary.expect(`${begunMs + graceMs} cleanup left`)
      }
      assert.equal(takeReports(sim).length, 2)
    },
    { reports: [], cleanupGraceMs: 200 },
  ))

test('the report names the task and shows where its cleanup waits', () =>
  simulate(
    function* (sim) {
      function* whereItHangs(): Generator<Suspension, void> {
        yield* sleepForever()
      }
      function* hangs(): Generator<Suspension, void> {
        try {
          yield* sleepForever()
        } finally {
          yield* whereItHangs()
        }
      }
      const task = createTask(hangs(), { name: 'the stubborn one' })
      yield* sleep(0)
      yield* cancelAndWait(task, { graceMs: 100 })
      const [report] = sim.reports
      assert.equal(sim.reports.length, 1)
      assert.equal(report!.task, task)
      assert.match(report!.message, /the cleanup of task the stubborn one was cut short/)
      assert.match(report!.stack ?? '', /at whereItHangs .*grace\.test\.ts[^]*at hangs .*grace\.test\.ts/)
    },
    { reports: [] },
  ))

test('cleanup that ends within its grace is not reported, also at the last moment', () =>
  simulate(function* () {
    const diary = new Diary()
    for (const ms of [0, 99]) {
      const task = createTask(slowCleanup(diary, ms))
      yield* sleep(1)
      yield* cancelAndWait(task, { graceMs: 100 })
    }
    diary.expect('1 cleanup ended', '1 cleanup left', '101 cleanup ended', '101 cleanup left')
  }))

test('the grace is for each frame that cleans up as long as unwinding goes on, and not anew for each', () =>
  simulate(
    function* (sim) {
      const diary = new Diary()
      function* chain(depth: number): Generator<Suspension, void> {
        try {
          if (depth > 1) yield* chain(depth - 1)
          else yield* sleepForever()
        } finally {
          yield* sleep(40)
          diary.timed(`level ${depth}`)
        }
      }
      const task = createTask(chain(4))
      yield* sleep(0)
      yield* cancelAndWait(task, { graceMs: 100 })
      diary.expect('40 level 1', '80 level 2')
      assert.equal(sim.now(), 100)
      assert.equal(takeReports(sim).length, 1)
    },
    { reports: [] },
  ))

test('cancelling again while it cleans up can shorten the grace, and cannot lengthen it', () =>
  simulate(
    function* (sim) {
      const diary = new Diary()
      const task = createTask(slowCleanup(diary, 60_000))
      yield* sleep(0)
      task.cancel({ graceMs: 1_000 })
      yield* sleep(100)
      task.cancel({ graceMs: 5_000 })
      yield* sleep(100)
      task.cancel({ graceMs: 50 })
      task.cancel()
      yield* task.join()
      diary.expect('250 cleanup left')
      assert.equal(takeReports(sim).length, 1)

      const lenient = createTask(slowCleanup(diary, 60_000))
      yield* sleep(0)
      lenient.cancel({ graceMs: 1_000 })
      yield* sleep(100)
      lenient.cancel({ graceMs: 5_000 })
      yield* lenient.join()
      diary.expect('1250 cleanup left')
      assert.equal(takeReports(sim).length, 1)
    },
    { reports: [] },
  ))

test('the grace of an outer scope limits the cleanup of an inner one', () =>
  simulate(
    function* (sim) {
      const diary = new Diary()
      let inner: CancelScope | undefined
      const task = createTask(
        around(
          diary,
          withScope((scope) => {
            inner = scope
            return slowCleanup(diary, 60_000)
          }),
        ),
      )
      yield* sleep(0)
      inner!.cancel({ graceMs: 5_000 })
      yield* sleep(100)
      task.cancel({ graceMs: 50 })
      assert.equal((yield* task.join()).status, 'cancelled')
      diary.expect('150 cleanup left', '150 outer cleanup')
      assert.equal(takeReports(sim).length, 1)
    },
    { reports: [] },
  ))

test('when unwinding goes on to a scope that was cancelled later, that one has the grace of its own cancel', () =>
  simulate(
    function* (sim) {
      for (const cleanupMs of [40, 60_000]) {
        const diary = new Diary()
        const begunMs = sim.now()
        let inner: CancelScope | undefined
        function* outer(): Generator<Suspension, void> {
          try {
            yield* withScope((scope) => {
              inner = scope
              return slowCleanup(diary, cleanupMs, 'inner')
            })
          } finally {
            yield* sleep(1_000)
            diary.write('outer ended')
          }
        }
        const task = createTask(outer())
        yield* sleep(0)
        inner!.cancel({ graceMs: 50 })
        yield* sleep(10)
        task.cancel()
        assert.equal((yield* task.join()).status, 'cancelled')
        const cut = cleanupMs > 50
        const ended = `${begunMs + cleanupMs} inner ended`
        diary.expect(
          ...(cut ? [`${begunMs + 50} inner left`] : [ended, `${begunMs + cleanupMs} inner left`]),
          'outer ended',
        )
        assert.equal(takeReports(sim).length, cut ? 1 : 0)
      }
    },
    { reports: [] },
  ))

test('the grace of a cleanup is one for all that is cut inside it, and is reported once', () =>
  simulate(
    function* (sim) {
      const diary = new Diary()
      function* outer(): Generator<Suspension, void> {
        try {
          yield* sleepForever()
        } finally {
          yield* timeoutOr(30, slowCleanup(diary, 60_000, 'inner'), undefined)
          diary.timed('went on after the inner scope')
        }
      }
      const task = createTask(outer())
      yield* sleep(0)
      assert.equal((yield* cancelAndWait(task, { graceMs: 100 })).status, 'cancelled')
      diary.expect('100 inner left')
      assert.equal(takeReports(sim).length, 1)
    },
    { reports: [] },
  ))

test('the grace of a scope inside a cleanup does not limit the cleanup around it', () =>
  simulate(
    function* (sim) {
      const diary = new Diary()
      function* outer(): Generator<Suspension, void> {
        try {
          yield* sleepForever()
        } finally {
          yield* withScope(function* (scope) {
            createTask(
              (function* () {
                yield* sleep(10)
                scope.cancel({ graceMs: 20 })
              })(),
            )
            yield* slowCleanup(diary, 60_000, 'inner')
          })
          yield* sleep(100)
          diary.timed('outer ended')
        }
      }
      const task = createTask(outer())
      yield* sleep(0)
      yield* cancelAndWait(task)
      diary.expect('30 inner left', '130 outer ended')
      assert.equal(takeReports(sim).length, 1)
    },
    { reports: [] },
  ))

test('graceMs 0: cleanup may do what needs no wait, and is cut at its first real one', () =>
  simulate(
    function* (sim) {
      const diary = new Diary()
      const quick = createTask(around(diary, sleepForever()))
      const slow = createTask(around(diary, slowCleanup(diary, 1)))
      yield* sleep(0)
      quick.cancel({ graceMs: 0 })
      yield* quick.join()
      diary.expect('0 outer cleanup')
      assert.deepEqual(takeReports(sim), [])

      slow.cancel({ graceMs: 0 })
      assert.equal((yield* slow.join()).status, 'cancelled')
      diary.expect('0 cleanup left', '0 outer cleanup')
      assert.equal(takeReports(sim).length, 1)
      assert.equal(sim.now(), 0)
    },
    { reports: [] },
  ))

test('graceMs Infinity: cleanup may take as long as it likes', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const task = createTask(slowCleanup(diary, 1_000_000))
    yield* sleep(0)
    yield* cancelAndWait(task, { graceMs: Infinity })
    diary.expect('1000000 cleanup ended', '1000000 cleanup left')
    assert.deepEqual(takeReports(sim), [])
  }))

test('cleanupGraceMs Infinity for a whole run', () =>
  simulate(
    function* () {
      const diary = new Diary()
      assert.equal(yield* timeoutOr(10, slowCleanup(diary, 1_000_000), 'cut'), 'cut')
      diary.expect('1000010 cleanup ended', '1000010 cleanup left')
    },
    { cleanupGraceMs: Infinity },
  ))

test('a grace that is no duration is refused', () =>
  simulate(function* () {
    const task = createTask(sleep(0))
    for (const graceMs of [-1, NaN, '10' as unknown as number]) {
      assert.throws(() => task.cancel({ graceMs }), RangeError)
      assert.throws(() => run(sleep(0), { driver: new SimDriver(), cleanupGraceMs: graceMs }), RangeError)
    }
    assert.equal(task.cancelled, false)
    yield* task
  }))

test('an error thrown by a cleanup that is cut is held as usual', () =>
  simulate(
    function* (sim) {
      const mine = new Error('mine')
      function* fails(): Generator<Suspension, void> {
        try {
          yield* sleepForever()
        } finally {
          try {
            yield* sleepForever()
          } finally {
            throw mine
          }
        }
      }
      const task = createTask(fails())
      yield* sleep(0)
      assert.deepEqual(yield* cancelAndWait(task, { graceMs: 10 }), { status: 'failed', error: mine })
      assert.equal(yield* thrownBy(timeoutOr(1, fails(), undefined)), mine)
      assert.equal(takeReports(sim).length, 2)
    },
    { reports: [], cleanupGraceMs: 100 },
  ))

test('the children of a group have the grace that its cancel gives them', () =>
  simulate(
    function* (sim) {
      const diary = new Diary()
      yield* taskGroup(function* (group) {
        group.createTask(slowCleanup(diary, 60_000, 'child'))
        yield* sleep(5)
        group.cancel({ graceMs: 50 })
      })
      diary.expect('55 child left')
      assert.equal(takeReports(sim).length, 1)
    },
    { reports: [] },
  ))
