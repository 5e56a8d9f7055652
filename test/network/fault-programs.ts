// Programs for the tests of faults, which run each in a process of its own and name it as argument.
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import process from 'node:process'
import {
  ConnectError,
  ConnectionLostError,
  openConnection,
  run,
  sleepForever,
  startServer,
  taskGroup,
  type OpenConnectionOptions,
  type Server,
  type StreamReader,
  type StreamWriter,
} from 'cede'

const [name = '', ...args] = process.argv.slice(2)

/** What one of many clients met. */
type Fate = 'served' | 'reset' | 'ended' | 'refused' | 'something else'

function* askOnce(where: OpenConnectionOptions, line: string) {
  let writer: StreamWriter | null = null
  try {
    const connection = yield* openConnection(where)
    writer = connection.writer
    yield* writer.send(line)
    const answer = yield* connection.reader.readLine()
    return answer === null ? 'ended' : answer.toString() === line ? 'served' : 'something else'
  } catch (error) {
    return fateOf(error)
  } finally {
    writer?.close()
  }
}

function fateOf(error: unknown): Fate {
  if (error instanceof ConnectError) return error.systemCode === 'ECONNRESET' ? 'reset' : 'refused'
  return error instanceof ConnectionLostError ? 'reset' : 'something else'
}

const programs: Record<string, () => Promise<void>> = {
  /** `port count`: so many connects at once; prints how many met what. */
  async flood() {
    const [port, count] = args.map(Number)
    const fates: Partial<Record<Fate, number>> = {}
    await run(() =>
      taskGroup(function* (group) {
        const asking = function* (i: number) {
          const fate = yield* askOnce({ host: '127.0.0.1', port: port! }, `client ${String(i)}\n`)
          fates[fate] = (fates[fate] ?? 0) + 1
        }
        for (let i = 0; i < count!; i++) group.createTask(asking(i))
      }),
    )
    console.log(JSON.stringify(fates))
  },

  /** A server whose handlers count how they end; with `stubborn`, their cleanup takes longer than anybody waits. */
  async serve() {
    let begun = 0
    let cleaned = 0
    const handler = function* (reader: StreamReader, writer: StreamWriter) {
      begun++
      try {
        yield* writer.send('welcome\n')
        yield* reader.readLine()
      } finally {
        if (args[0] === 'stubborn') yield* sleepForever()
        cleaned++
        yield* writer.send('goodbye\n')
      }
    }
    try {
      await run(function* () {
        const server = yield* startServer(handler, { host: '127.0.0.1', port: 0 })
        console.log(`port ${String(server.port)}.`)
        yield* server.serveForever()
      })
    } finally {
      console.log(`${String(cleaned)} of ${String(begun)} handlers have cleaned up`)
    }
  },

  /**
   * An echo server that prints what it is told, and answers to `refused` and `open N` (files, all at once). It begins
   * when it is typed something: until then it can be given less descriptors than loading takes.
   */
  async limited() {
    let server: Server
    const answer = (line: string): string => {
      if (line === 'refused') return String(server.refused)
      const [, count] = /^open (\d+)$/.exec(line) ?? []
      return count === undefined ? line : openFiles(Number(count))
    }
    const handler = function* (reader: StreamReader, writer: StreamWriter) {
      for (let line = yield* reader.readTextLine(); line !== null; line = yield* reader.readTextLine()) {
        yield* writer.send(`${answer(line)}\n`)
      }
    }
    console.log(`pid ${String(process.pid)}.`)
    await once(process.stdin, 'data')
    await run(
      function* () {
        server = yield* startServer(handler, { host: '127.0.0.1', port: 0 })
        console.log(`port ${String(server.port)}.`)
        yield* server.serveForever()
      },
      { exceptionHandler: ({ message, error }) => console.log(`told: ${message}: ${String(error)}`) },
    )
  },
}

function openFiles(count: number): string {
  const opened: number[] = []
  try {
    for (let i = 0; i < count; i++) opened.push(openSync(import.meta.filename, 'r'))
    return `${String(count)} opened`
  } catch (error) {
    return `${String(opened.length)} opened, then ${String(error)}`
  } finally {
    for (const file of opened) closeSync(file)
  }
}

await programs[name]!()
