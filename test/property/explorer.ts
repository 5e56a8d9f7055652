/** What explorers of all kinds of programs share: the search, its report, and the command line. */
import { basename } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import fc from 'fast-check'

export interface ExploreOptions {
  readonly seed: number
  readonly runs: number
  /** Where in the shrinking of that seed to begin, as a report printed it. */
  readonly path?: string | undefined
  /** Looks for a smaller program that fails as well. Default: true. */
  readonly shrink?: boolean | undefined
  /** Runs each program again with a cancel at each of its steps. */
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
  /** What happened in any of the programs, where that is written down. */
  readonly seen: readonly string[]
}

/** What is wrong with a program. */
export class Fault extends Error {}

/** Throws a `Fault` if something is wrong with the program; adds what happened in it to `seen`. */
type Check<P> = (program: P, seen: Set<string>) => Promise<unknown>

/** One kind of programs, and what is looked at in them. */
export interface Explorer<P> {
  /** `import.meta.url` of its file, which is run from the command line. */
  readonly url: string
  readonly programs: fc.Arbitrary<P>
  readonly check: Check<P>
  /** With a cancel at each step; without it there is no `--every-step`. */
  readonly checkEveryStep?: Check<P>
  readonly print: (program: P) => string
}

/** Where two runs of one program parted, in words; null if they left the same trace. */
export function parting(first: readonly string[], second: readonly string[]): string | null {
  const at = first.findIndex((event, index) => event !== second[index])
  if (at === -1 && first.length === second.length) return null
  return `run twice, it took another way at event ${at}: ${first[at] ?? 'end'} | ${second[at] ?? 'end'}`
}

export async function exploreWith<P>(explorer: Explorer<P>, options: ExploreOptions): Promise<Exploration> {
  const everyStep = options.everyStep === true
  const check = everyStep ? (explorer.checkEveryStep ?? explorer.check) : explorer.check
  const seen = new Set<string>()
  let tried = 0
  const property = fc.asyncProperty(explorer.programs, async (program) => {
    tried++
    await check(program, seen)
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
  const file = basename(fileURLToPath(explorer.url))
  const again = `node --import tsx test/property/${file} --seed ${seed} --path ${path}`
  const program = details.counterexample?.[0]
  const error: unknown = details.errorInstance
  const report = [
    `seed ${seed}, path ${path}, program ${numRuns}`,
    `to see it again: ${again}${everyStep ? ' --every-step' : ''}`,
    '',
    error instanceof Fault ? error.message : String(error instanceof Error ? error.stack : error),
    '',
    program === undefined ? '' : explorer.print(program),
  ]
  return { failed, seed, tried: numRuns, report: report.join('\n'), seen: [...seen] }
}

/** Explores as the command line says, if the file of the explorer is the program that runs. */
export async function exploreFromCommandLine<P>(explorer: Explorer<P>): Promise<void> {
  if (explorer.url !== pathToFileURL(process.argv[1] ?? '').href) return
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
  const everyStep = values['every-step']
  if (everyStep && explorer.checkEveryStep === undefined)
    throw new Error('--every-step: expected programs that are cancelled at every step, found others')
  const result = await exploreWith(explorer, {
    seed: Number(values.seed),
    runs: Number(values.runs),
    path: values.path,
    everyStep,
    shrink: values.shrink,
  })
  if (values.json) console.log(JSON.stringify(result))
  else console.log(result.failed ? result.report : summary(result))
  process.exitCode = result.failed ? 1 : 0
}

function summary({ tried, seed, seen }: Exploration): string {
  const happened = seen.length === 0 ? [] : ['seen:', ...[...seen].sort()]
  return [`${tried} programs with seed ${seed}: no fault`, ...happened].join('\n')
}
