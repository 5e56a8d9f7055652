// What is asked of a server once, in a process of its own: how much memory its connections take, how many it can have
// at once, and how much it holds while a stream goes through it.

import type { Cores } from './cores.ts'
import { LoadGenerator, type LineLoad } from './load/line-load.ts'
import { forgetPeak, peakBytes } from './process-status.ts'
import { startServer, type RunningServer } from './server-cases.ts'
import type { AskedServer } from './suite.ts'

type Figures = Record<string, number>

/** @param size how many connections; of a stream how many MiB */
export async function askServer(
  { server, asked }: AskedServer,
  size: number,
  cores: Cores,
): Promise<{ readonly figures: Figures; readonly versions: RunningServer['versions'] }> {
  // The young generation stays small where memory is counted: what it grows by is no memory of a connection.
  const flags = asked === 'crowd' ? undefined : ['--max-semi-space-size=1']
  const running = await startServer(server, cores, flags)
  const loads: LoadGenerator[] = []
  const connect = async (load: LineLoad) => {
    const generator = new LoadGenerator(running.port, load, cores.load)
    loads.push(generator)
    const { ns } = await generator.connect()
    return { generator, ns }
  }
  try {
    return {
      figures: await { idle, crowd, stream }[asked](running, size, connect),
      versions: running.versions,
    }
  } finally {
    for (const load of loads) load.end()
    running.end()
  }
}

type Connect = (load: LineLoad) => Promise<{ readonly generator: LoadGenerator; readonly ns: number }>

/**
 * What an idle connection takes of the memory of its server: the difference that `count` of them make, beside a fifth as
 * many that were there before and have settled what is needed once. Every connection was answered before it is idle.
 */
async function idle(running: RunningServer, count: number, connect: Connect): Promise<Figures> {
  const open = async (connections: number) => {
    const { generator } = await connect({ connections, lineBytes: 64, pipelined: 1 })
    await generator.closedLoop(connections)
  }
  await open(count / 5)
  const before = await running.residentBytes()
  await open(count)
  const after = await running.residentBytes()
  return { bytes: (after - before) / count }
}

/** Opens `count` connections as fast as they are accepted, and sends a line over each, all at once. */
async function crowd(_: RunningServer, count: number, connect: Connect): Promise<Figures> {
  const { generator, ns } = await connect({ connections: count, lineBytes: 64, pipelined: 1 })
  const { lines, ns: answeredNs } = await generator.closedLoop(count)
  return {
    answered: lines,
    acceptUs: ns / count / 1000,
    acceptMs: ns / 1e6,
    answerMs: answeredNs / 1e6,
  }
}

/** Long enough for a server that takes more to have done so. */
const quietMs = 500

/**
 * By how many megabytes the server grows at most while so many MiB go through it, and while as many are offered by
 * somebody who reads nothing.
 */
async function stream(running: RunningServer, mebibytes: number, connect: Connect): Promise<Figures> {
  const { pid } = running
  if (pid === undefined) throw new Error('the server has no process')
  const bytes = mebibytes * 2 ** 20
  const { generator } = await connect({ connections: 1, lineBytes: 64 * 1024, pipelined: 1 })
  const grownBy = async (action: () => Promise<unknown>) => {
    const before = await running.residentBytes()
    forgetPeak(pid)
    await action()
    return (peakBytes(pid) - before) / 1e6
  }
  await generator.stream(bytes / 16)
  const megabytes = await grownBy(() => generator.stream(bytes))
  let taken = NaN
  const deafMegabytes = await grownBy(async () => (taken = await generator.deaf(bytes, quietMs)))
  await generator.hear()
  return { megabytes, deafMegabytes, takenMegabytes: taken / 1e6 }
}
