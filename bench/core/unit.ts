// The unit of all figures: what JavaScript itself asks for calling an async function and awaiting it.

import { check, now, type TimedCase } from '../case.ts'

// eslint-disable-next-line @typescript-eslint/require-await -- the cheapest there is
async function add(n: number): Promise<number> {
  return n + 1
}

async function loop(iterations: number): Promise<number> {
  let x = 0
  const start = now()
  for (let i = 0; i < iterations; i++) x = await add(x)
  const took = now() - start
  check(x === iterations, 'calls were lost')
  return took
}

export const cases: Record<string, TimedCase> = {
  await: { sample: loop },
}
