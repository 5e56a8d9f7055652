/** A loop over a sequence that must be waited for. */
import { coroutine, operationFrom } from '../core/coroutine.ts'
import { wrongArgument } from '../core/misuse.ts'
import type { Coroutine, CoroutineIterator, Operation, Suspension } from '../core/suspension.ts'

/**
 * Calls `body` for each item until there are no more, or it returns `false`; `done` is called when it has ended in any
 * way.
 */
export function forEach<T>(
  items: CoroutineIterator<T>,
  body: (item: T) => Operation<unknown>,
  done?: () => void,
): Coroutine<void> {
  if (typeof body !== 'function') {
    throw wrongArgument('forEach()', 'a function that is given an item', body, 'pass a `function* (item) {}`')
  }
  return walk(items, body as (item: unknown) => Operation<unknown>, done)
}

const walk = coroutine(
  'forEach',
  function* (
    items: CoroutineIterator<unknown>,
    body: (item: unknown) => Operation<unknown>,
    done: (() => void) | undefined,
  ): Generator<Suspension, void> {
    for (let item = yield* items.next(); item.done !== true; item = yield* items.next()) {
      try {
        const goOn = yield* operationFrom('forEach(): what the function returned', body(item.value))
        if (goOn === false) return
      } finally {
        done?.()
      }
    }
  },
)
