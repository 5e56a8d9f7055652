// `npm run bench -- <suites>`: measures, prints the table, and writes the results as JSON and as a chart.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { chart } from './chart.ts'
import { Child, type Place } from './child.ts'
import { chooseCores } from './cores.ts'
import { core } from './core/suite.ts'
import { echo, lines } from './echo/suite.ts'
import { measure, type Plan, type Sampler } from './harness.ts'
import { MissingError } from './line-process.ts'
import { compiledLoad } from './load/compile.ts'
import { redis } from './redis/suite.ts'
import { terminalTable, withTable } from './report.ts'
import { caseResults, outcomes, type LoadSample, type Measured, type Results } from './results.ts'
import { idleFigures, startServerCase } from './server-cases.ts'
import { filtered, type CodeSuite, type ServerSuite, type Suite } from './suite.ts'

const suites: Readonly<Record<string, Suite>> = { core, echo, lines, redis }

const usage = `npm run bench -- [suites] [options]

Suites (default: core):
${Object.values(suites)
  .map(({ name, title }) => `  ${name.padEnd(14)}  ${title}`)
  .join('\n')}

Servers and their load need Linux, a C compiler, and for redis the Debian packages redis-tools and redis-server.

  --quick         few short rounds and small programs: shows that everything runs, judges nothing
  --rounds <n>    how many rounds (default: 60; for servers 30)
  --only <text>   only rows whose heading or text contains it
  --together      all timed code in one process, where the compiler has seen every use
  --save          write bench/results/<suite>.json and .svg, and the table in docs/performance.md
  --no-build      measure the package as it was last built
  --help`

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string' },
    together: { type: 'boolean', default: false },
    save: { type: 'boolean', default: false },
    'no-build': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const root = fileURLToPath(new URL('..', import.meta.url))

async function main(): Promise<void> {
  const names = positionals.length === 0 ? ['core'] : positionals
  const unknown = names.find((name) => suites[name] === undefined)
  if (options.help || unknown !== undefined) {
    if (!options.help) process.exitCode = 2
    console.log(options.help ? usage : `there is no suite "${String(unknown)}"\n\n${usage}`)
    return
  }
  const wanted = names.map((name) => suites[name] as Suite)
  if (wanted.some(needsCompiler)) compiledLoad()
  if (!options['no-build']) build()
  for (const suite of wanted) {
    await runSuite(options.only === undefined ? suite : filtered(suite, options.only))
  }
}

/** Redis has a load generator of its own. */
function needsCompiler(suite: Suite): boolean {
  return suite.kind === 'servers' && Object.values(suite.cases).some(({ load }) => 'lineBytes' in load)
}

/** The package is measured as it is published. */
function build(): void {
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  if (status !== 0) throw new Error('the package could not be built; --no-build measures the last one')
}

async function runSuite(suite: Suite): Promise<void> {
  const plan = planFor(suite)
  const skipped = new Map<string, string>()
  const started = suite.kind === 'code' ? await startCode(suite, skipped) : await startServers(suite, skipped)
  const measurements = await measure(started.samplers, plan).finally(() => started.end())
  const programs = await runPrograms(suite, skipped)
  for (const [key, reason] of measurements.failures) skipped.set(key, reason)
  showProgress('')

  const measured: Measured = { ...measurements, loads: started.loads, programs, skipped }
  const machine = `${availableParallelism()} cores of ${cpus()[0]?.model ?? 'an unknown processor'}`
  const results: Results = {
    kind: suite.kind,
    suite: suite.name,
    title: suite.title,
    unit: suite.unit,
    ...(suite.kind === 'servers' ? { counted: suite.counted } : {}),
    when: new Date().toISOString(),
    quick: options.quick,
    together: options.together,
    rounds: plan.rounds,
    machine: suite.kind === 'servers' ? `${machine}, ${cores.how}` : machine,
    versions: { Node: process.versions.node, ...installedVersions(suite.packages), ...started.versions },
    cases: caseResults(suite, measured),
    programs: Object.fromEntries(programs),
    skipped: Object.fromEntries(skipped),
    rows: outcomes(suite, measured, options.quick),
  }
  console.log(terminalTable(results))
  if (options.save) save(suite, results)
  // A case that is broken is a failure; a peer that is not installed, or a missed target, is not.
  if (broken.size > 0 || measurements.failures.size > 0) process.exitCode = 1
}

function planFor({ kind }: Suite): Plan {
  const { quick } = options
  const rounds = Number(options.rounds ?? (quick ? 3 : kind === 'code' ? 60 : 30))
  const common = { rounds, random: Math.random, onProgress: showProgress }
  return kind === 'code'
    ? { ...common, sampleNs: 10e6, leastIterations: quick ? 1 : 2000, warmUps: quick ? 1 : 25 }
    : { ...common, sampleNs: quick ? 50e6 : 400e6, leastIterations: 1, warmUps: quick ? 1 : 5 }
}

const cores = chooseCores()

interface Started {
  readonly samplers: readonly Sampler[]
  readonly loads: ReadonlyMap<string, readonly LoadSample[]>
  readonly versions: Readonly<Record<string, string>>
  end(): void
}

const broken = new Set<string>()

async function startCode(suite: CodeSuite, skipped: Map<string, string>): Promise<Started> {
  // All processes are started before the first is spoken to, so that they load side by side.
  const children = new Map<string, Child>()
  const started = Object.entries(suite.cases).map(([key, place]) => {
    const owner = processFor(suite, key, place)
    const child = children.get(owner) ?? new Child(place)
    children.set(owner, child)
    return { key, place, child }
  })
  const samplers: Sampler[] = []
  const versions: Record<string, string> = {}
  for (const { key, place, child } of started) {
    showProgress(`starting: ${key}`)
    try {
      const sampler = await child.timedCase(key, place)
      samplers.push(key === suite.unit ? { ...sampler, perRound: 3 } : sampler)
      Object.assign(versions, child.versions)
    } catch (error) {
      noteSkipped(skipped, key, error, place.install)
    }
  }
  const end = () => {
    for (const child of children.values()) child.end()
  }
  return { samplers, loads: new Map(), versions, end }
}

async function startServers(suite: ServerSuite, skipped: Map<string, string>): Promise<Started> {
  const samplers: Sampler[] = []
  const loads = new Map<string, readonly LoadSample[]>()
  const versions: Record<string, string> = {}
  const ends: (() => void)[] = []
  for (const [key, server] of Object.entries(suite.cases)) {
    showProgress(`starting: ${key}`)
    try {
      const started = await startServerCase(key, server, cores)
      samplers.push(started.sampler)
      loads.set(key, started.samples)
      Object.assign(versions, started.versions)
      ends.push(() => started.end())
    } catch (error) {
      noteSkipped(skipped, key, error, server.install)
    }
  }
  const end = () => {
    for (const each of ends) each()
  }
  return { samplers, loads, versions, end }
}

/** Which cases share a process: none, all that can, or, where only time matters, those of one module. */
function processFor(suite: CodeSuite, key: string, { module }: Place): string {
  // The unit stays alone: an AsyncLocalStorage in use anywhere in a process makes each of its awaits dearer.
  if (key === suite.unit) return key
  if (options.together && !module.pathname.endsWith('.py')) return 'together'
  return options.quick ? module.href : key
}

async function runPrograms(suite: Suite, skipped: Map<string, string>) {
  const programs = new Map<string, Record<string, number>>()
  for (const [key, program] of Object.entries(suite.programs)) {
    showProgress(`running: ${key}`)
    const size = options.quick ? program.quickSize : program.size
    try {
      programs.set(
        key,
        program.idle ? await idleFigures(program, size, cores) : await runProgram(program, size),
      )
    } catch (error) {
      noteSkipped(skipped, key, error, program.install)
    }
  }
  return programs
}

async function runProgram(place: Place, size: number): Promise<Record<string, number>> {
  const child = new Child(place)
  try {
    return await child.runProgram(place, size)
  } finally {
    child.end()
  }
}

function noteSkipped(skipped: Map<string, string>, key: string, error: unknown, install?: string): void {
  if (error instanceof MissingError && install !== undefined) {
    skipped.set(key, install)
    return
  }
  broken.add(key)
  skipped.set(key, error instanceof Error ? error.message : String(error))
}

function installedVersions(packages: readonly string[]): Record<string, string> {
  const versions: Record<string, string> = {}
  for (const name of packages) {
    try {
      const text = readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')
      versions[name] = (JSON.parse(text) as { version: string }).version
    } catch {
      // Not installed: its cases are skipped, and say so.
    }
  }
  return versions
}

function save(suite: Suite, results: Results): void {
  const directory = join(root, 'bench', 'results')
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, `${suite.name}.json`), JSON.stringify(results, null, 2) + '\n')
  writeFileSync(join(directory, `${suite.name}.svg`), chart(suite, results))
  const page = join(root, 'docs', 'performance.md')
  writeFileSync(page, withTable(readFileSync(page, 'utf8'), results))
}

function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

try {
  await main()
} catch (error) {
  if (!(error instanceof MissingError)) throw error
  console.error(`bench: ${error.message}`)
  process.exitCode = 1
}
