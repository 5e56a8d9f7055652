// Bun.listen with its callbacks: chunks go back as they come. Runs on Bun, with the port as its argument.
//
// Bun's sockets send at once by default (TCP_NODELAY). What the socket does not take is kept until `drain`.

interface BunSocket {
  data: Uint8Array[]
  setNoDelay(on: boolean): boolean
  write(chunk: Uint8Array): number
  end(): void
}

declare const Bun: {
  argv: string[]
  listen(options: {
    hostname: string
    port: number
    socket: {
      open(socket: BunSocket): void
      data(socket: BunSocket, chunk: Uint8Array): void
      drain(socket: BunSocket): void
      error(socket: BunSocket, error: Error): void
    }
  }): unknown
}

function write(socket: BunSocket, chunk: Uint8Array) {
  const done = Math.max(0, socket.write(chunk))
  if (done < chunk.length) socket.data.unshift(chunk.slice(done))
}

Bun.listen({
  hostname: '127.0.0.1',
  port: Number(Bun.argv[2]),
  socket: {
    open(socket) {
      socket.data = []
      socket.setNoDelay(true)
    },
    data(socket, chunk) {
      if (socket.data.length === 0) write(socket, chunk)
      else socket.data.push(chunk.slice())
    },
    drain(socket) {
      const waiting = socket.data
      socket.data = []
      for (const chunk of waiting) {
        if (socket.data.length === 0) write(socket, chunk)
        else socket.data.push(chunk)
      }
    },
    error(socket) {
      socket.end() // the load generator ends by being ended
    },
  },
})
