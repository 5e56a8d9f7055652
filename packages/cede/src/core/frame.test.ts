import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../../../../test/support/sim.ts'
import { coroutine } from './coroutine.ts'
import { createTask } from './current.ts'
import { CLAIMED, DIRECT, Frame, FRESH, LEFT, MAX_DIRECT_CALLS, STACKED } from './frame.ts'
import { Future } from './future.ts'
import { running } from './running.ts'
import { sleep } from './sleep.ts'
import type { Operation, Suspension } from './suspension.ts'
import { currentTask, type Task } from './task.ts'

/** A frame whose states can be looked at from its body. */
function framed<T>(body: Generator<Suspension, T>): Frame<T> & Operation<T> {
  return new Frame<T>(body)
}

function framesOf(task: Task): number {
  let count = 0
  for (let frame: Frame | null = task.top; frame !== null; frame = frame.parent) count++
  return count
}

test('a frame that does not suspend never comes to the stack of its task', () =>
  simulate(function* () {
    const seen: { frame: Frame | null; states: number[] } = { frame: null, states: [] }
    const frame = framed(looksAtFrame(seen))
    seen.frame = frame
    assert.equal(frame.state, FRESH)
    const iterator = frame[Symbol.iterator]()
    assert.equal(frame.state, CLAIMED)
    assert.deepEqual(iterator.next(), { done: true, value: 5 })
    assert.deepEqual(seen.states, [DIRECT, 1])
    assert.equal(frame.state, LEFT)
    assert.equal(running.depth, 0)
    yield* sleep(0)
  }))

function* looksAtFrame(seen: { frame: Frame | null; states: number[] }): Generator<never, number> {
  seen.states.push(seen.frame!.state, framesOf(currentTask()!))
  return 5
}

test('frames come to the stack when something below them suspends, innermost on top', () =>
  simulate(function* () {
    const future = new Future<number>()
    const inner = framed(waitFor(future))
    const outer = framed(waitFor(inner))
    const task = createTask(waitFor(outer))
    yield* sleep(0)
    assert.deepEqual([inner.state, outer.state], [STACKED, STACKED])
    assert.equal(task.top, inner)
    assert.equal(inner.parent, outer)
    assert.equal(outer.parent, task)
    future.setResult(3)
    assert.equal(yield* task, 3)
    assert.deepEqual([inner.state, outer.state], [LEFT, LEFT])
    assert.equal(inner.body, null, 'what has ended is let go of')
  }))

function* waitFor<T>(operation: Operation<T>) {
  return yield* operation
}

test('the frames of several waits in one call do not pile up', () =>
  simulate(function* () {
    const depths: number[] = []
    const inner = coroutine('inner', function* () {
      yield* sleep(1)
      depths.push(framesOf(currentTask()!))
      yield* sleep(1)
      depths.push(framesOf(currentTask()!))
    })
    yield* inner()
    depths.push(framesOf(currentTask()!))
    yield* inner()
    assert.deepEqual(depths, [2, 2, 1, 2, 2])
  }))

test(`a call through more than ${MAX_DIRECT_CALLS} direct calls goes through the loop, on an empty native stack`, () =>
  simulate(function* () {
    const depths: number[] = []
    const nest = coroutine('nest', function* (left: number): Generator<Suspension, void> {
      depths.push(running.depth)
      if (left > 0) yield* nest(left - 1)
    })
    yield* nest(MAX_DIRECT_CALLS + 50)
    assert.equal(depths.length, MAX_DIRECT_CALLS + 51)
    assert.equal(Math.max(...depths), MAX_DIRECT_CALLS)
    assert.equal(depths[MAX_DIRECT_CALLS - 1], MAX_DIRECT_CALLS)
    assert.equal(depths[MAX_DIRECT_CALLS], 0, 'the call through the loop begins anew')
    assert.equal(depths[MAX_DIRECT_CALLS + 1], 1)
  }))

test('calls that failed and were caught do not count as nested for good', () =>
  simulate(function* () {
    const depths: number[] = []
    const fail = coroutine('fail', function* (): Generator<never, void> {
      depths.push(running.depth)
      throw new Error('mine')
    })
    for (let i = 0; i < 1_000; i++) {
      try {
        yield* fail()
        assert.fail('must throw')
      } catch (error) {
        assert.match(String(error), /mine/)
      }
    }
    // Each adds one level until a call goes through the loop, which begins anew.
    assert.ok(depths.slice(-10).filter((depth) => depth === 0).length <= 1, depths.slice(-10).join())
    assert.ok(Math.max(...depths) <= MAX_DIRECT_CALLS)
  }))

test('a call that goes through the loop gives its value or error, and finds the current task', () =>
  simulate(function* () {
    const main = currentTask()
    const bottom = coroutine('bottom', function* (fails: boolean): Generator<never, string> {
      assert.equal(currentTask(), main)
      if (fails) throw new Error('from the bottom')
      return 'value'
    })
    const nest = coroutine('nest', function* (left: number, fails: boolean): Generator<Suspension, string> {
      return left === 0 ? yield* bottom(fails) : yield* nest(left - 1, fails)
    })
    for (const depth of [
      MAX_DIRECT_CALLS - 2,
      MAX_DIRECT_CALLS - 1,
      MAX_DIRECT_CALLS,
      MAX_DIRECT_CALLS + 1,
    ]) {
      assert.equal(yield* nest(depth, false), 'value')
      try {
        yield* nest(depth, true)
        assert.fail('must throw')
      } catch (error) {
        assert.match(String(error), /from the bottom/)
      }
    }
  }))

test('a task that is cancelled before a call goes through the loop unwinds at its next suspension', () =>
  simulate(function* () {
    const steps: string[] = []
    const nest = coroutine('nest', function* (left: number): Generator<Suspension, void> {
      if (left > 0) {
        yield* nest(left - 1)
        return
      }
      currentTask()!.cancel()
      yield* through()
      steps.push('the call itself is no suspension')
      yield* sleep(0)
      steps.push('never')
    })
    const through = coroutine('through', function* (): Generator<never, void> {
      steps.push('called')
    })
    const task = createTask(nest(MAX_DIRECT_CALLS - 1))
    assert.equal((yield* task.join()).status, 'cancelled')
    assert.deepEqual(steps, ['called', 'the call itself is no suspension'])
  }))
