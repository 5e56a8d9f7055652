// Chunks on what Node itself has; both wait while the client does not read.

import type { Socket } from 'node:net'
import type { ServerCase } from '../../case.ts'
import { serveSockets } from '../../node-server.ts'

function dataCallbacks(socket: Socket) {
  socket.on('data', (chunk) => {
    if (!socket.write(chunk)) socket.pause()
  })
  socket.on('drain', () => socket.resume())
}

function pipe(socket: Socket) {
  socket.pipe(socket)
}

export const servers: Record<string, ServerCase> = {
  dataCallbacks: () => serveSockets(dataCallbacks),
  pipe: () => serveSockets(pipe),
}
