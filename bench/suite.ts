// A suite: cases, programs, and the rows of the table that are made from what they measured. Its cases are either
// code that is timed, or servers under load.

import type { Place } from './child.ts'
import type { LineLoad } from './load/line-load.ts'

interface Case {
  /** Whose it is: "Cede", "Effect", ... */
  readonly by: string
  /** What it does, for the chart. */
  readonly does: string
  /** What brings the peer onto the machine. */
  readonly install?: string
  /** Cases of one group are measured right after one another: see `slowdown` below. */
  readonly group?: string
}

export interface CodeCase extends Case, Place {}

export interface ServerUnderLoad extends Case {
  readonly server: Place | ServerProgram
  readonly load: LineLoad | RedisLoad
}

/** A server that is a program of its own. */
export interface ServerProgram {
  /** Its command, made to listen on that port of 127.0.0.1. */
  readonly command: (port: number) => readonly [string, ...string[]]
}

/** redis-benchmark with its 50 connections. */
export interface RedisLoad {
  readonly test: 'get' | 'set'
  readonly pipelined: number
}

export interface SuiteProgram extends Place {
  readonly size: number
  readonly quickSize: number
  /** It is a server; `size` connections to it are left idle, and what each takes of its memory is the figure `bytes`. */
  readonly idle?: true
  /** What brings the peer onto the machine. */
  readonly install?: string
}

/** A figure of the table. Cases and programs are named by their keys in the suite. */
export type Figure =
  /** What `of` costs in iterations of the unit. */
  | { readonly kind: 'units'; readonly of: string }
  /** How many times as much `of` costs as `as`. */
  | { readonly kind: 'times'; readonly of: string; readonly as: string }
  /** The nanoseconds that `of` takes beyond `without`. */
  | { readonly kind: 'extra'; readonly of: string; readonly without: string }
  /** How many a second the server `of` answers, and what each costs it. */
  | { readonly kind: 'rate'; readonly of: string }
  /**
   * How much of the throughput of `without` is lost, in percent: the median of the rounds, each a pair, with its interval
   * of 95 % confidence. A target is met when the interval reaches it.
   */
  | { readonly kind: 'slowdown'; readonly of: string; readonly without: string }
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

interface SuiteOf<Kind, SuiteCase> {
  readonly kind: Kind
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

export type CodeSuite = SuiteOf<'code', CodeCase>

export interface ServerSuite extends SuiteOf<'servers', ServerUnderLoad> {
  /** What is counted, in the plural: lines, requests. */
  readonly counted: string
}

export type Suite = CodeSuite | ServerSuite

/** The suite with only those rows whose heading or text contains `text`, and what they need. */
export function filtered(suite: Suite, text: string): Suite {
  const wanted = text.toLowerCase()
  const rows = suite.rows.filter((row) => `${row.heading} ${row.what}`.toLowerCase().includes(wanted))
  const used = new Set([suite.unit, ...rows.flatMap((row) => usedBy(row.figure))])
  const only = <T>(entries: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(entries).filter(([key]) => used.has(key)))
  const programs = only(suite.programs)
  // Alike, but only like this the compiler sees that kind and cases still match.
  if (suite.kind === 'code') return { ...suite, rows, cases: only(suite.cases), programs }
  return { ...suite, rows, cases: only(suite.cases), programs }
}

/** The cases and programs that a figure is made from. */
export function usedBy(figure: Figure): string[] {
  switch (figure.kind) {
    case 'times':
      return [figure.of, figure.as]
    case 'extra':
    case 'slowdown':
      return [figure.of, figure.without]
    default:
      return [figure.of]
  }
}
