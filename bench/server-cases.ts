// Servers under load, as samplers for the harness: each server in a process of its own, its load in another, each on
// a core of its own. A sample is so many lines or requests, sent and answered.
//
// All servers and all connections stay open while the others are measured; an idle one takes no processor time.

import { spawn, type ChildProcess } from 'node:child_process'
import { connect, createServer, type AddressInfo } from 'node:net'
import { builtPackage, Child } from './child.ts'
import { pinned, type Cores } from './cores.ts'
import type { Sampler } from './harness.ts'
import { MissingError } from './line-process.ts'
import { LoadGenerator, type LineLoad } from './load/line-load.ts'
import { processorNs } from './processor-time.ts'
import { benchmarkRedis, checkRedis, requireRedisBenchmark } from './redis/redis-load.ts'
import type { LoadSample } from './results.ts'
import type { RedisLoad, ServerProgram, ServerUnderLoad, SuiteProgram } from './suite.ts'

/** What happened while so many lines or requests were answered. */
type Loaded = Pick<LoadSample, 'ns' | 'p50' | 'p99' | 'p999'>

interface Running {
  readonly pid: number | undefined
  readonly port: number
  readonly versions: Readonly<Record<string, string>>
  end(): void
}

interface Driving {
  /** Numbers come in multiples of this. */
  readonly batch: number
  drive(count: number): Promise<Loaded>
  end(): void
}

export interface StartedServer {
  readonly sampler: Sampler
  readonly versions: Readonly<Record<string, string>>
  /** Of each sample so far. */
  readonly samples: readonly LoadSample[]
  end(): void
}

export async function startServerCase(
  key: string,
  { server, load, group }: ServerUnderLoad,
  cores: Cores,
): Promise<StartedServer> {
  const running = 'command' in server ? await startProgram(server, cores) : await startChild(server, cores)
  let driving: Driving
  try {
    driving =
      'test' in load
        ? await startRedis(load, running.port, cores)
        : await startLines(load, running.port, cores)
  } catch (error) {
    running.end()
    throw error
  }
  const samples: LoadSample[] = []
  return {
    sampler: {
      name: key,
      group,
      batch: driving.batch,
      sample: async (count) => {
        const before = processorNs(running.pid)
        const loaded = await driving.drive(count)
        const after = processorNs(running.pid)
        const processor = before === undefined || after === undefined ? undefined : after - before
        samples.push({ count, ...loaded, processorNs: processor })
        return loaded.ns
      },
    },
    versions: running.versions,
    samples,
    end: () => {
      driving.end()
      running.end()
    },
  }
}

// ---------------------------------------------------------------------- servers

async function startChild(place: Exclude<ServerUnderLoad['server'], ServerProgram>, cores: Cores) {
  const child = new Child(place, { core: cores.server })
  const end = () => child.end()
  try {
    return { pid: child.pid, port: await child.serve(place), versions: child.versions, end }
  } catch (error) {
    end()
    throw error
  }
}

/** How long a program may take until it listens. */
const startMs = 20_000

async function startProgram({ command }: ServerProgram, cores: Cores): Promise<Running> {
  const port = await freePort()
  const [name, ...args] = pinned(cores.server, [...command(port)])
  const program = spawn(name, args, {
    env: { ...process.env, ...builtPackage },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const end = () => void program.kill()
  try {
    await listens(program, command(port)[0], port)
  } catch (error) {
    end()
    throw error
  }
  return { pid: program.pid, port, versions: {}, end }
}

async function listens(program: ChildProcess, name: string, port: number): Promise<void> {
  let failure: Error | undefined
  program.on('error', (error) => (failure = new MissingError(error.message)))
  program.on('exit', (code, signal) => {
    // taskset ends with 127 where there is no such program.
    const Reason = code === 127 ? MissingError : Error
    failure ??= new Reason(
      `${name} ended (${signal ?? `status ${String(code)}`}) before it listened on ${port}`,
    )
  })
  const deadline = performance.now() + startMs
  while (!(await answers(port))) {
    if (failure !== undefined) throw failure
    if (performance.now() > deadline)
      throw new Error(`${name} does not listen on ${port} after ${startMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

// ---------------------------------------------------------------------- loads

async function startLines(load: LineLoad, port: number, cores: Cores): Promise<Driving> {
  const generator = new LoadGenerator(port, load, cores.load)
  try {
    await generator.connect()
  } catch (error) {
    generator.end()
    throw error
  }
  return {
    batch: load.connections * load.pipelined,
    drive: (count) => generator.closedLoop(count),
    end: () => generator.end(),
  }
}

async function startRedis(load: RedisLoad, port: number, cores: Cores): Promise<Driving> {
  requireRedisBenchmark()
  await checkRedis(port)
  // The key that is asked for has to be there.
  if (load.test === 'get') await benchmarkRedis({ ...load, test: 'set' }, port, 1_000, cores.load)
  return {
    batch: 10_000,
    drive: (count) => benchmarkRedis(load, port, count, cores.load),
    end: () => undefined,
  }
}

// ---------------------------------------------------------------------- idle connections

/** The young generation stays small: what it grows by is no memory of a connection. */
const idleFlags = ['--max-semi-space-size=1']

/**
 * What an idle connection takes of the memory of its server: the difference that `count` of them make, beside a fifth as
 * many that were there before and have settled what is needed once. Every connection was answered before it is idle.
 */
export async function idleFigures(
  place: SuiteProgram,
  count: number,
  cores: Cores,
): Promise<{ bytes: number }> {
  const child = new Child(place, { core: cores.server, flags: idleFlags })
  const loads: LoadGenerator[] = []
  try {
    const port = await child.serve(place)
    const open = async (connections: number) => {
      const load = new LoadGenerator(port, { connections, lineBytes: 64, pipelined: 1 }, cores.load)
      loads.push(load)
      await load.connect()
      await load.closedLoop(connections)
    }
    await open(count / 5)
    const before = await child.residentBytes(place)
    await open(count)
    const after = await child.residentBytes(place)
    return { bytes: (after - before) / count }
  } finally {
    for (const load of loads) load.end()
    child.end()
  }
}
