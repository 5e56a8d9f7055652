// Runs the tests: the unit tests beside the sources, test/** and the tests of tools and bench. Node 20's own runner
// takes no patterns, so this file finds the files; the rest (isolation, summary, exit status) is node:test.
//
//   npm test                        everything, after a build (the package tests look at what is published)
//   npm test -- scope queue         only files whose path contains one of these words
//   npm test -- --name S12          only tests whose title matches
//
// On Linux programs run on the epoll driver unless told otherwise. What touches the network is tested again on the node
// driver, which serves everywhere else; CEDE_DRIVER=node or epoll tests everything on that one, once.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

function testFiles(folder: string): string[] {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !path.includes('node_modules'))
    .sort()
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { name: { type: 'string' }, 'skip-build': { type: 'boolean', default: false } },
})

const files = ['packages/cede/src', 'test', 'tools', 'bench']
  .flatMap(testFiles)
  .filter((path) => positionals.length === 0 || positionals.some((word) => path.includes(word)))
if (files.length === 0) {
  console.error(
    `find tests: expected files *.test.ts${positionals.length > 0 ? ' matching ' + positionals.join(', ') : ''}, found none`,
  )
  process.exit(1)
}

if (!values['skip-build']) {
  const build = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' })
  if (build.status !== 0) process.exit(build.status ?? 1)
}

const chosen = runTests(files, {})
const again = ['packages/cede/src/io/', 'test/network/', 'test/streams/']
const networkFiles = files.filter((path) => again.some((folder) => path.startsWith(folder)))
if (
  chosen === 0 &&
  networkFiles.length > 0 &&
  process.platform === 'linux' &&
  process.env['CEDE_DRIVER'] === undefined
) {
  console.log('\nthe network again, on the node driver')
  process.exit(runTests(networkFiles, { CEDE_DRIVER: 'node' }))
}
process.exit(chosen)

/** @returns the exit status */
function runTests(paths: readonly string[], environment: NodeJS.ProcessEnv): number {
  const run = spawnSync(
    process.execPath,
    [
      '--import=tsx',
      '--test',
      '--test-concurrency=2',
      '--test-timeout=300000',
      '--test-reporter=spec',
      ...(values.name === undefined ? [] : [`--test-name-pattern=${values.name}`]),
      ...paths,
    ],
    { cwd: root, stdio: 'inherit', env: { ...process.env, ...environment } },
  )
  return run.status ?? 1
}
