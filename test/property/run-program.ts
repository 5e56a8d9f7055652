/** Runs one program on a loop and clock of its own, and returns everything that was against the rules. */
import { CancelledError, DeadlockError, Runner, type ExceptionContext } from 'cede'
import { SimDriver } from 'cede/lowlevel'
import { taskBody } from './interpret.ts'
import type { Program } from './program.ts'
import { watchScheduler } from './scheduler-watch.ts'
import { World } from './world.ts'

/** The loop reads the clock at every turn and every 32 steps. No program takes so many: then it does not end. */
const MAX_CLOCK_READS = 5_000

type TurnTaker = Parameters<SimDriver['attach']>[0]

/** The sim driver, which also notices when the loop itself throws or stands still for ever. */
class WatchedDriver extends SimDriver {
  readonly #broken: (why: string) => void
  readonly #stalled: () => void
  #reads = 0
  #isHeld = false

  constructor(broken: (why: string) => void, stalled: () => void) {
    super()
    this.#broken = broken
    this.#stalled = stalled
  }

  override now(): number {
    if (++this.#reads > MAX_CLOCK_READS) {
      this.#broken('the run does not end')
      throw new Error('the run does not end')
    }
    return super.now()
  }

  /** The time, for those who only watch. */
  peek(): number {
    return super.now()
  }

  override attach(loop: TurnTaker): void {
    super.attach({
      turn: () => {
        try {
          loop.turn()
        } catch (error) {
          this.#broken(`the loop threw: ${error instanceof Error ? (error.stack ?? '') : String(error)}`)
        }
      },
      stalled: () => {
        this.#stalled()
        loop.stalled()
        this.#mustGoOn()
      },
    })
  }

  override hold(active: boolean): void {
    this.#isHeld = active
    super.hold(active)
  }

  /** After a deadlock everything is cancelled, so there are steps to be taken. */
  #mustGoOn(): void {
    const reads = this.#reads
    const check = (rounds: number): void => {
      if (!this.#isHeld || this.#reads !== reads) return
      if (rounds === 0) this.#broken('the run hangs')
      else setImmediate(check, rounds - 1)
    }
    check(4)
  }
}

export interface RunReport {
  readonly violations: readonly string[]
  readonly trace: readonly string[]
  /** How many waits began or ended. */
  readonly ticks: number
}

export async function runProgram(program: Program): Promise<RunReport> {
  let isBroken: (why: string) => void = () => {}
  const broken = new Promise<void>((resolve) => {
    isBroken = (why) => {
      world.violate(why)
      resolve()
    }
  })
  const driver = new WatchedDriver(
    (why) => isBroken(why),
    () => world.checkStalled(),
  )
  const runner = new Runner({
    driver,
    shuffleSeed: program.shuffleSeed ?? undefined,
    cleanupGraceMs: program.cleanupGraceMs,
    asyncLocalStorage: false,
    debug: false,
    exceptionHandler: (context) => told(world, context),
  })
  const world = new World(program, runner.getLoop(), driver)
  await Promise.race([play(world, runner), broken])
  if (world.violations.length === 0) world.checkEnd()
  return { violations: world.violations, trace: world.trace, ticks: world.ticks }
}

async function play(world: World, runner: Runner): Promise<void> {
  const { program, loop } = world
  const removeInstrument = loop.addInstrument(watchScheduler(world))
  for (const intervention of program.interventions) {
    if (intervention.at === 'ms') world.later(intervention.ms, intervention.does)
  }
  if (program.reapMs !== null) world.reapAfter(program.reapMs)
  try {
    await runner.run(() => taskBody(world, program.main))
  } catch (error) {
    const main = world.tasks[0]!
    const rightly =
      error instanceof DeadlockError || error instanceof CancelledError || error === main.task.outcome
    if (!rightly) world.violate(`run() threw something else than its main: ${String(error)}`)
  }
  await runner.close()
  // Errors that nobody received are told after the turn.
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  world.cancelTimers()
  removeInstrument()
}

/** What the exception handler is told. */
function told(world: World, { message, error, task }: ExceptionContext): void {
  // Without the names of tasks, which go on counting from run to run.
  world.note(`told: ${message.replaceAll(/Task-\d+/g, 'a task')}`)
  if (task !== undefined && message.includes('was cut short')) {
    const model = world.modelOf(task)
    model.graceSpent = true
    world.checkGrace(model)
    return
  }
  if (task !== undefined && message.includes('failed and nobody waits for it')) {
    const model = world.modelOf(task)
    if (model.owner !== null || model.id === 0 || model.awaited)
      world.violate(`task ${model.id} was reported, and somebody has got its error`)
    if (world.reported.has(task)) world.violate(`a failed task was reported twice: ${String(error)}`)
    if (task.status !== 'failed' || task.outcome !== error)
      world.violate(`a task was reported for what it did not fail with: ${String(error)}`)
    world.reported.add(task)
    return
  }
  if (message.includes('second error was thrown by the cleanup')) return
  world.violate(`${message}: ${error instanceof Error ? (error.stack ?? '') : String(error)}`)
}
