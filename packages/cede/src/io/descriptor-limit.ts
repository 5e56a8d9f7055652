/**
 * How many file descriptors the process may have, and how many of those a server leaves for everything else.
 *
 * A new descriptor always is the lowest number that is free. So the number of a connection that was just accepted tells
 * how many descriptors are in use, whoever made them, at no cost.
 */
import { readFileSync } from 'node:fs'

/** Left for files, pipes, DNS and connections that the program opens itself: a sixteenth of all, within these. */
const LEAST_RESERVE = 16
const LARGEST_RESERVE = 512

let limit: number | null | undefined

/** The most descriptors of this process; null if the system does not say. Asked once. */
export function descriptorLimit(): number | null {
  limit ??= readLimit()
  return limit
}

/** Descriptors with this number and above are not for connections that others make to us; null: no such limit. */
export function firstReservedDescriptor(): number | null {
  const most = descriptorLimit()
  if (most === null) return null
  return most - Math.min(LARGEST_RESERVE, Math.max(LEAST_RESERVE, Math.floor(most / 16)))
}

/** Why a connection was refused that came when only the reserve was left. */
export function descriptorsSpent(reserved: number): Error {
  const limit = String(descriptorLimit())
  return Object.assign(
    new Error(
      `expected a file descriptor below ${String(reserved)} for the next connection, found all in use; the rest of ` +
        `the ${limit} that this process may have is kept for everything else. Raise the limit (\`ulimit -n\`), or set ` +
        'maxConnections below it',
    ),
    { code: 'EMFILE' },
  )
}

function readLimit(): number | null {
  return fromProc() ?? fromReport()
}

/** Linux. */
function fromProc(): number | null {
  try {
    return parseLimit(/^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1])
  } catch {
    return null
  }
}

/** Elsewhere: Node's own report, which takes some milliseconds. */
function fromReport(): number | null {
  try {
    const { userLimits } = process.report.getReport() as {
      userLimits?: { open_files?: { soft?: unknown } }
    }
    return parseLimit(userLimits?.open_files?.soft)
  } catch {
    return null
  }
}

/** "unlimited" is no number. */
function parseLimit(value: unknown): number | null {
  const number = Number(value)
  return Number.isInteger(number) && number > 0 ? number : null
}
