// Effect 4: its socket server for Node, once with its lines and once with the chunks as they come.
//
// The socket server is a package of its own, which asks for a newer Node than Cede does. So it is no development
// dependency: `npm run bench -- --install` puts it where it finds the same `effect` as bench/core.

import * as Effect from 'effect/Effect'
import type * as Scope from 'effect/Scope'
import * as Socket from 'effect/socket/Socket'
import type * as SocketServer from 'effect/socket/SocketServer'
import * as Stream from 'effect/Stream'
import type { ServerCase } from '../../case.ts'

interface NodeSocketServer {
  readonly make: (options: {
    host: string
    port: number
    noDelay: boolean
  }) => Effect.Effect<SocketServer.SocketServer['Service'], SocketServer.SocketServerError, Scope.Scope>
}

const lines = Effect.fnUntraced(function* (socket: Socket.Socket) {
  const { write } = yield* socket.writer
  yield* Socket.toStream(socket).pipe(
    Stream.decodeText,
    Stream.splitLines,
    Stream.runForEach((line) => write(line + '\n')),
  )
}, Effect.scoped)

/** The least that a socket of Effect can be asked for. */
const chunks = Effect.fnUntraced(function* (socket: Socket.Socket) {
  const { writeAll } = yield* socket.writer
  const pull = yield* Socket.readerBytes(socket)
  for (;;) yield* writeAll(yield* pull)
}, Effect.scoped)

async function serve(handler: typeof lines): Promise<number> {
  const { make } = (await import(process.env['EFFECT_SOCKET_SERVER'] ?? '')) as NodeSocketServer
  return new Promise((resolve, reject) => {
    const main = Effect.gen(function* () {
      const server = yield* make({ host: '127.0.0.1', port: 0, noDelay: true })
      const { address } = server
      if (!('port' in address)) throw new Error('a port was expected')
      resolve(address.port)
      yield* server.run((socket) => handler(socket).pipe(Effect.ignore))
    })
    Effect.runPromise(Effect.scoped(main)).catch(reject)
  })
}

export const servers: Record<string, ServerCase> = {
  lines: () => serve(lines),
  chunks: () => serve(chunks),
}
