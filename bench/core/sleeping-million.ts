// A million sleeping tasks, of a thousand durations: the heap they hold, and that all are woken, each once, in
// the order of their deadlines.

import { createTask, getRunningLoop, run, sleep } from 'cede'
import { check, type Program } from '../case.ts'

/** All tasks sleep this long at least, so that they all sleep at once; scaled to how many there are. */
const baseMsFor = (count: number) => 1000 + count * 0.008
const distinctDurations = 1000
/** The loop looks at its clock once in some steps, and counts a sleep that began in between from the next look. */
const stepsPerLook = 64

let loop: ReturnType<typeof getRunningLoop>
let durations: Float64Array
/** When each task read the clock, just before it fell asleep. */
let readAt: Float64Array
/** The tasks as they woke. */
let order: Int32Array
let woken = 0

function* nap(i: number) {
  readAt[i] = loop.time()
  yield* sleep(durations[i] as number)
  order[woken++] = i
}

function heapUsed(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

function* sleepers(count: number) {
  loop = getRunningLoop()
  durations = new Float64Array(count)
  readAt = new Float64Array(count + 1)
  order = new Int32Array(count)
  const baseMs = baseMsFor(count)
  // 7919 and 1000 have no common divisor: neighbours sleep for quite different times.
  for (let i = 0; i < count; i++) durations[i] = baseMs + ((i * 7919) % distinctDurations)

  const before = heapUsed()
  const start = loop.time()
  for (let i = 0; i < count; i++) createTask(nap(i))
  for (let i = 0; i < stepsPerLook; i++) yield* sleep(0)
  readAt[count] = loop.time()
  const heapBytes = heapUsed() - before
  check(woken === 0, 'a task woke before all of them slept')

  const lastMs = readAt[count] - start + baseMs + distinctDurations
  while (woken < count) {
    yield* sleep(100)
    check(loop.time() - start < lastMs + 30_000, `only ${woken} of ${count} tasks were woken`)
  }
  return { megabytes: heapBytes / 1e6, woken: new Set(order).size, outOfOrder: outOfOrder() }
}

/**
 * How many tasks woke after one whose deadline was certainly later: the beginning of a sleep is known to lie
 * between the task's own look at the clock and that of a task some steps later.
 */
function outOfOrder(): number {
  let count = 0
  let latest = -Infinity
  for (const i of order) {
    const duration = durations[i] as number
    const beganBy = readAt[Math.min(i + stepsPerLook, order.length)] as number
    if (beganBy + duration < latest) count++
    latest = Math.max(latest, (readAt[i] as number) + duration)
  }
  return count
}

export const programs: Record<string, Program> = {
  sleepers: { figures: (count) => run(() => sleepers(count)) },
}
