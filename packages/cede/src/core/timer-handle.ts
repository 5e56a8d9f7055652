/** What `callSoon`, `callLater` and `callAt` return: scheduled callbacks that can be taken back or moved. */
import type { Context } from './context.ts'
import type { Loop } from './loop.ts'
import type { Runner } from './runner.ts'
import { Timer } from './timers.ts'

export type Callback = () => void

/** What a callback runs in: whose it is, and the context it was scheduled in. */
export interface CallbackScope {
  readonly runner: Runner | null
  readonly context: Context | null
  /** What the runner's bridge captured of the host's own context (AsyncLocalStorage). */
  readonly captured: object | null
}

/** A callback in the ready queue. */
export class Handle {
  readonly #loop: Loop
  #callback: Callback | null
  #scope: CallbackScope | null

  /** @internal */
  constructor(loop: Loop, callback: Callback, scope: CallbackScope) {
    this.#loop = loop
    this.#callback = callback
    this.#scope = scope
  }

  /** Takes the callback back, and lets go of it. Nothing happens if it has run. */
  cancel(): void {
    this.#callback = null
    this.#scope = null
  }

  /** True if the callback was taken back; a callback that has run is not. */
  cancelled(): boolean {
    return this.#callback === null && this.#scope === null
  }

  /** @internal */
  run(): void {
    const callback = this.#callback
    if (callback === null) return
    this.#callback = null
    this.#loop.runCallback(callback, this.#scope!)
  }
}

/** A callback that runs at a time. */
export class TimerHandle extends Timer {
  readonly #loop: Loop
  #callback: Callback | null
  #scope: CallbackScope | null

  /** @internal */
  constructor(loop: Loop, callback: Callback, scope: CallbackScope) {
    super()
    this.#loop = loop
    this.#callback = callback
    this.#scope = scope
  }

  /** Takes the callback back, and lets go of it. Nothing happens if it has run. */
  cancel(): void {
    this.#callback = null
    this.#scope = null
    this.#loop.timers.disarm(this)
  }

  /** True if the callback was taken back; a callback that has run is not. */
  cancelled(): boolean {
    return this.#callback === null && this.#scope === null
  }

  /** When it is due, in milliseconds of `loop.time()`. */
  when(): number {
    return this.deadlineMs
  }

  /**
   * Moves the callback to `delayMs` from now, in constant time.
   *
   * @returns false if it has run or was cancelled, and nothing was moved
   * @throws {RangeError} if `delayMs` is not a number
   */
  reschedule(delayMs: number): boolean {
    if (this.#callback === null || (this.list === null && this.#queued)) return false
    this.#loop.rearm(this, delayMs, 'reschedule()')
    return true
  }

  /** Due and in the ready queue. */
  #queued = false

  /** @internal */
  due(): void {
    this.#queued = true
    this.#loop.ready.push(this)
  }

  /** @internal */
  run(): void {
    const callback = this.#callback
    if (callback === null) return
    this.#callback = null
    this.#loop.runCallback(callback, this.#scope!)
  }
}
