// What the tests of generated programs share. How many programs and which: $CEDE_RUNS and $CEDE_SEED.
import assert from 'node:assert/strict'
import type { Exploration, ExploreOptions } from './explorer.ts'

const wanted = process.env['CEDE_RUNS']

export const FIXED_SEED = 1
export const freshSeed = Number(process.env['CEDE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

/** So many programs, for so long at most; unless a number of programs was asked for. */
export function atMost(runs: number, timeLimitMs: number): { runs: number; timeLimitMs: number | undefined } {
  return wanted === undefined ? { runs, timeLimitMs } : { runs: Number(wanted), timeLimitMs: undefined }
}

export async function keepTheRules(
  explore: (options: ExploreOptions) => Promise<Exploration>,
  options: ExploreOptions,
): Promise<Exploration> {
  const exploration = await explore(options)
  assert(!exploration.failed, exploration.report)
  assert(exploration.tried > 0, 'no program was tried within the time limit')
  return exploration
}
