// The suites `echo` and `lines`: echo servers of 64 connections, with lines of 1 KiB one at a time, and with short lines
// sixteen at a time.

import type { Place } from '../child.ts'
import type { LineLoad } from '../load/line-load.ts'
import type { Row, ServerSuite, ServerUnderLoad, SuiteProgram } from '../suite.ts'

const here = (file: string) => new URL(file, import.meta.url)

const cede = (name: string): Place => ({ module: here('cede.ts'), name })
const node = (name: string): Place => ({ module: here('peers/node.ts'), name })
const asyncio: Place = { module: here('peers/asyncio_peer.py'), name: 'echo' }
const installPython = 'install Python 3.8 or later as python3, or name it in $PYTHON'

/** The servers that both suites compare. */
function serversUnder(load: LineLoad): Record<string, ServerUnderLoad> {
  return {
    net: { by: 'Node', does: 'net, data callbacks, chunks', server: node('dataCallbacks'), load },
    cede: { by: 'Cede', does: 'readLine, write, drain', server: cede('echo'), load, group: 'timeout' },
    forAwait: { by: 'Node', does: 'net, for await, chunks', server: node('forAwait'), load },
    readline: { by: 'Node', does: 'readline, lines', server: node('readline'), load },
    asyncio: { by: 'asyncio', does: 'streams, lines', server: asyncio, load, install: installPython },
  }
}

const rate = (of: string) => ({ kind: 'rate', of }) as const
/** How many times the throughput of the peer ours is. */
const times = (of: string) => ({ kind: 'times', of, as: 'cede' }) as const

// ---------------------------------------------------------------------- echo

const one: LineLoad = { connections: 64, lineBytes: 1024, pipelined: 1 }

const single = 'Line echo, 64 connections, 1 KiB lines'
const withTimeout = 'A timeout around every read'
const idle = 'Memory of an idle connection'

const idleServer = (place: Place, install?: string): SuiteProgram => ({
  ...place,
  idle: true,
  size: 10_000,
  quickSize: 200,
  ...(install === undefined ? {} : { install }),
})
const bytes = (of: string) => ({ kind: 'program', of, figure: 'bytes', in: 'bytes' }) as const

const echoRows: Row[] = [
  { heading: single, what: 'Cede: generator, readLine, write, drain', figure: rate('cede') },
  { heading: single, what: 'Node: net, data callbacks, chunks as they come', figure: rate('net') },
  { heading: single, what: 'Node: for await on a socket, chunks as they come', figure: rate('forAwait') },
  { heading: single, what: 'Node: readline', figure: rate('readline') },
  { heading: single, what: 'asyncio: streams', figure: rate('asyncio') },
  { heading: single, what: 'Cede, times for await', figure: times('forAwait'), target: { atLeast: 1.15 } },
  { heading: single, what: 'Cede, times readline', figure: times('readline'), target: { atLeast: 1.3 } },
  { heading: single, what: 'Cede, times net callbacks', figure: times('net'), target: { atLeast: 0.95 } },
  { heading: single, what: 'Cede, times asyncio', figure: times('asyncio') },

  { heading: withTimeout, what: 'Cede: timeout(60_000, reader.readLine())', figure: rate('cedeTimeout') },
  {
    heading: withTimeout,
    what: 'costs of throughput',
    figure: { kind: 'slowdown', of: 'cedeTimeout', without: 'cede' },
    target: { atMost: 6 },
  },

  {
    heading: idle,
    what: 'Cede: a task waits in readLine',
    figure: bytes('idleCede'),
    target: { atMost: 5_500 },
  },
  { heading: idle, what: 'Node: net, data callbacks', figure: bytes('idleNet') },
  { heading: idle, what: 'Node: for await on a socket', figure: bytes('idleForAwait') },
  { heading: idle, what: 'Node: readline', figure: bytes('idleReadline') },
  { heading: idle, what: 'asyncio: streams', figure: bytes('idleAsyncio') },
]

export const echo: ServerSuite = {
  kind: 'servers',
  name: 'echo',
  title: 'Line echo over the node driver',
  unit: 'net',
  counted: 'lines',
  cases: {
    ...serversUnder(one),
    cedeTimeout: {
      by: 'Cede',
      does: 'the same with timeout',
      server: cede('echoWithTimeout'),
      load: one,
      group: 'timeout',
    },
  },
  programs: {
    idleCede: idleServer(cede('echo')),
    idleNet: idleServer(node('dataCallbacks')),
    idleForAwait: idleServer(node('forAwait')),
    idleReadline: idleServer(node('readline')),
    idleAsyncio: idleServer(asyncio, installPython),
  },
  rows: echoRows,
  packages: [],
}

// ---------------------------------------------------------------------- lines

const sixteen = 'Sixteen 64-byte lines pipelined, 64 connections'

const linesRows: Row[] = [
  { heading: sixteen, what: 'Cede: generator, readLine, write, drain', figure: rate('cede') },
  { heading: sixteen, what: 'Node: readline', figure: rate('readline') },
  { heading: sixteen, what: 'asyncio: streams', figure: rate('asyncio') },
  { heading: sixteen, what: 'Node: for await, which splits no lines', figure: rate('forAwait') },
  { heading: sixteen, what: 'Node: net, data callbacks, which split no lines', figure: rate('net') },
  { heading: sixteen, what: 'Cede, times readline', figure: times('readline'), target: { atLeast: 6 } },
  { heading: sixteen, what: 'Cede, times asyncio', figure: times('asyncio') },
  { heading: sixteen, what: 'Cede, times for await', figure: times('forAwait') },
]

export const lines: ServerSuite = {
  kind: 'servers',
  name: 'lines',
  title: 'Pipelined lines over the node driver',
  unit: 'net',
  counted: 'lines',
  cases: serversUnder({ connections: 64, lineBytes: 64, pipelined: 16 }),
  programs: {},
  rows: linesRows,
  packages: [],
}
