/** The door for hosts without Node's API (browsers): everything but sockets, signals and AsyncLocalStorage. */
export { coroutine } from './core/coroutine.ts'
export { Context, ContextVar, copyContext, type Token } from './core/context.ts'
export { allTasks, createTask, getRunningLoop } from './core/current.ts'
export {
  CancelledError,
  ClosedError,
  DeadlockError,
  InvalidStateError,
  MisuseError,
  RefusedToEndError,
  TaskGroupError,
  TimeoutError,
  type CodedError,
} from './core/errors.ts'
export { Future, type FutureStatus } from './core/future.ts'
export type { Loop } from './core/loop.ts'
export type { ExceptionContext, ExceptionHandler } from './core/runner.ts'
export type { CancelOptions, CancelScope } from './core/scope.ts'
export { checkpoint, sleep, sleepForever } from './core/sleep.ts'
export type { Body, Coroutine, Operation, Suspension } from './core/suspension.ts'
export {
  currentTask,
  isFuture,
  isTask,
  type Outcome,
  type Task,
  type TaskOptions,
  type TaskStatus,
} from './core/task.ts'
export type { Handle, TimerHandle } from './core/timer-handle.ts'
export { gather, gatherSettled, type Outcomes, type Results } from './flow/gather.ts'
export { mapLimit } from './flow/map-limit.ts'
export { any, race } from './flow/race.ts'
export { taskGroup, type TaskGroup, type TaskGroupOptions } from './flow/task-group.ts'
export { timeout, timeoutAt, timeoutOr, type TimeoutScope } from './flow/timeout.ts'
export {
  asCompleted,
  cancelAndWait,
  join,
  wait,
  type CoroutineIterator,
  type ReturnWhen,
  type WaitOptions,
  type WaitResult,
} from './flow/wait.ts'
export { shield, withScope } from './flow/with-scope.ts'
export { abortSignal, withSignal } from './interop/abort-signal.ts'
export { fromAsyncIterable, type AsyncIterableReader } from './interop/async-iterable.ts'
export { until, type UntilOptions } from './interop/until.ts'
export { currentDriver, dumpTasks, run, Runner, type DriverInfo, type RunOptions } from './run-portable.ts'
