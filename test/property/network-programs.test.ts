// Random programs that talk over the network of the sim driver, with delays, pieces, resets and refusals. See
// network-explore.ts for running more of them.
//
//   CEDE_SEED=7 CEDE_RUNS=20000 npm test -- network-programs
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exploreNetwork } from './network-explore.ts'

const RUNS = Number(process.env['CEDE_RUNS'] ?? 1_500)
/** For each test, unless a number of programs was asked for. */
const TIME_LIMIT_MS = process.env['CEDE_RUNS'] === undefined ? 8_000 : undefined
const FIXED_SEED = 1
const freshSeed = Number(process.env['CEDE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

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

async function keepTheRules(seed: number): Promise<void> {
  const { failed, tried, report, seen } = await exploreNetwork({
    seed,
    runs: RUNS,
    timeLimitMs: TIME_LIMIT_MS,
  })
  assert(!failed, report)
  assert(tried > 0, 'no program was tried within the time limit')
  if (tried < ENOUGH) return
  assert.deepEqual(
    MUST_BE_SEEN.filter((what) => !seen.includes(what)),
    [],
  )
}

test('programs with a network keep the rules: the same programs every time', () => keepTheRules(FIXED_SEED))

test(`programs with a network keep the rules: a fresh seed (CEDE_SEED=${freshSeed})`, () =>
  keepTheRules(freshSeed))
