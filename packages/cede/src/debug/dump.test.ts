import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  coroutine,
  createTask,
  dumpTasks,
  Future,
  run,
  sleep,
  sleepForever,
  taskGroup,
  type Operation,
  type Task,
} from 'cede'
import { SimDriver, WaitQueue } from 'cede/lowlevel'

/** Runs `main` on a virtual clock, in debug mode if asked, and returns its value. */
async function simulated<T>(main: () => Operation<T>, debug = false): Promise<Awaited<T>> {
  return await run(main, { driver: new SimDriver(), debug, exceptionHandler: () => undefined })
}

function entryOf(dump: string, name: string): string {
  const lines = dump.split('\n')
  const start = lines.findIndex((line) => line.startsWith(`task ${name}`) || line.includes(` tasks ${name}`))
  assert.notEqual(start, -1, `no entry for ${name} in\n${dump}`)
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('  '))
  return lines.slice(start, end === -1 ? undefined : end).join('\n')
}

function* innermost() {
  yield* sleepForever()
}
function* middle() {
  yield* innermost()
}
const wrapped = coroutine('wrapped', function* outermost() {
  yield* middle()
})

test('a waiting task is shown with name, label, state, what it waits for and its whole stack, innermost first', async () => {
  const dump = await simulated(function* () {
    const task = createTask(wrapped(), { name: 'client' })
    yield* sleep(2500)
    const text = dumpTasks()
    task.cancel()
    return text
  })
  const lines = entryOf(dump, 'client').split('\n')
  assert.equal(lines[0], 'task client (wrapped): waiting for 2 s: for ever, until cancelled')
  assert.equal(lines[1], '  created by task main')
  const functions = lines
    .slice(2)
    .map((line) => /^ {2}at (\S+) \(.*dump\.test\.ts:\d+:\d+\)$/.exec(line)?.[1])
  assert.deepEqual(functions, ['innermost', 'middle', 'outermost'])
})

test('library frames are shown on demand only', async () => {
  const { plain, all } = await simulated(function* () {
    const task = createTask(wrapped(), { name: 'client' })
    yield* sleep(0)
    const both = { plain: dumpTasks(), all: dumpTasks({ all: true }) }
    task.cancel()
    return both
  })
  assert.doesNotMatch(plain, /core\/(sleep|step|probe)/)
  assert.match(all, /core\/sleep/)
})

test('tasks that differ in nothing but their names are one entry with a count', async () => {
  const dump = await simulated(function* () {
    const tasks: Task<void>[] = []
    for (let i = 1; i <= 5; i++) tasks.push(createTask(wrapped(), { name: `conn-${String(i)}` }))
    tasks.push(createTask(middle(), { name: 'other' }))
    yield* sleep(0)
    const text = dumpTasks()
    for (const task of tasks) task.cancel()
    return text
  })
  assert.match(dump, /^7 tasks\n/)
  assert.match(dump, /^5 tasks conn-1, conn-2, conn-3, \.\.\. \(wrapped\): waiting/m)
  assert.match(dump, /^task other: waiting/m)
})

test('who could end a wait is named: an awaited task, the holder of a queue, the children of a group', async () => {
  const dump = await simulated(function* () {
    const holder = createTask(innermost(), { name: 'holder' })
    const queue = new WaitQueue(() => ({ what: 'the lock', holders: [holder] }))
    const waiters = [createTask(queue.wait(), { name: 'queued' }), createTask(holder, { name: 'awaiting' })]
    const group = createTask(
      taskGroup((own) => {
        own.createTask(innermost(), { name: 'child' })
        return sleep(0)
      }),
      { name: 'group' },
    )
    yield* sleep(1)
    const text = dumpTasks()
    for (const task of [...waiters, group, holder]) task.cancel()
    return text
  })
  assert.match(entryOf(dump, 'queued'), /: the lock, held by holder$/m)
  assert.match(entryOf(dump, 'awaiting'), /: task holder$/m)
  assert.match(entryOf(dump, 'group'), /: task group, 1 to go, held by child$/m)
})

test('in debug mode it says where a task was made', async () => {
  const dump = await simulated(function* maker() {
    const task = createTask(innermost(), { name: 'client' })
    yield* sleep(0)
    const text = dumpTasks()
    task.cancel()
    return text
  }, true)
  assert.match(entryOf(dump, 'client'), /^ {2}created at maker \(.*dump\.test\.ts:\d+:\d+\)$/m)
})

test('a task whose frames were split for unwinding shows each line once', async () => {
  function* inner() {
    try {
      yield* sleepForever()
    } finally {
      yield* new Future<void>()
    }
  }
  function* outer() {
    yield* inner()
  }
  const dump = await simulated(function* () {
    const task = createTask(outer(), { name: 'cleaning' })
    yield* sleep(0)
    task.cancel({ graceMs: 50 })
    yield* sleep(1)
    const text = dumpTasks()
    yield* task.join()
    return text
  })
  const lines = entryOf(dump, 'cleaning').split('\n')
  assert.equal(lines[0], 'task cleaning: waiting for less than 1 s, cancelled: a future')
  assert.deepEqual(
    lines.slice(2).map((line) => /at (\S+)/.exec(line)?.[1]),
    ['inner', 'outer'],
  )
})

test('a long dump is cut, and says how much is left', async () => {
  const dump = await simulated(function* () {
    const tasks = [createTask(innermost(), { name: 'a' }), createTask(middle(), { name: 'b' })]
    yield* sleep(0)
    const text = dumpTasks({ limit: 2 })
    for (const task of tasks) task.cancel()
    return text
  })
  assert.match(dump, /^3 tasks\n/)
  assert.match(dump, /\n\.\.\. and 1 more$/)
})
