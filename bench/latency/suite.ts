// The suite `latency`: how long an answer takes. One connection in turn, many at a constant rate, and many beside one
// that floods the server.

import type { LineLoad } from '../load/line-load.ts'
import { servers, type Server } from '../servers.ts'
import type { Row, ServerSuite, ServerUnderLoad } from '../suite.ts'

const lineBytes = 64

const alone = 'One connection, ping-pong, a 64-byte line: p50 / p99 / p99.9'
const steady = '64 connections, 64-byte lines at a constant rate: p50 / p99 / p99.9'
const flood = '63 connections, 10,000 lines a second, and one that floods: p50 / p99 / p99.9'

const pingPong: LineLoad = { connections: 1, lineBytes, pipelined: 1 }
/** Half of what the slowest of them can do. */
const constantRate: LineLoad = {
  connections: 64,
  lineBytes,
  pipelined: 1,
  loop: { rate: { partOfSlowest: 0.5 } },
}
const politeRate = 10_000
/** What floods is sent 16 KiB at a time: line by line the generator would be busier than the server, and late itself. */
const polite: LineLoad = { connections: 64, lineBytes, pipelined: 256, loop: { rate: politeRate } }
const flooded: LineLoad = { ...polite, loop: { rate: politeRate, flood: true } }

const { cede, netChunks, forAwaitChunks, go, epollChunks, libuvChunks, asyncio, uvloop } = servers

const under = (server: Server, does: string, load: LineLoad, group: string): ServerUnderLoad => ({
  ...server,
  does,
  load,
  group,
})

/** Those who flood share a group each, so that both halves of a pair are measured right after one another. */
const pair = (name: string, server: Server) => ({
  [`${name}Polite`]: under(server, 'no flood', polite, name),
  [`${name}Flooded`]: under(server, 'beside a flood', flooded, name),
})

const latency = (of: string) => ({ kind: 'latency', of }) as const
const times = (of: string, as: string, part: 'p50' | 'p99') =>
  ({ kind: 'latencyTimes', of, as, part }) as const

const rows: Row[] = [
  { heading: alone, what: 'Cede: readLine, write, drain', figure: latency('cedeAlone') },
  { heading: alone, what: 'C: libuv, chunks as they come', figure: latency('libuvAlone') },
  { heading: alone, what: 'C: epoll, chunks as they come', figure: latency('epollAlone') },
  { heading: alone, what: 'Node: net, data callbacks, chunks', figure: latency('netAlone') },
  { heading: alone, what: 'Go: bufio, one core', figure: latency('goAlone') },
  {
    heading: alone,
    what: 'p50 of Cede, times libuv',
    figure: times('cedeAlone', 'libuvAlone', 'p50'),
    target: { atMost: 1.25 },
  },
  { heading: alone, what: 'p50 of Cede, times net', figure: times('cedeAlone', 'netAlone', 'p50') },

  { heading: steady, what: 'Cede: readLine, write, drain', figure: latency('cede') },
  { heading: steady, what: 'Node: net, data callbacks, chunks', figure: latency('net') },
  { heading: steady, what: 'Node: for await on a socket, chunks', figure: latency('forAwait') },
  { heading: steady, what: 'Go: bufio, one core', figure: latency('go') },
  { heading: steady, what: 'C: libuv, chunks as they come', figure: latency('libuv') },
  { heading: steady, what: 'uvloop: streams', figure: latency('uvloop') },
  { heading: steady, what: 'asyncio: streams', figure: latency('asyncio') },
  { heading: steady, what: 'p99 of Cede, times net', figure: times('cede', 'net', 'p99') },
  { heading: steady, what: 'p99 of Cede, times for await', figure: times('cede', 'forAwait', 'p99') },

  { heading: flood, what: 'Cede, no flood', figure: latency('cedePolite') },
  { heading: flood, what: 'Cede', figure: latency('cedeFlooded') },
  {
    heading: flood,
    what: 'p99 of Cede, times no flood',
    figure: times('cedeFlooded', 'cedePolite', 'p99'),
    target: { atMost: 5 },
  },
  { heading: flood, what: 'Node: net, data callbacks, chunks, no flood', figure: latency('netPolite') },
  { heading: flood, what: 'Node: net, data callbacks, chunks', figure: latency('netFlooded') },
  { heading: flood, what: 'p99 of net, times no flood', figure: times('netFlooded', 'netPolite', 'p99') },
  { heading: flood, what: 'Go: bufio, one core, no flood', figure: latency('goPolite') },
  { heading: flood, what: 'Go: bufio, one core', figure: latency('goFlooded') },
  { heading: flood, what: 'p99 of Go, times no flood', figure: times('goFlooded', 'goPolite', 'p99') },
  { heading: flood, what: 'C: libuv, chunks as they come, no flood', figure: latency('libuvPolite') },
  { heading: flood, what: 'C: libuv, chunks as they come', figure: latency('libuvFlooded') },
  {
    heading: flood,
    what: 'p99 of libuv, times no flood',
    figure: times('libuvFlooded', 'libuvPolite', 'p99'),
  },
]

export const latencies: ServerSuite = {
  kind: 'servers',
  name: 'latency',
  title: 'How long an answer takes',
  unit: 'netAlone',
  counted: 'lines',
  rounds: 20,
  sampleMs: 500,
  drawn: 'latency',
  cases: {
    cedeAlone: under(cede, 'one connection', pingPong, 'alone'),
    libuvAlone: under(libuvChunks, 'libuv, one connection', pingPong, 'alone'),
    epollAlone: under(epollChunks, 'epoll, one connection', pingPong, 'alone'),
    netAlone: under(netChunks, 'net, one connection', pingPong, 'alone'),
    goAlone: under(go, 'bufio, one connection', pingPong, 'alone'),

    cede: under(cede, 'constant rate', constantRate, 'steady'),
    net: under(netChunks, 'net, constant rate', constantRate, 'steady'),
    forAwait: under(forAwaitChunks, 'for await, constant rate', constantRate, 'steady'),
    go: under(go, 'bufio, constant rate', constantRate, 'steady'),
    libuv: under(libuvChunks, 'libuv, constant rate', constantRate, 'steady'),
    uvloop: under(uvloop, 'streams, constant rate', constantRate, 'steady'),
    asyncio: under(asyncio, 'streams, constant rate', constantRate, 'steady'),

    ...pair('cede', cede),
    ...pair('net', netChunks),
    ...pair('go', go),
    ...pair('libuv', libuvChunks),
  },
  programs: {},
  rows,
  packages: [],
}
