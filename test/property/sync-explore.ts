/**
 * Tries random programs of tasks that meet at locks, queues and channels: each must break no rule; with `--every-step`
 * it is run twice, in the same way, and then again with a cancel at each of its suspensions.
 *
 *   node --import tsx test/property/sync-explore.ts [--seed 1] [--runs 2000] [--path 12:3:1] [--no-shrink] [--every-step] [--json]
 */
import {
  exploreFromCommandLine,
  exploreWith,
  Fault,
  parting,
  type Exploration,
  type ExploreOptions,
  type Explorer,
} from './explorer.ts'
import {
  printCancel,
  printSyncProgram,
  syncPrograms,
  type CancelAt,
  type SyncProgram,
} from './sync-program.ts'
import { runSyncProgram, type SyncReport } from './sync-run.ts'

/** Events that are shown of a failing program. */
const MOST_EVENTS = 60
/** Of one program, cancelled one by one. */
const MOST_SUSPENSIONS = 60

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
  const parted = parting(trace, second)
  if (parted !== null) throw new Fault(parted)
  for (let nth = 0; nth < Math.min(suspensions, MOST_SUSPENSIONS); nth++) {
    for (const when of ['waiting', 'woken'] as const) {
      const cancel: CancelAt = { nth, when }
      const cancels = [...program.cancels, cancel]
      await check({ ...program, cancels }, seen, `with this: ${printCancel(cancel)}`)
    }
  }
}

const explorer: Explorer<SyncProgram> = {
  url: import.meta.url,
  programs: syncPrograms,
  check,
  checkEveryStep,
  print: printSyncProgram,
}

export function exploreSync(options: ExploreOptions): Promise<Exploration> {
  return exploreWith(explorer, options)
}

await exploreFromCommandLine(explorer)
