// Runs every program in examples/ the way its header says, and looks at what it prints:
//
//   // ci: --port 0 --help          runs it with these arguments; several lines, several runs
//   // ci-expect: ^Usage            a pattern that some line of stdout must match; belongs to the run above it
//
// Each run must end with exit status 0 within the time limit. An example without a header is an error, so that
// none rots unseen.
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const timeLimitMs = 30_000

interface Run {
  readonly args: readonly string[]
  readonly expected: RegExp[]
}

function runsOf(text: string): Run[] {
  const runs: Run[] = []
  for (const line of text.split('\n')) {
    const [, word, rest = ''] = /^\/\/ (ci|ci-expect):(.*)$/.exec(line) ?? []
    if (word === 'ci') runs.push({ args: rest.split(' ').filter((arg) => arg !== ''), expected: [] })
    else if (word === 'ci-expect') runs.at(-1)?.expected.push(new RegExp(rest.trim(), 'm'))
  }
  return runs
}

function problemOf(file: string, { args, expected }: Run): string | undefined {
  const { status, signal, stdout, stderr, error } = spawnSync(
    process.execPath,
    ['--import=tsx', join('examples', file), ...args],
    { cwd: root, encoding: 'utf8', timeout: timeLimitMs, killSignal: 'SIGKILL' },
  )
  const output = `stdout:\n${stdout}\nstderr:\n${stderr}`
  if (error !== undefined)
    return `expected an end within ${timeLimitMs / 1000} s, found ${error.message}\n${output}`
  if (status !== 0) return `expected exit status 0, found ${status ?? signal ?? 'none'}\n${output}`
  const missing = expected.find((pattern) => !pattern.test(stdout))
  return missing === undefined ? undefined : `expected a line like ${String(missing)}, found none\n${output}`
}

const files = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.ts'))
let failed = 0
for (const file of files.sort()) {
  const runs = runsOf(readFileSync(join(root, 'examples', file), 'utf8'))
  if (runs.length === 0) {
    failed++
    console.log(`FAILED examples/${file}: expected a line '// ci: <arguments>', found none`)
  }
  for (const run of runs) {
    const started = performance.now()
    const problem = problemOf(file, run)
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    const title = ['examples/' + file, ...run.args].join(' ')
    if (problem !== undefined) failed++
    console.log(problem === undefined ? `ok     ${title}  ${seconds} s` : `FAILED ${title}: ${problem}`)
  }
}
console.log(`examples: ${files.length} programs, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
