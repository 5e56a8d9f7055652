// Node's own timers, armed and cancelled while a million are pending; the same work as core/timers.ts.

import { now, type TimedCase } from '../../case.ts'
import { armedDurations, manyDurations, pendingCount, pendingDurations } from '../durations.ts'

const alive = 256

function doNothing() {
  // no timer fires while it is measured
}

function armAndCancel(iterations: number, durations: readonly number[]): number {
  const handles = Array.from({ length: alive }, () => setTimeout(doNothing, 1000))
  const start = now()
  for (let i = 0; i < iterations; i++) {
    const slot = i % alive
    clearTimeout(handles[slot])
    handles[slot] = setTimeout(doNothing, durations[i % durations.length])
  }
  const took = now() - start
  for (const handle of handles) clearTimeout(handle)
  return took
}

const setUp = () => {
  for (let i = 0; i < pendingCount; i++)
    setTimeout(doNothing, pendingDurations[i % pendingDurations.length]).unref()
  return Promise.resolve()
}

export const cases: Record<string, TimedCase> = {
  fewDurations: { setUp, sample: (iterations) => Promise.resolve(armAndCancel(iterations, armedDurations)) },
  manyDurations: { setUp, sample: (iterations) => Promise.resolve(armAndCancel(iterations, manyDurations)) },
}
