// An item put by one task and got by another, through a queue of ten and through one of one, where every item waits.

import { channel, createTask, Queue, run } from 'cede'
import { check, now, type TimedCase } from '../case.ts'

function* produce(queue: Queue<number>, count: number) {
  for (let i = 0; i < count; i++) yield* queue.put(i)
}

function* pairs(iterations: number, maxSize: number) {
  const queue = new Queue<number>(maxSize)
  let next = 0
  const start = now()
  const producer = createTask(produce(queue, iterations))
  for (let i = 0; i < iterations; i++) if ((yield* queue.get()) === next) next++
  const took = now() - start
  yield* producer
  check(next === iterations && queue.size === 0, 'items were lost, or came out of order')
  return took
}

function* channelPairs(iterations: number, capacity: number) {
  const { sender, receiver } = channel<number>(capacity)
  let next = 0
  const start = now()
  const producer = createTask(
    (function* () {
      for (let i = 0; i < iterations; i++) yield* sender.send(i)
    })(),
  )
  for (let i = 0; i < iterations; i++) if ((yield* receiver.receive()) === next) next++
  const took = now() - start
  yield* producer
  check(next === iterations, 'items were lost, or came out of order')
  return took
}

export const cases: Record<string, TimedCase> = {
  ten: { sample: (iterations) => run(() => pairs(iterations, 10)) },
  one: { sample: (iterations) => run(() => pairs(iterations, 1)) },
  channel: { sample: (iterations) => run(() => channelPairs(iterations, 10)) },
}
