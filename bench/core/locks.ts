// A lock nobody else wants, around a body that does not wait, and one that ten tasks hand to each other.

import { createTask, Lock, run, sleep } from 'cede'
import { check, now, type TimedCase } from '../case.ts'

const takers = 10

let held = 0

function* body() {
  held++
}

function* uncontended(iterations: number) {
  const lock = new Lock()
  held = 0
  const start = now()
  for (let i = 0; i < iterations; i++) yield* lock.with(body)
  const took = now() - start
  check(held === iterations && !lock.locked(), 'the lock was not held')
  return took
}

function* taker(lock: Lock, times: number) {
  for (let i = 0; i < times; i++) {
    yield* lock.acquire()
    held++
    lock.release()
  }
}

/** The lock is never free: each release hands it to the next in line. */
function* handedOver(iterations: number) {
  const lock = new Lock()
  held = 0
  yield* lock.acquire()
  const tasks = Array.from({ length: takers }, () => createTask(taker(lock, iterations / takers)))
  yield* sleep(0)
  const start = now()
  lock.release()
  for (const task of tasks) yield* task
  const took = now() - start
  check(held === iterations && !lock.locked(), 'turns were lost')
  return took
}

export const cases: Record<string, TimedCase> = {
  uncontended: { sample: (iterations) => run(() => uncontended(iterations)) },
  handedOver: { batch: takers, sample: (iterations) => run(() => handedOver(iterations)) },
}
