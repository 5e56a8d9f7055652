// An HTTP server that answers as servers do on a bad day: late, never, with errors, or not at all.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface UnreliableServer {
  readonly url: string
  close(): void
}

/**
 * `/fast...` answers; `/flaky...` with 503 twice, and then as it should; `/slow` never; `/reset` closes the connection;
 * everything else is not found.
 */
export async function startUnreliableServer(): Promise<UnreliableServer> {
  const asked = new Map<string, number>()
  const server = createServer((request, response) => {
    const path = request.url ?? '/'
    const times = (asked.get(path) ?? 0) + 1
    asked.set(path, times)
    if (path.startsWith('/fast')) setTimeout(() => response.end('ok'), 20)
    else if (path.startsWith('/flaky')) response.writeHead(times <= 2 ? 503 : 200).end('at last')
    else if (path.startsWith('/reset')) request.socket.destroy()
    else if (!path.startsWith('/slow')) response.writeHead(404).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
