// Measuring on a noisy machine.
//
// A time in nanoseconds means little where other programs run beside the benchmark, so everything is
// compared: the cases are interleaved, in every round each of them is sampled once, in a fresh order, and a
// figure is the quotient of two cases. Noise only ever adds time, so the quotient of the bests is the figure; the
// median of the quotients taken round by round stands beside it and shows how quiet the machine was.
//
// The unit is sampled several times a round. Otherwise it would miss a short quiet moment that one of the many
// cases is bound to catch, and that case would look too cheap.
//
// Nothing here reads a clock or starts a process: samplers do (bench/child.ts), or a test's fake.

export interface Sampler {
  readonly name: string
  /** Iterations come in multiples of this. */
  readonly batch: number
  /** How often it is sampled in a round; default 1. What all others are compared with deserves more. */
  readonly perRound?: number
  /** Those of one group are sampled right after one another, so that round by round they make pairs. */
  readonly group?: string | undefined
  /** Does the thing `iterations` times; gives the nanoseconds that all of them took. */
  sample(iterations: number): Promise<number>
}

export interface Plan {
  readonly rounds: number
  /** How long one sample should take. */
  readonly sampleNs: number
  /** How many iterations it has at least, so that a slow case does not get away without its garbage collections. */
  readonly leastIterations: number
  /** Samples thrown away after calibration, for the compiler to settle. */
  readonly warmUps: number
  /** Numbers in [0, 1), for the order of each round. */
  readonly random: () => number
  readonly onProgress?: (text: string) => void
}

/** One case, in nanoseconds for one iteration. */
export interface Series {
  /** How many iterations a sample had. */
  readonly iterations: number
  /** The least of all samples. */
  readonly best: number
  /** Round by round, the median of the samples in it. */
  readonly rounds: readonly number[]
}

export interface Measurements {
  readonly series: ReadonlyMap<string, Series>
  /** Cases that threw, and why; they have no series. */
  readonly failures: ReadonlyMap<string, string>
}

/** The quotient of two cases. */
export interface Comparison {
  readonly best: number
  readonly median: number
}

export async function measure(samplers: readonly Sampler[], plan: Plan): Promise<Measurements> {
  const failures = new Map<string, string>()
  const started: Running[] = []
  for (const sampler of samplers) {
    plan.onProgress?.(`warming up: ${sampler.name}`)
    await orNote(failures, sampler, async () => {
      const iterations = await calibrate(sampler, plan)
      started.push({ sampler, iterations, rounds: [] })
    })
  }
  for (let round = 0; round < plan.rounds; round++) {
    plan.onProgress?.(`round ${round + 1} of ${plan.rounds}`)
    for (const { sampler, iterations, rounds } of turnsOf(started, plan.random)) {
      if (failures.has(sampler.name)) continue
      await orNote(failures, sampler, async () => {
        const took = await sampler.sample(iterations)
        ;(rounds[round] ??= []).push(took / iterations)
      })
    }
  }
  const succeeded = started.filter(({ sampler }) => !failures.has(sampler.name))
  return { series: new Map(succeeded.map((running) => [running.sampler.name, seriesOf(running)])), failures }
}

interface Running {
  readonly sampler: Sampler
  readonly iterations: number
  /** The samples of each round. */
  readonly rounds: number[][]
}

/** The order of one round. */
function turnsOf(started: readonly Running[], random: () => number): Running[] {
  const turns: Running[][] = []
  const groups = new Map<string, Running[]>()
  for (const running of started) {
    const { group, perRound = 1 } = running.sampler
    const together = group === undefined ? undefined : groups.get(group)
    if (together !== undefined) {
      together.push(running)
      continue
    }
    for (let i = 0; i < perRound; i++) turns.push([running])
    if (group !== undefined) groups.set(group, turns.at(-1) as Running[])
  }
  return shuffled(turns, random).flatMap((turn) => (turn.length === 1 ? turn : shuffled(turn, random)))
}

function seriesOf({ iterations, rounds }: Running): Series {
  return { iterations, best: Math.min(...rounds.flat()), rounds: rounds.map(median) }
}

/** One case that throws does not end the run. */
async function orNote(failures: Map<string, string>, sampler: Sampler, action: () => Promise<void>) {
  try {
    await action()
  } catch (error) {
    failures.set(sampler.name, error instanceof Error ? error.message : String(error))
  }
}

/** How many iterations make a sample of the wanted length, once the code is warm. */
export async function calibrate(
  sampler: Sampler,
  { sampleNs, leastIterations, warmUps }: Pick<Plan, 'sampleNs' | 'leastIterations' | 'warmUps'>,
): Promise<number> {
  const inBatches = (count: number) => Math.max(1, Math.round(count / sampler.batch)) * sampler.batch
  let count = sampler.batch
  let took = await sampler.sample(count)
  while (took < sampleNs / 2) {
    // A clock that has not moved says nothing about the speed; at most tenfold at a time, since the first
    // iterations ran in the interpreter and the estimate is too high.
    count = inBatches(count * Math.min(10, Math.max(2, took > 0 ? sampleNs / took : 10)))
    took = await sampler.sample(count)
  }
  const next = () => inBatches(Math.max(leastIterations, (count * sampleNs) / took))
  for (let i = 0; i < warmUps; i++) {
    count = next()
    took = await sampler.sample(count)
  }
  return next()
}

/** What one iteration of `of` costs in iterations of `to`. */
export function compare(of: Series, to: Series): Comparison {
  return {
    best: of.best / to.best,
    median: median(of.rounds.map((value, round) => value / (to.rounds[round] ?? NaN))),
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2
}

/**
 * Between which values the median lies with at least 95 % confidence, however the values are distributed: each is above
 * it or below it like the toss of a coin, so that the nth least and the nth greatest enclose it unless fewer than n
 * tosses of all fell on one side. Undefined where there are too few values to say so (fewer than six).
 */
export function medianInterval(values: readonly number[]): readonly [number, number] | undefined {
  const sorted = [...values].sort((a, b) => a - b)
  const count = sorted.length
  let n = 0
  // How likely it is that exactly `n` tosses fall on one side, and that at most `n` do.
  let exactly = 0.5 ** count
  let atMost = exactly
  while (atMost <= 0.025) {
    exactly *= (count - n) / (n + 1)
    n++
    atMost += exactly
  }
  const [low, high] = [sorted[n - 1], sorted[count - n]]
  return low === undefined || high === undefined ? undefined : [low, high]
}

export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const order = items.map((item) => ({ item, key: random() }))
  return order.sort((a, b) => a.key - b.key).map(({ item }) => item)
}
