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
export type { Body, Coroutine, CoroutineIterator, Operation, Suspension } from './core/suspension.ts'
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
export { every } from './flow/every.ts'
export { gather, gatherSettled, type Outcomes, type Results } from './flow/gather.ts'
export { mapLimit } from './flow/map-limit.ts'
export { any, race } from './flow/race.ts'
export { retry, type RetryOptions } from './flow/retry.ts'
export { taskGroup, type TaskGroup, type TaskGroupOptions } from './flow/task-group.ts'
export { ticker, type Ticker, type TickerOptions, type Turn } from './flow/ticker.ts'
export { timeout, timeoutAt, timeoutOr, type TimeoutScope } from './flow/timeout.ts'
export {
  asCompleted,
  cancelAndWait,
  join,
  wait,
  type ReturnWhen,
  type WaitOptions,
  type WaitResult,
} from './flow/wait.ts'
export { shield, withScope } from './flow/with-scope.ts'
export { yieldIfBusy } from './flow/yield-if-busy.ts'
export { abortSignal, withSignal } from './interop/abort-signal.ts'
export { fromAsyncIterable, type AsyncIterableReader } from './interop/async-iterable.ts'
export { until, type UntilOptions } from './interop/until.ts'
export { currentDriver, dumpTasks, run, Runner, type DriverInfo, type RunOptions } from './run-portable.ts'
export { Barrier, BrokenBarrierError, type BarrierStatistics } from './sync/barrier.ts'
export { BoundedSemaphore } from './sync/bounded-semaphore.ts'
export {
  Broadcast,
  LaggedError,
  type BroadcastOptions,
  type BroadcastStatistics,
  type SlowReaderPolicy,
  type Subscription,
} from './sync/broadcast.ts'
export { CapacityLimiter, type CapacityLimiterStatistics } from './sync/capacity-limiter.ts'
export {
  BrokenChannelError,
  channel,
  type Channel,
  type ChannelStatistics,
  type Receiver,
  type Sender,
} from './sync/channel.ts'
export { Condition, type ConditionOptions, type ConditionStatistics } from './sync/condition.ts'
export { Event, type EventStatistics } from './sync/event.ts'
export type { Compare } from './sync/heap.ts'
export { LifoQueue } from './sync/lifo-queue.ts'
export { Lock, type LockStatistics } from './sync/lock.ts'
export type { NameOptions } from './sync/options.ts'
export { PriorityQueue, type Ordered } from './sync/priority-queue.ts'
export { Queue, QueueShutDownError, type QueueStatistics } from './sync/queue.ts'
export { Semaphore, type SemaphoreStatistics } from './sync/semaphore.ts'
