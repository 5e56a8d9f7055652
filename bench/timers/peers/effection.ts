// Effection 4: tasks that sleep, fewer at a time, since each takes long.

import { run, sleep, spawn, withResolvers } from 'effection'
import { now, type TimedCase } from '../../case.ts'
import { blockUntilDue, durationsMs, smallBatch as batch } from '../due.ts'

function* slept(iterations: number) {
  let took = 0
  for (let left = iterations; left > 0; left -= batch) {
    const done = withResolvers<void>()
    let asleep = 0
    let woken = 0
    function* nap(ms: number) {
      asleep++
      yield* sleep(ms)
      if (++woken === batch) done.resolve()
    }
    let start = now()
    for (let i = 0; i < batch; i++) {
      const ms = durationsMs[i % durationsMs.length] as number
      yield* spawn(() => nap(ms))
    }
    while (asleep < batch) yield* sleep(0)
    took += now() - start
    blockUntilDue()
    start = now()
    yield* done.operation
    took += now() - start
  }
  return took
}

export const cases: Record<string, TimedCase> = {
  slept: { batch, sample: (iterations) => run(() => slept(iterations)) },
}
