/**
 * A driver without a kernel: its clock is a number that jumps to the next alarm when nothing else can happen. What
 * takes hours runs in milliseconds, and takes the same steps every time.
 *
 * Before the clock jumps, promises that are due are let through, so coroutines may wait for promises that settle by
 * themselves. What needs the outside world (sockets, files) does not belong here: while it is under way the clock
 * would jump past it.
 */
import type { Driver, DriverHost } from '../core/driver.ts'

declare function setImmediate(callback: () => void): unknown

export interface SimOptions {
  /** Where the clock starts, in milliseconds. Default: 0. */
  readonly startMs?: number | undefined
}

export class SimDriver implements Driver {
  readonly name = 'sim'
  #host: DriverHost | null = null
  #nowMs: number
  #turnAsked = false
  #alarmMs: number | null = null
  #tickAsked = false
  #held = false
  /** Turns without work in a row, while nothing is left to jump to. */
  #stalled = false

  constructor(options: SimOptions = {}) {
    this.#nowMs = options.startMs ?? 0
  }

  now(): number {
    return this.#nowMs
  }

  attach(loop: DriverHost): void {
    this.#host = loop
  }

  /** Lets time pass inside a step, as a long computation would. */
  elapse(ms: number): void {
    this.#nowMs += ms
  }

  requestTurn(): void {
    this.#turnAsked = true
    this.#stalled = false
    this.#askForTick()
  }

  setAlarm(deadlineMs: number | null): void {
    this.#alarmMs = deadlineMs
    this.#askForTick()
  }

  afterMicrotasks(done: () => void): void {
    setImmediate(done)
  }

  hold(active: boolean): void {
    this.#held = active
    this.#stalled = false
    if (active) this.#askForTick()
  }

  #askForTick(): void {
    if (this.#tickAsked) return
    this.#tickAsked = true
    setImmediate(this.#tick)
  }

  readonly #tick = (): void => {
    this.#tickAsked = false
    if (!this.#turnAsked) {
      if (!this.#held) return
      if (this.#alarmMs === null) {
        this.#stallOnce()
        return
      }
      this.#nowMs = Math.max(this.#nowMs, this.#alarmMs)
      this.#alarmMs = null
    }
    this.#turnAsked = false
    this.#host!.turn()
  }

  /** Nothing to do and nowhere to jump to: waits one more round for late promises, then says so. */
  #stallOnce(): void {
    if (this.#stalled) {
      this.#stalled = false
      this.#host!.stalled()
      return
    }
    this.#stalled = true
    this.#askForTick()
  }
}
