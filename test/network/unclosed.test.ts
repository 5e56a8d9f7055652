/** A connection that nobody closes ends with the run that opened it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import { openConnection } from 'cede'
import { HOST, online } from './online.ts'

test('a connection that nobody closes is closed when its run ends, after what was written is sent', async () => {
  const server = createServer({ allowHalfOpen: false }).listen(0, HOST)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const received = new Promise<string>((resolve) => {
    server.once('connection', (socket: Socket) => {
      let text = ''
      socket.on('data', (chunk) => (text += String(chunk)))
      socket.on('end', () => resolve(text))
    })
  })
  await online(function* () {
    const { writer } = yield* openConnection({ host: HOST, port })
    writer.write('last words')
  })
  assert.equal(await received, 'last words')
  server.close()
  await once(server, 'close')
})
