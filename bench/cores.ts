// Which cores servers and load generators keep to, so that neither takes time from the other.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface Cores {
  readonly server?: number
  readonly load?: number
  /** For the results. */
  readonly how: string
}

/** Decided once: the first two cores that this process may use. */
export function chooseCores(): Cores {
  const allowed = allowedCores()
  if (spawnSync('taskset', ['--version']).status !== 0 || allowed.length === 0) {
    return { how: 'not kept to cores of their own (taskset, Debian package util-linux, is not installed)' }
  }
  const [server, load] = allowed
  if (server === undefined || load === undefined) return { how: 'server and load on the only core' }
  return { server, load, how: `server on core ${server}, load on core ${load}` }
}

/** The command that runs `command` on that core only. */
export function pinned(core: number | undefined, command: [string, ...string[]]): [string, ...string[]] {
  return core === undefined ? command : ['taskset', '-c', String(core), ...command]
}

function allowedCores(): number[] {
  try {
    const [, list = ''] = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
    return coresIn(list)
  } catch {
    return []
  }
}

/** The numbers in a list like `0-2,5`. */
export function coresIn(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [from = NaN, to = from] = range.split('-').map((text) => (text === '' ? NaN : Number(text)))
    return Number.isNaN(from) ? [] : Array.from({ length: to - from + 1 }, (_, i) => from + i)
  })
}
