// Effect 4: the same small programs, written as its users write them.

import * as Effect from 'effect/Effect'
import * as Fiber from 'effect/Fiber'
import * as Queue from 'effect/Queue'
import { check, now, type TimedCase } from '../../case.ts'

const child = Effect.gen(function* () {
  return 1
})

/** How its documentation writes a function that returns an effect; keeps where it was defined and called. */
const traced = Effect.fn('child')(function* () {
  return 1
})

const givesWay = Effect.gen(function* () {
  yield* Effect.yieldNow
  return 1
})

const add = Effect.fnUntraced(function* (n: number) {
  return n + 1
})

const callLoop = Effect.fnUntraced(function* (iterations: number) {
  let x = 0
  const start = now()
  for (let i = 0; i < iterations; i++) x = yield* add(x)
  const took = now() - start
  check(x === iterations, 'calls were lost')
  return took
})

const passLoop = Effect.fnUntraced(function* (iterations: number) {
  const start = now()
  for (let i = 0; i < iterations; i++) yield* Effect.yieldNow
  return now() - start
})

const taskLoop = Effect.fnUntraced(function* (iterations: number) {
  let ended = 0
  const start = now()
  for (let i = 0; i < iterations; i++) {
    const fiber = yield* Effect.forkChild(child)
    ended += yield* Fiber.join(fiber)
  }
  const took = now() - start
  check(ended === iterations, 'fibers were lost')
  return took
})

const tracedTaskLoop = Effect.fnUntraced(function* (iterations: number) {
  let ended = 0
  const start = now()
  for (let i = 0; i < iterations; i++) {
    const fiber = yield* Effect.forkChild(traced())
    ended += yield* Fiber.join(fiber)
  }
  const took = now() - start
  check(ended === iterations, 'fibers were lost')
  return took
})

const timeoutLoop = Effect.fnUntraced(function* (iterations: number, body: Effect.Effect<number>) {
  const bounded = Effect.timeout(body, 1000)
  let sum = 0
  const start = now()
  for (let i = 0; i < iterations; i++) sum += yield* bounded
  const took = now() - start
  check(sum === iterations, 'values were lost')
  return took
})

const produce = Effect.fnUntraced(function* (queue: Queue.Queue<number>, count: number) {
  for (let i = 0; i < count; i++) yield* Queue.offer(queue, i)
})

const queueLoop = Effect.fnUntraced(function* (iterations: number, capacity: number) {
  const queue = yield* Queue.bounded<number>(capacity)
  let next = 0
  const start = now()
  const producer = yield* Effect.forkChild(produce(queue, iterations))
  for (let i = 0; i < iterations; i++) if ((yield* Queue.take(queue)) === next) next++
  const took = now() - start
  yield* Fiber.join(producer)
  check(next === iterations, 'items were lost, or came out of order')
  return took
})

export const cases: Record<string, TimedCase> = {
  call: { sample: (iterations) => Effect.runPromise(callLoop(iterations)) },
  pass: { sample: (iterations) => Effect.runPromise(passLoop(iterations)) },
  task: { sample: (iterations) => Effect.runPromise(taskLoop(iterations)) },
  tracedTask: { sample: (iterations) => Effect.runPromise(tracedTaskLoop(iterations)) },
  timeoutReady: { sample: (iterations) => Effect.runPromise(timeoutLoop(iterations, child)) },
  timeoutGivesWay: { sample: (iterations) => Effect.runPromise(timeoutLoop(iterations, givesWay)) },
  queueOfTen: { sample: (iterations) => Effect.runPromise(queueLoop(iterations, 10)) },
  queueOfOne: { sample: (iterations) => Effect.runPromise(queueLoop(iterations, 1)) },
}
