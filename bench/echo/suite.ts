// The suites `echo`, `lines` and `pipelined`: echo servers of 64 connections, with lines of 1 KiB one at a time, with short
// lines one at a time, and with short lines sixteen at a time.

import type { LineLoad } from '../load/line-load.ts'
import { servers } from '../servers.ts'
import type { Row, ServerSuite, ServerUnderLoad, Target } from '../suite.ts'

/** What each server does, for the table. Those that only send chunks back look for no lines. */
const described: Readonly<Record<keyof typeof servers, string>> = {
  cede: 'readLine, write, drain',
  cedeTimeout: 'timeout(60_000, reader.readLine())',
  cedeNode: 'the same on the node driver',
  netChunks: 'net, data callbacks, chunks',
  forAwaitChunks: 'for await on a socket, chunks',
  readline: 'readline, lines',
  effect: 'socket server, lines',
  effectChunks: 'socket server, chunks',
  bunChunks: 'Bun.listen, callbacks, chunks',
  denoChunks: 'Deno.listen, read and write, chunks',
  denoStreamsChunks: 'Deno.listen, web streams, chunks',
  asyncio: 'streams, lines',
  uvloop: 'streams, lines',
  uvloopChunks: 'protocol callbacks, chunks',
  twisted: 'LineReceiver, lines',
  trio: 'streams, lines by hand',
  go: 'bufio, lines, one core',
  epollChunks: 'epoll, chunks',
  libuvChunks: 'libuv with uv_try_write, chunks',
  libuvGuideChunks: 'libuv as in its guide, chunks',
}

type Key = keyof typeof servers

/** In the order of the table: ours, those that look for lines, those that do not. */
const withLines: readonly Key[] = [
  'cede',
  'cedeNode',
  'go',
  'uvloop',
  'readline',
  'twisted',
  'trio',
  'asyncio',
  'effect',
]
const withChunks: readonly Key[] = [
  'epollChunks',
  'libuvChunks',
  'libuvGuideChunks',
  'bunChunks',
  'uvloopChunks',
  'denoChunks',
  'netChunks',
  'forAwaitChunks',
  'denoStreamsChunks',
  'effectChunks',
]

function under(load: LineLoad, keys: readonly Key[]): Record<string, ServerUnderLoad> {
  return Object.fromEntries(keys.map((key) => [key, { ...servers[key], does: described[key], load }]))
}

const rates = (heading: string, keys: readonly Key[]): Row[] =>
  keys.map((key) => ({
    heading,
    what: `${servers[key].by}: ${described[key]}`,
    figure: { kind: 'rate', of: key },
  }))

/** How many times the throughput of the peer ours is. */
function times(heading: string, peer: Key, name: string, atLeast?: number, ours: Key = 'cede'): Row {
  const target: { target?: Target } = atLeast === undefined ? {} : { target: { atLeast } }
  const who = ours === 'cede' ? 'Cede' : ours === 'cedeNode' ? 'Cede on the node driver' : servers[ours].by
  return { heading, what: `${who}, times ${name}`, figure: { kind: 'times', of: peer, as: ours }, ...target }
}

const common = {
  kind: 'servers',
  unit: 'netChunks',
  counted: 'lines',
  programs: {},
  packages: ['effect'],
} as const

// ---------------------------------------------------------------------- echo

const one: LineLoad = { connections: 64, lineBytes: 1024, pipelined: 1 }

const single = 'Line echo, 64 connections, 1 KiB lines'
const ratios = 'The same as ratios'
/** What the targets above can be held against: the kernel and the generator leave no more to anybody. */
const ceiling = 'C with nothing but epoll, which splits no lines, as ratios'
const nodeDriver = 'The node driver, as ratios'
const withTimeout = 'A timeout around every read'

export const echo: ServerSuite = {
  ...common,
  name: 'echo',
  title: 'Line echo, 1 KiB',
  cases: {
    ...under(one, [...withLines, ...withChunks]),
    // Each pair of samples right after one another.
    cede: { ...servers.cede, does: described.cede, load: one, group: 'timeout' },
    cedeTimeout: { ...servers.cedeTimeout, does: 'the same with timeout', load: one, group: 'timeout' },
  },
  rows: [
    ...rates(single, withLines),
    ...rates(single, withChunks),

    times(ratios, 'forAwaitChunks', 'for await', 1.9),
    times(ratios, 'readline', 'readline', 2.2),
    times(ratios, 'uvloop', 'uvloop streams', 1.7),
    times(ratios, 'go', 'Go', 1),
    times(ratios, 'bunChunks', 'Bun.listen', 0.9),
    times(ratios, 'libuvChunks', 'C with libuv', 0.85),
    times(ratios, 'libuvGuideChunks', 'C with libuv as in its guide'),
    times(ratios, 'effect', "Effect's socket server", 3),
    times(ratios, 'effectChunks', "Effect's socket server, which splits no lines"),
    times(ratios, 'netChunks', 'net callbacks'),
    times(ratios, 'uvloopChunks', 'uvloop protocol callbacks'),
    times(ratios, 'denoChunks', 'Deno.listen'),
    times(ratios, 'epollChunks', 'C with epoll'),
    times(ratios, 'twisted', 'Twisted'),
    times(ratios, 'trio', 'trio'),
    times(ratios, 'asyncio', 'asyncio'),

    times(ceiling, 'forAwaitChunks', 'for await', undefined, 'epollChunks'),
    times(ceiling, 'readline', 'readline', undefined, 'epollChunks'),
    times(ceiling, 'uvloop', 'uvloop streams', undefined, 'epollChunks'),
    times(ceiling, 'go', 'Go', undefined, 'epollChunks'),
    times(ceiling, 'bunChunks', 'Bun.listen', undefined, 'epollChunks'),

    times(nodeDriver, 'forAwaitChunks', 'for await', 1.15, 'cedeNode'),
    times(nodeDriver, 'readline', 'readline', 1.3, 'cedeNode'),
    times(nodeDriver, 'netChunks', 'net callbacks', 0.95, 'cedeNode'),
    times(nodeDriver, 'asyncio', 'asyncio', undefined, 'cedeNode'),

    {
      heading: withTimeout,
      what: `Cede: ${described.cedeTimeout}`,
      figure: { kind: 'rate', of: 'cedeTimeout' },
    },
    {
      heading: withTimeout,
      what: 'costs of throughput',
      figure: { kind: 'slowdown', of: 'cedeTimeout', without: 'cede' },
      target: { atMost: 6 },
    },
  ],
}

// ---------------------------------------------------------------------- lines

const short = 'Line echo, 64 connections, 64-byte lines one at a time'

export const lines: ServerSuite = {
  ...common,
  name: 'lines',
  title: 'Short lines, one at a time, servers that look for them',
  unit: 'readline',
  cases: under({ connections: 64, lineBytes: 64, pipelined: 1 }, withLines),
  rows: [
    ...rates(short, withLines),
    times(short, 'go', 'Go'),
    times(short, 'uvloop', 'uvloop streams'),
    times(short, 'readline', 'readline'),
    times(short, 'effect', "Effect's socket server"),
    times(short, 'asyncio', 'asyncio'),
  ],
}

// ---------------------------------------------------------------------- pipelined

const sixteen = 'Sixteen 64-byte lines pipelined, 64 connections'

export const pipelined: ServerSuite = {
  ...common,
  name: 'pipelined',
  title: 'Short lines, sixteen at a time',
  cases: under({ connections: 64, lineBytes: 64, pipelined: 16 }, [...withLines, ...withChunks]),
  rows: [
    ...rates(sixteen, withLines),
    ...rates(sixteen, withChunks),

    times(ratios, 'readline', 'readline', 8),
    times(ratios, 'uvloop', 'uvloop streams', 3),
    times(ratios, 'forAwaitChunks', 'for await, which splits no lines', 1),
    times(ratios, 'go', 'Go'),
    times(ratios, 'effect', "Effect's socket server"),
    times(ratios, 'asyncio', 'asyncio'),
    times(ratios, 'bunChunks', 'Bun.listen, which splits no lines'),
    times(ratios, 'libuvChunks', 'C with libuv, which splits no lines'),

    times(nodeDriver, 'readline', 'readline', 6, 'cedeNode'),
    times(nodeDriver, 'asyncio', 'asyncio', undefined, 'cedeNode'),
    times(nodeDriver, 'forAwaitChunks', 'for await, which splits no lines', undefined, 'cedeNode'),
  ],
}
