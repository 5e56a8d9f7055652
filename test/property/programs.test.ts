// Random programs against the rules of tasks, scopes, waits and timers. See explore.ts for running more of them.
//
//   CEDE_SEED=7 CEDE_RUNS=20000 npm test -- property
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explore } from './explore.ts'

const RUNS = Number(process.env['CEDE_RUNS'] ?? 4_000)
/** Each is run some hundred times. */
const RUNS_WITH_EVERY_CANCEL = Math.ceil(RUNS / 50)
/** For each test, unless a number of programs was asked for. */
const TIME_LIMIT_MS = process.env['CEDE_RUNS'] === undefined ? 12_000 : undefined
const FIXED_SEED = 1
const freshSeed = Number(process.env['CEDE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

async function keepTheRules(seed: number, runs: number, everyStep: boolean): Promise<void> {
  const { failed, tried, report } = await explore({ seed, runs, everyStep, timeLimitMs: TIME_LIMIT_MS })
  assert(!failed, report)
  assert(tried > 0, 'no program was tried within the time limit')
}

test('generated programs keep the rules: the same programs every time', () =>
  keepTheRules(FIXED_SEED, RUNS, false))

test(`generated programs keep the rules: a fresh seed (CEDE_SEED=${freshSeed})`, () =>
  keepTheRules(freshSeed, RUNS, false))

test(`generated programs keep the rules with a cancel at every step (CEDE_SEED=${freshSeed})`, () =>
  keepTheRules(freshSeed, RUNS_WITH_EVERY_CANCEL, true))
