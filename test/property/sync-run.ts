/** Runs one program of `sync-program.ts` on a loop and clock of its own, and returns everything that was against the rules. */
import { AssertionError } from 'node:assert'
import {
  checkpoint,
  every,
  retry,
  shield,
  sleep,
  ticker,
  timeoutOr,
  type CancelScope,
  type ExceptionContext,
  type Operation,
  type Turn,
} from 'cede'
import { simulate } from '../support/sim.ts'
import { Place, standing } from './place.ts'
import { pick, type SyncProgram, type SyncStep } from './sync-program.ts'
import { makeThing } from './sync-things.ts'
import { ProgramError, World, type Env, type Run } from './sync-world.ts'

export interface SyncReport {
  readonly violations: readonly string[]
  readonly trace: readonly string[]
  /** What happened at all. */
  readonly seen: ReadonlySet<string>
  /** How often a task of the program was suspended. */
  readonly suspensions: number
}

/** By then whoever can go on has gone on: the clock is virtual. */
const SETTLED_MS = 1_000

/** So many operations may end in one step before one must give way. */
const OPERATIONS_PER_STEP = 128

const MOST_TASKS = 10

type StepOf<K extends SyncStep['step']> = SyncStep & { readonly step: K }

function* run(env: Env, steps: readonly SyncStep[]): Run<void> {
  for (const step of steps) yield* one(env, step)
}

function* one(env: Env, step: SyncStep): Run<void> {
  const { world } = env
  switch (step.step) {
    case 'sleep':
      yield* sleep(step.ms)
      return
    case 'spend':
      for (let i = 0; i < OPERATIONS_PER_STEP; i++) yield* checkpoint()
      return
    case 'throw':
      throw new ProgramError('thrown by the program')
    case 'cancel':
      world.cancel(pick(world.parties, step.task), step.graceMs ?? undefined)
      return
    case 'use':
      yield* pick(world.things, step.thing).use(env, step)
      return
    case 'useAndCancel':
      useAndCancel(env, step)
      return
    case 'later': {
      const thing = pick(world.things, step.thing)
      world.later(step.ms, () => thing.act(null, step))
      return
    }
    case 'spawn':
      if (world.parties.length < MOST_TASKS && !world.ending) world.start((inner) => body(inner, step.body))
      return
    case 'attempt':
      yield* attempt(env, step.body)
      return
    case 'within':
      yield* within(env, step)
      return
    case 'shielded': {
      const place = new Place('shield', env.place, env.me)
      yield* shield(() => within({ ...env, place }, step))
      return
    }
    case 'finally':
      yield* cleansUp(env, step)
      return
    case 'every':
    case 'ticks':
      yield* turns(env, step)
      return
    case 'retry':
      yield* retries(env, step)
  }
}

/** The body of a task: errors of the program end there. */
function body(env: Env, steps: readonly SyncStep[]): Operation<void> {
  return attempt(env, steps)
}

function* attempt(env: Env, steps: readonly SyncStep[]): Run<void> {
  try {
    yield* run(env, steps)
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error
  }
}

function useAndCancel({ world, me }: Env, step: StepOf<'useAndCancel'>): void {
  const thing = pick(world.things, step.thing)
  const first = thing.lines.flatMap((line) => line.calls.slice(0, 1))[0]
  if (step.cancelFirst && first !== undefined) world.cancel(world.parties[first.who.id]!)
  world.justWoken = []
  thing.act(me, step)
  if (!step.cancelFirst) for (const call of world.justWoken) world.cancel(world.parties[call.who.id]!)
}

function* within(env: Env, { ms, body: steps }: StepOf<'within' | 'shielded'>): Run<void> {
  const place = new Place('timeoutOr', env.place, env.me)
  const open = (scope: CancelScope): Operation<void> => {
    place.scope = scope
    return run({ ...env, place }, steps)
  }
  yield* timeoutOr(ms, open, undefined)
}

function* cleansUp(env: Env, { body: steps, cleanup }: StepOf<'finally'>): Run<void> {
  let how = 'unwound'
  try {
    yield* run(env, steps)
    how = 'ended'
  } catch (error) {
    how = 'threw'
    throw error
  } finally {
    if (how === 'unwound' && standing(env.place) === 'free')
      env.world.violate(`task ${String(env.me.id)} was unwound, and nothing around it is cancelled`)
    const place = how === 'unwound' ? new Place('cleanup', env.place, env.me, () => false) : env.place
    yield* attempt({ ...env, place }, cleanup)
  }
}

/** `every` and `ticker`: turns come at their times, in their order, and those that were missed are counted. */
function* turns(env: Env, { step, ms, times, body: steps }: StepOf<'every' | 'ticks' | 'retry'>): Run<void> {
  const { world } = env
  const startMs = world.loop.time()
  let last = 0
  let left = times
  const check = ({ number, missed, dueMs }: Turn): void => {
    const nowMs = world.loop.time()
    if (number !== last + missed + 1) world.violate(`turn ${number} missed ${missed} and comes after ${last}`)
    if (dueMs !== startMs + number * ms) world.violate(`turn ${number} is due at ${dueMs} ms`)
    if (nowMs < dueMs) world.violate(`turn ${number} comes too early`)
    // The next one has its own place.
    if (nowMs >= dueMs + ms) world.violate(`turn ${number} comes when it has passed`)
    last = number
    left--
    world.seen.add(missed > 0 ? 'turns missed' : 'turns')
  }
  if (step === 'every') {
    yield* every(ms, (turn) => {
      check(turn)
      return again(env, steps, () => left > 0)
    })
    return
  }
  const ticks = ticker(ms)
  while (left > 0) {
    const turn = yield* timeoutOr(ms * 2, ticks.tick(), null)
    if (turn === null) world.violate('a turn does not come')
    else check(turn)
    yield* run(env, steps)
  }
}

function* again(env: Env, steps: readonly SyncStep[], goOn: () => boolean): Run<boolean> {
  yield* run(env, steps)
  return goOn()
}

/** The first attempts fail; the last may succeed. */
function* retries(env: Env, { ms, times, body: steps }: StepOf<'every' | 'ticks' | 'retry'>): Run<void> {
  const { world } = env
  let tried = 0
  const options = { attempts: times, delayMs: ms, seed: 1 }
  yield* retry((attemptNumber) => {
    if (attemptNumber !== ++tried || tried > times)
      world.violate(`attempt ${attemptNumber} is number ${tried}`)
    return attemptOnce(env, steps, tried < times)
  }, options)
  if (tried === 0) world.violate('a retry ended without an attempt')
}

function* attemptOnce(env: Env, steps: readonly SyncStep[], fails: boolean): Run<void> {
  yield* run(env, steps)
  if (fails) throw new ProgramError('fails at first')
}

// ---------------------------------------------------------------------- the whole

function* main(world: World, { things, tasks }: SyncProgram): Run<void> {
  world.things = things.map((spec, index) => makeThing(world, spec, index))
  for (const { startMs, steps } of tasks) {
    const all: readonly SyncStep[] = startMs === 0 ? steps : [{ step: 'sleep', ms: startMs }, ...steps]
    world.start((env) => body(env, all))
  }
  yield* sleep(SETTLED_MS)
  world.note('nothing happens any more: everything is cancelled')
  world.ending = true
  for (const party of world.parties) if (!party.ended) world.cancel(party)
  for (const { task, id } of world.parties) {
    const outcome = yield* task.join()
    if (outcome.status === 'failed')
      world.violate(`task ${id} failed: ${String((outcome.error as Error).stack)}`)
  }
  world.cancelTimers()
  const { things: all } = world
  // What is left in them is taken out now.
  world.things = []
  for (const thing of all) {
    for (const problem of thing.left()) world.violate(`${thing.name} at the end: ${problem}`)
  }
}

function checkReports(world: World, reports: readonly ExceptionContext[]): void {
  let cycles = 0
  for (const { message, error } of reports) {
    if (message.startsWith('a cycle of locks')) cycles++
    else if (!message.includes('was cut short'))
      world.violate(`reported: ${message} ${error instanceof Error ? String(error.stack) : ''}`)
  }
  if (cycles !== world.cycles)
    world.violate(`${String(cycles)} cycles of locks were reported, and there were ${String(world.cycles)}`)
}

/** Tells as soon as a report comes that a cleanup was cut: from then on nobody knows what cuts it. */
class Reports extends Array<ExceptionContext> {
  override push(...contexts: ExceptionContext[]): number {
    for (const { message, task } of contexts) {
      const party = this.world?.parties.find((one) => one.task === task)
      if (party !== undefined && message.includes('was cut short')) party.graceSpent = true
    }
    return super.push(...contexts)
  }
  world: World | null = null
}

export async function runSyncProgram(program: SyncProgram): Promise<SyncReport> {
  const reports = new Reports()
  let world: World | null = null
  let removeInstrument = (): void => {}
  const violations: string[] = []
  // What the loop itself throws ends the process, if nobody listens.
  let crashed: (error: unknown) => void = () => {}
  const crash = new Promise<never>((_, reject) => (crashed = reject))
  process.on('uncaughtException', crashed)
  try {
    const over = simulate(
      (sim) => {
        world = new World(sim.loop, program.cancels, run)
        reports.world = world
        removeInstrument = sim.loop.addInstrument(world.instrument)
        return main(world, program)
      },
      { shuffleSeed: program.shuffleSeed ?? undefined, reports, asyncLocalStorage: false, debug: false },
    )
    await Promise.race([over, crash])
    checkReports(world!, reports)
  } catch (error) {
    violations.push(error instanceof AssertionError ? error.message : String((error as Error).stack))
  } finally {
    process.off('uncaughtException', crashed)
    removeInstrument()
  }
  const { violations: found, trace, seen, suspensions } = world!
  return { violations: [...found, ...violations], trace, seen, suspensions }
}
