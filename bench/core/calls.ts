// A call that does not suspend: wrapped by `coroutine`, and plain (native delegation).

import { coroutine, run } from 'cede'
import { check, now, type TimedCase } from '../case.ts'

const wrapped = coroutine(function* (n: number) {
  return n + 1
})

function* plain(n: number) {
  return n + 1
}

function* wrappedLoop(iterations: number) {
  let x = 0
  const start = now()
  for (let i = 0; i < iterations; i++) x = yield* wrapped(x)
  const took = now() - start
  check(x === iterations, 'calls were lost')
  return took
}

function* plainLoop(iterations: number) {
  let x = 0
  const start = now()
  for (let i = 0; i < iterations; i++) x = yield* plain(x)
  const took = now() - start
  check(x === iterations, 'calls were lost')
  return took
}

export const cases: Record<string, TimedCase> = {
  wrapped: { sample: (iterations) => run(() => wrappedLoop(iterations)) },
  plain: { sample: (iterations) => run(() => plainLoop(iterations)) },
}
