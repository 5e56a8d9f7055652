/** Random programs. Few names and few different durations, so that things meet. */
import fc from 'fast-check'
import type { Act, Intervention, Node, Program } from './program.ts'

const SOME = { min: 0, max: 7 }
const index = fc.integer(SOME)
const duration = fc.constantFrom(0, 1, 1, 2, 2, 3, 3, 4, 5, 7)
const deadline = fc.constantFrom(-1, 0, 1, 2, 3, 3, 4, 5, 7, 10, 15)
const grace = fc.option(fc.constantFrom(0, 1, 3, 6), { freq: 3 })

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ act: fc.constant('cancelTask' as const), index, graceMs: grace }) },
  { weight: 4, arbitrary: fc.record({ act: fc.constant('cancelScope' as const), index, graceMs: grace }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constantFrom('cancelGroup', 'watch', 'watch'), index }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constant('moveDeadline' as const), index, ms: deadline }) },
  {
    weight: 4,
    arbitrary: fc.record({ act: fc.constantFrom('settle', 'settle', 'fail', 'cancelFuture'), index }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ act: fc.constantFrom('put', 'put', 'wakeOne', 'failAll', 'failAll'), index }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      act: fc.constant('moveWaiters' as const),
      index,
      to: index,
      count: fc.integer({ min: 1, max: 2 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ act: fc.constant('handAndCancel' as const), index, cancelFirst: fc.boolean() }),
  },
)

const callDepth = fc.oneof(
  { weight: 10, arbitrary: fc.integer({ min: 1, max: 4 }) },
  { weight: 2, arbitrary: fc.integer({ min: 5, max: 12 }) },
  { weight: 1, arbitrary: fc.constantFrom(99, 101, 120) },
)

const simple: fc.WeightedArbitrary<Node>[] = [
  { weight: 10, arbitrary: fc.record({ node: fc.constant('sleep' as const), ms: duration }) },
  { weight: 8, arbitrary: fc.record({ node: fc.constant('act' as const), does: act }) },
  {
    weight: 3,
    arbitrary: fc.record({ node: fc.constant('later' as const), ms: fc.option(duration), does: act }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ node: fc.constantFrom('await', 'await', 'join', 'cancelAndWait'), index }),
  },
  { weight: 4, arbitrary: fc.record({ node: fc.constant('future' as const), index }) },
  { weight: 7, arbitrary: fc.record({ node: fc.constant('get' as const), index }) },
  {
    weight: 3,
    arbitrary: fc.record({ node: fc.constantFrom('checkpoint', 'forever', 'throw', 'throw', 'cancelSelf') }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      node: fc.constant('cancelAround' as const),
      depth: fc.integer({ min: 0, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ node: fc.constant('spawnSleep' as const), ms: duration }) },
  {
    weight: 4,
    arbitrary: fc.record({
      node: fc.constant('bare' as const),
      kind: fc.constantFrom('scope', 'timeoutOr', 'shield'),
      ms: deadline,
      waits: fc.constantFrom('sleep', 'get'),
      sleepMs: duration,
      index,
    }),
  },
  { weight: 1, arbitrary: fc.record({ node: fc.constant('elapse' as const), ms: fc.constantFrom(1, 2, 5) }) },
] as fc.WeightedArbitrary<Node>[]

const DEPTH = 5

const { node } = fc.letrec<{ node: Node; children: Node[] }>((tie) => ({
  children: fc.array(tie('node'), { minLength: 0, maxLength: 3, size: 'max', depthIdentifier: 'program' }),
  node: fc.oneof(
    { maxDepth: DEPTH, depthSize: 'max', depthIdentifier: 'program', withCrossShrink: true },
    { weight: 12, arbitrary: fc.oneof(...simple) },
    {
      weight: 16,
      arbitrary: fc.record({
        node: fc.constant('seq' as const),
        parts: fc.array(tie('node'), { minLength: 1, maxLength: 4, size: 'max', depthIdentifier: 'program' }),
      }),
    },
    {
      weight: 7,
      arbitrary: fc.record({ node: fc.constant('spawn' as const), eager: fc.boolean(), body: tie('node') }),
    },
    {
      weight: 5,
      arbitrary: fc.record({ node: fc.constantFrom('scope', 'scope', 'shield'), body: tie('node') }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        node: fc.constant('timeout' as const),
        ms: deadline,
        orElse: fc.boolean(),
        body: tie('node'),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        node: fc.constant('group' as const),
        limit: fc.option(fc.integer({ min: 1, max: 2 }), { freq: 3 }),
        eager: fc.boolean(),
        children: tie('children'),
        body: tie('node'),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ node: fc.constantFrom('gather', 'race', 'any'), children: tie('children') }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ node: fc.constant('catch' as const), body: tie('node'), handler: tie('node') }),
    },
    {
      weight: 9,
      arbitrary: fc.record({
        node: fc.constant('finally' as const),
        body: tie('node'),
        cleanup: tie('node'),
        exit: fc.constantFrom('fall', 'fall', 'return', 'throw'),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        node: fc.constant('loop' as const),
        times: fc.integer({ min: 1, max: 3 }),
        body: tie('node'),
        cleanup: tie('node'),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        node: fc.constant('call' as const),
        kind: fc.constantFrom('plain', 'wrapped', 'mixed'),
        depth: callDepth,
        body: tie('node'),
      }),
    },
  ),
}))

const intervention: fc.Arbitrary<Intervention> = fc.oneof(
  fc.record({ at: fc.constant('ms' as const), ms: duration, does: act }),
  fc.record({
    at: fc.constant('tick' as const),
    tick: fc.integer({ min: 0, max: 30 }),
    soon: fc.boolean(),
    does: act,
  }),
)

/** Several tasks, so that there is somebody to meet. */
const main: fc.Arbitrary<Node> = fc.record({
  node: fc.constant('seq' as const),
  parts: fc.array(
    fc.oneof(
      { weight: 3, arbitrary: node },
      {
        weight: 2,
        arbitrary: fc.record({ node: fc.constant('spawn' as const), eager: fc.boolean(), body: node }),
      },
    ),
    { maxLength: 5, size: 'max' },
  ),
})

export const programs: fc.Arbitrary<Program> = fc.record({
  main,
  interventions: fc.array(intervention, { maxLength: 4, size: 'max' }),
  shuffleSeed: fc.option(fc.nat(1_000_000), { freq: 2 }),
  cleanupGraceMs: fc.constantFrom(10_000, 10_000, 10_000, 8),
  reapMs: fc.option(fc.constant(40), { freq: 5 }),
})
