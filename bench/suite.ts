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
  /** Of its process, beside that of this one. */
  readonly env?: Readonly<Record<string, string>>
  /** Throws MissingError where it cannot run. */
  readonly requires?: () => void
  /** What it is made of. */
  readonly versions?: () => Readonly<Record<string, string>>
}

/** redis-benchmark with its 50 connections. */
export interface RedisLoad {
  readonly test: 'get' | 'set'
  readonly pipelined: number
}

/** A program of a case module, or something that is asked of a server once. */
export type SuiteProgram = Sized & (Place | AskedServer)

interface Sized {
  readonly size: number
  readonly quickSize: number
  /** What brings the peer onto the machine. */
  readonly install?: string
}

/** See bench/server-programs.ts. */
export interface AskedServer {
  readonly server: Place | ServerProgram
  readonly asked: 'idle' | 'crowd' | 'stream'
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
  /** p50, p99 and p99.9 of the server `of` in microseconds, each the median of the rounds. */
  | { readonly kind: 'latency'; readonly of: string }
  /**
   * How many times the latency of `as` that of `of` is: the median of the rounds, each a pair, with its interval as
   * above.
   */
  | { readonly kind: 'latencyTimes'; readonly of: string; readonly as: string; readonly part: 'p50' | 'p99' }
  /** Threads, memory and context switches of the process that serves. */
  | { readonly kind: 'process'; readonly of: string }
  | {
      readonly kind: 'program'
      readonly of: string
      readonly figure: string
      readonly in: string
      /** Other figures of the program, told beside it. */
      readonly with?: readonly { readonly figure: string; readonly in: string }[]
    }
  /** How many times the figure of the program `as` that of `of` is. */
  | { readonly kind: 'programTimes'; readonly of: string; readonly as: string; readonly figure: string }

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
  /** Default: 60; of servers 30. */
  readonly rounds?: number
  /** Packages of peers, whose versions belong to the results. */
  readonly packages: readonly string[]
}

export type CodeSuite = SuiteOf<'code', CodeCase>

export interface ServerSuite extends SuiteOf<'servers', ServerUnderLoad> {
  /** What is counted, in the plural: lines, requests. */
  readonly counted: string
  /** How long each sample takes; default: 400. */
  readonly sampleMs?: number
  /** What its chart shows; default: rates. */
  readonly drawn?: 'rate' | 'latency' | 'program'
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
    case 'latencyTimes':
    case 'programTimes':
      return [figure.of, figure.as]
    case 'extra':
    case 'slowdown':
      return [figure.of, figure.without]
    default:
      return [figure.of]
  }
}
