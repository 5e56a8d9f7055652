// Runs the tests of the core on Bun and Deno: src/core, src/flow and test/statements; and the one that the system-call
// shim is never loaded there. Their binaries are large, so they are no devDependencies: they come from their npm packages
// into .cache/runtimes the first time, at the versions below, and without install scripts.
//
//   npm run test:runtimes                 both
//   npm run test:runtimes -- --only bun   one of them
//
// Both read node:test files. `cede` means the sources here too: Bun follows the paths of tsconfig.json by itself,
// for Deno they are written out as an import map.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import ts from 'typescript'
import { installRuntime, runtimesHome, runtimeVersions, type Runtime } from './runtimes.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
function testFiles(): string[] {
  const ofTheCore = ['packages/cede/src/core', 'packages/cede/src/flow', 'test/statements']
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder), { withFileTypes: true, recursive: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => `./${relative(root, join(entry.parentPath, entry.name))}`)
    .sort()
  return [...ofTheCore, './test/epoll/other-runtimes.test.ts']
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
  const file = join(runtimesHome, 'deno-import-map.json')
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
for (const runtime of Object.keys(runtimeVersions) as Runtime[]) {
  if (values.only !== undefined && values.only !== runtime) continue
  const binary = installRuntime(runtime)
  console.log(`--- ${runtime} ${runtimeVersions[runtime]}: ${files.length} test files`)
  const { status } = spawnSync(binary, commands[runtime](), { cwd: root, stdio: 'inherit' })
  console.log(`--- ${runtime}: ${status === 0 ? 'all passed' : 'FAILED'}`)
  failed ||= status !== 0
}
process.exit(failed ? 1 : 0)
