// Chunks on what Node itself has; both wait while the client does not read.

import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import type { ServerCase } from '../../case.ts'

function dataCallbacks(socket: Socket) {
  socket.on('data', (chunk) => {
    if (!socket.write(chunk)) socket.pause()
  })
  socket.on('drain', () => socket.resume())
}

function pipe(socket: Socket) {
  socket.pipe(socket)
}

async function serve(handler: (socket: Socket) => void): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => undefined) // the load generator ends by being ended
    handler(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

export const servers: Record<string, ServerCase> = {
  dataCallbacks: () => serve(dataCallbacks),
  pipe: () => serve(pipe),
}
