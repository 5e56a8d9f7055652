// Random programs of tasks that meet at locks, queues and channels, against models of what those promise. See
// sync-explore.ts for running more of them.
//
//   CEDE_SEED=7 CEDE_RUNS=20000 npm test -- sync-programs
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { atMost, FIXED_SEED, freshSeed, keepTheRules } from './keep-the-rules.ts'
import { exploreSync } from './sync-explore.ts'

const { runs, timeLimitMs } = atMost(2_500, 5_000)
/** Each is run some fifty times. */
const runsWithEveryCancel = Math.ceil(runs / 6)

/** What happens in this many programs, or the rules about it are never tried. */
const ENOUGH = 1_000
const FAMILIES = [
  'lock',
  'event',
  'condition',
  'semaphore',
  'limiter',
  'barrier',
  'queue',
  'channel',
  'broadcast',
]
const MUST_BE_SEEN = ['at once', 'waited', 'cancelled', 'handed to a cancelled task']

function checkSeen(seen: readonly string[]): void {
  // `boundedSemaphore.with: waited`, `queue lifo.get: cancelled`
  const happened = new Set(
    seen.map((what) => what.replace('boundedS', 's').replace(/^([a-z]+)[ .].*: /, '$1: ')),
  )
  const wanted = FAMILIES.flatMap((family) => MUST_BE_SEEN.map((what) => `${family}: ${what}`))
  assert.deepEqual(
    [...wanted, 'a cycle of 2 or more', 'turns'].filter((what) => !happened.has(what)),
    [],
  )
}

test('programs of locks and queues keep the rules: the same programs every time', async () => {
  const { tried, seen } = await keepTheRules(exploreSync, { seed: FIXED_SEED, runs, timeLimitMs })
  if (tried >= ENOUGH) checkSeen(seen)
})

test(`programs of locks and queues keep the rules: a fresh seed (CEDE_SEED=${freshSeed})`, async () => {
  await keepTheRules(exploreSync, { seed: freshSeed, runs, timeLimitMs })
})

test(`programs of locks and queues keep the rules with a cancel at every suspension (CEDE_SEED=${freshSeed})`, async () => {
  await keepTheRules(exploreSync, {
    seed: freshSeed,
    runs: runsWithEveryCancel,
    everyStep: true,
    timeLimitMs,
  })
})
