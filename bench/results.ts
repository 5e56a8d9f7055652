// From measurements to the table: each row's figure, its target, and whether it was met.

import { compare, median, medianInterval, type Measurements, type Series } from './harness.ts'
import type { ProcessFigures } from './process-status.ts'
import { usedBy, type Figure, type Row, type ServerSuite, type Suite, type Target } from './suite.ts'

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
  /** Of servers beside their rate: p50, p99 and, where it is known, p99.9. */
  readonly latency?: string
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
  /** What a server suite draws, if not rates. */
  readonly drawn?: ServerSuite['drawn']
  /** Of the open loops whose rate was found by what the slowest server can do: lines a second. */
  readonly rate?: number
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
  readonly latencies?: Latencies
  readonly process?: ProcessFigures
}

/** One sample of a server under load; times in nanoseconds. */
export interface LoadSample {
  /** How many lines or requests it had. */
  readonly count: number
  readonly ns: number
  /** The processor time of the server, if the system tells. */
  readonly processorNs: number | undefined
  /** How often a thread of the server was put onto a core or taken off it, if the system tells. */
  readonly switches?: number | undefined
  /** What a flooding connection got back meanwhile, if there was one. */
  readonly flooded?: number
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
}

/** In nanoseconds: the medians of the rounds. */
export interface Latencies {
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

export interface Measured extends Measurements {
  /** All samples of each server under load, those of its calibration included. */
  readonly loads: ReadonlyMap<string, readonly LoadSample[]>
  /** The servers' processes after the last round. */
  readonly processes: ReadonlyMap<string, ProcessFigures>
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
    const process = measured.processes.get(key)
    results[key] = {
      by,
      does,
      iterations: series.iterations,
      bestNs: rounded(series.best),
      medianNs: rounded(median(series.rounds)),
      units: unit === undefined ? NaN : rounded(compare(series, unit).best),
      ...(load === undefined ? {} : { load: loadFigures(series, load), latencies: latencies(series, load) }),
      ...(process === undefined ? {} : { process }),
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
  return {
    perSecond: rounded(1e9 / series.best),
    medianPerSecond: rounded(1e9 / median(series.rounds)),
    processorNs: processor.length === 0 ? null : rounded(Math.min(...processor)),
  }
}

/** The samples of the rounds, one of each. */
function samplesOfRounds(series: Series, samples: readonly LoadSample[]): readonly LoadSample[] {
  return samples.slice(-series.rounds.length)
}

function latencies(series: Series, samples: readonly LoadSample[]): Latencies {
  const ofRounds = samplesOfRounds(series, samples)
  const middle = (part: keyof Latencies) => rounded(median(ofRounds.map((sample) => sample[part])))
  return { p50: middle('p50'), p99: middle('p99'), p999: middle('p999') }
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
  readonly latency?: string
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
      const { p50, p99, p999 } = latencies(series(figure.of), measured.loads.get(figure.of) ?? [])
      const known = [p50, p99, p999].filter((ns) => !Number.isNaN(ns))
      return {
        value,
        median: medianPerSecond,
        measured: `${short(value)} /s${cost}`,
        ...(known.length === 0 ? {} : { latency: known.map((ns) => short(ns / 1000)).join(' / ') }),
      }
    }
    case 'slowdown': {
      const [of, without] = [series(figure.of), series(figure.without)]
      const lost = of.rounds.map((ns, round) => 100 * (1 - (without.rounds[round] ?? NaN) / ns))
      const value = median(lost)
      const interval = medianInterval(lost)
      const bounds = interval === undefined ? 'too few pairs' : interval.map(short).join(' to ')
      return { value, median: value, interval, measured: `${short(value)} % (${bounds})` }
    }
    case 'latency': {
      const { p50, p99, p999 } = latencies(series(figure.of), measured.loads.get(figure.of) ?? [])
      const [value, ...tail] = [p50, p99, p999].map((ns) => ns / 1000) as [number, number, number]
      const told = [value, ...tail].map(short).join(' / ')
      const samples = samplesOfRounds(series(figure.of), measured.loads.get(figure.of) ?? [])
      const flooded = median(samples.map((sample) => (1e9 * (sample.flooded ?? 0)) / sample.ns))
      const beside = flooded > 0 ? `, flood ${short(flooded)} /s` : ''
      return { value, median: undefined, measured: `${told} us${beside}` }
    }
    case 'latencyTimes': {
      const [of, as] = [figure.of, figure.as].map((key) =>
        samplesOfRounds(series(key), measured.loads.get(key) ?? []),
      ) as [readonly LoadSample[], readonly LoadSample[]]
      const quotients = of.map((sample, round) => sample[figure.part] / (as[round]?.[figure.part] ?? NaN))
      const value = median(quotients)
      const interval = medianInterval(quotients)
      const bounds = interval === undefined ? 'too few pairs' : interval.map(short).join(' to ')
      return { value, median: value, interval, measured: `${short(value)} x (${bounds})` }
    }
    case 'process': {
      const { threads, residentBytes, virtualBytes } = measured.processes.get(figure.of) as ProcessFigures
      const samples = samplesOfRounds(series(figure.of), measured.loads.get(figure.of) ?? [])
      const switches = median(samples.map((sample) => (sample.switches ?? NaN) / sample.count))
      const told = [
        `${short(threads)} ${threads === 1 ? 'thread' : 'threads'}`,
        sizeText(residentBytes),
        `${sizeText(virtualBytes)} virtual`,
        `${short(switches)} switches`,
      ]
      return { value: switches, median: undefined, measured: told.join(', ') }
    }
    case 'program': {
      const figures = measured.programs.get(figure.of) ?? {}
      const told = [figure, ...(figure.with ?? [])].map(
        (each) => `${short(figures[each.figure] ?? NaN)} ${each.in}`,
      )
      return { value: figures[figure.figure] ?? NaN, median: undefined, measured: told.join(', ') }
    }
    case 'programTimes': {
      const [of, as] = [figure.of, figure.as].map(
        (key) => measured.programs.get(key)?.[figure.figure] ?? NaN,
      ) as [number, number]
      return { value: of / as, median: undefined, measured: `${short(of / as)} x` }
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
    latency: 'us',
    latencyTimes: 'x',
    process: 'switches',
    programTimes: 'x',
    program: figure.kind === 'program' ? figure.in : '',
  }[figure.kind]
  if ('atMost' in target) return `<= ${short(target.atMost)} ${unit}`
  if ('atLeast' in target) return `>= ${short(target.atLeast)} ${unit}`
  return `${short(target.exactly)} ${unit}`
}

function sizeText(bytes: number): string {
  return bytes < 1e9 ? `${short(bytes / 1e6)} MB` : `${short(bytes / 1e9)} GB`
}

/** As many digits as a noisy machine can vouch for. */
export function short(value: number): string {
  if (Math.abs(value) >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString('en')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

function rounded(value: number): number {
  return Number(value.toPrecision(4))
}
