// From measurements to the table: each row's figure, its target, and whether it was met.

import { compare, median, type Measurements, type Series } from './harness.ts'
import type { Figure, Row, Suite, Target } from './suite.ts'

export type Verdict = 'met' | 'missed' | 'skipped' | ''

/** A row of the table as measured. */
export interface Outcome {
  readonly heading: string
  readonly what: string
  /** The figure: from the best rounds where it comes from timed cases. */
  readonly value: number | undefined
  /** The same from the median of the rounds. */
  readonly median: number | undefined
  readonly measured: string
  readonly target: string
  readonly verdict: Verdict
  /** Why there is no figure. */
  readonly reason?: string
}

/** All that a run found out; written to a file as it is. */
export interface Results {
  readonly suite: string
  readonly title: string
  readonly unit: string
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
}

export interface Measured extends Measurements {
  readonly programs: ReadonlyMap<string, Readonly<Record<string, number>>>
  /** Whatever has no figures, and why. */
  readonly skipped: ReadonlyMap<string, string>
}

export function caseResults(suite: Suite, measured: Measured): Record<string, CaseResult> {
  const unit = measured.series.get(suite.unit)
  const results: Record<string, CaseResult> = {}
  for (const [key, series] of measured.series) {
    const { by = '', does = '' } = suite.cases[key] ?? {}
    results[key] = {
      by,
      does,
      iterations: series.iterations,
      bestNs: rounded(series.best),
      medianNs: rounded(median(series.rounds)),
      units: unit === undefined ? NaN : rounded(compare(series, unit).best),
    }
  }
  return results
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
    const { value, median, measured: text } = evaluate(row.figure, suite, measured)
    const verdict = row.target === undefined || quick ? '' : meets(value, row.target) ? 'met' : 'missed'
    return { heading: row.heading, what: row.what, value, median, measured: text, target, verdict }
  })
}

function whatIsMissing(row: Row, suite: Suite, measured: Measured): string | undefined {
  const { figure } = row
  const needed = [figure.of]
  if (figure.kind === 'units') needed.push(suite.unit)
  if (figure.kind === 'times') needed.push(figure.as)
  if (figure.kind === 'extra') needed.push(figure.without)
  for (const key of needed) {
    if (!measured.series.has(key) && !measured.programs.has(key))
      return measured.skipped.get(key) ?? 'not run'
  }
  return undefined
}

function evaluate(figure: Figure, suite: Suite, measured: Measured) {
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
    case 'program': {
      const value = measured.programs.get(figure.of)?.[figure.figure] ?? NaN
      return { value, median: undefined, measured: `${short(value)} ${figure.in}` }
    }
  }
}

function meets(value: number, target: Target): boolean {
  if ('atMost' in target) return value <= target.atMost
  if ('atLeast' in target) return value >= target.atLeast
  return value === target.exactly
}

function targetText(target: Target, figure: Figure): string {
  const unit = {
    units: 'units',
    times: 'x',
    extra: 'ns',
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
