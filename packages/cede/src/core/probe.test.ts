import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dumpTasks, shield, timeout, until, withScope, type Operation, type Suspension } from 'cede'
import { Diary } from '../../../../test/support/diary.ts'
import { simulate } from '../../../../test/support/sim.ts'
import { coroutine } from './coroutine.ts'
import { createTask, getRunningLoop } from './current.ts'
import { Future } from './future.ts'
import { sleep, sleepForever } from './sleep.ts'
import type { Task } from './task.ts'
import { WaitQueue } from './wait-queue.ts'

/** The functions of this file in a stack, in its order; the native half of each `yield*` is left out. */
function functionsIn(stack: string): string[] {
  return stack
    .split('\n')
    .filter((line) => line.includes('probe.test.ts'))
    .map((line) => /at (?:Object\.)?(\S+) \(/.exec(line)?.[1] ?? line)
}

function* plainLeaf() {
  yield* sleep(100)
}
function* plainMiddle() {
  yield* plainLeaf()
}
function* plainTop() {
  yield* plainMiddle()
}
const wrappedLeaf = coroutine(function* wrappedLeafBody() {
  yield* sleep(100)
})
const wrappedMiddle = coroutine(function* wrappedMiddleBody() {
  yield* wrappedLeaf()
})
const wrappedTop = coroutine(function* wrappedTopBody() {
  yield* wrappedMiddle()
})
const wrappedOverPlain = coroutine(function* wrappedOverPlainBody() {
  yield* plainMiddle()
})
function* plainOverBoth() {
  yield* wrappedOverPlain()
}
const wrappedOverAll = coroutine(function* wrappedOverAllBody() {
  yield* plainOverBoth()
})

function* withTimeout() {
  yield* timeout(500, function* timeoutBody() {
    yield* shield(wrappedOverPlain())
  })
}

const chains: Readonly<Record<string, readonly [() => Operation<void>, ...string[]]>> = {
  'plain generators': [plainTop, 'plainLeaf', 'plainMiddle', 'plainTop'],
  'wrapped calls': [wrappedTop, 'wrappedLeafBody', 'wrappedMiddleBody', 'wrappedTopBody'],
  'a mixed chain': [
    wrappedOverAll,
    'plainLeaf',
    'plainMiddle',
    'wrappedOverPlainBody',
    'plainOverBoth',
    'wrappedOverAllBody',
  ],
  'a chain with scopes': [
    withTimeout,
    'plainLeaf',
    'plainMiddle',
    'wrappedOverPlainBody',
    'timeoutBody',
    'withTimeout',
  ],
}

for (const [name, [start, ...functions]] of Object.entries(chains)) {
  test(`the stack of ${name} names every function, innermost first`, () =>
    simulate(function* asker() {
      const task = createTask(start())
      yield* sleep(1)
      assert.deepEqual(functionsIn(task.stack()), functions)
      assert.deepEqual(functionsIn(task.stack()), functions, 'a probe changes nothing')
      yield* task
      assert.equal(getRunningLoop().time(), 100)
    }))
}

test('each line has the place in the source where it waits', () =>
  simulate(function* () {
    const task = createTask(plainTop())
    yield* sleep(1)
    for (const line of task.stack().split('\n')) {
      if (line.includes('probe.test.ts')) assert.match(line, /^ {4}at \S+ \(.*probe\.test\.ts:\d+:\d+\)$/)
    }
    yield* task
  }))

test('the stack is the same whoever asks: inside a task, a callback, or outside the loop', () =>
  simulate(function* () {
    const task = createTask(wrappedOverAll())
    yield* sleep(1)
    const stacks = [task.stack(), askedFromDeepBelow(task, 20)]
    getRunningLoop().callSoon(() => stacks.push(task.stack()))
    queueMicrotask(() => stacks.push(task.stack()))
    yield* sleep(1)
    assert.equal(stacks.length, 4)
    assert.equal(new Set(stacks).size, 1)
    assert.ok(!stacks[0]!.includes('askedFromDeepBelow'))
    yield* task
  }))

function askedFromDeepBelow(task: Task, depth: number): string {
  return depth === 0 ? task.stack() : askedFromDeepBelow(task, depth - 1)
}

function* noting(diary: Diary, wait: () => Operation<unknown>) {
  diary.write('begun')
  try {
    const value = yield* wait()
    diary.write(`got ${String(value)}`)
  } catch (error) {
    diary.write(`caught ${String(error)}`)
  } finally {
    diary.write('finally')
  }
}

const future = (): Future<string> => new Future<string>()
const waits: Readonly<Record<string, () => readonly [Operation<unknown>, () => void]>> = {
  'a sleep': () => [sleep(10, 'value'), () => {}],
  'a future': () => {
    const waited = future()
    return [waited, () => waited.setResult('value')]
  },
  'a task': () => [createTask(sleep(10, 'value')), () => {}],
  'a wait queue': () => {
    const queue = new WaitQueue<string>()
    return [queue.wait(), () => queue.wakeOne('value')]
  },
  'a promise': () => {
    let resolve: (value: string) => void = () => {}
    const promise = new Promise<string>((resolved) => (resolve = resolved))
    return [until(promise), () => resolve('value')]
  },
  'a scope': () => [withScope(() => sleep(10, 'value')), () => {}],
}
for (const [name, make] of Object.entries(waits)) {
  test(`asking for the stack of a task that waits for ${name} runs none of its code`, () =>
    simulate(function* () {
      const diary = new Diary()
      const [operation, end] = make()
      const task = createTask(noting(diary, () => operation))
      yield* sleep(1)
      diary.expect('begun')
      for (let i = 0; i < 3; i++) assert.deepEqual(functionsIn(task.stack()), ['noting'])
      assert.equal(task.status, 'waiting')
      diary.expect()
      end()
      yield* task
      diary.expect('got value', 'finally')
    }))
}

test('a task that has not begun or has ended has no stack', () =>
  simulate(function* () {
    const task = createTask(plainTop())
    assert.equal(task.stack(), '')
    yield* task
    assert.equal(task.stack(), '')
  }))

test('a task that is ready to go on shows where it waited', () =>
  simulate(function* () {
    const waited = future()
    const task = createTask(noting(new Diary(), () => waited))
    yield* sleep(1)
    waited.setResult('value')
    assert.equal(task.status, 'ready')
    assert.deepEqual(functionsIn(task.stack()), ['noting'])
    yield* task
  }))

test('the running task shows where it is', () =>
  simulate(function* () {
    const task: { itself: Task | null; stack: string } = { itself: null, stack: '' }
    task.itself = createTask(looksAtItself(task))
    yield* task.itself
    assert.deepEqual(functionsIn(task.stack).slice(0, 1), ['looksAtItself'])
  }))

function* looksAtItself(task: { itself: Task | null; stack: string }) {
  task.stack = task.itself!.stack()
}

test('a task that cleans up shows its cleanup, and below it what has still to be unwound', () =>
  simulate(function* () {
    const task = createTask(outermost())
    yield* sleep(0)
    task.cancel()
    yield* sleep(1)
    const stack = task.stack()
    assert.deepEqual(functionsIn(stack), ['cleanup', 'cleans', 'middleOfCleaning', 'outermost'])
    yield* task.join()
    assert.equal(getRunningLoop().time(), 50)
  }))

function* outermost() {
  yield* middleOfCleaning()
}
function* middleOfCleaning() {
  yield* cleans()
}
function* cleans() {
  try {
    yield* sleepForever()
  } finally {
    yield* cleanup()
  }
}
function* cleanup() {
  yield* sleep(50)
}

test('a stack of 1,000 wrapped and 1,000 plain calls is whole', () =>
  simulate(function* () {
    const task = createTask(deepWrapped(1_000))
    yield* sleep(1)
    const functions = functionsIn(task.stack())
    assert.equal(functions.length, 1_000 + 1 + 1_000 + 1)
    assert.deepEqual(functions.slice(0, 2), ['deepPlain', 'deepPlain'])
    assert.deepEqual(functions.slice(-2), ['deepWrappedBody', 'deepWrappedBody'])
    yield* task
  }))

const deepWrapped = coroutine(function* deepWrappedBody(left: number): Generator<Suspension, void> {
  yield* left > 0 ? deepWrapped(left - 1) : deepPlain(1_000)
})
function* deepPlain(left: number): Generator<Suspension, void> {
  yield* left > 0 ? deepPlain(left - 1) : sleep(5)
}

test('dumpTasks() shows no line of the library and none of whoever asked', () =>
  simulate(function* asker() {
    const tasks = [plainTop(), wrappedTop(), wrappedOverAll(), withTimeout()].map((operation) =>
      createTask(operation),
    )
    yield* sleep(1)
    const dumps: string[] = [askForDump()]
    getRunningLoop().callSoon(function callbackThatAsks() {
      dumps.push(askForDump())
    })
    yield* sleep(1)
    for (const dump of dumps) {
      const lines = dump.split('\n').filter((line) => line.trim().startsWith('at '))
      const ofTasks = lines.filter((line) => !line.includes('asker') && !line.includes('askForDump'))
      assert.deepEqual(
        new Set(functionsIn(ofTasks.join('\n'))),
        new Set(Object.values(chains).flatMap(([, ...functions]) => functions)),
      )
      assert.ok(!dump.includes('callbackThatAsks'))
      for (const line of lines) assert.match(line, /probe\.test\.ts:\d+:\d+\)$/, 'a line of the library')
    }
    // Of the first dump, asked for by the main itself, these lines are the main's own.
    assert.equal(dumps[0]!.match(/askForDump/g)?.length, 1)
    assert.ok(!dumps[1]!.includes('askForDump'))
    for (const task of tasks) yield* task
  }))

function askForDump(): string {
  // Not `return dumpTasks()`: JavaScriptCore would take this function off the stack before it calls.
  return `${dumpTasks()}\n`
}
