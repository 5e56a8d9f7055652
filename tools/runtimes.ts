// The binaries of Bun and Deno. They are large, so they are no devDependencies: they come from their npm packages into
// .cache/runtimes, at the versions below, and without install scripts.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const runtimeVersions = { bun: '1.4.5', deno: '2.9.6' }
export type Runtime = keyof typeof runtimeVersions

export const runtimesHome: string = join(
  dirname(dirname(fileURLToPath(import.meta.url))),
  '.cache',
  'runtimes',
)

const folderOf = (runtime: Runtime) => join(runtimesHome, `${runtime}-${runtimeVersions[runtime]}`)

/** The binary for this machine; installed the first time. */
export function installRuntime(runtime: Runtime): string {
  const folder = folderOf(runtime)
  if (!existsSync(join(folder, 'node_modules'))) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "private": true }')
    const wanted = `${runtime}@${runtimeVersions[runtime]}`
    execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', wanted], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }
  const candidates = candidatesFor(runtime)
  const works = firstWorking(candidates)
  if (works === undefined) {
    throw new Error(
      `install ${runtime}: expected a binary that runs here, found ${candidates.join(', ') || 'none'}`,
    )
  }
  return works
}

/** The binary, if it was installed before. */
export function installedRuntime(runtime: Runtime): string | undefined {
  return firstWorking(candidatesFor(runtime))
}

/** The package of a runtime brings binaries along as optional dependencies; there may be several. */
function candidatesFor(runtime: Runtime): string[] {
  const scope = join(folderOf(runtime), 'node_modules', runtime === 'bun' ? '@oven' : '@deno')
  if (!existsSync(scope)) return []
  return readdirSync(scope)
    .flatMap((name) => ['bin/', ''].map((inner) => join(scope, name, inner + runtime)))
    .filter((path) => existsSync(path))
}

function firstWorking(candidates: readonly string[]): string | undefined {
  return candidates.find((path) => spawnSync(path, ['--version']).status === 0)
}
