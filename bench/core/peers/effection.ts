// Effection 4: the same small programs, written as its users write them.

import { run, spawn } from 'effection'
import { check, now, type TimedCase } from '../../case.ts'

function* child() {
  return 1
}

function* add(n: number) {
  return n + 1
}

function* callLoop(iterations: number) {
  let x = 0
  const start = now()
  for (let i = 0; i < iterations; i++) x = yield* add(x)
  const took = now() - start
  check(x === iterations, 'calls were lost')
  return took
}

function* taskLoop(iterations: number) {
  let ended = 0
  const start = now()
  for (let i = 0; i < iterations; i++) {
    const task = yield* spawn(child)
    ended += yield* task
  }
  const took = now() - start
  check(ended === iterations, 'tasks were lost')
  return took
}

export const cases: Record<string, TimedCase> = {
  call: { sample: (iterations) => run(() => callLoop(iterations)) },
  task: { sample: (iterations) => run(() => taskLoop(iterations)) },
}
