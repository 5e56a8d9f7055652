/**
 * Tries random programs of tasks that meet at locks, queues and channels: each must break no rule; with `--every-step`
 * it is run twice, in the same way, and then again with a cancel at each of its suspensions.
 *
 *   node --import tsx test/property/sync-explore.ts [--seed 1] [--runs 2000] [--path 12:3:1] [--no-shrink] [--every-step] [--json]
 */
import { parseArgs } from 'node:util'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import type { Exploration, ExploreOptions } from './explore.ts'
import {
  printCancel,
  printSyncProgram,
  syncPrograms,
  type CancelAt,
  type SyncProgram,
} from './sync-program.ts'
import { runSyncProgram, type SyncReport } from './sync-run.ts'

export interface SyncExploration extends Exploration {
  /** What happened in any of the programs. */
  readonly seen: readonly string[]
}

/** Events that are shown of a failing program. */
const MOST_EVENTS = 60
/** Of one program, cancelled one by one. */
const MOST_SUSPENSIONS = 60

class Fault extends Error {}

async function check(program: SyncProgram, seen: Set<string>, more = ''): Promise<SyncReport> {
  const report = await runSyncProgram(program)
  for (const what of report.seen) seen.add(what)
  if (report.violations.length === 0) return report
  const events = report.trace.slice(-MOST_EVENTS)
  throw new Fault([...report.violations.slice(0, 5), more, ...events].join('\n'))
}

/** Runs it with a cancel at each suspension: of the task that waits there, and of the task that was woken there. */
async function checkEveryStep(program: SyncProgram, seen: Set<string>): Promise<void> {
  const { suspensions, trace } = await check(program, seen)
  const { trace: second } = await check(program, seen)
  const at = trace.findIndex((event, index) => event !== second[index])
  if (at !== -1 || trace.length !== second.length)
    throw new Fault(
      `run twice, it took another way at event ${String(at)}: ${trace[at] ?? 'end'} | ${second[at] ?? 'end'}`,
    )
  for (let nth = 0; nth < Math.min(suspensions, MOST_SUSPENSIONS); nth++) {
    for (const when of ['waiting', 'woken'] as const) {
      const cancel: CancelAt = { nth, when }
      const cancels = [...program.cancels, cancel]
      await check({ ...program, cancels }, seen, `with this: ${printCancel(cancel)}`)
    }
  }
}

export async function exploreSync(options: ExploreOptions): Promise<SyncExploration> {
  const seen = new Set<string>()
  let tried = 0
  const property = fc.asyncProperty(syncPrograms, async (program) => {
    tried++
    await (options.everyStep === true ? checkEveryStep : check)(program, seen)
  })
  const details = await fc.check(property, {
    seed: options.seed,
    numRuns: options.runs,
    endOnFailure: options.shrink === false,
    ...(options.path === undefined ? {} : { path: options.path }),
    ...(options.timeLimitMs === undefined ? {} : { interruptAfterTimeLimit: options.timeLimitMs }),
  })
  const { failed, seed, numRuns } = details
  if (!failed) return { failed, seed, tried, report: '', seen: [...seen] }
  const path = details.counterexamplePath ?? ''
  const program = details.counterexample?.[0]
  const error: unknown = details.errorInstance
  const report = [
    `seed ${String(seed)}, path ${path}, program ${String(numRuns)}`,
    `to see it again: node --import tsx test/property/sync-explore.ts --seed ${String(seed)} --path ${path}${options.everyStep === true ? ' --every-step' : ''}`,
    '',
    error instanceof Fault ? error.message : String(error instanceof Error ? error.stack : error),
    '',
    program === undefined ? '' : printSyncProgram(program),
  ]
  return { failed, seed, tried: numRuns, report: report.join('\n'), seen: [...seen] }
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
  const result = await exploreSync({
    seed: Number(values.seed),
    runs: Number(values.runs),
    path: values.path,
    everyStep: values['every-step'],
    shrink: values.shrink,
  })
  if (values.json) console.log(JSON.stringify(result))
  else
    console.log(
      result.failed
        ? result.report
        : `${String(result.tried)} programs with seed ${String(result.seed)}: no fault; seen:\n${[...result.seen].sort().join('\n')}`,
    )
  process.exitCode = result.failed ? 1 : 0
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main()
