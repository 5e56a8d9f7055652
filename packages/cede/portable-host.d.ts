// What src/core, src/flow and src/sync may use of the machine they run on, beyond the language itself: each
// name stands here with the few members that are used, and exists in Node, Bun, Deno and browsers alike.
// There is no setTimeout and no performance.now here on purpose: time comes from the driver's clock. A name is
// added only with a reason.

/** Signals are made by `abortSignal()` and taken by `withSignal()`. */
interface AbortSignal {
  readonly aborted: boolean
  readonly reason: unknown
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void
  removeEventListener(type: 'abort', listener: () => void): void
}
interface AbortController {
  readonly signal: AbortSignal
  abort(reason?: unknown): void
}
// eslint-disable-next-line no-var
declare var AbortController: { new (): AbortController }

/** "Nobody waits for it by the end of that turn, microtasks included". */
declare function queueMicrotask(callback: () => void): void

/** Where reports go when the program has given no handler of its own. */
declare const console: {
  error(...data: readonly unknown[]): void
}

/** Present where the engine is V8 or follows it; the code asks before it calls. */
interface ErrorConstructor {
  captureStackTrace?(target: object, above?: (...args: never[]) => unknown): void
  stackTraceLimit: number
}
