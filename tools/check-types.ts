// Checks all types with both compilers that users have: TypeScript 7 (which builds Cede) and 6.0 (which linters
// and documentation tools still need). Three views of the code each time:
//   - everything in the repository with cede/strict on, the type tests in test/types included;
//   - the published sources alone, with every declaration annotated;
//   - core, flow and sync without Node's types.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const compilers = ['typescript-7', 'typescript']
const projects = [
  'tsconfig.json',
  'packages/cede/tsconfig.build.json',
  'packages/cede/tsconfig.portable.json',
]

let failed = false
for (const compiler of compilers) {
  const tsc = join('node_modules', compiler, 'bin/tsc')
  const version = spawnSync(process.execPath, [tsc, '--version'], {
    cwd: root,
    encoding: 'utf8',
  }).stdout.trim()
  for (const project of projects) {
    const started = performance.now()
    const { status } = spawnSync(process.execPath, [tsc, '--project', project, '--noEmit'], {
      cwd: root,
      stdio: 'inherit',
    })
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${version}  ${project}  ${seconds} s`)
    failed ||= status !== 0
  }
}
process.exit(failed ? 1 : 0)
