/**
 * `with(body)`: runs a body while something is held.
 *
 * A frame that begins as a wait. It takes the lock, or parks in its line as an operation does; what it waits on there is
 * a place in line like any other. Once the lock is held the body runs as in every frame, directly first, and whichever
 * way the frame ends, by value, error or unwinding, `leave` gives the lock back. Between taking and giving nothing can
 * come in between: who is handed the lock gets its step before any cancel, and in that step the body begins.
 */
import { bodyOf } from '../core/coroutine.ts'
import { CLAIMED, enterAndLeave, Frame } from '../core/frame.ts'
import { GIVE_WAY } from '../core/leaf.ts'
import { answerProbe, answerReturn, isProbe, RETURN_PROBE } from '../core/probe.ts'
import { announce, cannotSuspend, mayFinishNow, NOTHING, noteMade, running } from '../core/running.ts'
import type { Body, Coroutine, Operation, Suspension } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import type { Waiting } from '../core/wait-queue.ts'
import type { Holdable } from './holdable.ts'

class Holding<T> extends Frame<T> {
  readonly #of: Holdable
  readonly #act: string
  /** Makes the body; null if it was given as an operation. */
  readonly #make: (() => Operation<T>) | null
  #place: Waiting<void> | null = null
  #holder: Task | null = null

  constructor(of: Holdable, act: string, body: Body<T>) {
    const make = typeof body === 'function' ? body : null
    super(make === null ? bodyOf(act, body as Operation<T>) : null)
    this.#of = of
    this.#act = act
    this.#make = make
    noteMade(this)
  }

  override next(value?: unknown): IteratorResult<Suspension, T> {
    if (this.state !== CLAIMED) return super.next(value)
    return isProbe(value) ? answerProbe() : this.enter()
  }

  /** A probe finds it suspended in line as well, and leaves it there. */
  override return(value?: unknown): IteratorResult<Suspension, T> {
    return value === RETURN_PROBE ? answerReturn(value as T) : super.return(value)
  }

  override enter(): IteratorResult<Suspension, T> {
    const waits = this.#waits()
    if (waits !== null) return waits
    this.#holder = running.task
    return enterAndLeave(this)
  }

  override makeBody(): void {
    if (this.#make !== null) this.body = bodyOf(this.#act, this.#make())
  }

  /** What it has to wait for before it holds anything; null once it does. */
  #waits(): IteratorYieldResult<Suspension> | null {
    if (this.#place !== null) {
      const turn = this.#place.next()
      if (turn.done !== true) return turn
      this.#place = null
      return null
    }
    if (running.announced !== NOTHING) throw cannotSuspend()
    if (!mayFinishNow()) return announce(GIVE_WAY)
    if (this.#of.takeFor(running.task!)) return null
    const place = this.#of.place()
    place.claimed = true
    this.#place = place
    return announce(place)
  }

  override leave(): void {
    super.leave()
    this.#of.giveBack(this.#holder!)
  }

  override nameForMessages(): string {
    return this.#act
  }
}

/**
 * Runs `body` while `of` is held; `act` names the call for messages.
 *
 * @throws {MisuseError} if `body` is neither an operation nor a function
 */
export function holding<T>(of: Holdable, act: string, body: Body<T>): Coroutine<T> {
  return new Holding<T>(of, act, body) as unknown as Coroutine<T>
}

/** A body ends, and what it held was given back by somebody else meanwhile. */
export function reportNotHeld(task: Task, act: string, what: string): void {
  task.runner.report({
    message:
      `${act} in ${task.describeSelf()}: ${what} was expected to be held until the body ended, and was released by ` +
      'somebody else before; nothing was given back a second time',
    task,
  })
}
