// How much processor time another process has used.

import { readdirSync, readFileSync } from 'node:fs'

/** Nanoseconds of all threads of the process that are alive; undefined where the system does not tell. */
export function processorNs(pid: number | undefined): number | undefined {
  try {
    const threads = `/proc/${String(pid)}/task`
    let ns = 0
    for (const thread of readdirSync(threads)) {
      ns += Number(readFileSync(`${threads}/${thread}/schedstat`, 'utf8').split(' ')[0])
    }
    return ns > 0 ? ns : undefined
  } catch {
    return undefined
  }
}
