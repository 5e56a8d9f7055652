// Runs the tests of the shim with AddressSanitizer and UndefinedBehaviorSanitizer compiled in, and puts the ordinary shim
// back afterwards. Needs gcc with its sanitizers.
import { execFileSync, spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const tests = [
  'packages/cede/src/drivers/shim.test.ts',
  'packages/cede/src/drivers/epoll.test.ts',
  'test/epoll/descriptors.test.ts',
  'test/epoll/transports.test.ts',
  'test/epoll/robustness.test.ts',
  'test/epoll/faults.test.ts',
  'test/epoll/processes.test.ts',
]

function build(...options: readonly string[]): void {
  const tool = join(root, 'tools/build-native.ts')
  execFileSync(process.execPath, ['--import', 'tsx', tool, ...options], { cwd: root, stdio: 'inherit' })
}

/** Node is not compiled with them: they have to be there before it starts. */
function libraries(): string {
  const find = (name: string) =>
    execFileSync('gcc', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim()
  return [find('libasan.so'), find('libubsan.so')].join(' ')
}

if (process.platform !== 'linux') {
  console.log('sanitizers: there is no shim here')
} else {
  try {
    build('--sanitize')
    const { status } = spawnSync(process.execPath, ['--import', 'tsx', '--test', ...tests], {
      cwd: root,
      stdio: 'inherit',
      env: {
        ...process.env,
        CEDE_DRIVER: 'epoll',
        LD_PRELOAD: libraries(),
        // What V8 leaves behind at the end of a process is no leak of ours.
        ASAN_OPTIONS: 'detect_leaks=0',
        UBSAN_OPTIONS: 'print_stacktrace=1',
      },
    })
    process.exitCode = status ?? 1
  } finally {
    build()
  }
}
