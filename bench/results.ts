// From measurements to the table: each row's figure, its target, and whether it was met.

import { compare, median, medianInterval, type Measurements, type Series } from './harness.ts'
import { usedBy, type Figure, type Row, type Suite, type Target } from './suite.ts'

export type Verdict = 'met' | 'missed' | 'skipped' | ''

/** A row of the table as measured. */
export interface Outcome {
  readonly heading: string
  readonly what: string
  /** The figure: from the best rounds where it comes from timed cases. */
  readonly value: number | undefined
  /** The same from the median of the rounds. */
  readonly median: number | undefined
  /** Where the figure lies with 95 % confidence, if that was asked for. */
  readonly interval?: readonly [number, number]
  readonly measured: string
  readonly target: string
  readonly verdict: Verdict
  /** Why there is no figure. */
  readonly reason?: string
}

/** All that a run found out; written to a file as it is. */
export interface Results {
  readonly kind: Suite['kind']
  readonly suite: string
  readonly title: string
  readonly unit: string
  /** What a server suite counts: lines, requests. */
  readonly counted?: string
  readonly when: string
  readonly quick: boolean
  readonly together: boolean
  readonly rounds: number
  readonly machine: string
  readonly versions: Readonly<Record<string, string>>
  readonly cases: Readonly<Record<string, CaseResult>>
  readonly programs: Readonly<Record<string, Readonly<Record<string, number>>>>
  readonly skipped: Readonly<Record<string, string>>
  readonly rows: readonly Outcome[]
}

export interface CaseResult {
  readonly by: string
  readonly does: string
  readonly iterations: number
  readonly bestNs: number
  readonly medianNs: number
  readonly units: number
  /** Of servers only. */
  readonly load?: LoadFigures
}

/** One sample of a server under load; times in nanoseconds. */
export interface LoadSample {
  /** How many lines or requests it had. */
  readonly count: number
  readonly ns: number
  /** The processor time of the server, if the system tells. */
  readonly processorNs: number | undefined
  /** Latencies; in a closed loop of whole batches. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

export interface LoadFigures {
  readonly perSecond: number
  readonly medianPerSecond: number
  /** What a line or request costs the server: the least of all samples. */
  readonly processorNs: number | null
  /** Latencies of the sample that was fastest. */
  readonly p50Ns: number
  readonly p99Ns: number
}

export interface Measured extends Measurements {
  /** All samples of each server under load, those of its calibration included. */
  readonly loads: ReadonlyMap<string, readonly LoadSample[]>
  readonly programs: ReadonlyMap<string, Readonly<Record<string, number>>>
  /** Whatever has no figures, and why. */
  readonly skipped: ReadonlyMap<string, string>
}

export function caseResults(suite: Suite, measured: Measured): Record<string, CaseResult> {
  const unit = measured.series.get(suite.unit)
  const results: Record<string, CaseResult> = {}
  for (const [key, series] of measured.series) {
    const { by = '', does = '' } = suite.cases[key] ?? {}
    const load = measured.loads.get(key)
    results[key] = {
      by,
      does,
      iterations: series.iterations,
      bestNs: rounded(series.best),
      medianNs: rounded(median(series.rounds)),
      units: unit === undefined ? NaN : rounded(compare(series, unit).best),
      ...(load === undefined ? {} : { load: loadFigures(series, load) }),
    }
  }
  return results
}

export function loadFigures(series: Series, samples: readonly LoadSample[]): LoadFigures {
  // Those before were shorter, and slower.
  const counted = samples.filter(({ count }) => count === series.iterations)
  const processor = counted.flatMap(({ count, processorNs }) =>
    processorNs === undefined ? [] : processorNs / count,
  )
  const fastest = counted.reduce((a, b) => (b.ns < a.ns ? b : a))
  return {
    perSecond: rounded(1e9 / series.best),
    medianPerSecond: rounded(1e9 / median(series.rounds)),
    processorNs: processor.length === 0 ? null : rounded(Math.min(...processor)),
    p50Ns: rounded(fastest.p50),
    p99Ns: rounded(fastest.p99),
  }
}

/** The rows as measured. A quick run is too short, and its programs too small, to be held against the targets. */
export function outcomes(suite: Suite, measured: Measured, quick: boolean): Outcome[] {
  return suite.rows.map((row) => {
    const target = row.target === undefined ? '' : targetText(row.target, row.figure)
    const missing = whatIsMissing(row, suite, measured)
    if (missing !== undefined) {
      const nothing = { value: undefined, median: undefined, measured: '-' }
      return { heading: row.heading, what: row.what, ...nothing, target, verdict: 'skipped', reason: missing }
    }
    const { value, interval, ...found } = evaluate(row.figure, suite, measured)
    const verdict =
      row.target === undefined || quick
        ? ''
        : meets(interval ?? [value, value], row.target)
          ? 'met'
          : 'missed'
    const shown = { heading: row.heading, what: row.what, value, ...found, target, verdict } as const
    return interval === undefined ? shown : { ...shown, interval }
  })
}

function whatIsMissing(row: Row, suite: Suite, measured: Measured): string | undefined {
  const needed = usedBy(row.figure)
  if (row.figure.kind === 'units') needed.push(suite.unit)
  for (const key of needed) {
    if (!measured.series.has(key) && !measured.programs.has(key))
      return measured.skipped.get(key) ?? 'not run'
  }
  return undefined
}

interface Evaluated {
  readonly value: number
  readonly median: number | undefined
  readonly measured: string
  readonly interval?: readonly [number, number] | undefined
}

function evaluate(figure: Figure, suite: Suite, measured: Measured): Evaluated {
  const series = (key: string) => measured.series.get(key) as Series
  switch (figure.kind) {
    case 'units': {
      const { best: value, median } = compare(series(figure.of), series(suite.unit))
      return { value, median, measured: `${short(value)} units, ${short(series(figure.of).best)} ns` }
    }
    case 'times': {
      const { best: value, median } = compare(series(figure.of), series(figure.as))
      return { value, median, measured: `${short(value)} x` }
    }
    case 'extra': {
      const [of, without] = [series(figure.of), series(figure.without)]
      const value = of.best - without.best
      const middle = median(of.rounds.map((ns, round) => ns - (without.rounds[round] ?? NaN)))
      return { value, median: middle, measured: `${short(value)} ns` }
    }
    case 'rate': {
      const load = loadFigures(series(figure.of), measured.loads.get(figure.of) ?? [])
      const { perSecond: value, medianPerSecond, processorNs } = load
      const cost = processorNs === null ? '' : `, ${short(processorNs / 1000)} us`
      return { value, median: medianPerSecond, measured: `${short(value)} /s${cost}` }
    }
    case 'slowdown': {
      const [of, without] = [series(figure.of), series(figure.without)]
      const lost = of.rounds.map((ns, round) => 100 * (1 - (without.rounds[round] ?? NaN) / ns))
      const value = median(lost)
      const interval = medianInterval(lost)
      const bounds = interval === undefined ? 'too few pairs' : interval.map(short).join(' to ')
      return { value, median: value, interval, measured: `${short(value)} % (${bounds})` }
    }
    case 'program': {
      const value = measured.programs.get(figure.of)?.[figure.figure] ?? NaN
      return { value, median: undefined, measured: `${short(value)} ${figure.in}` }
    }
  }
}

/** Whether the interval reaches the target; most figures are an interval of one value. */
function meets([low, high]: readonly [number, number], target: Target): boolean {
  if ('atMost' in target) return low <= target.atMost
  if ('atLeast' in target) return high >= target.atLeast
  return low === target.exactly && high === target.exactly
}

function targetText(target: Target, figure: Figure): string {
  const unit = {
    units: 'units',
    times: 'x',
    extra: 'ns',
    rate: '/s',
    slowdown: '%',
    program: figure.kind === 'program' ? figure.in : '',
  }[figure.kind]
  if ('atMost' in target) return `<= ${short(target.atMost)} ${unit}`
  if ('atLeast' in target) return `>= ${short(target.atLeast)} ${unit}`
  return `${short(target.exactly)} ${unit}`
}

/** As many digits as a noisy machine can vouch for. */
export function short(value: number): string {
  if (Math.abs(value) >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString('en')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

function rounded(value: number): number {
  return Number(value.toPrecision(4))
}
