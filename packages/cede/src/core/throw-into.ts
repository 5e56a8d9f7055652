/**
 * Throws an error of ours into a suspended generator, with a stack that says where that generator stands.
 *
 * An error's stack is that of its construction, and this one is constructed by the loop: it would name library files
 * only. But while the engine hands a `throw()` down a chain of `yield*`, it looks the method up at every level, with
 * the levels above on the native stack. So for one synchronous moment `%GeneratorPrototype%.throw` is a recorder that
 * captures the stack and calls through. The innermost level is known by name only: a generator that is suspended at a
 * `yield` of its own has no line that could be asked for.
 *
 * Used for mistakes alone, so it may be slow. With frozen intrinsics the error keeps the stack it has.
 */
import type { FrameBody } from './frame.ts'
import type { Suspension } from './suspension.ts'

/** Lines that are worth having. */
const STACK_LIMIT = 50

const GeneratorPrototype = (Object.getPrototypeOf(noop) as { prototype: Generator<unknown, unknown> })
  .prototype

function* noop(): Generator<never, void> {}

export function throwInto(body: FrameBody, error: Error): IteratorResult<Suspension, unknown> {
  const before = Reflect.get(GeneratorPrototype, 'throw') as Throw
  const recorder = function (this: Generator<Suspension, unknown>, thrown: unknown) {
    if (thrown === error) tellPlace(error)
    return before.call(this, thrown)
  }
  // By this name the lines of the recorder are known in a stack.
  Object.defineProperty(recorder, 'name', { value: RECORDER })
  const recording = Reflect.set(GeneratorPrototype, 'throw', recorder)
  try {
    return body.throw!(error)
  } finally {
    if (recording) GeneratorPrototype.throw = before
  }
}

type Throw = (this: Generator<unknown, unknown>, error: unknown) => IteratorResult<Suspension, unknown>

const RECORDER = 'cedeThrow'

/** Replaces the stack of `error` by that of this moment, without the lines that the throwing itself adds. */
function tellPlace(error: Error): void {
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
  error.stack = [`${error.name}: ${error.message}`, `    at ${place} (at a \`yield\` in it)`, ...above].join(
    '\n',
  )
}
