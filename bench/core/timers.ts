// Timers armed and cancelled while a million are pending, as timeouts around reads would: each lives while the
// next few hundred are armed. Once with few durations, as programs have them, and once with a thousand.

import { getRunningLoop, run, sleepForever, type TimerHandle } from 'cede'
import { now, type TimedCase } from '../case.ts'
import { armedDurations, manyDurations, pendingCount, pendingDurations } from './durations.ts'

/** How many of the timers that come and go are alive at once. */
const alive = 256

function doNothing() {
  // no timer fires while it is measured
}

function armAndCancel(
  loop: ReturnType<typeof getRunningLoop>,
  iterations: number,
  durations: readonly number[],
): number {
  const handles = Array.from({ length: alive }, () => loop.callLater(1000, doNothing))
  const start = now()
  for (let i = 0; i < iterations; i++) {
    const slot = i % alive
    ;(handles[slot] as TimerHandle).cancel()
    handles[slot] = loop.callLater(durations[i % durations.length] as number, doNothing)
  }
  const took = now() - start
  for (const handle of handles) handle.cancel()
  return took
}

function* holdPending(armed: () => void) {
  const loop = getRunningLoop()
  for (let i = 0; i < pendingCount; i++) {
    loop.callLater(pendingDurations[i % pendingDurations.length] as number, doNothing)
  }
  armed()
  yield* sleepForever()
}

function* measure(iterations: number, durations: readonly number[]) {
  return armAndCancel(getRunningLoop(), iterations, durations)
}

const setUp = () =>
  new Promise<void>((resolve, reject) => {
    run(() => holdPending(resolve)).catch(reject)
  })

export const cases: Record<string, TimedCase> = {
  fewDurations: { setUp, sample: (iterations) => run(() => measure(iterations, armedDurations)) },
  manyDurations: { setUp, sample: (iterations) => run(() => measure(iterations, manyDurations)) },
}
