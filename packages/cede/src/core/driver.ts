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
  /** For `currentDriver()` and messages: `epoll`, `node`, `sim`. */
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
  /** For `addReader` and `addWriter`; a driver that cannot watch descriptors of others has none. */
  readonly descriptors?: Descriptors | undefined
}

export type Direction = 'read' | 'write'

/** Watches descriptors that belong to somebody else. While the driver is held they keep the process alive. */
export interface Descriptors {
  /**
   * Calls `ready` again and again, from outside of any step, while the descriptor can be read, or written; also if it is
   * broken or has ended. Replaces the one there was for this direction.
   *
   * @throws {Error} what the system says: it is no descriptor, or one of a kind that cannot be watched
   */
  watch(descriptor: number, direction: Direction, ready: () => void): void
  /** @returns false if it was not watched */
  unwatch(descriptor: number, direction: Direction): boolean
}

export interface DriverHost {
  turn(): void
  /** Nothing outside can call in any more: no alarm, no socket, nothing. */
  stalled(): void
}
