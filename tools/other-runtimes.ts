// Runs the tests of the core on Bun and Deno: src/core, src/flow and test/statements. Their binaries are large, so
// they are no devDependencies: they come from their npm packages into .cache/runtimes the first time, at the
// versions below, and without install scripts.
//
//   npm run test:runtimes                 both
//   npm run test:runtimes -- --only bun   one of them
//
// Both read node:test files. `cede` means the sources here too: Bun follows the paths of tsconfig.json by itself,
// for Deno they are written out as an import map.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import ts from 'typescript'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const home = join(root, '.cache', 'runtimes')
const versions = { bun: '1.4.5', deno: '2.9.6' }
type Runtime = keyof typeof versions

/** The binary for this machine, which the runtime's package brings along as an optional dependency. */
function binaryOf(runtime: Runtime): string {
  const folder = join(home, `${runtime}-${versions[runtime]}`)
  if (!existsSync(join(folder, 'node_modules'))) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "private": true }')
    const wanted = `${runtime}@${versions[runtime]}`
    execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', wanted], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }
  const scope = runtime === 'bun' ? '@oven' : '@deno'
  const candidates = readdirSync(join(folder, 'node_modules', scope))
    .flatMap((name) =>
      ['bin/', ''].map((inner) => join(folder, 'node_modules', scope, name, inner + runtime)),
    )
    .filter((path) => existsSync(path))
  const works = candidates.find((path) => spawnSync(path, ['--version']).status === 0)
  if (works === undefined) {
    throw new Error(
      `install ${runtime}: expected a binary that runs here, found ${candidates.join(', ') || 'none'}`,
    )
  }
  return works
}

function testFiles(): string[] {
  return ['packages/cede/src/core', 'packages/cede/src/flow', 'test/statements']
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder), { withFileTypes: true, recursive: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => `./${relative(root, join(entry.parentPath, entry.name))}`)
    .sort()
}

/** tsconfig's paths as an import map. */
function denoImportMap(): string {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path)) as {
    config: { compilerOptions: { paths: Record<string, [string]> } }
  }
  const imports = Object.entries(config.compilerOptions.paths).map(([name, [path]]) => [
    name,
    join(root, path),
  ])
  const file = join(home, 'deno-import-map.json')
  writeFileSync(file, JSON.stringify({ imports: Object.fromEntries(imports) as unknown }, null, 2))
  return file
}

const { values } = parseArgs({ options: { only: { type: 'string' } } })
const files = testFiles()
if (files.length === 0) throw new Error('find the tests of the core: expected some, found none')
const commands: Record<Runtime, () => string[]> = {
  bun: () => ['test', '--timeout=60000', ...files],
  deno: () => ['test', '--allow-all', '--no-check', `--import-map=${denoImportMap()}`, ...files],
}

let failed = false
for (const runtime of Object.keys(versions) as Runtime[]) {
  if (values.only !== undefined && values.only !== runtime) continue
  const binary = binaryOf(runtime)
  console.log(`--- ${runtime} ${versions[runtime]}: ${files.length} test files`)
  const { status } = spawnSync(binary, commands[runtime](), { cwd: root, stdio: 'inherit' })
  console.log(`--- ${runtime}: ${status === 0 ? 'all passed' : 'FAILED'}`)
  failed ||= status !== 0
}
process.exit(failed ? 1 : 0)
