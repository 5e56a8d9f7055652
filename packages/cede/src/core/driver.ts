/**
 * What the loop needs from the world outside: a clock, and to be called back. Implementations live in `drivers/`.
 *
 * The loop never blocks. It asks for its next turn, now or at a time, and returns; the driver calls `turn`.
 */

export interface Clock {
  /** Monotonic time in milliseconds, with fractions; never goes back. */
  now(): number
}

export interface Driver extends Clock {
  /** For `currentDriver()` and messages: `node`, `sim`. */
  readonly name: string
  /** Called once by the loop that owns the driver, before anything else. */
  attach(host: DriverHost): void
  /** Calls `host.turn()` once, soon, after the outside world had its chance. Asking twice before it comes is one turn. */
  requestTurn(): void
  /** Calls `host.turn()` at `deadlineMs` of this clock at the latest; replaces the last one; null: at no time. */
  setAlarm(deadlineMs: number | null): void
  /** Calls `done` when all promise callbacks that are due by now have run. */
  afterMicrotasks(done: () => void): void
  /** While true, an alarm keeps the process alive. */
  hold(active: boolean): void
}

export interface DriverHost {
  turn(): void
  /** Nothing outside can call in any more: no alarm, no socket, nothing. */
  stalled(): void
}
