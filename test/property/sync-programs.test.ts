// Random programs of tasks that meet at locks, queues and channels, against models of what those promise. See
// sync-explore.ts for running more of them.
//
//   CEDE_SEED=7 CEDE_RUNS=20000 npm test -- sync-programs
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exploreSync } from './sync-explore.ts'

const RUNS = Number(process.env['CEDE_RUNS'] ?? 2_500)
/** Each is run some fifty times. */
const RUNS_WITH_EVERY_CANCEL = Math.ceil(RUNS / 6)
/** For each test, unless a number of programs was asked for. */
const TIME_LIMIT_MS = process.env['CEDE_RUNS'] === undefined ? 5_000 : undefined
const FIXED_SEED = 1
const freshSeed = Number(process.env['CEDE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

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

async function keepTheRules(
  seed: number,
  runs: number,
  everyStep: boolean,
): Promise<readonly string[] | null> {
  const { failed, tried, report, seen } = await exploreSync({
    seed,
    runs,
    everyStep,
    timeLimitMs: TIME_LIMIT_MS,
  })
  assert(!failed, report)
  assert(tried > 0, 'no program was tried within the time limit')
  return tried < ENOUGH ? null : seen
}

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
  const seen = await keepTheRules(FIXED_SEED, RUNS, false)
  if (seen !== null) checkSeen(seen)
})

test(`programs of locks and queues keep the rules: a fresh seed (CEDE_SEED=${freshSeed})`, async () => {
  await keepTheRules(freshSeed, RUNS, false)
})

test(`programs of locks and queues keep the rules with a cancel at every suspension (CEDE_SEED=${freshSeed})`, async () => {
  await keepTheRules(freshSeed, RUNS_WITH_EVERY_CANCEL, true)
})
