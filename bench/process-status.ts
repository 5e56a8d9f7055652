// What the system tells about another process: memory, threads, and how often they were switched.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

export interface ProcessFigures {
  readonly threads: number
  readonly residentBytes: number
  /** Address space that is reserved, the stacks of all threads included. */
  readonly virtualBytes: number
}

export function processFigures(pid: number): ProcessFigures {
  const status = statusOf(`/proc/${pid}/status`)
  return {
    threads: field(status, 'Threads'),
    residentBytes: 1024 * field(status, 'VmRSS'),
    virtualBytes: 1024 * field(status, 'VmSize'),
  }
}

/**
 * How often threads of the process were put aside, because they waited or because others had their turn; undefined
 * where the system does not tell.
 */
export function contextSwitches(pid: number | undefined): number | undefined {
  try {
    const threads = `/proc/${String(pid)}/task`
    let switches = 0
    for (const thread of readdirSync(threads)) {
      const status = statusOf(`${threads}/${thread}/status`)
      switches += field(status, 'voluntary_ctxt_switches') + field(status, 'nonvoluntary_ctxt_switches')
    }
    return Number.isNaN(switches) ? undefined : switches
  } catch {
    return undefined
  }
}

/** The most memory that it has held since `forgetPeak`. */
export function peakBytes(pid: number): number {
  return 1024 * field(statusOf(`/proc/${pid}/status`), 'VmHWM')
}

export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

function statusOf(path: string): string {
  return readFileSync(path, 'latin1')
}

function field(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(status)?.[1])
}
