// The benchmarks as JavaScript, in .cache: what is measured runs without a loader, as it would in production. One that
// compiles on the fly shares the process, and the garbage collector of V8 is another one beside it.

import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = new URL('../', import.meta.url)
const built = new URL('.cache/bench/js/', root)

let compiled = false

/** The module made from a file of TypeScript in this repository. All are compiled when the first is asked for. */
export function javaScriptOf(source: URL): URL {
  if (!compiled) compile()
  compiled = true
  const path = relative(fileURLToPath(root), fileURLToPath(source)).split(sep).join('/')
  return new URL(path.replace(/\.ts$/, '.js'), built)
}

/** The types are checked elsewhere. */
function compile(): void {
  rmSync(built, { recursive: true, force: true })
  const compiler = fileURLToPath(new URL('node_modules/typescript-7/bin/tsc', root))
  const project = fileURLToPath(new URL('tsconfig.built.json', import.meta.url))
  const { status } = spawnSync(process.execPath, [compiler, '-p', project], { stdio: 'inherit' })
  if (status !== 0) throw new Error(`compile the benchmarks: tsc failed (status ${String(status)})`)
}
