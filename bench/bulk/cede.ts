// Our echo server of chunks, as a user would write it.

import { run, startServer, type StreamReader, type StreamWriter } from 'cede'
import type { ServerCase } from '../case.ts'

const chunkBytes = 64 * 1024

function* echoChunks(reader: StreamReader, writer: StreamWriter) {
  for (;;) {
    const chunk = yield* reader.read(chunkBytes)
    if (chunk === null) return
    writer.write(chunk)
    yield* writer.drain()
  }
}

export const servers: Record<string, ServerCase> = {
  chunks: () =>
    new Promise((resolve, reject) => {
      run(function* () {
        const server = yield* startServer(echoChunks, { host: '127.0.0.1', port: 0 })
        resolve(server.address.port)
        yield* server.serveForever()
      }).catch(reject)
    }),
}
