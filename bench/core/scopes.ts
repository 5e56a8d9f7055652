// A scope opened, cancelled by a callback while its body waits, unwound and left. The callback is a partner
// that any cancel needs; `partner` is the same without the scope, to see how much of the time it is.

import { getRunningLoop, run, sleep, sleepForever, withScope, type CancelScope } from 'cede'
import { check, now, type TimedCase } from '../case.ts'

let loop: ReturnType<typeof getRunningLoop>
let open: CancelScope
let unwound = 0

function cancelOpen() {
  open.cancel()
}

function doNothing() {
  // the partner that does not cancel
}

function* waitInScope(scope: CancelScope) {
  open = scope
  loop.callSoon(cancelOpen)
  try {
    yield* sleepForever()
  } finally {
    unwound++
  }
}

function* scopeLoop(iterations: number) {
  loop = getRunningLoop()
  unwound = 0
  const start = now()
  for (let i = 0; i < iterations; i++) yield* withScope(waitInScope)
  const took = now() - start
  check(unwound === iterations, 'not every body was unwound')
  return took
}

function* partnerLoop(iterations: number) {
  loop = getRunningLoop()
  const start = now()
  for (let i = 0; i < iterations; i++) {
    loop.callSoon(doNothing)
    yield* sleep(0)
  }
  return now() - start
}

export const cases: Record<string, TimedCase> = {
  cancelled: { sample: (iterations) => run(() => scopeLoop(iterations)) },
  partner: { sample: (iterations) => run(() => partnerLoop(iterations)) },
}
