// The suite `connections`: what an idle connection takes, very many at once, and the traditional way: a thread for each.

import { compiledC } from '../compile.ts'
import type { LineLoad } from '../load/line-load.ts'
import { servers, type Server } from '../servers.ts'
import type { AskedServer, Row, ServerSuite, ServerUnderLoad, SuiteProgram } from '../suite.ts'

const threads: Server = {
  by: 'C',
  server: {
    command: (port) => [compiledC(new URL('peers/threads.c', import.meta.url)), String(port)],
  },
  install: 'install gcc and libc6-dev',
}

const asked = (
  { server, install }: Server,
  what: AskedServer['asked'],
  size: number,
  quickSize: number,
): SuiteProgram => ({
  server,
  asked: what,
  size,
  quickSize,
  ...(install === undefined ? {} : { install }),
})

// ---------------------------------------------------------------------- idle

const idleHeading = 'Memory of an idle connection'
const bytes = (of: string) => ({ kind: 'program', of, figure: 'bytes', in: 'bytes' }) as const

const idle: Record<string, { server: Server; what: string; atMost?: number }> = {
  idleCede: { server: servers.cede, what: 'Cede: a task waits in readLine', atMost: 2_200 },
  idleCedeNode: { server: servers.cedeNode, what: 'Cede: the same on the node driver' },
  idleNet: { server: servers.netChunks, what: 'Node: net, data callbacks' },
  idleForAwait: { server: servers.forAwaitChunks, what: 'Node: for await on a socket' },
  idleReadline: { server: servers.readline, what: 'Node: readline' },
  idleBun: { server: servers.bunChunks, what: 'Bun: Bun.listen, callbacks' },
  idleGo: { server: servers.go, what: 'Go: bufio' },
  idleAsyncio: { server: servers.asyncio, what: 'asyncio: streams' },
  idleUvloop: { server: servers.uvloop, what: 'uvloop: streams' },
  idleTwisted: { server: servers.twisted, what: 'Twisted: LineReceiver' },
  idleTrio: { server: servers.trio, what: 'trio: streams' },
  idleLibuv: { server: servers.libuvChunks, what: 'C: libuv' },
  idleThreads: { server: threads, what: 'C: a thread waits in recv; without its kernel stack' },
}

// ---------------------------------------------------------------------- very many

const crowdSize = 19_000
const crowdHeading = '19,000 connections open at once: accepted, and a line over each at the same time'

const crowds: Record<string, { server: Server; what: string }> = {
  crowdCede: { server: servers.cede, what: 'Cede' },
  crowdCedeNode: { server: servers.cedeNode, what: 'Cede on the node driver' },
  crowdNet: { server: servers.netChunks, what: 'Node: net, data callbacks' },
  crowdGo: { server: servers.go, what: 'Go: bufio' },
  crowdLibuv: { server: servers.libuvChunks, what: 'C: libuv' },
  crowdUvloop: { server: servers.uvloop, what: 'uvloop: streams' },
}

const crowdRows: Row[] = [
  {
    heading: crowdHeading,
    what: 'answered by Cede within one run',
    figure: { kind: 'program', of: 'crowdCede', figure: 'answered', in: 'connections' },
    target: { exactly: crowdSize },
  },
  ...Object.entries(crowds).map(([of, { what }]): Row => ({
    heading: crowdHeading,
    what,
    figure: {
      kind: 'program',
      of,
      figure: 'acceptUs',
      in: 'us for each',
      with: [{ figure: 'answerMs', in: 'ms until all are answered' }],
    },
  })),
  {
    heading: crowdHeading,
    what: 'accepting by Cede, times net',
    figure: { kind: 'programTimes', of: 'crowdCede', as: 'crowdNet', figure: 'acceptUs' },
  },
]

// ---------------------------------------------------------------------- the traditional way

const sizes = [64, 1_000, 10_000] as const

const load = (connections: number): LineLoad => ({ connections, lineBytes: 64, pipelined: 1 })

const ways: Record<string, { server: Server; what: string; does: string }> = {
  cede: { server: servers.cede, what: 'Cede: a task for each', does: 'a task for each' },
  threads: { server: threads, what: 'C: a thread for each', does: 'a thread for each' },
  epoll: { server: servers.epollChunks, what: 'C: epoll, one thread', does: 'epoll, one thread' },
}

const traditional: Record<string, ServerUnderLoad> = {}
const traditionalRows: Row[] = []
for (const size of sizes) {
  const heading = `The traditional way, ${size.toLocaleString('en')} connections, 64-byte lines`
  for (const [key, { server, what, does }] of Object.entries(ways)) {
    const of = `${key}${size}`
    traditional[of] = { ...server, does: `${does}, ${size.toLocaleString('en')}`, load: load(size) }
    traditionalRows.push({ heading, what, figure: { kind: 'rate', of } })
    traditionalRows.push({ heading, what: `${what}, its process`, figure: { kind: 'process', of } })
  }
  traditionalRows.push({
    heading,
    what: 'Cede, times a thread for each',
    figure: { kind: 'times', of: `threads${size}`, as: `cede${size}` },
  })
}

export const connections: ServerSuite = {
  kind: 'servers',
  name: 'connections',
  title: 'Many connections',
  unit: 'cede64',
  counted: 'lines',
  rounds: 15,
  drawn: 'program',
  cases: traditional,
  programs: {
    ...Object.fromEntries(
      Object.entries(idle).map(([key, { server }]) => [key, asked(server, 'idle', 10_000, 200)]),
    ),
    ...Object.fromEntries(
      Object.entries(crowds).map(([key, { server }]) => [key, asked(server, 'crowd', crowdSize, 500)]),
    ),
  },
  rows: [
    ...Object.entries(idle).map(([of, { what, atMost }]): Row => ({
      heading: idleHeading,
      what,
      figure: bytes(of),
      ...(atMost === undefined ? {} : { target: { atMost } }),
    })),
    ...crowdRows,
    ...traditionalRows,
  ],
  packages: [],
}
