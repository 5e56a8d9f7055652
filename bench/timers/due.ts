// What the cases of timers share, whoever's timers they are.

/** So many timers are armed at a time; each has one of the durations. */
export const batch = 50_000
/** The same where one takes long. */
export const smallBatch = 5_000

const longestMs = 50

export const durationsMs: readonly number[] = Array.from({ length: longestMs }, (_, i) => i + 1)

/** Keeps the processor, and the loop, until all of them are due. */
export function blockUntilDue(): void {
  const until = performance.now() + longestMs + 2
  while (performance.now() < until);
}

// ---------------------------------------------------------------------- how late

/** So many are armed between two pauses of a millisecond: the loops look at their clock then, not for every timer. */
export const armedAtOnce = 250

/** Over two seconds one is due every so often. */
export function delayOf(nth: number): number {
  return 10 + ((nth * 7919) % 2000)
}

/** Milliseconds that each was late become figures. */
export function latenessFigures(late: Float64Array, processor: NodeJS.CpuUsage): Record<string, number> {
  late.sort()
  const quantile = (part: number) => late[Math.min(late.length - 1, Math.floor(late.length * part))] ?? NaN
  return {
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    longestMs: quantile(1),
    early: late.findIndex((ms) => ms >= 0),
    processorUs: (processor.user + processor.system) / late.length,
  }
}
