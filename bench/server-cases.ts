// Servers under load, as samplers for the harness: each server in a process of its own, its load in another, each on
// a core of its own. A sample is so many lines or requests, sent and answered.
//
// All servers and all connections stay open while the others are measured; an idle one takes no processor time.

import { spawn, type ChildProcess } from 'node:child_process'
import { connect, createServer, type AddressInfo } from 'node:net'
import { Child, type Place } from './child.ts'
import { pinned, type Cores } from './cores.ts'
import type { Sampler } from './harness.ts'
import { MissingError } from './line-process.ts'
import { LoadGenerator, type LineLoad } from './load/line-load.ts'
import { contextSwitches, processFigures, type ProcessFigures } from './process-status.ts'
import { processorNs } from './processor-time.ts'
import { benchmarkRedis, checkRedis, requireRedisBenchmark } from './redis/redis-load.ts'
import type { LoadSample } from './results.ts'
import type { RedisLoad, ServerProgram, ServerUnderLoad } from './suite.ts'

/** What happened while so many lines or requests were answered. */
type Loaded = Pick<LoadSample, 'ns' | 'p50' | 'p99' | 'p999' | 'flooded'>

/** A server in a process of its own. */
export interface RunningServer {
  readonly pid: number | undefined
  readonly port: number
  readonly versions: Readonly<Record<string, string>>
  /** The memory of the process, after its garbage was collected if it can be asked to. */
  residentBytes(): Promise<number>
  end(): void
}

interface Driving {
  /** Numbers come in multiples of this. */
  readonly batch: number
  drive(count: number): Promise<Loaded>
  readonly pace?: Pace
  end(): void
}

/** Of an open loop whose rate is not known yet. */
export interface Pace {
  readonly partOfSlowest: number
  /** How many lines a second the server does in a closed loop. */
  capacity(): Promise<number>
  /** Lines a second, from now on. */
  rate: number
}

export interface StartedServer {
  readonly sampler: Sampler
  readonly versions: Readonly<Record<string, string>>
  /** Of each sample so far. */
  readonly samples: readonly LoadSample[]
  readonly pace: Pace | undefined
  /** What the system tells about its process now. */
  process(): ProcessFigures | undefined
  end(): void
}

export async function startServerCase(
  key: string,
  { server, load, group }: ServerUnderLoad,
  cores: Cores,
  quick: boolean,
): Promise<StartedServer> {
  const running = await startServer(server, cores)
  let driving: Driving
  try {
    driving =
      'test' in load
        ? await startRedis(load, running.port, cores)
        : await startLines(load, running.port, cores, quick)
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
        await driving.drive(leadInOf(count))
        const before = [processorNs(running.pid), contextSwitches(running.pid)]
        const loaded = await driving.drive(count)
        const after = [processorNs(running.pid), contextSwitches(running.pid)]
        const [processor, switches] = after.map((value, i) => difference(value, before[i]))
        samples.push({ count, ...loaded, processorNs: processor, switches })
        return loaded.ns
      },
    },
    versions: running.versions,
    samples,
    pace: driving.pace,
    process: () =>
      running.pid === undefined || process.platform !== 'linux' ? undefined : processFigures(running.pid),
    end: () => {
      driving.end()
      running.end()
    },
  }
}

/**
 * So much is driven before each sample and does not count: the server was idle while the others were measured, and the
 * caches are theirs.
 */
function leadInOf(count: number): number {
  return Math.ceil(count / 8)
}

function difference(after: number | undefined, before: number | undefined): number | undefined {
  return after === undefined || before === undefined ? undefined : after - before
}

// ---------------------------------------------------------------------- servers

/** @param flags for V8, if it is a server on Node; default: those of timed code */
export async function startServer(
  server: Place | ServerProgram,
  cores: Cores,
  flags?: readonly string[],
): Promise<RunningServer> {
  server.requires?.()
  return 'command' in server ? startProgram(server, cores) : startChild(server, cores, flags)
}

async function startChild(
  place: Place,
  cores: Cores,
  flags: readonly string[] | undefined,
): Promise<RunningServer> {
  const child = new Child(place, { core: cores.server, ...(flags === undefined ? {} : { flags }) })
  const end = () => child.end()
  try {
    const port = await child.serve(place)
    const residentBytes = () => child.residentBytes(place)
    return { pid: child.pid, port, versions: child.versions, residentBytes, end }
  } catch (error) {
    end()
    throw error
  }
}

/** How long a program may take until it listens. */
const startMs = 20_000

async function startProgram({ command, env, versions }: ServerProgram, cores: Cores): Promise<RunningServer> {
  const port = await freePort()
  const [name, ...args] = pinned(cores.server, [...command(port)])
  const program = spawn(name, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const end = () => void program.kill()
  try {
    await listens(program, command(port)[0], port)
  } catch (error) {
    end()
    throw error
  }
  const { pid } = program
  const residentBytes = () => Promise.resolve(pid === undefined ? NaN : processFigures(pid).residentBytes)
  return { pid, port, versions: versions?.() ?? {}, residentBytes, end }
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

async function startLines(load: LineLoad, port: number, cores: Cores, quick: boolean): Promise<Driving> {
  const generator = new LoadGenerator(port, load, cores.load)
  try {
    await generator.connect()
  } catch (error) {
    generator.end()
    throw error
  }
  const end = () => generator.end()
  const { loop = 'closed' } = load
  if (loop === 'closed') {
    return { batch: load.connections * load.pipelined, drive: (count) => generator.closedLoop(count), end }
  }
  if ('streamMiB' in loop) {
    return {
      batch: quick ? loop.quickMiB : loop.streamMiB,
      drive: async (count) => ({
        ns: (await generator.stream(count * 2 ** 20)).ns,
        // A stream has no answers that could be late.
        ...{ p50: NaN, p99: NaN, p999: NaN },
      }),
      end,
    }
  }
  const pace: Pace = {
    partOfSlowest: typeof loop.rate === 'number' ? 0 : loop.rate.partOfSlowest,
    rate: typeof loop.rate === 'number' ? loop.rate : NaN,
    capacity: () => capacityOf(generator),
  }
  return {
    batch: 1,
    drive: (count) => {
      // Half a line more, so that rounding takes none away.
      const seconds = (count + 0.5) / pace.rate
      return loop.flood ? generator.flood(pace.rate, seconds) : generator.openLoop(pace.rate, seconds)
    },
    ...(typeof loop.rate === 'number' ? {} : { pace }),
    end,
  }
}

/** The best of some short closed loops, once the server is warm. */
async function capacityOf(generator: LoadGenerator): Promise<number> {
  let best = 0
  for (let lines = 2_000, i = 0; i < 6; i++) {
    const { ns } = await generator.closedLoop(lines)
    best = Math.max(best, (1e9 * lines) / ns)
    lines = Math.ceil(best * 0.15)
  }
  return best
}

/** Gives the rate of open loops that were to have a part of what the slowest can do, if there are any. */
export async function agreeOnRate(paces: readonly Pace[]): Promise<number | undefined> {
  let rate: number | undefined
  for (const pace of paces) rate = Math.min(rate ?? Infinity, pace.partOfSlowest * (await pace.capacity()))
  if (rate === undefined) return undefined
  // A round number, for the table.
  const rounded = Number(rate.toPrecision(2))
  for (const pace of paces) pace.rate = rounded
  return rounded
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
