/** The fetcher against a server that is slow and fails on purpose, and against its user. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startUnreliableServer } from '../../examples/support/unreliable-server.ts'
import { example, runCommand, Spawned } from './server-process.ts'

const COMMAND = example('fetcher.ts')

test('it tries again what may get better, says how it went, and ends with status 1 if something failed', async () => {
  const server = await startUnreliableServer()
  const good = await runCommand([...COMMAND, `${server.url}/fast`, `${server.url}/flaky`])
  assert.equal(good.code, 0, good.stderr)
  assert.match(good.stdout, /^200 .*\/flaky, 3rd attempt$/m)
  assert.match(good.stdout, /^2 URLs: 2 fetched, 0 failed$/m)
  for (const [path, options, line] of [
    ['slow', ['--timeout', '0.2'], /^failed .*\/slow, 2nd attempt: no answer within 0\.2 s$/m],
    ['none', [], /^404 .*\/none, 1st attempt: Not Found$/m],
  ] as const) {
    const bad = await runCommand([...COMMAND, '--attempts', '2', ...options, `${server.url}/${path}`])
    assert.equal(bad.code, 1)
    assert.equal(bad.stderr, '')
    assert.match(bad.stdout, line)
  }
  server.close()
})

test('Ctrl-C ends requests that are under way', async () => {
  const server = await startUnreliableServer()
  const fetcher = new Spawned([...COMMAND, `${server.url}/fast`, `${server.url}/slow`])
  await fetcher.printed(/^200 .*\/fast/m)
  fetcher.kill('SIGINT')
  const { signal, stderr } = await fetcher.ended
  assert.equal(signal, 'SIGINT')
  assert.equal(stderr, '')
  server.close()
})

test('mistakes are told in one line', async () => {
  for (const args of [
    [],
    ['nonsense'],
    ['ftp://example.com'],
    ['--limit', '0', 'http://localhost'],
    ['--speed'],
  ]) {
    const { code, stderr, stdout } = await runCommand([...COMMAND, ...args])
    assert.equal(code, 2)
    assert.equal(stdout, '')
    assert.match(stderr, /^fetcher: .*\nSee npx tsx examples\/fetcher\.ts --help\n$/)
  }
})
