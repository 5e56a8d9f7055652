// A timeout around a promise, as it is written with what Node has: a race against AbortSignal.timeout.

import { check, now, type TimedCase } from '../../case.ts'

function withTimeout<T>(ms: number, promise: Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(ms)
  const expired = new Promise<never>((_, reject) => {
    signal.addEventListener(
      'abort',
      () => {
        reject(signal.reason as Error)
      },
      { once: true },
    )
  })
  return Promise.race([promise, expired])
}

// eslint-disable-next-line @typescript-eslint/require-await -- something ready
async function ready(): Promise<number> {
  return 1
}

async function givesWay(): Promise<number> {
  await Promise.resolve()
  return 1
}

async function loop(iterations: number, body: () => Promise<number>): Promise<number> {
  let sum = 0
  const start = now()
  for (let i = 0; i < iterations; i++) sum += await withTimeout(1000, body())
  const took = now() - start
  check(sum === iterations, 'values were lost')
  return took
}

export const cases: Record<string, TimedCase> = {
  ready: { sample: (iterations) => loop(iterations, ready) },
  givesWay: { sample: (iterations) => loop(iterations, givesWay) },
}
