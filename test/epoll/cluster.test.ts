/** Workers of node:cluster share ports through their primary, which only Node's own sockets can do. */
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runChild } from '../support/child.ts'

const LEAVING = fileURLToPath(new URL('cluster-leaving.ts', import.meta.url))
const PROGRAM = fileURLToPath(new URL('cluster-program.ts', import.meta.url))

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

test(
  'workers of node:cluster run on the node driver, and listen at one port',
  { timeout: 60_000 },
  async () => {
    const port = String(await freePort())
    const { code, stdout, stderr } = await runChild(PROGRAM, [port], { env: { CEDE_DRIVER: '' } })
    const line = 'node: a worker of node:cluster, where ports are shared\n'
    assert.deepEqual([code, stdout, stderr], [0, line + line, ''])
  },
)

for (const [name, lines] of [
  ['served', ['hi', 'served to the end', 'worker ended: 0']],
  ['unserved', ['served to the end', 'worker ended: 0']],
] as const) {
  test(`a worker that is disconnected ends: ${name}`, { timeout: 60_000 }, async () => {
    const port = String(await freePort())
    const { code, stdout, stderr } = await runChild(LEAVING, [port, name], { env: { CEDE_DRIVER: '' } })
    assert.deepEqual([code, stdout.trim().split('\n'), stderr], [0, lines, ''])
  })
}

test(
  'on the epoll driver a second worker is told how to share the port',
  { skip: process.platform !== 'linux', timeout: 60_000 },
  async () => {
    const port = String(await freePort())
    const { stdout } = await runChild(PROGRAM, [port], { env: { CEDE_DRIVER: 'epoll' } })
    assert.match(stdout, /found it in use; on the epoll driver .* `reusePort: true`.*\(EADDRINUSE\)$/m)
  },
)
