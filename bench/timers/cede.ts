// Timers armed, cancelled and fired; tasks that sleep and are woken.

import { createTask, Future, getRunningLoop, run, sleep, type TimerHandle } from 'cede'
import { now, type Program, type TimedCase } from '../case.ts'
import { armedAtOnce, batch, blockUntilDue, delayOf, durationsMs, latenessFigures } from './due.ts'

function doNothing() {
  // no timer fires while it is measured
}

function* cancelled(iterations: number) {
  const loop = getRunningLoop()
  const handles: TimerHandle[] = []
  let took = 0
  for (let left = iterations; left > 0; left -= batch) {
    handles.length = 0
    const start = now()
    for (let i = 0; i < batch; i++) {
      handles.push(loop.callLater(1_000 * (durationsMs[i % durationsMs.length] as number), doNothing))
    }
    for (const handle of handles) handle.cancel()
    took += now() - start
    yield* sleep(0)
  }
  return took
}

function* fired(iterations: number) {
  const loop = getRunningLoop()
  let took = 0
  for (let left = iterations; left > 0; left -= batch) {
    const done = new Future<void>()
    let count = 0
    const fire = () => {
      if (++count === batch) done.setResult()
    }
    let start = now()
    for (let i = 0; i < batch; i++) loop.callLater(durationsMs[i % durationsMs.length] as number, fire)
    took += now() - start
    blockUntilDue()
    start = now()
    yield* done
    took += now() - start
  }
  return took
}

function* slept(iterations: number) {
  let took = 0
  for (let left = iterations; left > 0; left -= batch) {
    const done = new Future<void>()
    let asleep = 0
    let woken = 0
    function* nap(ms: number) {
      asleep++
      yield* sleep(ms)
      if (++woken === batch) done.setResult()
    }
    let start = now()
    for (let i = 0; i < batch; i++) createTask(nap(durationsMs[i % durationsMs.length] as number))
    while (asleep < batch) yield* sleep(0)
    took += now() - start
    blockUntilDue()
    start = now()
    yield* done
    took += now() - start
  }
  return took
}

export const cases: Record<string, TimedCase> = {
  cancelled: { batch, sample: (iterations) => run(() => cancelled(iterations)) },
  fired: { batch, sample: (iterations) => run(() => fired(iterations)) },
  slept: { batch, sample: (iterations) => run(() => slept(iterations)) },
}

function* lateness(count: number) {
  const loop = getRunningLoop()
  const late = new Float64Array(count)
  const done = new Future<void>()
  let fired = 0
  const before = process.cpuUsage()
  for (let i = 0; i < count; i++) {
    const delay = delayOf(i)
    const due = performance.now() + delay
    loop.callLater(delay, () => {
      late[fired++] = performance.now() - due
      if (fired === count) done.setResult()
    })
    if (i % armedAtOnce === 0) yield* sleep(1)
  }
  yield* done
  return latenessFigures(late, process.cpuUsage(before))
}

export const programs: Record<string, Program> = {
  lateness: { figures: (count) => run(() => lateness(count)) },
}
