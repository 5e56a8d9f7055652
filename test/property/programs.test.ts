// Random programs against the rules of tasks, scopes, waits and timers. See explore.ts for running more of them.
//
//   CEDE_SEED=7 CEDE_RUNS=20000 npm test -- property
import { test } from 'node:test'
import { explore } from './explore.ts'
import { atMost, FIXED_SEED, freshSeed, keepTheRules } from './keep-the-rules.ts'

const { runs, timeLimitMs } = atMost(4_000, 12_000)
/** Each is run some hundred times. */
const runsWithEveryCancel = Math.ceil(runs / 50)

test('generated programs keep the rules: the same programs every time', async () => {
  await keepTheRules(explore, { seed: FIXED_SEED, runs, timeLimitMs })
})

test(`generated programs keep the rules: a fresh seed (CEDE_SEED=${freshSeed})`, async () => {
  await keepTheRules(explore, { seed: freshSeed, runs, timeLimitMs })
})

test(`generated programs keep the rules with a cancel at every step (CEDE_SEED=${freshSeed})`, async () => {
  await keepTheRules(explore, { seed: freshSeed, runs: runsWithEveryCancel, everyStep: true, timeLimitMs })
})
