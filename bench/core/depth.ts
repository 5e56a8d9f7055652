// Wrapped coroutines calling wrapped coroutines: what a resume costs under 1,000 of them, and what a level of
// a recursion 100,000 deep costs, with and without a wait at the bottom.

import { coroutine, run, sleep, type Operation } from 'cede'
import { check, now, type TimedCase } from '../case.ts'

/** `depth` calls deep, gives way `iterations` times; the descent is not in the time. */
const resumeAt = coroutine('resumeAt', function* (depth: number, iterations: number): Operation<number> {
  if (depth > 1) return yield* resumeAt(depth - 1, iterations)
  yield* sleep(0)
  const start = now()
  for (let i = 0; i < iterations; i++) yield* sleep(0)
  return now() - start
})

const levels = 100_000

const countLevels = coroutine('countLevels', function* (left: number, wait: boolean): Operation<number> {
  if (left > 0) return 1 + (yield* countLevels(left - 1, wait))
  if (wait) yield* sleep(0)
  return 0
})

function* recurse(iterations: number, wait: boolean) {
  const start = now()
  for (let done = 0; done < iterations; done += levels) {
    check((yield* countLevels(levels, wait)) === levels, 'levels were lost')
  }
  return now() - start
}

export const cases: Record<string, TimedCase> = {
  at1: { sample: (iterations) => run(() => resumeAt(1, iterations)) },
  at1000: { sample: (iterations) => run(() => resumeAt(1000, iterations)) },
  recursion: { batch: levels, sample: (iterations) => run(() => recurse(iterations, false)) },
  recursionWithWait: { batch: levels, sample: (iterations) => run(() => recurse(iterations, true)) },
}
