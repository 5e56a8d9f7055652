/**
 * Runs a test's main on a virtual clock and audits what it leaves behind.
 *
 *   import { simulate } from '../support/sim.ts'
 *
 *   test('S29: sleep(0) costs one pass', () =>
 *     simulate(function* (sim) {
 *       yield* sleep(1_000)
 *       assert.equal(sim.now(), 1_000) // no real time has passed
 *     }))
 *
 * `simulate(main, options)` runs `main` on a fresh `SimDriver` with a loop of its own, closes the runner as `run` does,
 * lets the loop come to rest, audits, and returns what `main` returned (or rejects with what it threw). The audit fails
 * the test if
 *
 * - a task is still alive, or a timer armed, or something is in the ready queue;
 * - a park was not ended by exactly one resume or unpark, or a task was stepped that was not due to be;
 * - the exception handler was told something. A test that expects reports passes an array of its own as
 *   `options.reports` and looks at it, inside or after the run; then the audit leaves them alone.
 *
 * For several mains on one loop, or to look between them, make a `Sim`:
 *
 *   const sim = new Sim({ reports: [] })
 *   await sim.run(first)
 *   await sim.run(second)
 *   await sim.end() // closes and audits
 *
 * Other runners may share its loop: `run(main, { driver: sim.driver })`; they are audited with it.
 */
import assert from 'node:assert/strict'
import { setImmediate as afterImmediates } from 'node:timers/promises'
import { Runner, type ExceptionContext, type Loop, type Operation, type RunOptions } from 'cede'
import { SimDriver, type SimNetworkOptions } from 'cede/lowlevel'
import { WaitAudit } from './wait-audit.ts'

export interface SimOptions extends Omit<RunOptions, 'driver' | 'exceptionHandler' | 'handleSignals'> {
  /** Where the clock starts, in milliseconds. Default: 0. */
  readonly startMs?: number | undefined
  /** What the network is like. Default: no delay and no faults. */
  readonly network?: SimNetworkOptions | undefined
  /** Gets what the exception handler is told. Default: any report fails the test. */
  readonly reports?: ExceptionContext[] | undefined
  /** Tasks may be given up while parked: only for tests of cleanup that never ends although nothing can wake it. */
  readonly mayAbandonTasks?: boolean | undefined
}

/** Rounds of the host's loop after which a loop that still has work is no longer expected to come to rest. */
const ROUNDS_TO_REST = 1_000

export class Sim {
  readonly driver: SimDriver
  readonly runner: Runner
  readonly loop: Loop
  /** What the exception handler was told. */
  readonly reports: ExceptionContext[]
  readonly #reportsExpected: boolean
  readonly #waits: WaitAudit

  constructor(options: SimOptions = {}) {
    const { startMs, network, reports, mayAbandonTasks = false, ...runOptions } = options
    this.driver = new SimDriver({ startMs, network })
    this.reports = reports ?? []
    this.#reportsExpected = reports !== undefined
    this.runner = new Runner({
      ...runOptions,
      driver: this.driver,
      exceptionHandler: (context) => void this.reports.push(context),
    })
    this.loop = this.runner.getLoop()
    this.#waits = new WaitAudit(mayAbandonTasks)
    this.loop.addInstrument(this.#waits)
  }

  /** Virtual time in milliseconds. */
  now(): number {
    return this.driver.now()
  }

  /** Lets time pass inside a step, as a long computation would. */
  elapse(ms: number): void {
    this.driver.elapse(ms)
  }

  run<T>(main: (sim: Sim) => Operation<T>): Promise<Awaited<T>> {
    return this.runner.run(() => main(this))
  }

  /** Closes the runner and audits. */
  async end(): Promise<void> {
    await this.runner.close('the main has ended')
    await this.rest()
    const problems = [...this.#waits.problems, ...this.#waits.unended()]
    for (const task of this.runner.tasks()) problems.push(`task ${task.name} is still alive (${task.status})`)
    for (const timer of this.loop.timers) problems.push(`a timer is still armed for ${timer.deadlineMs} ms`)
    if (this.loop.ready.length > 0)
      problems.push(`${this.loop.ready.length} entries are still in the ready queue`)
    if (!this.#reportsExpected) problems.push(...this.reports.map(describeReport))
    assert.deepEqual(problems, [], 'after the run nothing may be left')
  }

  /** Waits until the loop has nothing to do now. The clock stands still unless a main runs. */
  async rest(): Promise<void> {
    await afterImmediates()
    for (let round = 0; round < ROUNDS_TO_REST && this.loop.ready.length > 0; round++) await afterImmediates()
    await afterImmediates()
  }
}

/** Runs one main on a fresh virtual clock, closes, audits, and returns its value. */
export async function simulate<T>(
  main: (sim: Sim) => Operation<T>,
  options?: SimOptions,
): Promise<Awaited<T>> {
  const sim = new Sim(options)
  let value: Awaited<T>
  try {
    value = await sim.run(main)
  } catch (error) {
    await sim.runner.close('the main has failed')
    // A main that failed may be an assertion: what it left behind would only hide that.
    if (!(error instanceof assert.AssertionError)) await sim.end()
    throw error
  }
  await sim.end()
  return value
}

function describeReport({ message, error }: ExceptionContext): string {
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return `the exception handler was told: ${message}${error === undefined ? '' : `: ${what}`}`
}
