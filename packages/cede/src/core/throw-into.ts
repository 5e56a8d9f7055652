/**
 * Throws an error of ours into a suspended generator, with a stack that says where that generator stands.
 *
 * An error's stack is that of its construction, and this one is constructed by the loop: it would name library files
 * only. But while the engine hands a `throw()` down a chain of `yield*`, the levels above are on the native stack, and
 * a recorder that is called at every level can capture it. The innermost level is known by name only: a generator that
 * is suspended at a `yield` of its own has no line that could be asked for.
 *
 * Used for mistakes alone, so it may be slow. With frozen intrinsics the error keeps the stack it has.
 */
import type { FrameBody } from './frame.ts'
import { RECORDER, recording } from './generator-chain.ts'
import type { Suspension } from './suspension.ts'

/** Lines that are worth having. */
const STACK_LIMIT = 50

/** @param spared generators that the error must not reach: it is thrown at the `yield*` in front of the first of them */
export function throwInto(
  body: FrameBody,
  error: Error,
  spared: ReadonlySet<object> | null,
): IteratorResult<Suspension, unknown> {
  if (spared?.has(body) === true) throw error
  const visit = (generator: object): void => {
    const spare = spared?.has(generator) === true
    tellPlace(error, spare)
    if (spare) throw error
  }
  return recording('throw', error, visit, () => body.throw!(error))
}

/** Replaces the stack of `error` by that of this moment, without the lines that the throwing itself adds. */
function tellPlace(error: Error, spare: boolean): void {
  const limit = Error.stackTraceLimit
  Reflect.set(Error, 'stackTraceLimit', STACK_LIMIT)
  const stack = new Error('place').stack ?? ''
  Reflect.set(Error, 'stackTraceLimit', limit)
  const lines = stack.split('\n').filter((line) => line.startsWith('    at '))
  const innermost = lines.findIndex((line) => line.includes(RECORDER))
  if (innermost === -1) return
  const name = new RegExp(`at (?:async )?(.+)\\.${RECORDER} `).exec(lines[innermost]!)?.[1] ?? 'a generator'
  const above = lines
    .slice(innermost + 1)
    .filter((line) => !line.includes(RECORDER) && !line.endsWith('.throw (<anonymous>)'))
  const place = name === 'Generator' ? 'a coroutine without a name' : name
  const first = spare ? [] : [`    at ${place} (at a \`yield\` in it)`]
  error.stack = [`${error.name}: ${error.message}`, ...first, ...above].join('\n')
}
