/**
 * Tries random programs with a network: each is run twice, must break no rule, and must leave the same trace both times.
 *
 *   node --import tsx test/property/network-explore.ts [--seed 1] [--runs 2000] [--path 12:3:1] [--no-shrink] [--json]
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
import { networkPrograms, type NetworkProgram } from './network-program.ts'
import { runNetworkProgram } from './network-run.ts'

/** Events that are shown of a failing program. */
const MOST_EVENTS = 100

async function check(program: NetworkProgram, seen: Set<string>): Promise<void> {
  const first = await runNetworkProgram(program)
  for (const what of first.seen) seen.add(what)
  if (first.violations.length > 0) {
    const events = first.trace.slice(-MOST_EVENTS)
    throw new Fault([...first.violations.slice(0, 5), '', ...events].join('\n'))
  }
  const second = await runNetworkProgram(program)
  const parted = parting(first.trace, second.trace)
  if (parted !== null) throw new Fault(parted)
}

const explorer: Explorer<NetworkProgram> = {
  url: import.meta.url,
  programs: networkPrograms,
  check,
  print: (program) => JSON.stringify(program, null, 2),
}

export function exploreNetwork(options: Omit<ExploreOptions, 'everyStep'>): Promise<Exploration> {
  return exploreWith(explorer, options)
}

await exploreFromCommandLine(explorer)
