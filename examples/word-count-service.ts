// Counts words: send some lines and an empty one, and get back how many words they have.
// npx tsx examples/word-count-service.ts --port 8890
//
// It is a port of examples/asyncio/word_count_service.py, function by function; docs/from-asyncio.md walks through both.
//
// ci: --help
// ci-expect: ^Usage: .*word-count-service
import {
  ConnectionLostError,
  createTask,
  LimitError,
  sleep,
  sleepForever,
  startServer,
  timeout,
  TimeoutError,
  type StreamReader,
  type StreamWriter,
} from 'cede'
import { runServer, type Address } from './support/command-line.ts'

const IDLE_MS = 5_000
const REPORT_MS = 1_000
const GRACE_MS = 2_000

class Totals {
  texts = 0
  words = 0

  toString() {
    return `${this.texts} texts, ${this.words} words`
  }
}

/** The lines up to an empty one; null if there is nothing more. */
function* readText(reader: StreamReader) {
  const lines: string[] = []
  for (let line = yield* reader.readTextLine(); line !== null; line = yield* reader.readTextLine()) {
    if (line.trim() === '') return lines
    lines.push(line.trim())
  }
  return lines.length > 0 ? lines : null
}

function* countWords(reader: StreamReader, writer: StreamWriter, totals: Totals) {
  try {
    for (;;) {
      const lines = yield* timeout(IDLE_MS, readText(reader))
      if (lines === null) break
      const words = lines.reduce((sum, line) => sum + line.split(/\s+/).length, 0)
      totals.texts += 1
      totals.words += words
      yield* writer.send(`${lines.length} lines, ${words} words\n`)
    }
  } catch (error) {
    if (error instanceof TimeoutError) writer.write(`${IDLE_MS / 1_000} s are over, goodbye\n`)
    else if (error instanceof LimitError) writer.write('a line is too long, goodbye\n')
    else if (error instanceof ConnectionLostError) console.log(`a client is gone: ${error.message}`)
    else throw error
  }
}

function* report(totals: Totals) {
  let last = ''
  for (;;) {
    yield* sleep(REPORT_MS)
    const now = String(totals)
    if (now !== last) console.log(`${now} so far`)
    last = now
  }
}

function* main({ host, port }: Address) {
  const totals = new Totals()
  const server = yield* startServer((reader, writer) => countWords(reader, writer, totals), { host, port })
  createTask(report(totals))
  console.log(`listening on port ${server.port}`)
  try {
    yield* sleepForever() // until Ctrl-C cancels this task
  } finally {
    yield* server.shutdown({ graceMs: GRACE_MS })
    console.log(`${String(totals)} in all`)
  }
}

await runServer(
  'word-count-service.ts',
  'Counts the words of texts that end with an empty line.',
  8_890,
  main,
)
