// Deno.listen: chunks go back as they come. Runs on Deno, with the port and one of the names below as arguments.

interface DenoConnection {
  setNoDelay(on: boolean): void
  read(into: Uint8Array): Promise<number | null>
  write(data: Uint8Array): Promise<number>
  close(): void
  readonly readable: ReadableStream<Uint8Array>
  readonly writable: WritableStream<Uint8Array>
}

declare const Deno: {
  args: string[]
  listen(options: { hostname: string; port: number }): AsyncIterable<DenoConnection>
}

/** The calls that its streams are made of. */
async function readAndWrite(connection: DenoConnection) {
  const buffer = new Uint8Array(64 * 1024)
  for (;;) {
    const size = await connection.read(buffer)
    if (size === null) break
    for (let done = 0; done < size;) done += await connection.write(buffer.subarray(done, size))
  }
  connection.close()
}

/** Web streams. */
async function pipe(connection: DenoConnection) {
  await connection.readable.pipeTo(connection.writable)
}

const handler = { readAndWrite, pipe }[Deno.args[1] ?? ''] ?? readAndWrite

for await (const connection of Deno.listen({ hostname: '127.0.0.1', port: Number(Deno.args[0]) })) {
  connection.setNoDelay(true)
  handler(connection).catch(() => undefined) // the load generator ends by being ended
}
