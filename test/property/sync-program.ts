/**
 * Random programs of tasks that meet at locks, queues and channels. Few things, few durations and few items' priorities,
 * so that they do meet. Things, operations and tasks are named by numbers that are taken modulo how many there are, so
 * every tree is a program and stays one while it shrinks.
 */
import fc from 'fast-check'
import type { SlowReaderPolicy } from 'cede'

const list = (names: string): readonly string[] => names.split(' ')

/** What a number of a program means. */
export function pick<T>(from: readonly T[], number: number): T {
  return from[number % from.length]!
}

/** What can be done with each kind of thing; an operation that is named twice is done more often. */
export const OPERATIONS = {
  lock: list('with acquire tryAcquire withSleep with'),
  event: list('wait set pulse wait clear wait'),
  condition: list('awaitNotice addAndNotify takeWhenThere addAndNotifyAll with wait notify'),
  semaphore: list('with acquire release tryAcquire withSleep with'),
  boundedSemaphore: list('with acquire tryAcquire withSleep release'),
  limiter: list('with acquire onBehalf tryAcquire tryOnBehalf withSleep setTotal'),
  barrier: list('wait wait with wait wait abort reset reset'),
  queue: list('put get next tryPut forEach put tryGet get put taskDone join end taskDone end put'),
  channel: list('send receive next trySend forEach send tryReceive receive send end end end'),
  broadcast: list('receive send next trySend subscribe send tryReceive forEach send end'),
}

/** Those that do not wait, which callbacks may do as well. */
export const SUDDEN = {
  lock: list('release'),
  event: list('set pulse clear'),
  condition: list('notify'),
  semaphore: list('release'),
  boundedSemaphore: list('release'),
  limiter: list('setTotal'),
  barrier: list('abort reset'),
  queue: list('tryPut tryGet tryPut taskDone'),
  channel: list('trySend tryReceive trySend'),
  broadcast: list('trySend tryReceive trySend'),
}

export type Family = keyof typeof OPERATIONS

export type ThingSpec =
  | { readonly kind: Exclude<Family, 'queue' | 'broadcast'>; readonly size: number }
  | { readonly kind: 'queue'; readonly order: 'fifo' | 'lifo' | 'priority'; readonly size: number }
  | { readonly kind: 'broadcast'; readonly policy: SlowReaderPolicy; readonly size: number }

export interface Use {
  readonly thing: number
  readonly how: number
  /** The priority of an item, how many are notified, which end, which borrower. */
  readonly n: number
}

export type SyncStep =
  | { readonly step: 'sleep'; readonly ms: number }
  /** So many operations that need not wait that the next one has to. */
  | { readonly step: 'spend' }
  | (Use & {
      readonly step: 'use'
      /** Goes on after so long, with a timeout directly around the operation; null: waits. */
      readonly limitMs: number | null
      /** What is done while something is held. */
      readonly body: readonly SyncStep[]
    })
  /** Does something sudden, and cancels those that it wakes; or cancels who is first in line before it. */
  | (Use & { readonly step: 'useAndCancel'; readonly cancelFirst: boolean })
  /** Does something sudden in a callback. */
  | (Use & { readonly step: 'later'; readonly ms: number })
  | { readonly step: 'cancel'; readonly task: number; readonly graceMs: number | null }
  | { readonly step: 'spawn' | 'attempt'; readonly body: readonly SyncStep[] }
  | { readonly step: 'throw' }
  | { readonly step: 'within' | 'shielded'; readonly ms: number; readonly body: readonly SyncStep[] }
  | { readonly step: 'finally'; readonly body: readonly SyncStep[]; readonly cleanup: readonly SyncStep[] }
  | {
      readonly step: 'every' | 'ticks' | 'retry'
      readonly ms: number
      readonly times: number
      readonly body: readonly SyncStep[]
    }

/** Cancels a task at the n-th suspension of the program: while it waits, or between the end of the wait and its step. */
export interface CancelAt {
  readonly nth: number
  readonly when: 'waiting' | 'woken'
}

export interface SyncProgram {
  readonly things: readonly ThingSpec[]
  readonly tasks: readonly { readonly startMs: number; readonly steps: readonly SyncStep[] }[]
  readonly cancels: readonly CancelAt[]
  readonly shuffleSeed: number | null
}

const ms = fc.constantFrom(0, 0, 1, 1, 2, 3, 5)
const size = fc.constantFrom(1, 1, 2, 3)

const thing: fc.Arbitrary<ThingSpec> = fc.oneof(
  {
    weight: 7,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'lock',
        'event',
        'condition',
        'semaphore',
        'boundedSemaphore',
        'limiter',
        'barrier',
      ),
      size,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('channel' as const), size }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('queue' as const),
      order: fc.constantFrom('fifo', 'priority', 'lifo', 'priority'),
      size: fc.constantFrom(1, 2, 2, 3),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('broadcast' as const),
      policy: fc.constantFrom('wait', 'wait', 'drop-oldest', 'close'),
      size,
    }),
  },
)

/** What one task holds at a time: two of them make cycles. */
const lock: fc.Arbitrary<ThingSpec> = fc.record({
  kind: fc.constantFrom('lock', 'lock', 'condition', 'limiter'),
  size: fc.constant(1),
})

const use = {
  thing: fc.nat(2),
  how: fc.nat(59),
  n: fc.nat(3),
}

const { steps, several } = fc.letrec<{
  step: SyncStep
  steps: readonly SyncStep[]
  several: readonly SyncStep[]
}>((tie) => ({
  several: fc.array(tie('step'), { minLength: 2, maxLength: 6, size: 'max', depthIdentifier: 'sync' }),
  steps: fc.array(tie('step'), { maxLength: 5, size: 'max', depthIdentifier: 'sync' }),
  step: fc.oneof(
    { maxDepth: 3, depthSize: 'max', depthIdentifier: 'sync', withCrossShrink: true },
    { weight: 5, arbitrary: fc.record({ step: fc.constant('sleep' as const), ms }) },
    {
      weight: 24,
      arbitrary: fc.record({
        step: fc.constant('use' as const),
        ...use,
        limitMs: fc.option(fc.constantFrom(0, 1, 1, 2, 3), { freq: 4 }),
        body: tie('steps'),
      }),
    },
    { weight: 1, arbitrary: fc.record({ step: fc.constant('spend' as const) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        step: fc.constant('useAndCancel' as const),
        ...use,
        cancelFirst: fc.boolean(),
      }),
    },
    { weight: 2, arbitrary: fc.record({ step: fc.constant('later' as const), ...use, ms }) },
    {
      weight: 2,
      arbitrary: fc.record({
        step: fc.constant('cancel' as const),
        task: fc.nat(7),
        graceMs: fc.option(fc.constantFrom(0, 2), { freq: 3 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ step: fc.constantFrom('spawn', 'attempt'), body: tie('steps') }) },
    { weight: 1, arbitrary: fc.record({ step: fc.constant('throw' as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({ step: fc.constantFrom('within', 'shielded'), ms, body: tie('steps') }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        step: fc.constant('finally' as const),
        body: tie('steps'),
        cleanup: tie('steps'),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        step: fc.constantFrom('every', 'ticks', 'retry'),
        ms: fc.constantFrom(1, 1, 2, 3),
        times: fc.integer({ min: 1, max: 3 }),
        body: tie('steps'),
      }),
    },
  ),
}))

/** One thing inside another, to make cycles. */
const nested: fc.Arbitrary<readonly SyncStep[]> = fc
  .tuple(fc.nat(2), fc.nat(2), fc.constantFrom(0, 1), ms)
  .map(([outer, inner, how, sleepMs]) => {
    const last: SyncStep = { step: 'use', thing: inner, how, n: 0, limitMs: null, body: [] }
    const body: readonly SyncStep[] = [{ step: 'sleep', ms: sleepMs }, last]
    return [{ step: 'use', thing: outer, how, n: 0, limitMs: null, body }]
  })

const bodies: fc.WeightedArbitrary<readonly SyncStep[]>[] = [
  { weight: 4, arbitrary: steps },
  { weight: 4, arbitrary: several },
  { weight: 2, arbitrary: nested },
]

export const syncPrograms: fc.Arbitrary<SyncProgram> = fc.record({
  things: fc.oneof(
    { weight: 2, arbitrary: fc.tuple(thing) },
    { weight: 3, arbitrary: fc.array(thing, { minLength: 1, maxLength: 3, size: 'max' }) },
    { weight: 2, arbitrary: fc.tuple(lock, lock) },
  ),
  tasks: fc.array(fc.record({ startMs: ms, steps: fc.oneof(...bodies) }), {
    minLength: 2,
    maxLength: 7,
    size: 'max',
  }),
  cancels: fc.array(
    fc.record({
      nth: fc.nat(30),
      when: fc.constantFrom('woken', 'woken', 'waiting'),
    }) as fc.Arbitrary<CancelAt>,
    { maxLength: 6, size: 'max' },
  ),
  shuffleSeed: fc.option(fc.nat(1_000_000), { freq: 2 }),
})

// ---------------------------------------------------------------------- for reports

export function printSyncProgram({ things, tasks, cancels, shuffleSeed }: SyncProgram): string {
  const lines = [
    `order: ${shuffleSeed === null ? 'first in, first out' : `shuffled with ${String(shuffleSeed)}`}`,
    ...things.map((spec, index) => `thing ${String(index)}: ${printThing(spec)}`),
    ...cancels.map(printCancel),
  ]
  tasks.forEach((task, index) => {
    lines.push(
      `task ${String(index)}, from ${String(task.startMs)} ms:`,
      ...indented(printSteps(task.steps, things)),
    )
  })
  return lines.join('\n')
}

/** `lock`, `queue lifo` */
export function kindOf(spec: ThingSpec): string {
  if (spec.kind === 'queue') return `queue ${spec.order}`
  return spec.kind === 'broadcast' ? `broadcast ${spec.policy}` : spec.kind
}

function printThing(spec: ThingSpec): string {
  return `${kindOf(spec)}, size ${String(spec.size)}`
}

export function printCancel({ nth, when }: CancelAt): string {
  return `the task of suspension ${String(nth)} is cancelled ${when === 'waiting' ? 'while it waits' : 'when it is woken'}`
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`)
}

function printSteps(list: readonly SyncStep[], things: readonly ThingSpec[]): string[] {
  return list.flatMap((step) => printStep(step, things))
}

function printStep(step: SyncStep, things: readonly ThingSpec[]): string[] {
  const block = (head: string, body: readonly SyncStep[]): string[] =>
    body.length === 0 ? [head] : [`${head} {`, ...indented(printSteps(body, things)), '}']
  const named = ({ thing: index, how, n }: Use, operations: Record<Family, readonly string[]>): string => {
    const at = index % things.length
    const names = operations[things[at]!.kind]
    return `thing ${String(at)}: ${pick(names, how)} ${String(n)}`
  }
  switch (step.step) {
    case 'sleep':
      return [`sleep ${String(step.ms)}`]
    case 'spend':
    case 'throw':
      return [step.step]
    case 'use':
      return block(
        `${named(step, OPERATIONS)}${step.limitMs === null ? '' : `, for at most ${String(step.limitMs)} ms`}`,
        step.body,
      )
    case 'useAndCancel':
      return [
        step.cancelFirst
          ? `cancel the first in line, ${named(step, SUDDEN)}`
          : `${named(step, SUDDEN)}, cancel who is woken`,
      ]
    case 'later':
      return [`after ${String(step.ms)} ms, ${named(step, SUDDEN)}`]
    case 'cancel':
      return [
        `cancel task ${String(step.task)}${step.graceMs === null ? '' : `, grace ${String(step.graceMs)}`}`,
      ]
    case 'spawn':
    case 'attempt':
      return block(step.step, step.body)
    case 'within':
    case 'shielded':
      return block(`${step.step} ${String(step.ms)} ms`, step.body)
    case 'finally':
      return [...block('try', step.body), ...block('finally', step.cleanup)]
    case 'every':
    case 'ticks':
    case 'retry':
      return block(`${step.step} ${String(step.ms)} ms, ${String(step.times)} times`, step.body)
  }
}
