/**
 * Tests the tests: applies each mutant to a copy of the library and lets the property runner look for it. A mutant that
 * is not found within the given number of programs is a hole in the generator or in the rules, and fails the check; so
 * does a fault that is found in the copy without any mutant.
 *
 *   npm run test:mutation [-- --only shield --seed 1 --runs 2000]
 */
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Exploration } from '../property/explorer.ts'
import { applied, root, sources } from './apply.ts'
import { MUTANTS, type Mutant } from './mutants.ts'

const PARALLEL = 2
/** A mutant that hangs beyond the runner's own limits. */
const TIME_LIMIT_MS = 120_000

interface Row {
  readonly name: string
  readonly found: boolean
  readonly tried: number
  readonly seconds: number
  /** The first rule that was broken. */
  readonly fault: string
}

/** A copy of the library with a tsconfig that makes `cede` mean the copy. */
function makeCopy(folder: string, mutant: Mutant | null): string {
  mkdirSync(folder)
  cpSync(sources, join(folder, 'src'), {
    recursive: true,
    filter: (path) => !path.endsWith('.test.ts'),
  })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  if (mutant !== null) writeFileSync(join(folder, 'src', mutant.file), applied(mutant))
  const config = join(folder, 'tsconfig.json')
  const door = (name: string): string[] => [join(folder, 'src', `${name}.ts`)]
  const paths = { cede: door('index'), 'cede/core': door('core'), 'cede/lowlevel': door('lowlevel') }
  writeFileSync(config, JSON.stringify({ compilerOptions: { target: 'es2023', module: 'nodenext', paths } }))
  return config
}

/** Which programs look for a mutant: those that use the file most, else those of the core. */
const EXPLORERS: readonly (readonly [file: string, explorer: string])[] = [
  ['io/', 'network-explore.ts'],
  ['sync/', 'sync-explore.ts'],
  ['flow/ticker.ts', 'sync-explore.ts'],
]

function explorerOf(mutant: Mutant): string {
  return EXPLORERS.find(([file]) => mutant.file.startsWith(file))?.[1] ?? 'explore.ts'
}

async function tryOut(
  mutant: Mutant | null,
  explorer: string,
  config: string,
  seed: string,
  runs: string,
): Promise<Row> {
  const name = mutant?.name ?? `(no mutant, ${explorer})`
  const startedMs = performance.now()
  const child = spawn(
    process.execPath,
    [
      '--import=tsx',
      join(root, 'test/property', explorer),
      '--seed',
      seed,
      '--runs',
      runs,
      '--no-shrink',
      '--json',
    ],
    {
      cwd: root,
      env: { ...process.env, TSX_TSCONFIG_PATH: config },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: TIME_LIMIT_MS,
      killSignal: 'SIGKILL',
    },
  )
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const seconds = (performance.now() - startedMs) / 1_000
  const line = stdout.trim().split('\n').at(-1) ?? ''
  if (!line.startsWith('{')) {
    console.error(stdout, stderr)
    return { name, found: false, tried: 0, seconds, fault: `the runner itself ended with ${String(code)}` }
  }
  const { failed, tried, report } = JSON.parse(line) as Exploration
  return { name, found: failed, tried, seconds, fault: report.split('\n')[3] ?? '' }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      seed: { type: 'string', default: '1' },
      runs: { type: 'string', default: '2000' },
      verbose: { type: 'boolean', default: false },
    },
  })
  const { seed, runs } = values
  const chosen = MUTANTS.filter((mutant) => mutant.name.includes(values.only))
  if (chosen.length === 0) throw new Error(`no mutant whose name contains "${values.only}"`)
  for (const mutant of chosen) applied(mutant)

  const folder = mkdtempSync(join(tmpdir(), 'cede-mutants-'))
  const queue: { readonly mutant: Mutant | null; readonly explorer: string }[] = [
    ...[...new Set(chosen.map(explorerOf))].map((explorer) => ({ mutant: null, explorer })),
    ...chosen.map((mutant) => ({ mutant, explorer: explorerOf(mutant) })),
  ]
  const failures: string[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < queue.length) {
      const index = next++
      const { mutant, explorer } = queue[index]!
      const copy = join(folder, String(index))
      const row = await tryOut(mutant, explorer, makeCopy(copy, mutant), seed, runs)
      rmSync(copy, { recursive: true })
      printRow(row, values.verbose)
      if (row.found !== (mutant !== null)) failures.push(row.name)
    }
  }
  try {
    await Promise.all(Array.from({ length: PARALLEL }, worker))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  if (failures.length === 0) {
    console.log(`${chosen.length} mutants, all found within ${runs} programs (seed ${seed})`)
    return
  }
  console.error(`expected: every mutant found, and nothing without one; not so: ${failures.join('; ')}`)
  process.exitCode = 1
}

function printRow({ name, found, tried, seconds, fault }: Row, verbose: boolean): void {
  const outcome = found ? `found after ${tried} programs` : `not found in ${tried} programs`
  console.log(`${name.padEnd(80)} ${outcome.padEnd(32)} ${seconds.toFixed(1)} s`)
  if (verbose && fault !== '') console.log(`    ${fault}`)
}

await main()
