/**
 * A driver that does nothing by itself: the test sets the clock and gives the turns, and sees what the loop asked for.
 */
import type { Driver, DriverHost } from 'cede/lowlevel'

export class ManualDriver implements Driver {
  readonly name = 'manual'
  /** What `now()` tells. */
  nowMs = 0
  /** Time that passes with each reading of the clock. */
  msPerReading = 0
  /** How often the clock was read. */
  readings = 0
  /** A turn was asked for and not given yet. */
  turnAsked = false
  /** The last alarm that was set. */
  alarmMs: number | null = null
  held = false
  readonly #afterMicrotasks: (() => void)[] = []
  #host: DriverHost | null = null

  now(): number {
    this.readings++
    this.nowMs += this.msPerReading
    return this.nowMs
  }

  attach(host: DriverHost): void {
    this.#host = host
  }

  requestTurn(): void {
    this.turnAsked = true
  }

  setAlarm(deadlineMs: number | null): void {
    this.alarmMs = deadlineMs
  }

  afterMicrotasks(done: () => void): void {
    this.#afterMicrotasks.push(done)
  }

  hold(active: boolean): void {
    this.held = active
  }

  /** Gives one turn, and then what was to come after the microtasks. */
  turn(): void {
    this.turnAsked = false
    this.#host!.turn()
    for (const done of this.#afterMicrotasks.splice(0)) done()
  }

  /** Gives turns as long as they are asked for. @returns how many */
  turns(): number {
    let given = 0
    for (; this.turnAsked; given++) this.turn()
    return given
  }

  /** Lets the clock jump to the alarm, and gives that turn. */
  ring(): void {
    if (this.alarmMs === null) throw new Error('ring(): an alarm was expected, found none')
    this.nowMs = Math.max(this.nowMs, this.alarmMs)
    this.alarmMs = null
    this.turn()
  }
}
