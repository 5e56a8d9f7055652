/** The soak itself: it finds what is left, whatever it is; and a short one passes. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { currentDriver } from 'cede'
import { chooseDriver } from '../../packages/cede/src/drivers/choose-driver.ts'
import { runChild } from '../support/child.ts'

const SOAK = join(dirname(fileURLToPath(import.meta.url)), 'main.ts')
const options = { skip: process.platform === 'win32' }

const chosen = chooseDriver('')

for (const driver of ['epoll', 'node']) {
  const skip = options.skip || (driver === 'epoll' && chosen.driver.name !== 'epoll' && chosen.why)
  test(`a short soak leaves nothing, and says with which seed (${driver})`, { skip }, async () => {
    const { code, stdout, stderr } = await runChild(SOAK, ['--seconds', '3', '--seed', '11'], {
      env: { CEDE_DRIVER: driver },
    })
    assert.equal(stderr, '')
    assert.equal(code, 0)
    const [first, second] = stdout.split('\n')
    assert.equal(first, `soak: driver ${driver}, seed 11, 3 s`)
    assert.match(second!, /^soak: \d+ TCP and \d+ Unix connections, .*; nothing is left$/)
  })
}

for (const [leak, found] of [
  ['descriptor', /^soak: descriptors: expected \d+ \/dev\/null, found \d+$/m],
  ['socket', /^soak: shim: expected \d+, found \d+$/m],
  ['timer', /^soak: timers: expected \d+, found \d+$/m],
  ['task', /^soak: tasks: expected \d+, found \d+$/m],
  ['heap', /^soak: heap: expected no more than \d+ bytes more, found \d+: .*object Object \d+/m],
  ['report', /^soak: told: a callback .* threw: Error: not on purpose$/m],
] as const) {
  const skip =
    options.skip ||
    (leak === 'descriptor' && !existsSync('/proc/self/fd')) ||
    (leak === 'socket' && currentDriver().name !== 'epoll')
  test(`a soak with a leak fails, and names it: ${leak}`, { skip }, async () => {
    const { code, stderr } = await runChild(SOAK, ['--seconds', '1', '--seed', '3', '--leak', leak])
    assert.match(stderr, found)
    assert.match(stderr, /to try again: (CEDE_DRIVER=\w+ )?npm run soak -- --seconds 1 --seed 3\n$/)
    assert.equal(code, 1)
  })
}
