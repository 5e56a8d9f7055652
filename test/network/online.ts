/**
 * Runs a test's main on real sockets and audits what it leaves behind: no task, no timer, no socket of any kind, no
 * wait without an end, and nothing told to the exception handler that the test did not ask for.
 */
import assert from 'node:assert/strict'
import { setImmediate as afterImmediates, setTimeout as afterMs } from 'node:timers/promises'
import { Runner, type ExceptionContext, type Operation, type RunOptions } from 'cede'
import { EpollDriver } from '../../packages/cede/src/drivers/epoll.ts'
import { WaitAudit } from '../support/wait-audit.ts'

export interface OnlineOptions extends RunOptions {
  /** Gets what the exception handler is told. Default: any report fails the test. */
  readonly reports?: ExceptionContext[] | undefined
}

export const HOST = '127.0.0.1'

/** Rounds of the host's loop in which closed sockets must be gone. */
const ROUNDS = 200
/** Then it is waited a little in each: a busy system may be late to say that the other end has closed. */
const QUICK_ROUNDS = 100
const PAUSE_MS = 10

export async function online<T>(main: () => Operation<T>, options: OnlineOptions = {}): Promise<Awaited<T>> {
  const { reports = [], ...runOptions } = options
  const waits = new WaitAudit(false)
  const runner = new Runner({ ...runOptions, exceptionHandler: (context) => void reports.push(context) })
  const loop = runner.getLoop()
  const { driver } = loop
  const ours = (): number => (driver instanceof EpollDriver ? driver.watched : 0)
  const openSockets = (): number => ours() + hostSockets()
  const before = openSockets()
  const unwatch = loop.addInstrument(waits)
  let value: Awaited<T>
  try {
    value = await runner.run(main)
  } finally {
    await runner.close()
    unwatch()
  }
  for (let round = 0; round < ROUNDS && openSockets() > before; round++) {
    if (round < QUICK_ROUNDS) await afterImmediates()
    else await afterMs(PAUSE_MS)
  }
  const problems = [...waits.problems, ...waits.unended()]
  if (openSockets() > before)
    problems.push(`open: ${process.getActiveResourcesInfo().join(', ')}, ${ours()} of epoll`)
  for (const timer of loop.timers) problems.push(`a timer is still armed for ${timer.deadlineMs} ms`)
  if (options.reports === undefined) {
    problems.push(...reports.map(({ message, error }) => `told: ${message}: ${String(error)}`))
  }
  assert.deepEqual(problems, [], 'after the run nothing may be left')
  return value
}

function hostSockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => /TCP|Pipe/.test(kind)).length
}
