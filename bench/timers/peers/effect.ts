// Effect 4: fibers that sleep.

import * as Deferred from 'effect/Deferred'
import * as Effect from 'effect/Effect'
import { now, type TimedCase } from '../../case.ts'
import { batch, blockUntilDue, durationsMs } from '../due.ts'

const slept = Effect.fnUntraced(function* (iterations: number) {
  let took = 0
  for (let left = iterations; left > 0; left -= batch) {
    const done = yield* Deferred.make<void>()
    let asleep = 0
    let woken = 0
    const nap = Effect.fnUntraced(function* (ms: number) {
      asleep++
      yield* Effect.sleep(ms)
      if (++woken === batch) yield* Deferred.succeed(done, undefined)
    })
    let start = now()
    for (let i = 0; i < batch; i++)
      yield* Effect.forkChild(nap(durationsMs[i % durationsMs.length] as number))
    while (asleep < batch) yield* Effect.yieldNow
    took += now() - start
    blockUntilDue()
    start = now()
    yield* Deferred.await(done)
    took += now() - start
  }
  return took
})

export const cases: Record<string, TimedCase> = {
  slept: { batch, sample: (iterations) => Effect.runPromise(slept(iterations)) },
}
