/**
 * One run of a program of `sync-program.ts`, as the test knows it: who does what, who must have been woken, and what has
 * gone wrong. Whatever the library does is compared with the models in the step in which it does it:
 *
 * - an operation waits, or ends, exactly when the model says so, and ends with what the model says;
 * - exactly those are woken that the model wakes, in the order of their line;
 * - who was woken gets what it was handed, also if it is cancelled before its step; who is cancelled first is never woken;
 * - one that begins in a cancelled scope takes nothing.
 *
 * What is decided inside the library, out of sight of the program, is told to the models at the next hook or call: `owe`.
 */
import {
  createTask,
  timeoutOr,
  type CancelScope,
  type Loop,
  type Operation,
  type Suspension,
  type Task,
} from 'cede'
import type { Instrument } from 'cede/lowlevel'
import { Place, standing } from './place.ts'
import { type Call, END, Expected, Item, Line, type Given, type Outcome } from './sync-model.ts'
import type { CancelAt, SyncStep } from './sync-program.ts'
import type { Thing } from './sync-thing.ts'

export type Run<T> = Generator<Suspension, T, unknown>

/** Thrown by programs. */
export class ProgramError extends Error {}

/** A task of the program. */
export class Party {
  readonly id: number
  readonly task: Task
  readonly root: Place<Party>
  /** The operation it has begun and that has not ended. */
  call: Call | null = null
  owed: (() => void)[] = []
  graceSpent = false
  ended = false
  /** To be cancelled when what it waits for comes. */
  doomed = false

  constructor(id: number, task: Task) {
    this.id = id
    this.task = task
    this.root = new Place('task', null, this, () => task.cancelled)
  }
}

export interface Env {
  readonly world: World
  readonly me: Party
  readonly place: Place<Party>
}

export interface WaitOptions {
  /** A timeout directly around the operation. */
  readonly limitMs?: number | null
  /** Makes what the operation returned comparable. */
  readonly normal?: (value: unknown) => unknown
  /** For an operation that waits several times: which of its waits it is at. */
  readonly current?: () => Call
  /** The body is an operation of the library, with nothing of the program around it. */
  readonly bare?: boolean
}

const CUT = Symbol('cut')

export class World {
  readonly loop: Loop
  readonly violations: string[] = []
  readonly trace: string[] = []
  /** What happened at all: a test that never sees a hand-over to a cancelled task finds nothing about it. */
  readonly seen = new Set<string>()
  readonly parties: Party[] = []
  readonly items: Item[] = []
  readonly expected: Expected = new Expected()
  things: readonly Thing[] = []
  /** Suspensions so far. */
  suspensions = 0
  /** Cycles of locks that must have been reported. */
  cycles = 0
  /** Who was woken by what happens now. */
  justWoken: Call[] = []
  /** No more tasks are started. */
  ending = false
  /** Runs the steps of a program. */
  readonly steps: (env: Env, steps: readonly SyncStep[]) => Run<void>
  readonly #cancels: readonly CancelAt[]
  readonly #partyOf = new Map<Task, Party>()
  readonly #timers: { cancel(): void }[] = []
  /** Who was woken, and is not yet compared. */
  #woken: Call[] = []
  readonly #toldOfCycle = new WeakMap<Call, unknown>()

  constructor(loop: Loop, cancels: readonly CancelAt[], steps: World['steps']) {
    this.loop = loop
    this.#cancels = cancels
    this.steps = steps
  }

  // ------------------------------------------------------------------ the record

  note(what: string): void {
    this.trace.push(`${String(this.loop.time())} ${what}`)
  }

  violate(what: string): void {
    this.violations.push(`at ${String(this.loop.time())} ms: ${what}`)
    this.note(`VIOLATION ${what}`)
  }

  item(priority: number): Item {
    const item = new Item(this.items.length, priority)
    this.items.push(item)
    return item
  }

  start(body: (env: Env) => Operation<void>): void {
    let env: Env | null = null
    const task = createTask(
      later(() => body(env!)),
      { name: `task ${String(this.parties.length)}` },
    )
    const me = new Party(this.parties.length, task)
    this.parties.push(me)
    this.#partyOf.set(task, me)
    env = { world: this, me, place: me.root }
  }

  later(ms: number, act: () => void): void {
    this.#timers.push(this.loop.callLater(ms, act))
  }

  cancelTimers(): void {
    for (const timer of this.#timers) timer.cancel()
  }

  // ------------------------------------------------------------------ operations

  /** Something that does not wait: the library and the model do it, and must agree. */
  act(what: string, real: () => unknown, model: () => Outcome): Outcome {
    this.note(what)
    let outcome: Outcome
    try {
      outcome = { returns: real() }
    } catch (error) {
      outcome = { throws: codeOf(error) }
    }
    this.#compare(what, outcome, model())
    this.settle()
    this.checkThings(what)
    return outcome
  }

  /** An operation that may wait. @returns how it ended; null if its limit cut it */
  *wait(
    env: Env,
    call: Call,
    start: () => Operation<unknown>,
    { limitMs = null, normal = (value) => value, current = () => call }: WaitOptions = {},
  ): Run<Outcome | null> {
    const { me } = env
    const place = limitMs === null ? env.place : new Place('timeoutOr', env.place, me)
    let how: 'unwound' | 'cut' | 'ended' = 'unwound'
    try {
      this.begins(me, call, place)
      const value = yield* this.#limited(limitMs, place, call, start)
      if (value === CUT) {
        how = 'cut'
        return null
      }
      how = 'ended'
      return this.ends(me, current(), { returns: normal(value) })
    } catch (error) {
      how = 'ended'
      return this.ends(me, current(), { throws: codeOf(error) })
    } finally {
      if (how !== 'ended') this.wasCut(me, current(), how === 'cut' ? null : env.place)
    }
  }

  /** Runs a body while something is held, with `with()`. */
  *hold(
    env: Env,
    call: Call,
    open: (body: () => Operation<unknown>) => Operation<unknown>,
    { limitMs = null, bare = false }: WaitOptions,
    entered: () => void,
    left: () => void,
    body: (env: Env) => Operation<unknown>,
  ): Run<Outcome | null> {
    const { me } = env
    const place = limitMs === null ? env.place : new Place('timeoutOr', env.place, me)
    const given = {}
    let inside = false
    let over = false
    const enter = (): Operation<unknown> => {
      this.ends(me, call, { returns: undefined })
      inside = true
      entered()
      if (bare) return body({ ...env, place })
      return this.#guarded({ ...env, place }, body, given, () => {
        over = true
        me.owed.push(left)
      })
    }
    let how: 'unwound' | 'cut' | 'ended' | 'threw' = 'unwound'
    try {
      this.begins(me, call, place)
      const value = yield* this.#limited(limitMs, place, call, () => open(enter))
      how = value === CUT ? 'cut' : 'ended'
      if (how === 'ended' && !bare && value !== given)
        this.violate(`${call.what} returned something else than its body`)
    } catch (error) {
      how = 'threw'
      if (!inside) {
        this.ends(me, call, { throws: codeOf(error) })
      } else {
        if (!(error instanceof ProgramError)) this.violate(`${call.what} threw ${String(error)}`)
        throw error
      }
    } finally {
      if (inside && !over) {
        if (!bare) this.violate(`${call.what} ended before its body`)
        me.owed.push(left)
      }
      if (!inside && how !== 'threw') this.wasCut(me, call, how === 'cut' ? null : env.place)
      this.flush(me)
      this.settle()
    }
    return inside ? { returns: undefined } : null
  }

  *#guarded(env: Env, body: (env: Env) => Operation<unknown>, given: object, over: () => void): Run<object> {
    try {
      yield* body(env)
    } finally {
      over()
    }
    return given
  }

  #limited(
    limitMs: number | null,
    place: Place<Party>,
    call: Call,
    start: () => Operation<unknown>,
  ): Operation<unknown> {
    const begin = (): Operation<unknown> => {
      call.bornCancelled = standing(place) === 'cancelled'
      return start()
    }
    if (limitMs === null) return begin()
    const open = (scope: CancelScope): Operation<unknown> => {
      place.scope = scope
      return begin()
    }
    return timeoutOr<unknown, unknown>(limitMs, open, CUT)
  }

  begins(me: Party, call: Call, place: Place<Party>): void {
    this.note(`task ${String(me.id)} begins ${call.what}`)
    if (me.call !== null) this.violate(`${me.call.what} never ended`)
    me.call = call
    call.bornCancelled = standing(place) === 'cancelled'
  }

  /** The operation went on with a value or an error. */
  ends(me: Party, call: Call, outcome: Outcome): Outcome {
    this.note(`task ${String(me.id)} has ended ${call.what}`)
    this.flush(me)
    if (me.call !== call) this.violate(`${call.what} goes on, and had been cut`)
    me.call = null
    const given = call.parked ? call.given : call.decide()
    if (given === null) {
      this.violate(`${call.what} goes on, and nobody has woken it`)
    } else if (given instanceof Line) {
      this.violate(`${call.what} goes on, and had to wait in ${given.name}`)
    } else {
      this.#compare(call.what, outcome, call.present(given))
    }
    const took = 'returns' in outcome && outcome.returns !== END
    if (call.bornCancelled && took)
      this.violate(`${call.what} began in a cancelled scope, and took something`)
    const late = call.parked && me.task.cancelled && !call.wokenCancelled
    this.see(call, call.parked ? (late ? 'handed to a cancelled task' : 'waited') : 'at once')
    this.settle()
    return outcome
  }

  /** The operation was unwound; `place` null: by the limit around it. */
  wasCut(me: Party, call: Call, place: Place<Party> | null): void {
    this.note(`task ${String(me.id)} was cut off from ${call.what}`)
    if (place !== null && standing(place) === 'free')
      this.violate(`${call.what} was unwound, and nothing around it is cancelled`)
    const now = me.call
    me.call = null
    this.flush(me)
    if (call.given !== null) this.violate(`${call.what} was unwound, and had been given something`)
    if (call.parked && call.line !== null) this.violate(`${call.what} was unwound, and is still in line`)
    if (now !== null && now !== call) this.#hasAgain(now)
    this.see(call, call.parked ? 'cancelled' : call.gaveWay ? 'cancelled when it gave way' : 'never begun')
    this.settle()
  }

  /** What was given back for a wait must be there again. */
  #hasAgain(call: Call): void {
    const given = call.parked ? call.given : call.decide()
    if (given === null || given instanceof Line) this.violate(`${call.what} was unwound without it`)
    this.see(call, call.parked ? 'waited' : 'at once')
  }

  see(call: Call, what: string): void {
    this.seen.add(`${call.what.replace(/ of thing \d+.*/, '')}: ${what}`)
  }

  /** Tells the models what the library has done out of sight. */
  flush(me: Party): void {
    const { owed } = me
    me.owed = []
    for (const tell of owed) tell()
  }

  #compare(what: string, found: Outcome, expected: Outcome): void {
    const same =
      'returns' in found
        ? 'returns' in expected && found.returns === expected.returns
        : 'throws' in expected && found.throws === expected.throws
    if (!same) this.violate(`${what}: expected that it ${told(expected)}, found that it ${told(found)}`)
  }

  /** Those that were woken are those that the models have woken, line by line in the same order. */
  settle(): void {
    const woken = this.#woken
    const expected = this.expected.calls
    if (woken.length === 0 && expected.length === 0) return
    this.justWoken.push(...woken)
    this.#woken = []
    this.expected.calls = []
    for (const call of woken)
      if (call.wokenFrom === null) this.violate(`${call.what} was woken, and it was not its turn`)
    for (const line of new Set(expected.map((call) => call.wokenFrom!))) {
      const here = (call: Call): boolean => call.wokenFrom === line
      const [should, did] = [expected.filter(here), woken.filter(here)]
      should.forEach((call, index) => {
        if (did[index] === call) return
        if (did.includes(call)) this.violate(`${call.what} was woken out of turn`)
        else this.violate(`${call.what} was not woken, and it was its turn`)
      })
    }
  }

  /** What the library says of itself is what the models know. */
  checkThings(when: string): void {
    for (const thing of this.things) {
      for (const problem of thing.differences()) this.violate(`${thing.name} after ${when}: ${problem}`)
    }
  }

  // ------------------------------------------------------------------ what the scheduler tells

  readonly instrument: Instrument = {
    parked: (task, wait) => {
      const me = this.#partyOf.get(task)
      if (me === undefined) return
      const nth = this.suspensions++
      const { what } = wait.describe()
      this.note(`suspension ${String(nth)}: task ${String(me.id)} waits for ${what}`)
      for (const { nth: at, when } of this.#cancels) {
        if (at !== nth) continue
        if (when === 'woken') me.doomed = true
        else this.loop.callSoon(() => this.cancel(me))
      }
      this.flush(me)
      const { call } = me
      if (call === null) return
      if (what === 'its turn') {
        call.gaveWay = true
        return
      }
      if (call.parked) this.violate(`${call.what} waits a second time`)
      call.parked = true
      const line = call.decide()
      if (line instanceof Line) {
        line.add(call)
        this.#countCycle(me, call)
      } else {
        this.violate(`${call.what} waits, and could go on`)
      }
      this.settle()
    },

    resumed: (task) => {
      const me = this.#partyOf.get(task)
      if (me === undefined) return
      if (me.call?.parked === true) {
        me.call.wokenCancelled = task.cancelled
        this.#woken.push(me.call)
      }
      if (!me.doomed) return
      // Comes before the task's own place in the queue.
      me.doomed = false
      this.loop.callSoon(() => this.cancel(me))
    },

    unparked: (task) => {
      const me = this.#partyOf.get(task)
      if (me === undefined) return
      me.doomed = false
      const { call } = me
      if (call?.parked !== true) return
      if (call.line === null) {
        this.violate(`${call.what} was cut, and had been woken`)
        return
      }
      if (call.told) this.violate(`${call.what} was cut, and had got its notice`)
      call.line.remove(call)
      if (call.again !== null) me.call = call.again()
    },

    stepEnds: (task) => {
      const me = this.#partyOf.get(task)
      if (me !== undefined) this.flush(me)
      this.settle()
      this.checkThings(me === undefined ? 'a step of the main' : `a step of task ${String(me.id)}`)
    },

    taskDone: (task) => {
      const me = this.#partyOf.get(task)
      if (me === undefined) return
      me.ended = true
      if (me.call !== null) this.violate(`task ${String(me.id)} ended in the middle of ${me.call.what}`)
      for (const thing of this.things) {
        if (thing.isHeldBy(me)) this.violate(`task ${String(me.id)} ended and holds ${thing.name}`)
      }
    },
  }

  cancel(me: Party, graceMs?: number): void {
    this.note(`cancel task ${String(me.id)}`)
    me.task.cancel({ graceMs })
  }

  /** A wait for a lock that closes a cycle is told, unless one of the waits in it was told before, for the same holder. */
  #countCycle(me: Party, call: Call): void {
    const circle = new Set<Call>([call])
    for (let holder = call.line!.blocker(); holder !== me;) {
      if (holder === null) return
      const { call: next } = holder as Party
      if (next?.line == null || circle.has(next)) return
      circle.add(next)
      holder = next.line.blocker()
    }
    const known = [...circle].some((member) => this.#toldOfCycle.get(member) === member.line!.blocker())
    for (const member of circle) this.#toldOfCycle.set(member, member.line!.blocker())
    if (known) return
    this.cycles++
    this.seen.add(`a cycle of ${String(Math.min(circle.size, 2))}${circle.size > 1 ? ' or more' : ''}`)
    this.note('this closes a cycle of locks')
  }
}

/** An operation that is made when its task begins. */
function* later(make: () => Operation<void>): Run<void> {
  yield* make()
}

export function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error) return String(error.code)
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

function told(outcome: Outcome): string {
  if ('throws' in outcome) return `threw ${outcome.throws}`
  const { returns } = outcome
  return `returned ${returns instanceof Item ? `item ${String(returns.id)}` : String(returns)}`
}

export type { Given, Outcome }
