import assert from 'node:assert/strict'
import { test } from 'node:test'
import { markdownTable, withTable } from '../../bench/report.ts'
import { caseResults, outcomes, short, type Measured, type Results } from '../../bench/results.ts'
import { filtered, type Row, type Suite } from '../../bench/suite.ts'

const module = new URL('file:///nowhere.ts')

function suiteOf(...rows: Row[]): Suite {
  const aCase = (by: string) => ({ module, name: 'x', by, does: 'something' })
  return {
    name: 'fake',
    title: 'A fake suite',
    unit: 'unit',
    cases: { unit: aCase('JavaScript'), ours: aCase('Cede'), theirs: aCase('Peer') },
    programs: { memory: { module, name: 'x', size: 10, quickSize: 1 } },
    rows,
    packages: [],
  }
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

test('the table replaces what stood between its marks in a page', () => {
  const suite = suiteOf(row({ kind: 'units', of: 'ours' }, { atMost: 3 }))
  const measured = measuredAs({ unit: [10], ours: [25] })
  const results: Results = {
    suite: suite.name,
    title: suite.title,
    unit: suite.unit,
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
