import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  calibrate,
  compare,
  measure,
  median,
  medianInterval,
  shuffled,
  type Plan,
  type Sampler,
} from '../../bench/harness.ts'

/** A case on a clock of its own: the nth sample costs `cost(n)` an iteration. */
function fake(
  name: string,
  cost: (sample: number) => number,
  options: { batch?: number; log?: string[] } = {},
) {
  const seen: number[] = []
  const sampler: Sampler = {
    name,
    batch: options.batch ?? 1,
    sample: (iterations) => {
      options.log?.push(name)
      seen.push(iterations)
      return Promise.resolve(iterations * cost(seen.length))
    },
  }
  return { ...sampler, seen }
}

/** As random as a test needs, and the same each time. */
function sequence(): () => number {
  let state = 1
  return () => (state = (state * 16807) % 2147483647) / 2147483647
}

const plan: Plan = { rounds: 5, sampleNs: 1000, leastIterations: 1, warmUps: 0, random: sequence() }

test('calibrate finds how many iterations fill a sample', async () => {
  const sampler = fake('steady', () => 10)
  assert.equal(await calibrate(sampler, plan), 100)
})

test('calibrate starts with one batch and never grows more than tenfold at a time', async () => {
  const sampler = fake('cheap', () => 0.001)
  await calibrate(sampler, plan)
  assert.equal(sampler.seen[0], 1)
  for (const [i, count] of sampler.seen.entries()) assert.ok(count <= 10 * (sampler.seen[i - 1] ?? count))
})

test('calibrate outlives a clock that has not moved', async () => {
  const sampler = fake('too quick to see', (sample) => (sample < 3 ? 0 : 10))
  assert.equal(await calibrate(sampler, plan), 100)
})

test('calibrate follows a case that gets faster as it warms up', async () => {
  // 40 ns in the interpreter, 10 ns from the third sample on.
  const sampler = fake('warming', (sample) => (sample <= 2 ? 40 : 10))
  assert.equal(await calibrate(sampler, { ...plan, warmUps: 2 }), 100)
})

test('calibrate gives a slow case the least number of iterations, and a fast one more', async () => {
  const atLeast50 = { ...plan, leastIterations: 50, warmUps: 1 }
  const slow = fake('slow', () => 100)
  assert.equal(await calibrate(slow, atLeast50), 50)
  const fast = fake('fast', () => 1)
  assert.equal(await calibrate(fast, atLeast50), 1000)
})

test('calibrate keeps to whole batches, at least one', async () => {
  const batched = fake('batched', () => 1, { batch: 300 })
  assert.equal(await calibrate(batched, { ...plan, warmUps: 1 }), 900)
  const dear = fake('dear', () => 100, { batch: 300 })
  assert.equal(await calibrate(dear, { ...plan, warmUps: 1 }), 300)
})

test('every round samples each case once, in an order of its own', async () => {
  const log: string[] = []
  const names = ['a', 'b', 'c', 'd']
  await measure(
    names.map((name) => fake(name, () => 600, { log })),
    plan,
  )
  const rounds = log.slice(names.length)
  const orders = new Set<string>()
  for (let i = 0; i < rounds.length; i += names.length) {
    const order = rounds.slice(i, i + names.length)
    assert.deepEqual([...order].sort(), names)
    orders.add(order.join(''))
  }
  assert.ok(orders.size > 1, 'the order of the rounds differs')
})

test('those of a group are sampled right after one another, in an order of their own', async () => {
  const log: string[] = []
  const samplers = ['a', 'with', 'b', 'without', 'c'].map((name) => ({
    ...fake(name, () => 600, { log }),
    group: name.startsWith('with') ? 'pair' : undefined,
  }))
  await measure(samplers, { ...plan, rounds: 20 })
  const orders = new Set<string>()
  for (let i = samplers.length; i < log.length; i += samplers.length) {
    const order = log.slice(i, i + samplers.length)
    assert.deepEqual([...order].sort(), ['a', 'b', 'c', 'with', 'without'])
    const pair = [order.indexOf('with'), order.indexOf('without')].sort()
    assert.equal(pair[1]! - pair[0]!, 1)
    orders.add(order.slice(pair[0], pair[1]! + 1).join(' '))
  }
  assert.deepEqual([...orders].sort(), ['with without', 'without with'])
})

test('a series is nanoseconds for one iteration, and its best is the least', async () => {
  // The first sample calibrates; the rounds are samples 2 to 6.
  const { series } = await measure([fake('noisy', (sample) => 600 + 100 * Math.abs(sample - 4))], plan)
  const noisy = series.get('noisy')
  assert.ok(noisy)
  assert.deepEqual(noisy.rounds, [800, 700, 600, 700, 800])
  assert.equal(noisy.best, 600)
})

test('what is sampled several times a round has the best of all samples, and the median of each round', async () => {
  // The first sample calibrates; then three to a round: 700 600 900, 800 800 800.
  const costs = [1000, 700, 600, 900, 800, 800, 800]
  const unit = { ...fake('unit', (sample) => costs[sample - 1] ?? NaN), perRound: 3 }
  const { series } = await measure([unit, fake('other', () => 600)], { ...plan, rounds: 2 })
  assert.deepEqual(series.get('unit'), { iterations: 1, best: 600, rounds: [700, 800] })
})

test('a comparison is the quotient of the bests, and the median of the quotients round by round', () => {
  const unit = { iterations: 1, best: 10, rounds: [10, 20, 10] }
  const other = { iterations: 1, best: 30, rounds: [30, 60, 90] }
  assert.deepEqual(compare(other, unit), { best: 3, median: 3 })
})

test('noise that hits a whole round does not move the comparison', () => {
  const noise = [1, 3, 1.5, 2]
  const unit = { iterations: 1, best: 10, rounds: noise.map((n) => 10 * n) }
  const other = { iterations: 1, best: 25, rounds: noise.map((n) => 25 * n) }
  assert.deepEqual(compare(other, unit), { best: 2.5, median: 2.5 })
})

test('a case that throws is reported and leaves the others alone', async () => {
  const broken: Sampler = {
    name: 'broken',
    batch: 1,
    sample: () => Promise.reject(new Error('out of order')),
  }
  const late = fake('late', (sample) => {
    if (sample > 3) throw new Error('gave up')
    return 600
  })
  const { series, failures } = await measure([broken, late, fake('fine', () => 600)], plan)
  assert.deepEqual([...series.keys()], ['fine'])
  assert.deepEqual(
    [...failures],
    [
      ['broken', 'out of order'],
      ['late', 'gave up'],
    ],
  )
})

test('median of odd, even and no numbers', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 3, 2]), 2.5)
  assert.ok(Number.isNaN(median([])))
})

test('the interval of the median is that of the tables for the sign test', () => {
  // The ranks that enclose the median with at least 95 % confidence, from the binomial distribution.
  const ranks: [count: number, low: number, high: number][] = [
    [6, 1, 6],
    [8, 1, 8],
    [9, 2, 8],
    [15, 4, 12],
    [20, 6, 15],
    [30, 10, 21],
    [50, 18, 33],
    [100, 40, 61],
  ]
  for (const [count, low, high] of ranks) {
    const values = shuffled(
      Array.from({ length: count }, (_, i) => i + 1),
      sequence(),
    )
    assert.deepEqual(medianInterval(values), [low, high], `of ${count}`)
  }
})

test('five values say nothing about their median with such confidence', () => {
  assert.equal(medianInterval([1, 2, 3, 4, 5]), undefined)
  assert.equal(medianInterval([]), undefined)
})

test('the interval of the median holds it about 95 times in a hundred', () => {
  const random = sequence()
  let held = 0
  for (let i = 0; i < 1000; i++) {
    // As lopsided as times are; the median of the distribution is ln 2.
    const values = Array.from({ length: 30 }, () => -Math.log(random()))
    const [low, high] = medianInterval(values) ?? [NaN, NaN]
    if (low <= Math.LN2 && Math.LN2 <= high) held++
  }
  assert.ok(held >= 940 && held <= 975, `${held} of 1000`)
})

test('shuffled keeps every item and leaves its argument alone', () => {
  const items = [1, 2, 3, 4, 5]
  assert.deepEqual(shuffled(items, sequence()).sort(), items)
  assert.deepEqual(items, [1, 2, 3, 4, 5])
})
