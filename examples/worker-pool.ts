// A pool of workers that take jobs from a queue, the most urgent first: npx tsx examples/worker-pool.ts --workers 3
//
// The queue is the only thing that the producer and the workers share. It has a bound, so that a producer that is quicker
// than the workers waits for them, instead of filling the memory. A worker whose job fails reports that and goes on with
// the next job; `join` tells when all of them are done, and `shutdown` ends the workers.
//
// ci: --jobs 8 --workers 2
// ci-expect: ^worker \d: job 1 \(urgency 3\)$
// ci-expect: ^worker \d: job 5 \(urgency 1\)$
// ci-expect: failed: job 4 is broken$
// ci-expect: ^8 jobs: 7 done, 1 failed; never more than 4 in the queue$
// ci: --help
// ci-expect: ^Usage: .*worker-pool
import { PriorityQueue, sleep, taskGroup, type Operation } from 'cede'
import { countFrom, parse, runProgram } from './support/command-line.ts'

const help = `Usage: npx tsx examples/worker-pool.ts [options]

Works through made-up jobs, and says who does what.

  --jobs <number>      how many there are (default 20)
  --workers <number>   how many work at a time (default 4)
  --help               print this`

interface Settings {
  readonly jobs: number
  readonly workers: number
}

interface Job {
  readonly number: number
  /** The greater, the sooner. */
  readonly urgency: number
}

interface Tally {
  done: number
  failed: number
  /** The greatest number of jobs that lay in the queue. */
  most: number
}

// ---------------------------------------------------------------------- the pool

/** A worker ends when the queue is shut down and empty. `forEach` counts each job as done, whatever became of it. */
function worker(name: string, jobs: PriorityQueue<Job>, tally: Tally): Operation<void> {
  return jobs.forEach(function* (job) {
    console.log(`${name}: job ${job.number} (urgency ${job.urgency})`)
    try {
      yield* perform(job)
      tally.done++
    } catch (error) {
      tally.failed++
      console.log(`${name}: failed: ${(error as Error).message}`)
    }
  })
}

function* pool({ jobs: count, workers }: Settings) {
  // Two jobs for each worker: enough that none waits, and that there is something to choose from.
  const jobs = new PriorityQueue<Job>(2 * workers, (a, b) => b.urgency - a.urgency, { name: 'jobs' })
  const tally: Tally = { done: 0, failed: 0, most: 0 }
  yield* taskGroup(function* (group) {
    for (let i = 1; i <= workers; i++) group.createTask(worker(`worker ${i}`, jobs, tally))
    for (let number = 1; number <= count; number++) {
      yield* jobs.put({ number, urgency: (number * 3) % 7 })
      tally.most = Math.max(tally.most, jobs.size)
    }
    yield* jobs.join()
    jobs.shutdown()
  })
  return tally
}

// ---------------------------------------------------------------------- the jobs

function* perform({ number }: Job) {
  yield* sleep(5 * (1 + (number % 3)))
  if (number % 10 === 4) throw new Error(`job ${number} is broken`)
}

function* main(settings: Settings) {
  const { done, failed, most } = yield* pool(settings)
  console.log(`${settings.jobs} jobs: ${done} done, ${failed} failed; never more than ${most} in the queue`)
}

function settingsFrom(args: readonly string[]): Settings {
  const { jobs, workers } = parse({
    args: [...args],
    options: { jobs: { type: 'string', default: '20' }, workers: { type: 'string', default: '4' } },
  }).values
  return { jobs: countFrom('--jobs', jobs), workers: countFrom('--workers', workers) }
}

await runProgram({ file: 'worker-pool.ts', help }, settingsFrom, main)
