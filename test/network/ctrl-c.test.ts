/** Ctrl-C at a server with a hundred open connections: handlers clean up; a second one does not wait for them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { Child } from '../support/child.ts'
import { onWindows, PROGRAMS } from './fault-support.ts'
import { HOST } from './online.ts'

test(
  'Ctrl-C with 100 open connections: each handler cleans up and says its last word, and the signal ends the process',
  {
    skip: onWindows,
  },
  async () => {
    const server = new Child(PROGRAMS, ['serve'])
    const { sockets, heard } = await hundredClients(server)
    server.kill('SIGINT')
    const { signal, stdout } = await server.ended
    assert.equal(signal, 'SIGINT')
    assert.match(stdout, /100 of 100 handlers have cleaned up\n$/)
    for (const socket of sockets) if (!socket.closed) await once(socket, 'close')
    assert.deepEqual(new Set(heard), new Set(['welcome\ngoodbye\n']))
  },
)

test('a second Ctrl-C ends it at once, with handlers that would never end', { skip: onWindows }, async () => {
  const server = new Child(PROGRAMS, ['serve', 'stubborn'])
  const { sockets } = await hundredClients(server)
  server.kill('SIGINT')
  // Nothing is printed that could be waited for: the listening socket is gone when the first signal has arrived.
  const port = sockets[0]!.remotePort!
  while (await connects(port)) await new Promise((resolve) => setTimeout(resolve, 5))
  server.kill('SIGINT')
  const { signal, stderr } = await server.ended
  assert.equal(signal, 'SIGINT')
  assert.match(stderr, /SIGINT again: ending at once. Where every task is:/)
  assert.match(stderr, /100 tasks|conn-1 /)
  for (const socket of sockets) socket.destroy()
})

async function connects(port: number): Promise<boolean> {
  const socket = connect({ host: HOST, port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.on('error', () => {}).destroy()
  }
}

async function hundredClients(server: Child): Promise<{ sockets: Socket[]; heard: string[] }> {
  await server.printed('.')
  const port = Number(/port (\d+)\./.exec(server.stdout)![1])
  const heard: string[] = []
  const sockets = Array.from({ length: 100 }, (_, i) => {
    heard[i] = ''
    return connect({ host: HOST, port })
      .on('error', () => {})
      .on('data', (chunk) => void (heard[i] += chunk.toString()))
  })
  while (heard.some((text) => !text.includes('welcome\n')))
    await new Promise((resolve) => setTimeout(resolve, 5))
  return { sockets, heard }
}
