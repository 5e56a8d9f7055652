// Our echo servers, as a user would write them.

import { run, startServer, timeout, type StreamReader, type StreamWriter } from 'cede'
import type { ServerCase } from '../case.ts'

function* echo(reader: StreamReader, writer: StreamWriter) {
  for (;;) {
    const line = yield* reader.readLine()
    if (line === null) return
    writer.write(line)
    yield* writer.drain()
  }
}

/** Long enough that no connection is closed while the others are measured. */
const timeoutMs = 60_000

function* echoWithTimeout(reader: StreamReader, writer: StreamWriter) {
  for (;;) {
    const line = yield* timeout(timeoutMs, reader.readLine())
    if (line === null) return
    writer.write(line)
    yield* writer.drain()
  }
}

function serve(handler: typeof echo): Promise<number> {
  return new Promise((resolve, reject) => {
    run(function* () {
      const server = yield* startServer(handler, { host: '127.0.0.1', port: 0 })
      resolve(server.address.port)
      yield* server.serveForever()
    }).catch(reject)
  })
}

export const servers: Record<string, ServerCase> = {
  echo: () => serve(echo),
  echoWithTimeout: () => serve(echoWithTimeout),
}
