// Waiters of a semaphore that are all cancelled, from both ends to the middle: what each cancel costs until the task has
// unwound, and whether that grows with the line. Making the tasks is kept out of the time.

import { createTask, run, Semaphore, sleep, type Task } from 'cede'
import { check, now, type TimedCase } from '../case.ts'

function* waiter(semaphore: Semaphore) {
  yield* semaphore.acquire()
}

function* allCancelled(iterations: number, waiters: number) {
  let took = 0
  for (let left = iterations; left > 0; left -= waiters) {
    const semaphore = new Semaphore(0)
    const tasks: Task[] = []
    for (let i = 0; i < waiters; i++) tasks.push(createTask(waiter(semaphore)))
    yield* sleep(0)
    check(semaphore.statistics().tasksWaiting === waiters, 'not all of them wait')
    const start = now()
    for (let i = 0; i < waiters; i += 2) tasks[i]!.cancel()
    for (let i = waiters - 1; i > 0; i -= 2) tasks[i]!.cancel()
    while (tasks.some((task) => !task.done())) yield* sleep(0)
    took += now() - start
    check(semaphore.statistics().tasksWaiting === 0, 'some of them wait still')
  }
  return took
}

const cancelled = (waiters: number): TimedCase => ({
  batch: waiters,
  sample: (iterations) => run(() => allCancelled(iterations, waiters)),
})

export const cases: Record<string, TimedCase> = {
  of1000: cancelled(1_000),
  of10000: cancelled(10_000),
}
