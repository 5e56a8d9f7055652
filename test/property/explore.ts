/**
 * Tries random programs: each is run twice on fresh loops, must break no rule, and must leave the same trace both
 * times.
 *
 *   node --import tsx test/property/explore.ts [--seed 1] [--runs 2000] [--path 12:3:1] [--no-shrink] [--every-step] [--json]
 */
import { parseArgs } from 'node:util'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import { programs } from './arbitrary.ts'
import { printIntervention, printProgram } from './print.ts'
import type { Act, Intervention, Program } from './program.ts'
import { runProgram } from './run-program.ts'

export interface ExploreOptions {
  readonly seed: number
  readonly runs: number
  /** Where in the shrinking of that seed to begin, as a report printed it. */
  readonly path?: string | undefined
  /** Looks for a smaller program that fails as well. Default: true. */
  readonly shrink?: boolean | undefined
  /** Runs each program again with a cancel at each of its steps, instead of twice. */
  readonly everyStep?: boolean | undefined
  /** Ends early, with success, after so long. */
  readonly timeLimitMs?: number | undefined
}

export interface Exploration {
  readonly failed: boolean
  readonly seed: number
  /** Programs tried, the failing one included, without those of shrinking. */
  readonly tried: number
  /** For people: what went wrong, in which program, and how to see it again. */
  readonly report: string
}

/** What is wrong with one program; empty if nothing is. */
export async function faultsOf(program: Program): Promise<readonly string[]> {
  const first = await runProgram(program)
  if (first.violations.length > 0) return first.violations
  const second = await runProgram(program)
  if (second.violations.length > 0) return ['only when run again:', ...second.violations]
  const at = first.trace.findIndex((event, i) => event !== second.trace[i])
  if (at === -1 && first.trace.length === second.trace.length) return []
  return [
    `run twice, it took another way at event ${at}: ${first.trace[at] ?? 'end'} | ${second.trace[at] ?? 'end'}`,
  ]
}

/** Whom a cancel at every step hits: the main, the youngest task, the youngest scope. */
const VICTIMS: readonly Act[] = [
  { act: 'cancelTask', index: 0, graceMs: null },
  { act: 'cancelTask', index: 4, graceMs: null },
  { act: 'cancelScope', index: 4, graceMs: null },
]
const MOST_STEPS = 40

/** What is wrong with a program if something in it is cancelled when a wait begins or ends, for each of these. */
export async function faultsOfCancels(program: Program): Promise<readonly string[]> {
  const { violations, ticks } = await runProgram(program)
  if (violations.length > 0) return violations
  for (let tick = 0; tick < Math.min(ticks, MOST_STEPS); tick++) {
    for (const does of VICTIMS) {
      const intervention: Intervention = { at: 'tick', tick, soon: tick % 2 === 1, does }
      const interventions = [...program.interventions, intervention]
      const cancelled = await runProgram({ ...program, interventions })
      if (cancelled.violations.length === 0) continue
      return [`with ${printIntervention(intervention)}:`, ...cancelled.violations]
    }
  }
  return []
}

class Fault extends Error {}

export async function explore(options: ExploreOptions): Promise<Exploration> {
  let programsRun = 0
  const property = fc.asyncProperty(programs, async (program) => {
    programsRun++
    const faults = await (options.everyStep === true ? faultsOfCancels : faultsOf)(program)
    if (faults.length > 0) throw new Fault(faults.slice(0, 5).join('\n'))
  })
  const details = await fc.check(property, {
    seed: options.seed,
    numRuns: options.runs,
    endOnFailure: options.shrink === false,
    ...(options.path === undefined ? {} : { path: options.path }),
    ...(options.timeLimitMs === undefined ? {} : { interruptAfterTimeLimit: options.timeLimitMs }),
  })
  const { failed, seed, numRuns } = details
  if (!failed) return { failed, seed, tried: programsRun, report: '' }
  const program = details.counterexample?.[0]
  const error: unknown = details.errorInstance
  const report = [
    `seed ${seed}, path ${details.counterexamplePath ?? ''}, program ${numRuns}`,
    `to see it again: node --import tsx test/property/explore.ts --seed ${seed} --path ${details.counterexamplePath ?? ''}${options.everyStep === true ? ' --every-step' : ''}`,
    '',
    error instanceof Fault ? error.message : String(error instanceof Error ? error.stack : error),
    '',
    program === undefined ? '' : printProgram(program),
  ]
  return { failed, seed, tried: numRuns, report: report.join('\n') }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      runs: { type: 'string', default: '2000' },
      path: { type: 'string' },
      shrink: { type: 'boolean', default: true },
      'every-step': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
    allowNegative: true,
  })
  const result = await explore({
    seed: Number(values.seed),
    runs: Number(values.runs),
    path: values.path,
    everyStep: values['every-step'],
    shrink: values.shrink,
  })
  if (values.json) console.log(JSON.stringify(result))
  else
    console.log(result.failed ? result.report : `${result.tried} programs with seed ${result.seed}: no fault`)
  process.exitCode = result.failed ? 1 : 0
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main()
