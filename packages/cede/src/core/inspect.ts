/**
 * How objects of the library look when they are printed. Printed as they are, a task would show its runner, the runner
 * its loop, and the loop every other task.
 */

const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** Gives all instances with `prototype` a line of their own for `console.log` and error messages of test runners. */
export function printsAs<T extends object>(prototype: T, describe: (object: T) => string): void {
  Object.defineProperty(prototype, INSPECT, {
    configurable: true,
    value(this: T): string {
      // The prototype itself may be printed too, and has none of the fields.
      return this === prototype ? '[cede]' : describe(this)
    },
  })
}
