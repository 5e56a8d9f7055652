/** The epoll driver in whole processes: how they end, in worker threads, and what runs beside it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { chooseDriver } from '../../packages/cede/src/drivers/choose-driver.ts'
import { runChild } from '../support/child.ts'

const PROGRAMS = fileURLToPath(new URL('epoll-programs.ts', import.meta.url))

const chosen = chooseDriver('')
const skip = chosen.driver.name === 'epoll' ? false : chosen.why

const options = { skip, timeout: 120_000 }

function program(name: string) {
  return runChild(PROGRAMS, [name], { env: { ...process.env, CEDE_DRIVER: 'epoll' } })
}

test('a process ends when its run has, with no descriptor left that would keep it', options, async () => {
  const { code, stdout, stderr } = await program('ends')
  assert.deepEqual([code, stdout, stderr], [0, 'epoll\n', ''])
})

test('who waits for what nobody can bring is told', options, async () => {
  const { code, stderr } = await program('waits for nothing')
  assert.equal(code, 1)
  assert.match(stderr, /DeadlockError/)
})

test(
  'worker threads have drivers of their own; one that is stopped leaves no descriptor',
  options,
  async () => {
    const { stdout, stderr } = await program('workers')
    assert.equal(stderr, '')
    assert.equal(stdout, "[ 'epoll', 'epoll', 'epoll' ]\n10\n3\nleft open: 0\n")
  },
)

test('http, fetch, timers, ticks and AsyncLocalStorage go on beside heavy traffic', options, async () => {
  const { stdout, stderr } = await program('beside')
  assert.equal(stderr, '')
  assert.equal(stdout, 'http 20, fetch 20\ntimers ran\nimmediates ran\nticks ran\nstorage ran\n')
})
