// `npm run bench -- <suite>`: measures, prints the table, and writes the results as JSON and as a chart.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { chart } from './chart.ts'
import { Child, MissingError, type Place } from './child.ts'
import { core } from './core/suite.ts'
import { measure, type Plan, type Sampler } from './harness.ts'
import { terminalTable, withTable } from './report.ts'
import { caseResults, outcomes, type Measured, type Results } from './results.ts'
import { filtered, type Suite } from './suite.ts'

const suites: Readonly<Record<string, Suite>> = { core }

const usage = `npm run bench -- [suite] [options]

Suites: ${Object.keys(suites).join(', ')} (default: core)

  --quick         few short rounds and small programs: shows that everything runs, judges nothing
  --rounds <n>    how many rounds (default: 60)
  --only <text>   only rows whose heading or text contains it
  --together      all cases in one process, where the compiler has seen every use
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

function main(): Promise<void> | void {
  const name = positionals[0] ?? 'core'
  const suite = suites[name]
  if (options.help || suite === undefined) {
    if (!options.help) process.exitCode = 2
    console.log(options.help ? usage : `there is no suite "${name}"\n\n${usage}`)
    return
  }
  if (!options['no-build']) build()
  return runSuite(options.only === undefined ? suite : filtered(suite, options.only))
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
  const plan: Plan = {
    rounds: Number(options.rounds ?? (options.quick ? 3 : 60)),
    sampleNs: 10e6,
    leastIterations: options.quick ? 1 : 2000,
    warmUps: options.quick ? 1 : 25,
    random: Math.random,
    onProgress: showProgress,
  }
  const skipped = new Map<string, string>()
  const { samplers, versions, end } = await startCases(suite, skipped)
  const measurements = await measure(samplers, plan).finally(end)
  const programs = await runPrograms(suite, skipped)
  for (const [key, reason] of measurements.failures) skipped.set(key, reason)
  showProgress('')

  const measured: Measured = { ...measurements, programs, skipped }
  const results: Results = {
    suite: suite.name,
    title: suite.title,
    unit: suite.unit,
    when: new Date().toISOString(),
    quick: options.quick,
    together: options.together,
    rounds: plan.rounds,
    machine: `${availableParallelism()} cores of ${cpus()[0]?.model ?? 'an unknown processor'}`,
    versions: { Node: process.versions.node, ...installedVersions(suite.packages), ...versions },
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

const broken = new Set<string>()

async function startCases(suite: Suite, skipped: Map<string, string>) {
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
  return { samplers, versions, end }
}

/** Which cases share a process: none, all that can, or, where only time matters, those of one module. */
function processFor(suite: Suite, key: string, { module }: Place): string {
  // The unit stays alone: an AsyncLocalStorage in use anywhere in a process makes each of its awaits dearer.
  if (key === suite.unit) return key
  if (options.together && !module.pathname.endsWith('.py')) return 'together'
  return options.quick ? module.href : key
}

async function runPrograms(suite: Suite, skipped: Map<string, string>) {
  const programs = new Map<string, Record<string, number>>()
  for (const [key, program] of Object.entries(suite.programs)) {
    showProgress(`running: ${key}`)
    const child = new Child(program)
    try {
      programs.set(key, await child.runProgram(program, options.quick ? program.quickSize : program.size))
    } catch (error) {
      noteSkipped(skipped, key, error)
    } finally {
      child.end()
    }
  }
  return programs
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

await main()
