// DESIGN.md "Cancellation" 4: chains of plain generators are split before they are unwound, so that each level unwinds
// by itself, innermost first, and none goes on where it was.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  cancelAndWait,
  coroutine,
  createTask,
  Future,
  gather,
  sleep,
  sleepForever,
  taskGroup,
  timeout,
  timeoutOr,
  until,
  withScope,
  type Operation,
  type Suspension,
} from 'cede'
import { WaitQueue } from 'cede/lowlevel'
import { Diary } from '../support/diary.ts'
import { simulate } from '../support/sim.ts'

/** One level of a chain: its call of the next one is guarded by everything that could notice a cancel. */
function* level(
  diary: Diary,
  name: string,
  waitsInFinally: boolean,
  inner: Operation<unknown>,
): Generator<Suspension, string> {
  try {
    yield* inner
    diary.write(`${name} went on`)
    yield* sleep(1)
    diary.write(`${name} waited`)
  } catch {
    diary.write(`${name} caught`)
  } finally {
    diary.write(`${name} cleans up`)
    if (waitsInFinally) {
      yield* sleep(1)
      diary.write(`${name} cleaned up`)
    }
  }
  diary.write(`${name} returned`)
  return name
}

const wrapped = coroutine('level', level)

interface Shape {
  readonly wrapped: boolean
  readonly waitsInFinally: boolean
}

function chain(diary: Diary, shapes: readonly Shape[], innermost: Operation<unknown>): Operation<unknown> {
  let operation = innermost
  for (let depth = shapes.length; depth > 0; depth--) {
    const shape = shapes[depth - 1]!
    operation = (shape.wrapped ? wrapped : level)(diary, `level ${depth}`, shape.waitsInFinally, operation)
  }
  return operation
}

/** What a correct unwinding writes, whatever the levels are made of. */
function unwound(shapes: readonly Shape[]): string[] {
  const entries: string[] = []
  for (let depth = shapes.length; depth > 0; depth--) {
    entries.push(`level ${depth} cleans up`)
    if (shapes[depth - 1]!.waitsInFinally) entries.push(`level ${depth} cleaned up`)
  }
  return entries
}

/** All chains of `depth` levels: each level plain or wrapped, its `finally` with or without a wait. */
function* shapesOf(depth: number): Generator<Shape[], void> {
  for (let bits = 0; bits < 4 ** depth; bits++) {
    yield Array.from({ length: depth }, (_, index) => ({
      wrapped: ((bits >> (2 * index)) & 1) === 1,
      waitsInFinally: ((bits >> (2 * index + 1)) & 1) === 1,
    }))
  }
}

for (let depth = 1; depth <= 5; depth++) {
  test(`every chain of ${depth} plain and wrapped generators unwinds innermost first, by cancel and by timeout`, () =>
    simulate(function* () {
      for (const shapes of shapesOf(depth)) {
        const diary = new Diary()
        const task = createTask(chain(diary, shapes, sleepForever()))
        yield* sleep(1)
        assert.equal((yield* cancelAndWait(task)).status, 'cancelled')
        diary.expect(...unwound(shapes))

        assert.equal(yield* timeoutOr(1, chain(diary, shapes, sleepForever()), 'cut'), 'cut')
        diary.expect(...unwound(shapes))

        yield* withScope(function* (scope) {
          scope.cancel()
          yield* chain(diary, shapes, sleep(0))
        })
        diary.expect(...unwound(shapes))
      }
    }))
}

const plain: readonly Shape[] = [
  { wrapped: false, waitsInFinally: true },
  { wrapped: false, waitsInFinally: true },
]

const waits: Record<string, () => Operation<unknown>> = {
  sleep: () => sleep(1_000),
  'sleep(0)': () => sleep(0),
  future: () => new Future<void>(),
  task: () => createTask(sleep(1_000)),
  'wait queue': () => new WaitQueue().wait(),
  promise: () => until(new Promise(() => {})),
  timeout: () => timeout(1_000, sleepForever()),
  gather: () => gather([sleepForever(), sleep(1_000)]),
  group: () => taskGroup(() => sleepForever()),
  'scope around a chain': () =>
    withScope(function* () {
      yield* sleep(1_000)
    }),
}

for (const [name, wait] of Object.entries(waits)) {
  test(`a plain chain that waits in a ${name} is split`, () =>
    simulate(function* () {
      const diary = new Diary()
      const task = createTask(chain(diary, plain, wait()))
      yield* sleep(0)
      assert.equal((yield* cancelAndWait(task)).status, 'cancelled')
      diary.expect(...unwound(plain))
    }))
}

test('methods, generator objects and iterables of our own in the chain are split as well', () =>
  simulate(function* () {
    const diary = new Diary()
    class Thing {
      *[Symbol.iterator](): Generator<Suspension, string> {
        return yield* level(diary, 'innermost', true, sleepForever())
      }
      *method(): Generator<Suspension, string> {
        return yield* level(diary, 'method', true, this)
      }
    }
    const outer = level(diary, 'outer', true, new Thing().method())
    yield* timeoutOr(1, outer, undefined)
    diary.expect(
      ...['innermost', 'method', 'outer'].flatMap((name) => [`${name} cleans up`, `${name} cleaned up`]),
    )
  }))

test('a chain 300 levels deep unwinds level by level', () =>
  simulate(function* (sim) {
    const diary = new Diary()
    const shapes = Array.from({ length: 300 }, () => ({ wrapped: false, waitsInFinally: true }))
    yield* timeoutOr(1, chain(diary, shapes, sleepForever()), undefined)
    diary.expect(...unwound(shapes))
    assert.equal(sim.now(), 301)
  }))

test('a chain that grows anew inside a cleanup is split when that cleanup is cut', () =>
  simulate(
    function* (sim) {
      const diary = new Diary()
      function* cleansUpInAChain(): Generator<Suspension, void> {
        try {
          yield* sleepForever()
        } finally {
          diary.write('cleanup begins')
          try {
            yield* chain(diary, plain, sleepForever())
            diary.write('cleanup went on')
          } finally {
            diary.write('cleanup ends')
          }
        }
      }
      const task = createTask(cleansUpInAChain())
      yield* sleep(0)
      yield* cancelAndWait(task, { graceMs: 10 })
      // Inside a cleanup whose grace is spent there is no grace left: each level is cut at its own wait.
      diary.expect('cleanup begins', 'level 2 cleans up', 'level 1 cleans up', 'cleanup ends')
      assert.equal(sim.reports.length, 1)
    },
    { reports: [] },
  ))

test('nothing of a chain runs while it is listed: no getter, no method, no cleanup before its turn', () =>
  simulate(function* () {
    const diary = new Diary()
    function* inner(): Generator<Suspension, void> {
      try {
        yield* sleepForever()
      } finally {
        diary.write('inner')
        yield* sleep(5)
      }
    }
    function* outer(): Generator<Suspension, void> {
      try {
        yield* inner()
      } finally {
        diary.write('outer')
      }
    }
    const task = createTask(outer())
    yield* sleep(0)
    task.cancel()
    diary.expect()
    yield* sleep(1)
    diary.expect('inner')
    yield* task.join()
    diary.expect('outer')
  }))

test('%GeneratorPrototype%.return is as it was after any unwinding', () => {
  const prototype = (Object.getPrototypeOf(shapesOf) as { prototype: object }).prototype
  const before = Object.getOwnPropertyDescriptor(prototype, 'return')
  return simulate(function* () {
    yield* timeoutOr(1, chain(new Diary(), plain, sleepForever()), undefined)
    assert.deepEqual(Object.getOwnPropertyDescriptor(prototype, 'return'), before)
  })
})

/** What hand-written code may do: an iterator that is no generator, around an operation. */
function byHand(operation: Operation<unknown>, onReturn?: () => void): Operation<unknown> {
  const iterator = operation[Symbol.iterator]()
  return {
    [Symbol.iterator]: () => ({
      next: (...given: [unknown?]) => iterator.next(...given),
      return: (value?: unknown) => {
        if (onReturn === undefined) return iterator.return!(value)
        onReturn()
        return { done: true, value }
      },
    }),
  }
}

test('a chain through a hand-written iterator that passes everything on unwinds level by level', () =>
  simulate(function* () {
    const diary = new Diary()
    const inner = byHand(level(diary, 'level 2', true, sleepForever()))
    yield* timeoutOr(1, level(diary, 'level 1', true, inner), undefined)
    diary.expect(...unwound(plain))
  }))

test('a hand-written iterator that ends by itself is asked to return once', () =>
  simulate(function* () {
    const diary = new Diary()
    const inner = byHand(sleepForever(), () => diary.write('returned by hand'))
    yield* timeoutOr(1, level(diary, 'level 1', true, inner), undefined)
    diary.expect('returned by hand', ...unwound(plain.slice(1)))
  }))
