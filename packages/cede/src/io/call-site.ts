/**
 * Where an opener was called. Its errors come from far inside, after waiting, when the caller is on no stack any more;
 * what helps is the line that named the address. Capturing it costs a microsecond, beside a system call or three.
 */

/** The stack of the caller of `opener`, written out only when it is read. */
export class CallSite {
  readonly stack?: string

  constructor(opener: (...args: never[]) => unknown) {
    ;(Error as { captureStackTrace?(target: object, above: unknown): void }).captureStackTrace?.(this, opener)
  }

  /** Gives `error` this stack instead of its own. */
  giveTo(error: Error): void {
    const { stack } = this
    if (stack === undefined) return
    const lines = stack.slice(stack.indexOf('\n') + 1)
    error.stack = `${error.name}: ${error.message}\n${lines}`
  }
}
