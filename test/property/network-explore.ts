/**
 * Tries random programs with a network: each is run twice, must break no rule, and must leave the same trace both times.
 *
 *   node --import tsx test/property/network-explore.ts [--seed 1] [--runs 2000] [--path 12:3:1] [--no-shrink] [--json]
 */
import { parseArgs } from 'node:util'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import type { Exploration, ExploreOptions } from './explore.ts'
import { networkPrograms, type NetworkProgram } from './network-program.ts'
import { runNetworkProgram } from './network-run.ts'

export interface NetworkExploration extends Exploration {
  /** What happened in any of the programs. */
  readonly seen: readonly string[]
}

/** Events that are shown of a failing program. */
const MOST_EVENTS = 100

class Fault extends Error {}

async function check(program: NetworkProgram, seen: Set<string>): Promise<void> {
  const first = await runNetworkProgram(program)
  for (const what of first.seen) seen.add(what)
  if (first.violations.length > 0) {
    const events = first.trace.slice(-MOST_EVENTS)
    throw new Fault([...first.violations.slice(0, 5), '', ...events].join('\n'))
  }
  const second = await runNetworkProgram(program)
  const at = first.trace.findIndex((event, i) => event !== second.trace[i])
  if (at === -1 && first.trace.length === second.trace.length) return
  throw new Fault(
    `run twice, it took another way at event ${at}: ${first.trace[at] ?? 'end'} | ${second.trace[at] ?? 'end'}`,
  )
}

export async function exploreNetwork(
  options: Omit<ExploreOptions, 'everyStep'>,
): Promise<NetworkExploration> {
  const seen = new Set<string>()
  let tried = 0
  const property = fc.asyncProperty(networkPrograms, (program) => {
    tried++
    return check(program, seen)
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
  const error: unknown = details.errorInstance
  const report = [
    `seed ${seed}, path ${path}, program ${numRuns}`,
    `to see it again: node --import tsx test/property/network-explore.ts --seed ${seed} --path ${path}`,
    '',
    error instanceof Fault ? error.message : String(error instanceof Error ? error.stack : error),
    '',
    JSON.stringify(details.counterexample?.[0], null, 2),
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
      json: { type: 'boolean', default: false },
    },
    allowNegative: true,
  })
  const result = await exploreNetwork({
    seed: Number(values.seed),
    runs: Number(values.runs),
    path: values.path,
    shrink: values.shrink,
  })
  if (values.json) console.log(JSON.stringify(result))
  else
    console.log(
      result.failed
        ? result.report
        : `${result.tried} programs with seed ${result.seed}: no fault; seen: ${result.seen.join(', ')}`,
    )
  process.exitCode = result.failed ? 1 : 0
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main()
