// The heap that a waiting task takes beyond its own suspended generator, which it would take anywhere.

import { createTask, Future, run, sleep, sleepForever } from 'cede'
import type { Program } from '../case.ts'
import { inStore } from './store.ts'

function* inSleep(ms: number) {
  yield* sleep(ms)
}

function* inFuture(future: Future<number>) {
  return yield* future
}

function* inSleepForever(_ms: number) {
  yield* sleepForever()
}

function* bare(ms: number) {
  yield ms
}

async function inPromise(ms: number) {
  await new Promise((resolve) => setTimeout(resolve, ms).unref())
}

function heapUsed(): number {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

/** The bytes that each of `count` things holds; they are kept alive until they have been counted. */
function bytesEach(count: number, make: (i: number) => unknown): number {
  const kept: unknown[] = new Array(count).fill(undefined)
  const before = heapUsed()
  for (let i = 0; i < count; i++) kept[i] = make(i)
  const after = heapUsed()
  return kept.length === count ? (after - before) / count : NaN
}

function makeBare(): unknown {
  const generator = bare(1e6)
  generator.next()
  return generator
}

function* waitingTasks(count: number, make: (i: number) => unknown) {
  yield* sleep(0)
  const kept: unknown[] = new Array(count).fill(undefined)
  const before = heapUsed()
  for (let i = 0; i < count; i++) kept[i] = make(i)
  yield* sleep(0)
  yield* sleep(0)
  const after = heapUsed()
  const bytes = kept.length === count ? (after - before) / count : NaN
  return { bytes }
}

/** The process is ended once it has told its figures; the tasks wait until then. */
function figures(count: number, make: (i: number) => unknown, options: { asyncLocalStorage?: boolean } = {}) {
  return new Promise<{ bytes: number }>((resolve, reject) => {
    run(function* () {
      resolve(yield* waitingTasks(count, make))
      yield* sleepForever()
    }, options).catch(reject)
  })
}

const beyondBare = async (count: number, measured: Promise<{ bytes: number }>) => ({
  bytes: (await measured).bytes - bytesEach(count, makeBare),
})

const sleeper = () => createTask(inSleep(1e6))
const off = { asyncLocalStorage: false }

export const programs: Record<string, Program> = {
  sleep: { figures: (count) => beyondBare(count, figures(count, sleeper, off)) },
  sleepKept: {
    figures: (count) =>
      beyondBare(
        count,
        inStore(() => figures(count, sleeper)),
      ),
  },
  future: {
    figures: (count) => {
      const future = new Future<number>()
      return beyondBare(
        count,
        figures(count, () => createTask(inFuture(future)), off),
      )
    },
  },
  sleepForever: {
    figures: (count) =>
      beyondBare(
        count,
        figures(count, () => createTask(inSleepForever(1e6)), off),
      ),
  },
  asyncFunction: {
    figures: (count) =>
      Promise.resolve({ bytes: bytesEach(count, () => inPromise(1e6)) - bytesEach(count, makeBare) }),
  },
}
