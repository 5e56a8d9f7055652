// `npm run bench -- <suites>`: measures, prints the table, and writes the results as JSON and as a chart.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { chart } from './chart.ts'
import { bulk } from './bulk/suite.ts'
import { Child, type Place } from './child.ts'
import { connections } from './connections/suite.ts'
import { chooseCores } from './cores.ts'
import { core } from './core/suite.ts'
import { echo, lines, pipelined } from './echo/suite.ts'
import { latencies } from './latency/suite.ts'
import { measure, type Plan, type Sampler } from './harness.ts'
import { MissingError } from './line-process.ts'
import { compiledLoad } from './load/compile.ts'
import { installPeerPackages } from './peer-packages.ts'
import { redis } from './redis/suite.ts'
import { terminalTable, withTable } from './report.ts'
import { caseResults, outcomes, type LoadSample, type Measured, type Results } from './results.ts'
import { agreeOnRate, startServerCase, type StartedServer } from './server-cases.ts'
import { askServer } from './server-programs.ts'
import { filtered, type CodeSuite, type ServerSuite, type Suite } from './suite.ts'
import { timers } from './timers/suite.ts'

const suites: Readonly<Record<string, Suite>> = {
  core,
  echo,
  lines,
  pipelined,
  latency: latencies,
  bulk,
  connections,
  timers,
  redis,
}

const usage = `npm run bench -- [suites] [options]

Suites (default: core):
${Object.values(suites)
  .map(({ name, title }) => `  ${name.padEnd(14)}  ${title}`)
  .join('\n')}

Servers and their load need Linux, a C compiler, and for redis the Debian packages redis-tools and redis-server.

  --quick         few short rounds and small programs: shows that everything runs, judges nothing
  --rounds <n>    how many rounds (default: 60, for servers 30, for some fewer)
  --only <text>   only rows whose heading or text contains it
  --together      all timed code in one process, where the compiler has seen every use
  --save          write bench/results/<suite>.json and .svg, and the table in docs/performance.md
  --no-build      measure the package as it was last built
  --install       bring Bun, Deno and Effect's socket server from npm into .cache, and measure nothing
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
    install: { type: 'boolean', default: false },
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
  if (options.install) {
    installPeerPackages()
    return
  }
  const wanted = names.map((name) => suites[name] as Suite)
  if (wanted.some(needsCompiler)) compiledLoad()
  if (options['no-build']) requireBuild()
  else build()
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

/** Else it would be told of each case that something is missing. */
function requireBuild(): void {
  if (existsSync(join(root, 'packages', 'cede', 'dist'))) return
  throw new MissingError('--no-build: a package that was built was expected, found none; run without it once')
}

async function runSuite(suite: Suite): Promise<void> {
  const plan = planFor(suite)
  const skipped = new Map<string, string>()
  const started = suite.kind === 'code' ? await startCode(suite, skipped) : await startServers(suite, skipped)
  let processes: Measured['processes'] = new Map()
  const measurements = await measure(started.samplers, plan).finally(() => {
    processes = started.processes()
    started.end()
  })
  const { programs, versions } = await runPrograms(suite, skipped)
  for (const [key, reason] of measurements.failures) skipped.set(key, reason)
  showProgress('')

  const measured: Measured = { ...measurements, loads: started.loads, processes, programs, skipped }
  const machine = `${availableParallelism()} cores of ${cpus()[0]?.model ?? 'an unknown processor'}`
  const results: Results = {
    kind: suite.kind,
    suite: suite.name,
    title: suite.title,
    unit: suite.unit,
    ...(suite.kind === 'servers' ? { counted: suite.counted } : {}),
    ...(suite.kind === 'servers' && suite.drawn !== undefined ? { drawn: suite.drawn } : {}),
    ...(started.rate === undefined ? {} : { rate: started.rate }),
    when: new Date().toISOString(),
    quick: options.quick,
    together: options.together,
    rounds: plan.rounds,
    machine: suite.kind === 'servers' ? `${machine}, ${cores.how}` : machine,
    versions: {
      Node: process.versions.node,
      ...installedVersions(suite.packages),
      ...started.versions,
      ...versions,
    },
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

function planFor(suite: Suite): Plan {
  const { quick } = options
  const [usualRounds, sampleMs] =
    suite.kind === 'code'
      ? [suite.rounds ?? 60, 10]
      : [suite.rounds ?? 30, quick ? 50 : (suite.sampleMs ?? 400)]
  const rounds = Number(options.rounds ?? (quick ? 3 : usualRounds))
  const common = { rounds, sampleNs: sampleMs * 1e6, random: Math.random, onProgress: showProgress }
  return suite.kind === 'code'
    ? { ...common, leastIterations: quick ? 1 : 2000, warmUps: quick ? 1 : 25 }
    : { ...common, leastIterations: 1, warmUps: quick ? 1 : 5 }
}

const cores = chooseCores()

interface Started {
  readonly samplers: readonly Sampler[]
  readonly loads: ReadonlyMap<string, readonly LoadSample[]>
  readonly versions: Readonly<Record<string, string>>
  /** Lines a second, where that was found by what the servers can do. */
  readonly rate?: number | undefined
  processes(): Measured['processes']
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
  return { samplers, loads: new Map(), versions, processes: () => new Map(), end }
}

async function startServers(suite: ServerSuite, skipped: Map<string, string>): Promise<Started> {
  const all = new Map<string, StartedServer>()
  for (const [key, server] of Object.entries(suite.cases)) {
    showProgress(`starting: ${key}`)
    try {
      all.set(key, await startServerCase(key, server, cores, options.quick))
    } catch (error) {
      noteSkipped(skipped, key, error, server.install)
    }
  }
  const started = [...all.values()]
  const end = () => {
    for (const each of started) each.end()
  }
  showProgress('looking for a rate')
  const rate = await agreeOnRate(started.flatMap(({ pace }) => pace ?? [])).catch((error: unknown) => {
    end()
    throw error
  })
  return {
    samplers: started.map(({ sampler }) => sampler),
    loads: mapped(all, ({ samples }) => samples),
    versions: Object.assign({}, ...started.map(({ versions }) => versions)) as Record<string, string>,
    rate,
    processes: () => mapped(all, (server) => server.process()),
    end,
  }
}

/** Without those of which there is nothing. */
function mapped<T, U>(map: ReadonlyMap<string, T>, change: (value: T) => U | undefined): Map<string, U> {
  const entries = [...map].flatMap(([key, value]) => {
    const changed = change(value)
    return changed === undefined ? [] : [[key, changed] as const]
  })
  return new Map(entries)
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
  const versions: Record<string, string> = {}
  for (const [key, program] of Object.entries(suite.programs)) {
    showProgress(`running: ${key}`)
    const size = options.quick ? program.quickSize : program.size
    try {
      if ('asked' in program) {
        const answer = await askServer(program, size, cores)
        programs.set(key, answer.figures)
        Object.assign(versions, answer.versions)
      } else {
        programs.set(key, await runProgram(program, size))
      }
    } catch (error) {
      noteSkipped(skipped, key, error, program.install)
    }
  }
  return { programs, versions }
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
