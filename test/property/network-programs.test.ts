// Random programs that talk over the network of the sim driver, with delays, pieces, resets and refusals. See
// network-explore.ts for running more of them.
//
//   CEDE_SEED=7 CEDE_RUNS=20000 npm test -- network-programs
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { atMost, FIXED_SEED, freshSeed, keepTheRules } from './keep-the-rules.ts'
import { exploreNetwork } from './network-explore.ts'

const limits = atMost(1_500, 8_000)

/** What happens in this many programs, or the rules about it are never tried. */
const ENOUGH = 500
const MUST_BE_SEEN = [
  'end',
  'abort',
  'ECONNRESET',
  'EPIPE',
  'refused',
  'pauseWriting',
  'hard limit',
  'line limit',
  'waits for ever: read',
  'waits for ever: drain',
]

test('programs with a network keep the rules: the same programs every time', async () => {
  const { tried, seen } = await keepTheRules(exploreNetwork, { seed: FIXED_SEED, ...limits })
  if (tried < ENOUGH) return
  assert.deepEqual(
    MUST_BE_SEEN.filter((what) => !seen.includes(what)),
    [],
  )
})

test(`programs with a network keep the rules: a fresh seed (CEDE_SEED=${freshSeed})`, async () => {
  await keepTheRules(exploreNetwork, { seed: freshSeed, ...limits })
})
