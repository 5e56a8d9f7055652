// Runs the tests of the core and of interop on newer versions of Node: above all AsyncLocalStorage is kept in another
// way there. The binaries come from their npm packages into .cache/nodes the first time, without install scripts;
// they are no devDependencies.
//
//   npm run test:nodes                 all
//   npm run test:nodes -- --only 24    one of them
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const versions = ['22', '24', '26']
const folders = [
  'packages/cede/src/core',
  'packages/cede/src/flow',
  'packages/cede/src/interop',
  'test/statements',
  'test/cancellation',
]

/** The package for this machine, which the `node` package would install by a script. */
function binaryOf(version: string): string {
  const folder = join(root, '.cache', 'nodes', version)
  const platform = process.platform === 'win32' ? 'win' : process.platform
  const name = `node-${platform}-${process.arch}`
  const binary = join(folder, 'node_modules', name, 'bin', 'node')
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "private": true }')
    execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', `${name}@${version}`], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }
  return binary
}

function testFiles(): string[] {
  return folders
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder), { withFileTypes: true, recursive: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort()
}

const { values } = parseArgs({ options: { only: { type: 'string' } } })
const files = testFiles()
let failed = false
for (const version of versions) {
  if (values.only !== undefined && values.only !== version) continue
  const binary = binaryOf(version)
  const found = spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout.trim()
  console.log(`--- Node ${found}: ${files.length} test files`)
  const { status } = spawnSync(
    binary,
    ['--import=tsx', '--test', '--test-concurrency=2', '--test-reporter=dot', ...files],
    { cwd: root, stdio: 'inherit' },
  )
  console.log(`\n--- Node ${found}: ${status === 0 ? 'all passed' : 'FAILED'}`)
  failed ||= status !== 0
}
process.exit(failed ? 1 : 0)
