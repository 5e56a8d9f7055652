/** How many descriptors the process may have, asked in processes that may have few. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { descriptorLimit, firstReservedDescriptor } from './descriptor-limit.ts'

const skip = process.platform === 'win32' ? 'no limit on descriptors' : false
const module = fileURLToPath(new URL('./descriptor-limit.ts', import.meta.url))

/** The limit and the first reserved descriptor in a process with `ulimit -n limit`. */
function under(limit: number): unknown {
  const program = `
    import { descriptorLimit, firstReservedDescriptor } from ${JSON.stringify(module)}
    console.log(JSON.stringify([descriptorLimit(), firstReservedDescriptor(), descriptorLimit()]))
  `
  const shell = `ulimit -n ${limit}; exec "$0" --import tsx --input-type=module --eval "$1"`
  return JSON.parse(execFileSync('sh', ['-c', shell, process.execPath, program], { encoding: 'utf8' }))
}

test('a sixteenth of the descriptors is reserved, at least 16', { skip }, () => {
  assert.deepEqual(under(64), [64, 48, 64])
  assert.deepEqual(under(512), [512, 480, 512])
})

test('this process has a limit, and less than it for others', { skip }, () => {
  const limit = descriptorLimit()
  const reserved = firstReservedDescriptor()
  assert.ok(limit !== null && reserved !== null)
  assert.ok(reserved < limit && reserved >= limit - 512)
})
