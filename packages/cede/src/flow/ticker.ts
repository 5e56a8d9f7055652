/**
 * Turns at fixed times. A turn has its place at a whole number of intervals after the beginning, however long the work
 * in between takes; those that have passed meanwhile are not made up for, but counted.
 */
import { GIVE_WAY, Leaf } from '../core/leaf.ts'
import { Loop } from '../core/loop.ts'
import { nameOf, wrongNumber, steppedByHand } from '../core/misuse.ts'
import { answerProbe, isProbe } from '../core/probe.ts'
import { announce, cannotSuspend, mayFinishNow, NOTHING, running } from '../core/running.ts'
import type { Coroutine, CoroutineIterator, Suspension, WaitDescription } from '../core/suspension.ts'
import { takenBy } from '../core/taken.ts'
import type { Task } from '../core/task.ts'
import type { TimerHandle } from '../core/timer-handle.ts'

/** A turn of a `ticker` or of `every`. */
export interface Turn {
  /** Counts the intervals since the beginning: 1, 2, ... where none was missed. With `immediate` the first is 0. */
  readonly number: number
  /** How many turns have passed unused since the one before. */
  readonly missed: number
  /** Its place in time, in milliseconds of `loop.time()`. */
  readonly dueMs: number
}

export interface TickerOptions {
  /** The first turn is at once, whenever it is asked for, instead of after an interval. Default: false. */
  readonly immediate?: boolean | undefined
}

/**
 * Gives a turn every `intervalMs` milliseconds, at fixed times counted from now. Does not drift: who is late for one
 * turn gets the next at its own time.
 *
 * Nothing runs in between, and nothing has to be closed.
 *
 * @param intervalMs milliseconds, above 0
 * @param options whether the first turn is at once
 * @throws {RangeError} if `intervalMs` is no finite number above 0; {MisuseError} if it is no number; {ClosedError} outside a running loop
 *
 * @example
 * import { run, sleep, ticker } from 'cede'
 *
 * await run(function* () {
 *   const ticks = ticker(20)
 *   for (let i = 0; i < 3; i++) {
 *     const { number, missed } = yield* ticks.tick()
 *     console.log(`turn ${number}, ${missed} missed`)
 *     if (i === 0) yield* sleep(50)
 *   }
 * })
 */
export function ticker(intervalMs: number, options?: TickerOptions): Ticker {
  requireInterval('ticker()', intervalMs)
  return new Ticker(Loop.currentRunner('ticker()').loop, intervalMs, options?.immediate === true)
}

export class Ticker implements CoroutineIterator<Turn> {
  readonly intervalMs: number
  readonly #loop: Loop
  readonly #startMs: number
  /** Of the last turn that was given. */
  #last: number

  /** @internal */
  constructor(loop: Loop, intervalMs: number, immediate: boolean) {
    this.#loop = loop
    this.intervalMs = intervalMs
    this.#startMs = loop.time()
    this.#last = immediate ? -1 : 0
  }

  /**
   * Waits for the next turn: the first after the last one given whose time has not passed.
   *
   * Suspends until then. A wait that is cancelled takes no turn. Tasks that wait at the same time get the same turn.
   */
  tick(): Coroutine<Turn> {
    return new Tick(this)
  }

  /** `tick` as a step of a loop; it is never done. */
  next(): Coroutine<IteratorResult<Turn, undefined>> {
    return new NextTurn(this)
  }

  /** @internal The number of the next turn. */
  upcoming(): number {
    const next = this.#last + 1
    const nowMs = this.#loop.time()
    // The turn at once is never missed: by the time it is asked for its moment has always passed.
    if (next === 0 || nowMs <= this.timeOf(next)) return next
    return Math.max(next, Math.ceil((nowMs - this.#startMs) / this.intervalMs))
  }

  /** @internal */
  timeOf(number: number): number {
    return this.#startMs + number * this.intervalMs
  }

  /** @internal */
  isDue(number: number): boolean {
    return this.timeOf(number) <= this.#loop.time()
  }

  /** @internal */
  take(number: number): Turn {
    const missed = Math.max(0, number - this.#last - 1)
    this.#last = Math.max(this.#last, number)
    return { number, missed, dueMs: this.timeOf(number) }
  }

  /** @internal */
  arm(number: number, callback: () => void): TimerHandle {
    return this.#loop.callAtSystem(this.timeOf(number), callback)
  }
}

abstract class TurnWait<R> extends Leaf<R> {
  readonly #ticker: Ticker
  #number = 0
  #task: Task | null = null
  #timer: TimerHandle | null = null

  constructor(of: Ticker) {
    super()
    this.#ticker = of
  }

  protected abstract given(turn: Turn): R

  next(value?: unknown): IteratorResult<Suspension, R> {
    if (isProbe(value)) return answerProbe()
    const task = this.#task
    const ticks = this.#ticker
    if (task === null) {
      if (running.announced !== NOTHING) throw cannotSuspend()
      this.#number = ticks.upcoming()
      if (!ticks.isDue(this.#number)) return announce(this)
      if (!mayFinishNow()) return announce(GIVE_WAY)
    } else {
      if (task !== running.task) return takenBy(task, this.describe().what)
      if (task.status !== 'running' || this.#timer !== null) throw steppedByHand('a turn')
    }
    return { done: true, value: this.given(ticks.take(this.#number)) }
  }

  park(task: Task): void {
    this.#task = task
    this.#timer = this.#ticker.arm(this.#number, () => {
      this.#timer = null
      task.wake()
    })
  }

  unpark(): void {
    this.#timer?.cancel()
    this.#timer = null
  }

  describe(): WaitDescription {
    const ticks = this.#ticker
    const what = `turn ${String(this.#number)} of a ticker of ${String(ticks.intervalMs)} ms`
    return { what, deadlineMs: ticks.timeOf(this.#number) }
  }
}

class Tick extends TurnWait<Turn> {
  protected override given(turn: Turn): Turn {
    return turn
  }
}

class NextTurn extends TurnWait<IteratorResult<Turn, undefined>> {
  protected override given(turn: Turn): IteratorResult<Turn, undefined> {
    return { done: false, value: turn }
  }
}

/** @throws {RangeError} unless it is a finite number above 0; {MisuseError} if it is no number */
export function requireInterval(act: string, intervalMs: unknown): void {
  if (typeof intervalMs === 'number' && intervalMs > 0 && intervalMs < Infinity) return
  throw wrongNumber(
    intervalMs,
    `${act}: an interval of a finite number of milliseconds above 0 was expected, found ${nameOf(intervalMs)}`,
  )
}
