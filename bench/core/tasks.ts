// A task made and waited for, with AsyncLocalStorage kept (a store in use, or none) and switched off.

import { createTask, run } from 'cede'
import { check, now, type TimedCase } from '../case.ts'
import { inStore, isKept } from './store.ts'

function* child() {
  return 1
}

function* loop(iterations: number) {
  let ended = 0
  const start = now()
  for (let i = 0; i < iterations; i++) ended += yield* createTask(child())
  const took = now() - start
  check(ended === iterations, 'tasks were lost')
  return took
}

function* childIsKept() {
  return isKept()
}

function* checkKept() {
  check(yield* createTask(childIsKept()), 'the store did not reach the child')
}

async function keptLoop(iterations: number) {
  await run(checkKept)
  return run(() => loop(iterations))
}

export const cases: Record<string, TimedCase> = {
  store: { sample: (iterations) => inStore(() => keptLoop(iterations)) },
  default: { sample: (iterations) => run(() => loop(iterations)) },
  off: { sample: (iterations) => run(() => loop(iterations), { asyncLocalStorage: false }) },
}
