// The process in which a case runs, away from all other cases, so that what the compiler learned from one
// does not slow down another (`--together` puts them all in one process, to see how much it would).
//
// It obeys lines of JSON on standard input and answers each with one line; the Python scripts among the peers speak
// the same:
//   { load, name }           -> { ready: true, batch, versions? } | { missing: 'what' }, of a server { port, versions? }
//   { load, name, sample }   -> { ns }
//   { load, name, size }     -> { figures }
//   { load, name, memory }   -> { figures: { residentBytes } }, what the process takes once garbage is collected
// and { error } when something went wrong.

import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { CaseModule } from './case.ts'

interface Request {
  readonly load: string
  readonly name: string
  readonly sample?: number
  readonly size?: number
  readonly memory?: true
}

async function answer({ load, name, sample, size, memory }: Request): Promise<object> {
  if (memory) return { figures: { residentBytes: await residentBytes() } }
  const module = (await import(load)) as CaseModule
  const timed = module.cases?.[name]
  const program = module.programs?.[name]
  if (sample !== undefined && timed !== undefined) {
    collectYoungGarbage()
    return { ns: await timed.sample(sample) }
  }
  if (size !== undefined && program !== undefined) return { figures: await program.figures(size) }
  const server = module.servers?.[name]
  if (server !== undefined) return { port: await server() }
  if (timed === undefined && program === undefined)
    throw new Error(`${fileURLToPath(load)} has no case ${name}`)
  await timed?.setUp?.()
  return { ready: true, batch: timed?.batch ?? 1 }
}

/**
 * What the sample before left behind is no part of this one. Only the young generation: a full collection between
 * two samples, when no task, timer or scope is alive, would throw away optimised code together with the hidden
 * classes that it was made for, and the next sample would measure the compiler.
 */
function collectYoungGarbage(): void {
  globalThis.gc?.({ type: 'minor' })
}

async function residentBytes(): Promise<number> {
  // What the first collection lets go of in finalizers and on other threads is gone after the last.
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return process.memoryUsage.rss()
}

function failure(error: unknown): object {
  const text = error instanceof Error ? error.message : String(error)
  const missing = (error as { code?: unknown } | null)?.code === 'ERR_MODULE_NOT_FOUND'
  return missing ? { missing: text.split('\n')[0] } : { error: text }
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    void answer(JSON.parse(line) as Request)
      .catch(failure)
      .then((reply) => process.stdout.write(JSON.stringify(reply) + '\n'))
  })
  .on('close', () => process.exit())
