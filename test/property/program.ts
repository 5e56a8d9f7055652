/**
 * A program as a tree of data, so that it can be generated, shrunk and printed. `interpret.ts` runs it.
 *
 * Tasks, scopes, futures and queues are named by a number that is taken modulo how many there are at that moment, so
 * every tree is a program and stays one while it shrinks. Of tasks and scopes, 0 to 3 are the oldest, and from 4 on
 * they are counted from the youngest backwards.
 */

/** Something done at once, by a task or by a callback. */
export type Act =
  | { readonly act: 'cancelTask'; readonly index: number; readonly graceMs: number | null }
  | { readonly act: 'cancelScope'; readonly index: number; readonly graceMs: number | null }
  /** Adds a done callback. */
  | { readonly act: 'watch'; readonly index: number }
  | { readonly act: 'cancelGroup'; readonly index: number }
  | { readonly act: 'moveDeadline'; readonly index: number; readonly ms: number }
  | { readonly act: 'settle' | 'fail' | 'cancelFuture'; readonly index: number }
  | { readonly act: 'put' | 'wakeOne' | 'failAll'; readonly index: number }
  | { readonly act: 'moveWaiters'; readonly index: number; readonly to: number; readonly count: number }
  /** Hands a value to the first waiter of a queue and cancels its task, in this order or the other. */
  | { readonly act: 'handAndCancel'; readonly index: number; readonly cancelFirst: boolean }

export type CallKind = 'plain' | 'wrapped' | 'mixed'

export type Node =
  | { readonly node: 'seq'; readonly parts: readonly Node[] }
  | { readonly node: 'act'; readonly does: Act }
  /** `ms` null: by callSoon. */
  | { readonly node: 'later'; readonly ms: number | null; readonly does: Act }
  | { readonly node: 'elapse'; readonly ms: number }
  | { readonly node: 'sleep'; readonly ms: number }
  | { readonly node: 'checkpoint' | 'forever' }
  | { readonly node: 'throw' | 'cancelSelf' }
  | { readonly node: 'cancelAround'; readonly depth: number }
  | { readonly node: 'await' | 'join' | 'cancelAndWait'; readonly index: number }
  | { readonly node: 'future' | 'get'; readonly index: number }
  /** A task whose body is an operation of the library itself. */
  | { readonly node: 'spawnSleep'; readonly ms: number }
  /** A scope whose body is an operation of the library itself. */
  | {
      readonly node: 'bare'
      readonly kind: 'scope' | 'timeoutOr' | 'shield'
      readonly ms: number
      readonly waits: 'sleep' | 'get'
      readonly sleepMs: number
      readonly index: number
    }
  | { readonly node: 'spawn'; readonly eager: boolean; readonly body: Node }
  | { readonly node: 'scope' | 'shield'; readonly body: Node }
  | { readonly node: 'timeout'; readonly ms: number; readonly orElse: boolean; readonly body: Node }
  | {
      readonly node: 'group'
      readonly limit: number | null
      readonly eager: boolean
      readonly children: readonly Node[]
      readonly body: Node
    }
  | { readonly node: 'gather' | 'race' | 'any'; readonly children: readonly Node[] }
  | { readonly node: 'catch'; readonly body: Node; readonly handler: Node }
  | {
      readonly node: 'finally'
      readonly body: Node
      readonly cleanup: Node
      readonly exit: 'fall' | 'return' | 'throw'
    }
  /** Every turn of the loop has a `finally` that ends with `continue`. */
  | { readonly node: 'loop'; readonly times: number; readonly body: Node; readonly cleanup: Node }
  | { readonly node: 'call'; readonly kind: CallKind; readonly depth: number; readonly body: Node }

/** Something done from outside: by the clock, or when the n-th wait of the whole program begins or ends. */
export type Intervention =
  | { readonly at: 'ms'; readonly ms: number; readonly does: Act }
  | { readonly at: 'tick'; readonly tick: number; readonly soon: boolean; readonly does: Act }

export interface Program {
  readonly main: Node
  readonly interventions: readonly Intervention[]
  /** Seed of the order of passes, or null: first in, first out. */
  readonly shuffleSeed: number | null
  readonly cleanupGraceMs: number
  /** Settles and wakes everything after so long, so that not every second program ends in a deadlock; null: never. */
  readonly reapMs: number | null
}

export const FUTURES = 3
export const QUEUES = 2
