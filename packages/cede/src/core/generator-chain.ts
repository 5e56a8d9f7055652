/**
 * Which generators a `return()` or `throw()` passes through on its way down a chain of `yield*`.
 *
 * The engine looks the method up anew at every level. So for one synchronous moment `%GeneratorPrototype%` has a
 * recorder in its place that is told of each generator and calls through. For mistakes only; what cancelling needs of
 * this is in `unwind.ts`.
 */
import { RETURN_PROBE } from './probe.ts'

type AnyGenerator = Generator<unknown, unknown>
type Method = (this: AnyGenerator, value: unknown) => IteratorResult<unknown, unknown>

const GeneratorPrototype = (Object.getPrototypeOf(noop) as { prototype: AnyGenerator }).prototype

function* noop(): Generator<never, void> {}

/** Recorders are called like this in stacks. */
export const RECORDER = 'cedeRecorder'

/**
 * Calls `act` with `visit` told of every generator that is sent `value` by `method`, outermost first and before the
 * generator is. With frozen intrinsics `act` is called and nobody is told.
 */
export function recording<R>(
  method: 'return' | 'throw',
  value: unknown,
  visit: (generator: object) => void,
  act: () => R,
): R {
  const before = Reflect.get(GeneratorPrototype, method) as Method
  const recorder = function (this: AnyGenerator, sent: unknown): IteratorResult<unknown, unknown> {
    if (sent === value) visit(this)
    return before.call(this, sent)
  }
  Object.defineProperty(recorder, 'name', { value: RECORDER })
  const replaced = Reflect.set(GeneratorPrototype, method, recorder)
  try {
    return act()
  } finally {
    if (replaced) Reflect.set(GeneratorPrototype, method, before)
  }
}

/** The generators that are suspended below `body`, `body` included. Runs none of their code. */
export function suspendedGenerators(body: Iterator<unknown, unknown>): object[] {
  const found: object[] = []
  if (body.return !== GeneratorPrototype.return) return found
  recording(
    'return',
    RETURN_PROBE,
    (generator) => found.push(generator),
    () => body.return!(RETURN_PROBE),
  )
  return found
}
