// A suite: cases, programs, and the rows of the table that are made from what they measured.

import type { Place } from './child.ts'

export interface SuiteCase extends Place {
  /** Whose it is: "Cede", "Effect", ... */
  readonly by: string
  /** What it does, for the chart. */
  readonly does: string
  /** What brings the peer onto the machine. */
  readonly install?: string
}

export interface SuiteProgram extends Place {
  readonly size: number
  readonly quickSize: number
}

/** A figure of the table. Cases and programs are named by their keys in the suite. */
export type Figure =
  /** What `of` costs in iterations of the unit. */
  | { readonly kind: 'units'; readonly of: string }
  /** How many times as much `of` costs as `as`. */
  | { readonly kind: 'times'; readonly of: string; readonly as: string }
  /** The nanoseconds that `of` takes beyond `without`. */
  | { readonly kind: 'extra'; readonly of: string; readonly without: string }
  | { readonly kind: 'program'; readonly of: string; readonly figure: string; readonly in: string }

export interface Row {
  /** Rows about the same thing share a heading, in the table and in the chart. */
  readonly heading: string
  readonly what: string
  readonly figure: Figure
  /** Rows without a target are there for orientation. */
  readonly target?: Target
}

export type Target = { readonly atMost: number } | { readonly atLeast: number } | { readonly exactly: number }

export interface Suite {
  readonly name: string
  readonly title: string
  /** The case that all others are compared with. */
  readonly unit: string
  readonly cases: Readonly<Record<string, SuiteCase>>
  readonly programs: Readonly<Record<string, SuiteProgram>>
  readonly rows: readonly Row[]
  /** Packages of peers, whose versions belong to the results. */
  readonly packages: readonly string[]
}

/** The suite with only those rows whose heading or text contains `text`, and what they need. */
export function filtered(suite: Suite, text: string): Suite {
  const wanted = text.toLowerCase()
  const rows = suite.rows.filter((row) => `${row.heading} ${row.what}`.toLowerCase().includes(wanted))
  const used = new Set([suite.unit, ...rows.flatMap((row) => usedBy(row.figure))])
  const only = <T>(entries: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(entries).filter(([key]) => used.has(key)))
  return { ...suite, rows, cases: only(suite.cases), programs: only(suite.programs) }
}

function usedBy(figure: Figure): string[] {
  switch (figure.kind) {
    case 'times':
      return [figure.of, figure.as]
    case 'extra':
      return [figure.of, figure.without]
    default:
      return [figure.of]
  }
}
