/**
 * The errors of the core: a class per cause, each with a stable `code`.
 *
 * Messages read "what was attempted: what was expected, what was found". Users' own errors are never wrapped or
 * changed on their way through the library.
 */

/** Anything the library throws on purpose has a `code` that stays the same between versions. */
export interface CodedError extends Error {
  readonly code: string
}

/**
 * A task or future that someone else cancelled was awaited, or a run ended because it was cancelled.
 *
 * It is never thrown into a task to cancel it: cancelled tasks unwind, so a coroutine that catches this error knows
 * that it was not cancelled itself. Its stack is built only when it is read, since most are never looked at.
 */
export class CancelledError extends Error implements CodedError {
  static {
    this.prototype.name = 'CancelledError'
  }
  readonly code = 'CEDE_CANCELLED'
  /** What was given to `cancel({ reason })`. */
  readonly reason: unknown

  constructor(message: string, reason?: unknown) {
    super(message)
    this.reason = reason
  }
}

/** Makes an error without paying for a stack trace; its `stack` is the header line. */
export function withoutStack<E extends Error>(make: () => E): E {
  const limit = Error.stackTraceLimit
  if (!setStackTraceLimit(0)) return make()
  try {
    return make()
  } finally {
    setStackTraceLimit(limit)
  }
}

/** The error for those who wait for something that was cancelled. */
export function cancelledError(what: string, reason: unknown): CancelledError {
  const said = reason instanceof Error ? reason.message : typeof reason === 'string' ? reason : ''
  const why = said === '' ? '' : ` (${said})`
  return withoutStack(() => new CancelledError(`${what} was cancelled${why}`, reason))
}

/** False where the environment has frozen `Error` (hardened JavaScript). */
function setStackTraceLimit(limit: number): boolean {
  return Reflect.set(Error, 'stackTraceLimit', limit)
}

/** A deadline passed before the body had its value. Thrown by `timeout` after the body has unwound. */
export class TimeoutError extends Error implements CodedError {
  static {
    this.prototype.name = 'TimeoutError'
  }
  readonly code = 'CEDE_TIMEOUT'
  /** The duration that was given, in milliseconds, if it was a duration. */
  readonly timeoutMs: number | undefined

  constructor(message: string, timeoutMs?: number) {
    super(message)
    this.timeoutMs = timeoutMs
  }
}

/** Something was asked of an object in the wrong state: settling a settled future, reading a pending result. */
export class InvalidStateError extends Error implements CodedError {
  static {
    this.prototype.name = 'InvalidStateError'
  }
  readonly code = 'CEDE_INVALID_STATE'
}

/** The library was used in a way that can never work: the message says what to write instead. */
export class MisuseError extends TypeError implements CodedError {
  static {
    this.prototype.name = 'TypeError'
  }
  readonly code = 'CEDE_MISUSE'
}

/** A loop, a runner or a task group no longer takes work. Thrown to whoever brings it. */
export class ClosedError extends Error implements CodedError {
  static {
    this.prototype.name = 'ClosedError'
  }
  readonly code: string = 'CEDE_CLOSED'
}

/** A cancelled task went on after 50 forced returns; it is abandoned where it stands and never stepped again. */
export class RefusedToEndError extends Error implements CodedError {
  static {
    this.prototype.name = 'RefusedToEndError'
  }
  readonly code = 'CEDE_REFUSED_TO_END'
}

/** What `sleepForever` waits for. */
export const FOR_EVER = 'for ever, until cancelled'

const SIGNALS_DO_NOT_COUNT =
  '\nA signal that may come does not count, nor does it for Node. To stay until Ctrl-C, wait for a server, a timer ' +
  'or `until(promise)` of work that goes on; or for nothing: `for (;;) yield* sleep(3_600_000)`'

/** Tasks wait, and nothing is left that could ever wake them. `report` lists who waits for what. */
export class DeadlockError extends Error implements CodedError {
  static {
    this.prototype.name = 'DeadlockError'
  }
  readonly code = 'CEDE_DEADLOCK'
  /** Every waiting task with what it waits for and its stack, as `dumpTasks()` prints it. */
  readonly report: string

  constructor(report: string) {
    super(
      `tasks wait and nothing can wake them:\n${report}${report.includes(FOR_EVER) ? SIGNALS_DO_NOT_COUNT : ''}`,
    )
    this.report = report
    // It is in the message already; printing the error need not say it twice.
    Object.defineProperty(this, 'report', { enumerable: false })
  }
}

/**
 * One or more children of a task group, or its body, failed.
 *
 * `errors` holds every error in the order in which it happened; `cause` is the first.
 */
export class TaskGroupError extends AggregateError implements CodedError {
  static {
    this.prototype.name = 'TaskGroupError'
  }
  readonly code = 'CEDE_TASK_GROUP'

  constructor(errors: readonly unknown[], message: string) {
    super(errors, message, { cause: errors[0] })
  }
}
