// A timeout that is not needed, around something ready and around something that suspends once.

import { coroutine, run, sleep, timeout } from 'cede'
import { check, now, type TimedCase } from '../case.ts'

const ready = coroutine(function* () {
  return 1
})

const givesWay = coroutine(function* () {
  yield* sleep(0)
  return 1
})

function* readyLoop(iterations: number) {
  let sum = 0
  const start = now()
  for (let i = 0; i < iterations; i++) sum += yield* timeout(1000, ready)
  const took = now() - start
  check(sum === iterations, 'values were lost')
  return took
}

function* givesWayLoop(iterations: number) {
  let sum = 0
  const start = now()
  for (let i = 0; i < iterations; i++) sum += yield* timeout(1000, givesWay)
  const took = now() - start
  check(sum === iterations, 'values were lost')
  return took
}

export const cases: Record<string, TimedCase> = {
  ready: { sample: (iterations) => run(() => readyLoop(iterations)) },
  givesWay: { sample: (iterations) => run(() => givesWayLoop(iterations)) },
}
