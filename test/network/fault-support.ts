/** What the tests of faults share: both kinds of sockets, peers of Node's own, and the simplest handlers. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  openConnection,
  sleep,
  sleepForever,
  startServer,
  type ConnectionHandler,
  type OpenConnectionOptions,
  type OpenUnixConnectionOptions,
  type Operation,
  type Server,
  type ServerOptions,
  type StreamReader,
  type StreamWriter,
  type Suspension,
} from 'cede'
import { HOST, online } from './online.ts'

/** Each is run in a process of its own, and named by its first argument. */
export const PROGRAMS: string = join(dirname(fileURLToPath(import.meta.url)), 'fault-programs.ts')
export const onWindows: boolean = process.platform === 'win32'

/** A folder for sockets, gone afterwards. */
export async function inFolder(use: (folder: string) => Promise<unknown>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cede-'))
  try {
    await use(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

export type Where = OpenConnectionOptions | OpenUnixConnectionOptions

export interface Kind {
  readonly name: string
  /** Starts a server of this kind. */
  start(
    handler: ConnectionHandler,
    options?: ServerOptions,
  ): Generator<Suspension, { server: Server; where: Where }>
}

/** The same test over TCP and over a Unix socket. */
export function onBoth(title: string, main: (kind: Kind) => Operation<void>): void {
  const tcp: Kind = {
    name: 'TCP',
    *start(handler, options) {
      const server = yield* startServer(handler, { ...options, host: HOST, port: 0 })
      return { server, where: { host: HOST, port: server.port } }
    },
  }
  test(`${title} (TCP)`, () => online(() => main(tcp)))
  test(`${title} (Unix)`, { skip: onWindows }, () =>
    inFolder((folder) => {
      const path = join(folder, 'socket')
      const unix: Kind = {
        name: 'Unix',
        *start(handler, options) {
          return { server: yield* startServer(handler, { ...options, path }), where: { path } }
        },
      }
      return online(() => main(unix))
    }),
  )
}

/** A socket of Node's own to a server of ours. */
export function rawTo(where: { readonly port: number } | { readonly path: string }): Socket {
  const place = 'path' in where ? { path: where.path } : { host: HOST, port: where.port }
  return connect({ ...place, allowHalfOpen: true }).on('error', () => {})
}

export function* untilTrue(condition: () => boolean): Generator<Suspension, void> {
  while (!condition()) yield* sleep(1)
}

export function* echo(reader: StreamReader, writer: StreamWriter): Generator<Suspension, void> {
  for (let line = yield* reader.readLine(); line !== null; line = yield* reader.readLine())
    yield* writer.send(line)
}

export function* wait(_reader: StreamReader, _writer: StreamWriter): Generator<Suspension, void> {
  yield* sleepForever()
}

/** The server still does its work. */
export function* servesStill(where: Where): Generator<Suspension, void> {
  const { reader, writer } = yield* openConnection(where)
  yield* writer.send('still here\n')
  assert.equal(yield* reader.readTextLine(), 'still here')
  writer.close()
}
