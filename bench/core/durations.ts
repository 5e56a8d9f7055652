// How many timers are pending, and how long they are armed for, in milliseconds. None is due while a
// benchmark runs; some of those that come and go share their duration with the pending ones.

export const pendingCount = 1_000_000

const minutes = 60_000

export const pendingDurations: readonly number[] = [20, 25, 30, 40, 60, 90, 120, 240].map((n) => n * minutes)

export const armedDurations: readonly number[] = [
  5_000,
  10_000,
  30_000,
  1 * minutes,
  20 * minutes,
  30 * minutes,
]

export const manyDurations: readonly number[] = Array.from({ length: 1000 }, (_, i) => 5_000 + 37 * i)
