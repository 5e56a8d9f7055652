/** The door for programs. */
export * from './core.ts'
export type { DumpOptions } from './debug/dump.ts'
export { withStore } from './interop/async-local-storage.ts'
export type { StopSignal } from './io/signals.ts'
export { currentDriver, dumpTasks, run, Runner, type RunOptions } from './run.ts'
