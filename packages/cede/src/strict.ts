/**
 * `import 'cede/strict'` once, anywhere in a program, gives every generator that yields suspensions the same phantom
 * `then` that library operations have. Linters and the compiler then see a forgotten star in front of a plain
 * `function*` with an inferred type as well, which is the commonest slip of all. Types only: at run time this is an
 * empty module.
 *
 * It is a door of its own, because it widens a type of the language for the whole program: a library must not do
 * that to its users unasked.
 */
import type { Coroutine, Suspension } from './core/suspension.ts'

declare global {
  // The parameters are the language's own, whether used here or not.
  // eslint-disable-next-line @typescript-eslint/no-unused-vars
  interface Generator<T, TReturn, TNext> {
    /** Only on generators that yield suspensions: not awaitable, write `yield*`. */
    readonly then?: [T] extends [Suspension] ? NonNullable<Coroutine<unknown>['then']> : undefined
  }
}
