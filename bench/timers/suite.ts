// The suite `timers`: timers armed, cancelled and fired in great numbers, and how late they are.

import type { CodeCase, CodeSuite, Row, SuiteProgram } from '../suite.ts'

const at = (file: string) => new URL(file, import.meta.url)

const installPython = 'install Python 3.8 or later as python3, or name it in $PYTHON'

const of =
  (by: string, file: string, install?: string) =>
  (name: string, does: string): CodeCase => ({
    module: at(file),
    name,
    by,
    does,
    ...(install === undefined ? {} : { install }),
  })

const cede = of('Cede', 'cede.ts')
const node = of('Node', 'peers/node.ts')
const asyncio = of('asyncio', 'peers/asyncio_peer.py', installPython)
const effect = of('Effect', 'peers/effect.ts', 'npm install --save-dev effect')
const effection = of('Effection', 'peers/effection.ts', 'npm install --save-dev effection')

const program = (file: string, install?: string): SuiteProgram => ({
  module: at(file),
  name: 'lateness',
  size: 200_000,
  quickSize: 2_000,
  ...(install === undefined ? {} : { install }),
})

const units = (of: string) => ({ kind: 'units', of }) as const
const times = (of: string, as: string) => ({ kind: 'times', of, as }) as const
const late = (of: string) =>
  ({
    kind: 'program',
    of,
    figure: 'p50Ms',
    in: 'ms',
    with: [
      { figure: 'p99Ms', in: 'ms at p99' },
      { figure: 'longestMs', in: 'ms at most' },
      { figure: 'processorUs', in: 'us of the processor for each' },
    ],
  }) as const
const early = (of: string) => ({ kind: 'program', of, figure: 'early', in: 'timers' }) as const

const cancelled = '50,000 timers armed, then all cancelled; each'
const fired = '50,000 timers of 50 durations armed, and fired when all are due; each'
const slept = '50,000 tasks begun, asleep for one of 50 durations, and woken when all are due; each'
const lateness = '200,000 timers over 2 s: how late at the median'

const rows: Row[] = [
  { heading: cancelled, what: 'Cede: callLater, cancel', figure: units('cancelled') },
  { heading: cancelled, what: 'Node: setTimeout, clearTimeout', figure: units('nodeCancelled') },
  { heading: cancelled, what: 'asyncio: call_later, cancel', figure: units('asyncioCancelled') },
  { heading: cancelled, what: 'times cheaper than Node', figure: times('nodeCancelled', 'cancelled') },
  {
    heading: cancelled,
    what: 'times cheaper than asyncio',
    figure: times('asyncioCancelled', 'cancelled'),
    target: { atLeast: 10 },
  },

  { heading: fired, what: 'Cede: callLater', figure: units('fired') },
  { heading: fired, what: 'Node: setTimeout', figure: units('nodeFired') },
  { heading: fired, what: 'asyncio: call_later', figure: units('asyncioFired') },
  { heading: fired, what: 'times cheaper than Node', figure: times('nodeFired', 'fired') },
  {
    heading: fired,
    what: 'times cheaper than asyncio',
    figure: times('asyncioFired', 'fired'),
    target: { atLeast: 3 },
  },

  { heading: slept, what: 'Cede: createTask, sleep', figure: units('slept') },
  { heading: slept, what: 'Node: async functions, timers/promises', figure: units('nodeSlept') },
  { heading: slept, what: 'asyncio: create_task, sleep', figure: units('asyncioSlept') },
  { heading: slept, what: 'Effect: fork, sleep', figure: units('effectSlept') },
  { heading: slept, what: 'Effection: spawn, sleep, 5,000 at a time', figure: units('effectionSlept') },
  { heading: slept, what: 'times cheaper than Node', figure: times('nodeSlept', 'slept') },
  {
    heading: slept,
    what: 'times cheaper than asyncio',
    figure: times('asyncioSlept', 'slept'),
    target: { atLeast: 4 },
  },
  { heading: slept, what: 'times cheaper than Effect', figure: times('effectSlept', 'slept') },

  { heading: lateness, what: 'Cede: callLater', figure: late('lateness') },
  { heading: lateness, what: 'of them too early', figure: early('lateness'), target: { exactly: 0 } },
  { heading: lateness, what: 'Node: setTimeout', figure: late('nodeLateness') },
  { heading: lateness, what: 'of those too early', figure: early('nodeLateness') },
  { heading: lateness, what: 'asyncio: call_later', figure: late('asyncioLateness') },
]

export const timers: CodeSuite = {
  kind: 'code',
  name: 'timers',
  title: 'Timers in great numbers',
  unit: 'await',
  rounds: 20,
  cases: {
    await: { module: at('../core/unit.ts'), name: 'await', by: 'JavaScript', does: 'await asyncFunction()' },

    cancelled: cede('cancelled', 'callLater, cancel'),
    nodeCancelled: node('cancelled', 'setTimeout, clearTimeout'),
    asyncioCancelled: asyncio('cancelled', 'call_later, cancel'),

    fired: cede('fired', 'callLater'),
    nodeFired: node('fired', 'setTimeout'),
    asyncioFired: asyncio('fired', 'call_later'),

    slept: cede('slept', 'createTask, sleep'),
    nodeSlept: node('slept', 'async functions, timers/promises'),
    asyncioSlept: asyncio('slept', 'create_task, sleep'),
    effectSlept: effect('slept', 'fork, sleep'),
    effectionSlept: effection('slept', 'spawn, sleep'),
  },
  programs: {
    lateness: program('cede.ts'),
    nodeLateness: program('peers/node.ts'),
    asyncioLateness: program('peers/asyncio_peer.py', installPython),
  },
  rows,
  packages: ['effect', 'effection'],
}
