// What it costs a step to keep AsyncLocalStorage: many tasks that give way in turn, so that every step enters
// another task's context, with it kept and switched off.

import { createTask, run, sleep } from 'cede'
import { check, now, type TimedCase } from '../case.ts'
import { inStore, isKept } from './store.ts'

const taskCount = 100

function* giveWay(times: number) {
  for (let i = 0; i < times; i++) yield* sleep(0)
  return isKept()
}

function* manyTasks(iterations: number, kept: boolean) {
  const start = now()
  const tasks = Array.from({ length: taskCount }, () => createTask(giveWay(iterations / taskCount)))
  for (const task of tasks) check((yield* task) === kept, kept ? 'the store was lost' : 'the store was kept')
  return now() - start
}

export const cases: Record<string, TimedCase> = {
  kept: { batch: taskCount, sample: (iterations) => inStore(() => run(() => manyTasks(iterations, true))) },
  off: {
    batch: taskCount,
    sample: (iterations) => run(() => manyTasks(iterations, false), { asyncLocalStorage: false }),
  },
}
