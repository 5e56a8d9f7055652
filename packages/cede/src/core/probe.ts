/**
 * Two questions that can be put to a suspended coroutine without running any of its code.
 *
 * A value sent with `next()` passes down a chain of `yield*` straight to the innermost iterator, and so does
 * `return()`. The innermost iterator is always ours, so it can know a private value and answer it instead of going on:
 *
 * - PROBE, sent with `next`: it captures the stack, which at that moment is the whole chain with lines and columns, and
 *   stays suspended. Nothing is kept for this while nobody asks.
 * - RETURN_PROBE, sent with `return`: it answers "not done", so every generator of the chain stays as it is, while
 *   `unwind.ts` sees which generators the question passed through.
 */
import type { Suspension } from './suspension.ts'

export const PROBE: unique symbol = Symbol('cede.probe')
export const RETURN_PROBE: unique symbol = Symbol('cede.returnProbe')

/** An object of our own: not every engine hands the result itself through a chain of `yield*`, but all hand the value. */
const STAYED = { stayed: true } as unknown as Suspension
const STAY: IteratorYieldResult<Suspension> = { done: false, value: STAYED }

/** Native frames that a probe captures at most, two for each `yield*`: more than the native stack can hold of them. */
const PROBE_STACK_LIMIT = 20_000

let captured: string | null = null

/**
 * True for the question. What a step sends is nearly always undefined, and that is asked first: an engine does not know
 * what an imported name holds, and compares two unknown things by a call.
 */
export function isProbe(value: unknown): boolean {
  return value !== undefined && value === PROBE
}

/** What a library iterator returns from `next(PROBE)`. */
export function answerProbe(): IteratorYieldResult<Suspension> {
  captured = new Error('probe').stack ?? ''
  return STAY
}

/** What a library iterator returns from `return(value)`: suspended as before for the probe, else ended. */
export function answerReturn<T>(value: T): IteratorResult<Suspension, T> {
  return (value as unknown) === RETURN_PROBE ? STAY : { done: true, value }
}

/** True for the answer to RETURN_PROBE. */
export function stayed(result: IteratorResult<unknown, unknown>): boolean {
  return result.value === STAYED
}

/**
 * The native stack of a suspended coroutine, innermost line first, or null if a foreign iterator stands in between and
 * would take the probe for a value.
 */
export function probeStack(body: Iterator<Suspension, unknown, unknown>): string | null {
  const limit = Error.stackTraceLimit
  Reflect.set(Error, 'stackTraceLimit', PROBE_STACK_LIMIT)
  captured = null
  try {
    body.next(PROBE)
  } finally {
    Reflect.set(Error, 'stackTraceLimit', limit)
  }
  const stack = captured
  captured = null
  return stack === null ? null : aboveProbe(stack)
}

/** The lines between the library iterator that answered and this file: what lies below is whoever asked. */
function aboveProbe(stack: string): string {
  const lines = stack.split('\n')
  const asked = lines.findIndex((line) => line.includes('probeStack'))
  return (asked === -1 ? lines : lines.slice(0, asked)).join('\n')
}
