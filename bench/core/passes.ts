// One task that gives way and is resumed: `sleep(0)`, which costs one pass of the loop.

import { run, sleep } from 'cede'
import { now, type TimedCase } from '../case.ts'
import { inStore } from './store.ts'

function* loop(iterations: number) {
  const start = now()
  for (let i = 0; i < iterations; i++) yield* sleep(0)
  return now() - start
}

export const cases: Record<string, TimedCase> = {
  default: { sample: (iterations) => run(() => loop(iterations)) },
  store: { sample: (iterations) => inStore(() => run(() => loop(iterations))) },
  off: { sample: (iterations) => run(() => loop(iterations), { asyncLocalStorage: false }) },
}
