/**
 * Tries random programs: each is run twice on fresh loops, must break no rule, and must leave the same trace both
 * times; with `--every-step` it is run again with a cancel at each of its steps, instead of twice.
 *
 *   node --import tsx test/property/explore.ts [--seed 1] [--runs 2000] [--path 12:3:1] [--no-shrink] [--every-step] [--json]
 */
import { programs } from './arbitrary.ts'
import {
  exploreFromCommandLine,
  exploreWith,
  Fault,
  parting,
  type Exploration,
  type ExploreOptions,
  type Explorer,
} from './explorer.ts'
import { printIntervention, printProgram } from './print.ts'
import type { Act, Intervention, Program } from './program.ts'
import { runProgram } from './run-program.ts'

/** Whom a cancel at every step hits: the main, the youngest task, the youngest scope. */
const VICTIMS: readonly Act[] = [
  { act: 'cancelTask', index: 0, graceMs: null },
  { act: 'cancelTask', index: 4, graceMs: null },
  { act: 'cancelScope', index: 4, graceMs: null },
]
const MOST_STEPS = 40
const MOST_FAULTS = 5

function refuse(violations: readonly string[], ...before: string[]): void {
  if (violations.length > 0) throw new Fault([...before, ...violations].slice(0, MOST_FAULTS).join('\n'))
}

async function check(program: Program): Promise<void> {
  const first = await runProgram(program)
  refuse(first.violations)
  const second = await runProgram(program)
  refuse(second.violations, 'only when run again:')
  const parted = parting(first.trace, second.trace)
  if (parted !== null) throw new Fault(parted)
}

/** Cancels something when a wait begins or ends, for each of these. */
async function checkEveryStep(program: Program): Promise<void> {
  const { violations, ticks } = await runProgram(program)
  refuse(violations)
  for (let tick = 0; tick < Math.min(ticks, MOST_STEPS); tick++) {
    for (const does of VICTIMS) {
      const intervention: Intervention = { at: 'tick', tick, soon: tick % 2 === 1, does }
      const interventions = [...program.interventions, intervention]
      const cancelled = await runProgram({ ...program, interventions })
      refuse(cancelled.violations, `with ${printIntervention(intervention)}:`)
    }
  }
}

const explorer: Explorer<Program> = {
  url: import.meta.url,
  programs,
  check,
  checkEveryStep,
  print: printProgram,
}

export function explore(options: ExploreOptions): Promise<Exploration> {
  return exploreWith(explorer, options)
}

await exploreFromCommandLine(explorer)
