// Node's own timers: the same work.

import { setTimeout as delay } from 'node:timers/promises'
import { now, type Program, type TimedCase } from '../../case.ts'
import { armedAtOnce, batch, blockUntilDue, delayOf, durationsMs, latenessFigures } from '../due.ts'

function doNothing() {
  // no timer fires while it is measured
}

async function cancelled(iterations: number): Promise<number> {
  const handles: NodeJS.Timeout[] = []
  let took = 0
  for (let left = iterations; left > 0; left -= batch) {
    handles.length = 0
    const start = now()
    for (let i = 0; i < batch; i++) {
      handles.push(setTimeout(doNothing, 1_000 * (durationsMs[i % durationsMs.length] as number)))
    }
    for (const handle of handles) clearTimeout(handle)
    took += now() - start
    await new Promise(setImmediate)
  }
  return took
}

async function fired(iterations: number): Promise<number> {
  let took = 0
  for (let left = iterations; left > 0; left -= batch) {
    let resolve = doNothing
    const done = new Promise<void>((resolver) => (resolve = resolver))
    let count = 0
    const fire = () => {
      if (++count === batch) resolve()
    }
    let start = now()
    for (let i = 0; i < batch; i++) setTimeout(fire, durationsMs[i % durationsMs.length])
    took += now() - start
    blockUntilDue()
    start = now()
    await done
    took += now() - start
  }
  return took
}

async function slept(iterations: number): Promise<number> {
  let took = 0
  for (let left = iterations; left > 0; left -= batch) {
    let resolve = doNothing
    const done = new Promise<void>((resolver) => (resolve = resolver))
    let woken = 0
    const nap = async (ms: number) => {
      await delay(ms)
      if (++woken === batch) resolve()
    }
    let start = now()
    for (let i = 0; i < batch; i++) void nap(durationsMs[i % durationsMs.length] as number)
    took += now() - start
    blockUntilDue()
    start = now()
    await done
    took += now() - start
  }
  return took
}

export const cases: Record<string, TimedCase> = {
  cancelled: { batch, sample: cancelled },
  fired: { batch, sample: fired },
  slept: { batch, sample: slept },
}

async function lateness(count: number): Promise<Record<string, number>> {
  const late = new Float64Array(count)
  let resolve = doNothing
  const done = new Promise<void>((resolver) => (resolve = resolver))
  let fired = 0
  const before = process.cpuUsage()
  for (let i = 0; i < count; i++) {
    const ms = delayOf(i)
    const due = performance.now() + ms
    setTimeout(() => {
      late[fired++] = performance.now() - due
      if (fired === count) resolve()
    }, ms)
    if (i % armedAtOnce === 0) await delay(1)
  }
  await done
  return latenessFigures(late, process.cpuUsage(before))
}

export const programs: Record<string, Program> = { lateness: { figures: lateness } }
