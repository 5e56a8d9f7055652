// A server of Node's own sockets, as peers of several suites have one.

import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'

/** Serves on a port of 127.0.0.1, which it gives; small writes are sent at once. */
export async function serveSockets(handler: (socket: Socket) => unknown): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => undefined) // the load generator ends by being ended
    handler(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
