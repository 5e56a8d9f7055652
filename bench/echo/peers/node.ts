// Echo servers on what Node itself has. All send small writes at once (`noDelay`), as ours does: otherwise those that
// write line by line would wait for acknowledgements.

import { once } from 'node:events'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { ServerCase } from '../../case.ts'
import { serveSockets } from '../../node-server.ts'

/** Chunks go back as they come; nothing looks for lines. */
function dataCallbacks(socket: Socket) {
  socket.on('data', (chunk) => socket.write(chunk))
}

/** The same as a loop; it waits while the peer does not read. */
async function forAwait(socket: Socket) {
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    if (!socket.write(chunk)) await once(socket, 'drain')
  }
}

/** Its lines are strings. */
function readline(socket: Socket) {
  createInterface({ input: socket }).on('line', (line) => socket.write(line + '\n'))
}

export const servers: Record<string, ServerCase> = {
  dataCallbacks: () => serveSockets(dataCallbacks),
  forAwait: () => serveSockets((socket) => forAwait(socket).catch(() => undefined)),
  readline: () => serveSockets(readline),
}
