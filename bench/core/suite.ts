// The suite `core`: what the core of Cede costs, in units of a plain `await asyncFunction()`, beside its peers.

import type { CodeCase, CodeSuite, Row, SuiteProgram } from '../suite.ts'

const here = (file: string) => new URL(file, import.meta.url)

const cede = (file: string, name: string, does: string): CodeCase => ({
  module: here(file),
  name,
  by: 'Cede',
  does,
})

const peer =
  (by: string, install: string | undefined, file: string) =>
  (name: string, does: string): CodeCase => ({
    module: here(`peers/${file}`),
    name,
    by,
    does,
    ...(install === undefined ? {} : { install }),
  })

const asyncio = peer(
  'asyncio',
  'install Python 3.11 or later as python3, or name it in $PYTHON',
  'asyncio_peer.py',
)
const effect = peer('Effect', 'npm install --save-dev effect', 'effect.ts')
const effection = peer('Effection', 'npm install --save-dev effection', 'effection.ts')
const heapJs = peer('heap-js', 'npm install --save-dev heap-js', 'heaps.ts')
const mnemonist = peer('Mnemonist', 'npm install --save-dev mnemonist', 'heaps.ts')
const tinyQueue = peer('TinyQueue', 'npm install --save-dev tinyqueue', 'heaps.ts')
const abortSignal = peer('Node', undefined, 'abort-signal.ts')
const nodeTimers = peer('Node', undefined, 'node-timers.ts')

const cases: Record<string, CodeCase> = {
  await: { module: here('unit.ts'), name: 'await', by: 'JavaScript', does: 'await asyncFunction()' },

  wrappedCall: cede('calls.ts', 'wrapped', 'wrapped by coroutine()'),
  plainCall: cede('calls.ts', 'plain', 'plain generator'),
  asyncioCall: asyncio('call', 'await of a coroutine'),
  effectCall: effect('call', 'Effect.fnUntraced'),
  effectionCall: effection('call', 'plain generator'),

  pass: cede('passes.ts', 'default', 'sleep(0)'),
  passStore: cede('passes.ts', 'store', 'sleep(0), a store in use'),
  passOff: cede('passes.ts', 'off', 'sleep(0), storage off'),
  asyncioPass: asyncio('pass', 'sleep(0)'),
  effectPass: effect('pass', 'yieldNow'),

  taskStore: cede('tasks.ts', 'store', 'createTask and wait, a store kept'),
  task: cede('tasks.ts', 'default', 'createTask and wait'),
  taskOff: cede('tasks.ts', 'off', 'createTask and wait, storage off'),
  asyncioTask: asyncio('task', 'create_task and await'),
  effectTask: effect('task', 'fork and join, child made once'),
  effectTracedTask: effect('tracedTask', 'fork and join, child by Effect.fn'),
  effectionTask: effection('task', 'spawn and wait'),

  depth1: cede('depth.ts', 'at1', 'resume at depth 1'),
  depth1000: cede('depth.ts', 'at1000', 'resume at depth 1,000'),
  recursion: cede('depth.ts', 'recursion', 'a level of recursion'),
  recursionWithWait: cede('depth.ts', 'recursionWithWait', 'a level, with a wait below'),

  timeoutReady: cede('timeouts.ts', 'ready', 'around something ready'),
  timeoutGivesWay: cede('timeouts.ts', 'givesWay', 'around one suspension'),
  signalReady: abortSignal('ready', 'AbortSignal.timeout race, ready'),
  signalGivesWay: abortSignal('givesWay', 'AbortSignal.timeout race, one suspension'),
  asyncioTimeoutReady: asyncio('timeoutReady', 'timeout, ready'),
  asyncioTimeoutGivesWay: asyncio('timeoutGivesWay', 'timeout, one suspension'),
  effectTimeoutReady: effect('timeoutReady', 'timeout, ready'),
  effectTimeoutGivesWay: effect('timeoutGivesWay', 'timeout, one suspension'),

  scope: cede('scopes.ts', 'cancelled', 'opened, cancelled, unwound, left'),
  scopePartner: cede('scopes.ts', 'partner', 'callSoon and sleep(0) alone'),

  timers: cede('timers.ts', 'fewDurations', 'few durations'),
  timersMany: cede('timers.ts', 'manyDurations', '1,000 durations'),
  nodeTimers: nodeTimers('fewDurations', 'setTimeout, few durations'),
  nodeTimersMany: nodeTimers('manyDurations', 'setTimeout, 1,000 durations'),

  lockFree: cede('locks.ts', 'uncontended', 'lock.with of a body that does not wait'),
  lockHandedOver: cede('locks.ts', 'handedOver', 'lock handed from task to task'),
  asyncioLockHandedOver: asyncio('lockHandedOver', 'lock handed from task to task'),

  cancelledOf1000: cede('cancelled-waiters.ts', 'of1000', 'one of 1,000 waiters'),
  cancelledOf10000: cede('cancelled-waiters.ts', 'of10000', 'one of 10,000 waiters'),

  queueOfTen: cede('queues.ts', 'ten', 'queue of 10'),
  queueOfOne: cede('queues.ts', 'one', 'queue of 1'),
  channelOfTen: cede('queues.ts', 'channel', 'channel of 10'),
  asyncioQueueOfTen: asyncio('queueOfTen', 'queue of 10'),
  asyncioQueueOfOne: asyncio('queueOfOne', 'queue of 1'),
  effectQueueOfTen: effect('queueOfTen', 'queue of 10'),
  effectQueueOfOne: effect('queueOfOne', 'queue of 1'),

  priorityQueue: cede('priority-queue.ts', 'inAndOut', 'PriorityQueue'),
  heapJs: heapJs('heapJs', 'Heap'),
  mnemonist: mnemonist('mnemonist', 'Heap'),
  tinyQueue: tinyQueue('tinyQueue', 'TinyQueue'),

  stepKept: cede('async-local-storage.ts', 'kept', 'a step, kept'),
  stepOff: cede('async-local-storage.ts', 'off', 'a step, off'),
}

const memory = (name: string): SuiteProgram => ({
  module: here('task-memory.ts'),
  name,
  size: 200_000,
  quickSize: 20_000,
})

const programs: Record<string, SuiteProgram> = {
  memorySleep: memory('sleep'),
  memorySleepKept: memory('sleepKept'),
  memoryFuture: memory('future'),
  memorySleepForever: memory('sleepForever'),
  memoryAsyncFunction: memory('asyncFunction'),
  sleepers: { module: here('sleeping-million.ts'), name: 'sleepers', size: 1_000_000, quickSize: 100_000 },
}

const units = (of: string) => ({ kind: 'units', of }) as const
const times = (of: string, as: string) => ({ kind: 'times', of, as }) as const
const bytes = (of: string) => ({ kind: 'program', of, figure: 'bytes', in: 'bytes' }) as const
const sleepers = (figure: string, unit: string) =>
  ({ kind: 'program', of: 'sleepers', figure, in: unit }) as const

const call = 'A call that does not suspend'
const pass = 'A pass of sleep(0), one task'
const task = 'createTask and wait'
const depth = 'Depth'
const timeout = 'A timeout that is not needed'
const scope = 'A scope opened, cancelled while waiting, unwound and left'
const timers = 'A timer armed and cancelled, 1,000,000 pending'
const memoryOf = 'Heap of a waiting task beyond its bare generator'
const million = '1,000,000 sleeping tasks'
const lock = 'A lock'
const cancelledWaiter = 'A waiter of a semaphore cancelled and unwound, all of them in turn'
const queue = 'An item put by one task and got by another'
const priorities = 'A priority queue, 100,000 items in and out, an item'
const storage = 'AsyncLocalStorage'

const rows: Row[] = [
  { heading: call, what: 'wrapped by coroutine()', figure: units('wrappedCall'), target: { atMost: 1.2 } },
  { heading: call, what: 'plain generator', figure: units('plainCall') },
  { heading: call, what: 'asyncio', figure: units('asyncioCall') },
  { heading: call, what: 'Effect', figure: units('effectCall') },
  { heading: call, what: 'Effection', figure: units('effectionCall') },

  { heading: pass, what: 'as it comes', figure: units('pass'), target: { atMost: 3 } },
  { heading: pass, what: 'a store in use', figure: units('passStore') },
  { heading: pass, what: 'AsyncLocalStorage off', figure: units('passOff') },
  {
    heading: pass,
    what: 'times cheaper than asyncio',
    figure: times('asyncioPass', 'pass'),
    target: { atLeast: 10 },
  },
  { heading: pass, what: 'times cheaper than Effect', figure: times('effectPass', 'pass') },

  { heading: task, what: 'as it comes', figure: units('task'), target: { atMost: 8 } },
  { heading: task, what: 'a store in use', figure: units('taskStore') },
  { heading: task, what: 'AsyncLocalStorage off', figure: units('taskOff') },
  {
    heading: task,
    what: 'times cheaper than Effect, child made once',
    figure: times('effectTask', 'task'),
    target: { atLeast: 10 },
  },
  {
    heading: task,
    what: 'times cheaper than Effect, child by Effect.fn',
    figure: times('effectTracedTask', 'task'),
  },
  {
    heading: task,
    what: 'times cheaper than Effection',
    figure: times('effectionTask', 'task'),
    target: { atLeast: 100 },
  },
  { heading: task, what: 'times cheaper than asyncio', figure: times('asyncioTask', 'task') },

  {
    heading: depth,
    what: 'resume at wrapped depth 1,000, against depth 1',
    figure: times('depth1000', 'depth1'),
    target: { atMost: 2 },
  },
  { heading: depth, what: 'recursion 100,000 deep, a level', figure: units('recursion') },
  { heading: depth, what: 'the same with a wait at the bottom', figure: units('recursionWithWait') },

  { heading: timeout, what: 'around something ready', figure: units('timeoutReady'), target: { atMost: 4 } },
  {
    heading: timeout,
    what: 'around one suspension',
    figure: units('timeoutGivesWay'),
    target: { atMost: 11 },
  },
  {
    heading: timeout,
    what: 'times cheaper than AbortSignal.timeout, ready',
    figure: times('signalReady', 'timeoutReady'),
    target: { atLeast: 10 },
  },
  {
    heading: timeout,
    what: 'times cheaper than AbortSignal.timeout, one suspension',
    figure: times('signalGivesWay', 'timeoutGivesWay'),
    target: { atLeast: 10 },
  },
  {
    heading: timeout,
    what: 'times cheaper than asyncio, ready',
    figure: times('asyncioTimeoutReady', 'timeoutReady'),
  },
  {
    heading: timeout,
    what: 'times cheaper than asyncio, one suspension',
    figure: times('asyncioTimeoutGivesWay', 'timeoutGivesWay'),
  },
  {
    heading: timeout,
    what: 'times cheaper than Effect, ready',
    figure: times('effectTimeoutReady', 'timeoutReady'),
  },
  {
    heading: timeout,
    what: 'times cheaper than Effect, one suspension',
    figure: times('effectTimeoutGivesWay', 'timeoutGivesWay'),
  },

  { heading: scope, what: 'with the callback that cancels', figure: units('scope'), target: { atMost: 16 } },
  { heading: scope, what: 'of that, the callback and a wait', figure: units('scopePartner') },

  { heading: timers, what: 'few durations', figure: units('timers'), target: { atMost: 3.5 } },
  { heading: timers, what: '1,000 durations', figure: units('timersMany') },
  { heading: timers, what: 'Node: setTimeout, few durations', figure: units('nodeTimers') },
  { heading: timers, what: 'Node: setTimeout, 1,000 durations', figure: units('nodeTimersMany') },

  { heading: memoryOf, what: 'in sleep', figure: bytes('memorySleep'), target: { atMost: 450 } },
  { heading: memoryOf, what: 'in sleep, AsyncLocalStorage kept', figure: bytes('memorySleepKept') },
  { heading: memoryOf, what: 'in a future', figure: bytes('memoryFuture') },
  { heading: memoryOf, what: 'in sleepForever', figure: bytes('memorySleepForever') },
  { heading: memoryOf, what: 'an async function awaiting a timer', figure: bytes('memoryAsyncFunction') },

  { heading: million, what: 'heap', figure: sleepers('megabytes', 'MB'), target: { atMost: 650 } },
  { heading: million, what: 'woken', figure: sleepers('woken', 'tasks'), target: { exactly: 1_000_000 } },
  {
    heading: million,
    what: 'woken out of order',
    figure: sleepers('outOfOrder', 'tasks'),
    target: { exactly: 0 },
  },

  {
    heading: lock,
    what: 'free, around a body that does not wait',
    figure: units('lockFree'),
    target: { atMost: 4 },
  },
  { heading: lock, what: 'handed from task to task', figure: units('lockHandedOver'), target: { atMost: 6 } },
  {
    heading: lock,
    what: 'times cheaper than asyncio, handed from task to task',
    figure: times('asyncioLockHandedOver', 'lockHandedOver'),
    target: { atLeast: 5 },
  },

  { heading: cancelledWaiter, what: 'of 1,000', figure: units('cancelledOf1000') },
  { heading: cancelledWaiter, what: 'of 10,000', figure: units('cancelledOf10000') },
  {
    heading: cancelledWaiter,
    what: 'of 10,000, against 1,000',
    figure: times('cancelledOf10000', 'cancelledOf1000'),
    target: { atMost: 2 },
  },

  { heading: queue, what: 'queue of 10', figure: units('queueOfTen'), target: { atMost: 9 } },
  { heading: queue, what: 'queue of 1', figure: units('queueOfOne'), target: { atMost: 9 } },
  { heading: queue, what: 'channel of 10', figure: units('channelOfTen') },
  {
    heading: queue,
    what: 'times cheaper than asyncio, queue of 10',
    figure: times('asyncioQueueOfTen', 'queueOfTen'),
    target: { atLeast: 5 },
  },
  {
    heading: queue,
    what: 'times cheaper than asyncio, queue of 1',
    figure: times('asyncioQueueOfOne', 'queueOfOne'),
    target: { atLeast: 5 },
  },
  {
    heading: queue,
    what: 'times cheaper than Effect, queue of 10',
    figure: times('effectQueueOfTen', 'queueOfTen'),
    target: { atLeast: 5 },
  },
  {
    heading: queue,
    what: 'times cheaper than Effect, queue of 1',
    figure: times('effectQueueOfOne', 'queueOfOne'),
    target: { atLeast: 5 },
  },

  { heading: priorities, what: 'PriorityQueue, equal ones in order', figure: units('priorityQueue') },
  {
    heading: priorities,
    what: 'against TinyQueue',
    figure: times('priorityQueue', 'tinyQueue'),
    target: { atMost: 1.2 },
  },
  {
    heading: priorities,
    what: 'against the heap of Mnemonist',
    figure: times('priorityQueue', 'mnemonist'),
    target: { atMost: 1.2 },
  },
  {
    heading: priorities,
    what: 'against heap-js',
    figure: times('priorityQueue', 'heapJs'),
    target: { atMost: 1.2 },
  },

  {
    heading: storage,
    what: 'kept, a step, 100 tasks in turn',
    figure: { kind: 'extra', of: 'stepKept', without: 'stepOff' },
    target: { atMost: 30 },
  },
]

export const core: CodeSuite = {
  kind: 'code',
  name: 'core',
  title: 'The core of Cede',
  unit: 'await',
  cases,
  programs,
  rows,
  packages: ['effect', 'effection', 'heap-js', 'mnemonist', 'tinyqueue'],
}
