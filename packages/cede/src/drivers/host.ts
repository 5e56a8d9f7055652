/**
 * The driver that is there everywhere: turns and alarms through the host's own event loop (libuv on Node, its
 * counterparts elsewhere). Sockets of this driver are the host's own objects; see `io/`.
 *
 * Turns that are asked for from outside come in a microtask, so that what an event or a promise has woken runs right
 * after it. After a number of those, and whenever a turn has used its time, the next turn waits until the
 * host has polled for I/O: promises that wake each other for ever cannot starve sockets.
 */
import type { Driver, DriverHost } from '../core/driver.ts'

/** Turns in microtasks before one lets I/O in. */
const MICROTASK_TURNS = 16
/** The longest time a host timer takes; longer alarms are set again. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1

/** The part of the host that not all hosts have. */
interface Host {
  performance: { now(): number }
  setTimeout(callback: () => void, ms: number): HostTimer
  clearTimeout(timer: HostTimer): void
  setImmediate?: ((callback: () => void) => unknown) | undefined
  process?: {
    on?(event: 'beforeExit', listener: () => void): void
    off?(event: 'beforeExit', listener: () => void): void
  }
}

type HostTimer = number | { ref?(): unknown; unref?(): unknown }

const host = globalThis as unknown as Host
const { performance } = host
const settled = Promise.resolve()

export class HostDriver implements Driver {
  readonly name: string = 'node'
  #host: DriverHost | null = null
  #turnAsked = false
  #insideTurn = false
  /** Events of a subclass are being told. */
  #insideBatch = false
  #microtaskTurns = 0
  /** `#turnAfterPoll` is to come. */
  #afterPollAsked = false
  /** It is to come once more instead. */
  #afterNextPoll = false
  /** When the loop wants its turn. */
  #alarmMs: number | null = null
  /** The host's timer, which may be earlier than the alarm: it is left alone and set again when it comes. */
  #timer: HostTimer | null = null
  #timerMs = 0
  #timerHeld = true
  #held = false

  now(): number {
    return performance.now()
  }

  attach(loop: DriverHost): void {
    this.#host = loop
  }

  requestTurn(): void {
    if (this.#turnAsked) return
    this.#turnAsked = true
    if (this.#insideBatch) return
    if (this.#insideTurn || this.#microtaskTurns >= MICROTASK_TURNS) this.#askAfterPoll()
    else void settled.then(this.#turnInMicrotask)
  }

  /** For drivers with events of their own: what is asked for until `endBatch` is one turn, right after them. */
  protected beginBatch(): void {
    this.#insideBatch = true
  }

  /** @returns true if a turn was given */
  protected endBatch(): boolean {
    this.#insideBatch = false
    if (!this.#turnAsked) return false
    this.#microtaskTurns = 0
    this.#turn()
    return true
  }

  /** A turn that was asked for before is still to come. */
  protected get turnAsked(): boolean {
    return this.#turnAsked
  }

  // A batch may have been faster: then there is nothing left to do.
  readonly #turnInMicrotask = (): void => {
    this.#microtaskTurns++
    if (this.#turnAsked) this.#turn()
  }

  #askAfterPoll(): void {
    if (this.#afterPollAsked) {
      // A batch has given the turn before, and that asks for the next one.
      this.#afterNextPoll = true
      return
    }
    this.#afterPollAsked = true
    soon(this.#turnAfterPoll)
  }

  readonly #turnAfterPoll = (): void => {
    this.#afterPollAsked = false
    this.#microtaskTurns = 0
    if (this.#afterNextPoll) {
      this.#afterNextPoll = false
      if (this.#turnAsked) this.#askAfterPoll()
      return
    }
    if (this.#turnAsked) this.#turn()
  }

  #turn(): void {
    this.#turnAsked = false
    this.#insideTurn = true
    try {
      this.#host!.turn()
    } finally {
      this.#insideTurn = false
    }
  }

  setAlarm(deadlineMs: number | null): void {
    this.#alarmMs = deadlineMs
    if (deadlineMs !== null && (this.#timer === null || deadlineMs < this.#timerMs))
      this.#setTimer(deadlineMs)
    this.#holdTimer()
  }

  #setTimer(deadlineMs: number): void {
    if (this.#timer !== null) host.clearTimeout(this.#timer)
    const delayMs = Math.min(LONGEST_TIMEOUT_MS, Math.max(1, Math.ceil(deadlineMs - this.now())))
    this.#timer = host.setTimeout(this.#timerFired, delayMs)
    this.#timerMs = deadlineMs
    this.#timerHeld = true
  }

  readonly #timerFired = (): void => {
    this.#timer = null
    const alarmMs = this.#alarmMs
    if (alarmMs === null) return
    if (this.now() < alarmMs) {
      this.#setTimer(alarmMs)
      this.#holdTimer()
      return
    }
    this.#alarmMs = null
    if (this.#turnAsked) return
    this.#microtaskTurns = 0
    this.#turn()
  }

  afterMicrotasks(done: () => void): void {
    soon(done)
  }

  hold(active: boolean): void {
    if (this.#held === active) return
    this.#held = active
    this.#holdTimer()
    if (active) host.process?.on?.('beforeExit', this.#beforeExit)
    else host.process?.off?.('beforeExit', this.#beforeExit)
  }

  readonly #beforeExit = (): void => {
    this.#host!.stalled()
    // What that has woken may come to wait again without any help of the host, which would then just exit.
    if (this.#turnAsked) soon(() => {})
  }

  /** The timer keeps the process alive only while somebody needs it. */
  #holdTimer(): void {
    const timer = this.#timer
    const wanted = this.#held && this.#alarmMs !== null
    if (timer === null || typeof timer === 'number' || wanted === this.#timerHeld) return
    this.#timerHeld = wanted
    if (wanted) timer.ref?.()
    else timer.unref?.()
  }
}

function soon(callback: () => void): void {
  if (host.setImmediate !== undefined) host.setImmediate(callback)
  else host.setTimeout(callback, 0)
}
