import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chart } from '../../bench/chart.ts'
import { markdownTable, terminalTable, withTable } from '../../bench/report.ts'
import {
  caseResults,
  loadFigures,
  outcomes,
  short,
  type LoadSample,
  type Measured,
  type Results,
} from '../../bench/results.ts'
import {
  filtered,
  type CodeSuite,
  type Row,
  type ServerSuite,
  type ServerUnderLoad,
  type Suite,
} from '../../bench/suite.ts'

const module = new URL('file:///nowhere.ts')

function suiteOf(...rows: Row[]): CodeSuite {
  const aCase = (by: string) => ({ module, name: 'x', by, does: 'something' })
  return {
    kind: 'code',
    name: 'fake',
    title: 'A fake suite',
    unit: 'unit',
    cases: { unit: aCase('JavaScript'), ours: aCase('Cede'), theirs: aCase('Peer') },
    programs: { memory: { module, name: 'x', size: 10, quickSize: 1 } },
    rows,
    packages: [],
  }
}

function serversOf(...rows: Row[]): ServerSuite {
  const load = { connections: 1, lineBytes: 64, pipelined: 1 }
  const aServer = (by: string): ServerUnderLoad => ({ by, does: 'echo', server: { module, name: 'x' }, load })
  return {
    kind: 'servers',
    name: 'fake',
    title: 'Fake servers',
    unit: 'theirs',
    counted: 'lines',
    cases: { ours: aServer('Cede'), theirs: aServer('Peer') },
    programs: {},
    rows,
    packages: [],
  }
}

/** As many samples as there are times. */
function samplesOf(
  ns: readonly number[],
  processorNs: (sample: number) => number | undefined,
  count = 10,
): LoadSample[] {
  return ns.map((each, i) => ({
    count,
    ns: each,
    processorNs: processorNs(i),
    p50: each / 2,
    p99: each,
    p999: each,
  }))
}

function measuredAs(rounds: Record<string, number[]>, more: Partial<Measured> = {}): Measured {
  return {
    series: new Map(
      Object.entries(rounds).map(([key, values]) => [
        key,
        { iterations: 1, best: Math.min(...values), rounds: values },
      ]),
    ),
    failures: new Map(),
    programs: new Map(),
    loads: new Map(),
    processes: new Map(),
    skipped: new Map(),
    ...more,
  }
}

const row = (figure: Row['figure'], target?: Row['target']): Row => ({
  heading: 'Heading',
  what: 'what',
  figure,
  ...(target === undefined ? {} : { target }),
})

test('units: the quotient of the bests, held against a target from above', () => {
  const suite = suiteOf(row({ kind: 'units', of: 'ours' }, { atMost: 3 }))
  const [met] = outcomes(suite, measuredAs({ unit: [10, 20], ours: [30, 90] }), false)
  assert.equal(met?.value, 3)
  assert.equal(met.median, 3.75)
  assert.equal(met.measured, '3 units, 30 ns')
  assert.equal(met.target, '<= 3 units')
  assert.equal(met.verdict, 'met')
  const [missed] = outcomes(suite, measuredAs({ unit: [10, 20], ours: [31, 90] }), false)
  assert.equal(missed?.verdict, 'missed')
})

test('times: how often ours fits into theirs, held against a target from below', () => {
  const suite = suiteOf(row({ kind: 'times', of: 'theirs', as: 'ours' }, { atLeast: 10 }))
  const [met] = outcomes(suite, measuredAs({ theirs: [1000], ours: [50] }), false)
  assert.equal(met?.measured, '20 x')
  assert.equal(met.verdict, 'met')
  const [missed] = outcomes(suite, measuredAs({ theirs: [499], ours: [50] }), false)
  assert.equal(missed?.verdict, 'missed')
})

test('extra: the difference in nanoseconds', () => {
  const suite = suiteOf(row({ kind: 'extra', of: 'ours', without: 'theirs' }, { atMost: 30 }))
  const [outcome] = outcomes(suite, measuredAs({ ours: [120, 100], theirs: [90, 80] }), false)
  assert.equal(outcome?.value, 20)
  assert.equal(outcome.median, 25)
  assert.equal(outcome.target, '<= 30 ns')
})

test('rate: how many a second, and the processor time of each', () => {
  const suite = serversOf(row({ kind: 'rate', of: 'ours' }))
  const rounds = [20_000, 10_000, 40_000]
  const loads = new Map([['ours', samplesOf(rounds, (i) => 7_000 + 1_000 * i, 1)]])
  const [outcome] = outcomes(suite, measuredAs({ ours: rounds }, { loads }), false)
  assert.equal(outcome?.value, 100_000)
  assert.equal(outcome.median, 50_000)
  assert.equal(outcome.measured, '100,000 /s, 7 us')
  // The middle round of each, in microseconds; p99.9 is p99 here.
  assert.equal(outcome.latency, '10 / 20 / 20')
})

test('slowdown: the median of the pairs with its interval; met when the interval reaches the target', () => {
  const suite = serversOf(row({ kind: 'slowdown', of: 'ours', without: 'theirs' }, { atMost: 6 }))
  // From 1 to 30 percent of the throughput is lost.
  const lost = Array.from({ length: 30 }, (_, i) => i + 1)
  const judged = (more: number) => {
    const slow = lost.map((percent) => 100 / (1 - (percent + more) / 100))
    return outcomes(suite, measuredAs({ ours: slow, theirs: lost.map(() => 100) }), false)[0]
  }
  const missed = judged(0)
  assert.equal(missed?.value?.toFixed(6), '15.500000')
  assert.deepEqual(missed?.interval?.map(Math.round), [10, 21])
  assert.match(missed?.measured ?? '', /^15\.5 % \(10\.0+ to 21\.0\)$/)
  assert.equal(missed?.verdict, 'missed')
  assert.equal(judged(-4.5)?.verdict, 'met', 'its median is 11, its interval begins at 5.5')
})

test('a slowdown of few pairs has no interval, and is judged by its median', () => {
  const suite = serversOf(row({ kind: 'slowdown', of: 'ours', without: 'theirs' }, { atMost: 6 }))
  const [outcome] = outcomes(suite, measuredAs({ ours: [100, 110], theirs: [95, 99] }), false)
  assert.equal(outcome?.measured, '7.50 % (too few pairs)')
  assert.equal(outcome.verdict, 'missed')
})

test('figures of a server are those of full samples, not of its calibration', () => {
  const early: LoadSample = { count: 5, ns: 1, processorNs: 1, p50: 1, p99: 1, p999: 1 }
  const samples = [early, ...samplesOf([4_000, 2_000, 3_000], (i) => 1_000 + 100 * i)]
  const series = { iterations: 10, best: 200, rounds: [400, 200, 300] }
  assert.deepEqual(loadFigures(series, samples), {
    perSecond: 5_000_000,
    medianPerSecond: 3_333_000,
    processorNs: 100,
  })
  const untold = samplesOf([4_000, 2_000], () => undefined)
  assert.equal(loadFigures(series, untold).processorNs, null)
})

test('latency: the medians of the rounds; times are the median of the pairs', () => {
  const suite = serversOf(
    row({ kind: 'latency', of: 'ours' }),
    row({ kind: 'latencyTimes', of: 'ours', as: 'theirs', part: 'p99' }, { atMost: 5 }),
  )
  const ours = [9e9, 40_000, 20_000, 30_000]
  const loads = new Map([
    ['ours', samplesOf(ours, () => undefined).map((sample) => ({ ...sample, flooded: 3 }))],
    ['theirs', samplesOf([1, 10_000, 10_000, 10_000], () => undefined)],
  ])
  const rounds = { ours: [1, 1, 1], theirs: [1, 1, 1] }
  const [latency, times] = outcomes(suite, measuredAs(rounds, { loads }), false)
  assert.equal(
    latency?.measured,
    '15 / 30 / 30 us, flood 100,000 /s',
    'the sample before the rounds is left out',
  )
  assert.equal(times?.measured, '3 x (too few pairs)')
  assert.equal(times.verdict, 'met')
  const results = { ...resultsOf(suite, measuredAs(rounds, { loads })), drawn: 'latency' as const }
  assert.match(terminalTable(results), /^latencies, the medians of 1 interleaved rounds; /m)
  assert.match(chart({ ...suite, drawn: 'latency' }, results), />15 \/ 30 \/ 30 us, flood 100,000 \/s</)
})

test('process: threads, memory, and switches for each line', () => {
  const suite = serversOf(row({ kind: 'process', of: 'ours' }))
  const samples = samplesOf([10, 10, 10], () => undefined).map((sample, i) => ({
    ...sample,
    switches: 10 + 10 * i,
  }))
  const process = { threads: 65, residentBytes: 2e6, virtualBytes: 34e9 }
  const more = { loads: new Map([['ours', samples]]), processes: new Map([['ours', process]]) }
  const [outcome] = outcomes(suite, measuredAs({ ours: [1, 1, 1] }, more), false)
  assert.equal(outcome?.measured, '65 threads, 2 MB, 34 GB virtual, 2 switches')
})

test('figures of programs: several in a row, and one as a multiple of another', () => {
  const suite = suiteOf(
    row({ kind: 'program', of: 'ours', figure: 'us', in: 'us', with: [{ figure: 'ms', in: 'ms' }] }),
    row({ kind: 'programTimes', of: 'ours', as: 'theirs', figure: 'us' }, { atMost: 2 }),
  )
  const programs = new Map([
    ['ours', { us: 30, ms: 7 }],
    ['theirs', { us: 10 }],
  ])
  const [figures, times] = outcomes(suite, measuredAs({}, { programs }), false)
  assert.equal(figures?.measured, '30 us, 7 ms')
  assert.equal(times?.measured, '3 x')
  assert.equal(times.verdict, 'missed')
})

test('programs are judged as well, but nothing is in a quick run', () => {
  const suite = suiteOf(
    row({ kind: 'program', of: 'memory', figure: 'bytes', in: 'bytes' }, { atMost: 450 }),
    row({ kind: 'program', of: 'memory', figure: 'lost', in: 'tasks' }, { exactly: 0 }),
  )
  const measured = measuredAs({}, { programs: new Map([['memory', { bytes: 460, lost: 0 }]]) })
  assert.deepEqual(
    outcomes(suite, measured, false).map((outcome) => [outcome.measured, outcome.verdict]),
    [
      ['460 bytes', 'missed'],
      ['0 tasks', 'met'],
    ],
  )
  assert.deepEqual(
    outcomes(suite, measured, true).map((outcome) => outcome.verdict),
    ['', ''],
  )
})

test('a row whose case did not run is skipped, and says why', () => {
  const suite = suiteOf(row({ kind: 'times', of: 'theirs', as: 'ours' }, { atLeast: 10 }))
  const [outcome] = outcomes(
    suite,
    measuredAs({ ours: [1] }, { skipped: new Map([['theirs', 'install it']]) }),
    false,
  )
  assert.equal(outcome?.verdict, 'skipped')
  assert.equal(outcome.reason, 'install it')
  assert.equal(outcome.value, undefined)
})

test('a filtered suite keeps the unit and what its rows need', () => {
  const suite = suiteOf(
    { ...row({ kind: 'times', of: 'theirs', as: 'ours' }), heading: 'Tasks' },
    { ...row({ kind: 'program', of: 'memory', figure: 'bytes', in: 'bytes' }), heading: 'Memory' },
  )
  assert.deepEqual(Object.keys(filtered(suite, 'tasks').cases), ['unit', 'ours', 'theirs'])
  assert.deepEqual(Object.keys(filtered(suite, 'tasks').programs), [])
  assert.deepEqual(Object.keys(filtered(suite, 'memory').cases), ['unit'])
  assert.deepEqual(Object.keys(filtered(suite, 'memory').programs), ['memory'])
})

function resultsOf(suite: Suite, measured: Measured): Results {
  return {
    kind: suite.kind,
    suite: suite.name,
    title: suite.title,
    unit: suite.unit,
    ...(suite.kind === 'servers' ? { counted: suite.counted } : {}),
    when: '2026-01-02T03:04:05.000Z',
    quick: false,
    together: false,
    rounds: 1,
    machine: 'a machine',
    versions: { Node: '20' },
    cases: caseResults(suite, measured),
    programs: {},
    skipped: {},
    rows: outcomes(suite, measured, false),
  }
}

test('servers: what is counted stands above the table, and the chart has a bar for each, the fastest first', () => {
  const suite = serversOf(row({ kind: 'rate', of: 'ours' }), row({ kind: 'rate', of: 'theirs' }))
  const [ours, theirs] = [[100_000], [50_000]]
  const measured: Measured = {
    ...measuredAs({}),
    series: new Map([
      ['ours', { iterations: 10, best: 10_000, rounds: [10_000] }],
      ['theirs', { iterations: 10, best: 5_000, rounds: [5_000] }],
    ]),
    loads: new Map([
      ['ours', samplesOf(ours, () => 90_000)],
      ['theirs', samplesOf(theirs, () => undefined)],
    ]),
  }
  const results = resultsOf(suite, measured)
  const table = terminalTable(results)
  assert.match(table, /^lines a second, and processor time of the server for each; best of 1/m)
  assert.match(table, /what +100,000 \/s, 9 us/)
  assert.match(
    markdownTable(results),
    /^\| what \| measured \| median \| p50 \/ p99 \/ p99\.9, us \| target \| \|\n\| --- \| ---: \| ---: \| ---: \| ---: \| --- \|$/m,
  )
  assert.match(
    markdownTable(results),
    /^\| what \| 100,000 \/s, 9 us \| 100,000 \| 50 \/ 100 \/ 100 \| +\| +\|$/m,
  )
  assert.match(markdownTable(results), /^\| \*\*Heading\*\* \| \| \| \| \| \|$/m)
  const drawing = chart(suite, results)
  assert.match(drawing, /Fake servers: lines a second, more is better/)
  assert.ok(drawing.indexOf('>200,000<') < drawing.indexOf('>100,000 (9 us)<'))
  assert.match(drawing, /class="ours" x="330" y="117" width="240.0"/)
  assert.match(drawing, /class="theirs" x="330" y="97" width="480.0"/)
})

test('the table replaces what stood between its marks in a page', () => {
  const suite = suiteOf(row({ kind: 'units', of: 'ours' }, { atMost: 3 }))
  const results = resultsOf(suite, measuredAs({ unit: [10], ours: [25] }))
  const page = withTable('before\n<!-- bench fake -->\nold\n<!-- /bench fake -->\nafter', results)
  assert.ok(page.includes(markdownTable(results)))
  assert.ok(page.includes('| what | 2.50 units, 25 ns | 2.50 | <= 3 units | met |'))
  assert.ok(page.startsWith('before\n') && page.endsWith('\nafter') && !page.includes('old'))
  assert.throws(() => withTable('no marks', results), /has no <!-- bench fake -->/)
})

test('short keeps about three digits', () => {
  assert.deepEqual([0.1234, 3, 3.456, 34.56, 345.6, 1234567].map(short), [
    '0.12',
    '3',
    '3.46',
    '34.6',
    '346',
    '1,234,567',
  ])
})
