/** Waiting for tasks that belong to someone else: nothing here cancels them, and nothing is lost by leaving early. */
import { coroutine } from '../core/coroutine.ts'
import { MisuseError, TimeoutError } from '../core/errors.ts'
import { type Future, notAFuture } from '../core/future.ts'
import { nameOf } from '../core/misuse.ts'
import type { Coroutine, CoroutineIterator, Operation, Suspension } from '../core/suspension.ts'
import { isFuture, type Outcome, type Task } from '../core/task.ts'
import type { CancelOptions } from '../core/scope.ts'
import { Crowd, membersOf, requireList, type Member } from './crowd.ts'
import { timeoutAt, timeoutOr } from './timeout.ts'
import { Loop } from '../core/loop.ts'

export type ReturnWhen = 'first-completed' | 'first-exception' | 'all-completed'

export interface WaitOptions {
  /** When to stop waiting, in milliseconds; what has not ended then is in `pending`. Default: never. */
  readonly timeoutMs?: number | undefined
  /** Default: `all-completed`. */
  readonly returnWhen?: ReturnWhen | undefined
}

export interface WaitResult<M> {
  readonly done: ReadonlySet<M>
  readonly pending: ReadonlySet<M>
}

const RETURN_WHEN: readonly string[] = [
  'first-completed',
  'first-exception',
  'all-completed',
] satisfies ReturnWhen[]

/**
 * Waits for tasks or futures and tells which have ended. Throws no outcome, no timeout, and cancels nothing.
 *
 * @param tasks at least one task or future; operations are refused, since nobody could get hold of their tasks
 * @param options when to return: after the first end, the first failure, or all; and after how long in any case
 * @returns the two sets, as they are when the wait ends
 * @throws {MisuseError} for an empty list, for operations, for an unknown `returnWhen`, for a `timeoutMs` that is no number
 *
 * Suspends unless the condition holds already.
 */
export function wait<M extends Member>(tasks: Iterable<M>, options?: WaitOptions): Coroutine<WaitResult<M>> {
  requireList('wait()', tasks)
  const members = new Set(tasks)
  const returnWhen = options?.returnWhen ?? 'all-completed'
  if (members.size === 0)
    throw new MisuseError('wait(): at least one task or future was expected, found none')
  for (const member of members) if (!isFuture(member)) throw notAFuture('wait()', member)
  if (!RETURN_WHEN.includes(returnWhen)) {
    throw new MisuseError(
      `wait(): returnWhen was expected to be one of ${RETURN_WHEN.join(', ')}, found ${nameOf(returnWhen)}`,
    )
  }
  const timeoutMs = timeoutOf('wait()', options)
  return waitFor(members, timeoutMs, returnWhen) as unknown as Coroutine<WaitResult<M>>
}

function timeoutOf(act: string, options: { readonly timeoutMs?: number | undefined } | undefined): number {
  const timeoutMs: unknown = options?.timeoutMs ?? Infinity
  if (typeof timeoutMs === 'number' && !Number.isNaN(timeoutMs)) return timeoutMs
  throw new MisuseError(
    `${act}: timeoutMs was expected to be a number of milliseconds, found ${nameOf(timeoutMs)}`,
  )
}

const waitFor = coroutine(
  'wait',
  function* (
    members: ReadonlySet<Member>,
    timeoutMs: number,
    returnWhen: ReturnWhen,
  ): Generator<Suspension, WaitResult<Member>> {
    const seen = { failures: 0 }
    const crowd = new Crowd('wait', (member) => {
      if (member.status === 'failed') seen.failures++
    })
    for (const member of members) crowd.add(member)
    const enough = (): boolean => {
      const { size } = crowd.live
      if (size === 0) return true
      if (returnWhen === 'first-completed') return size < members.size
      return returnWhen === 'first-exception' && seen.failures > 0
    }
    try {
      if (!enough()) yield* timeoutOr(timeoutMs, untilEnough(crowd, enough), undefined)
    } finally {
      crowd.forget()
    }
    const done = new Set<Member>()
    const pending = new Set<Member>()
    for (const member of members) {
      ;(member.done() ? done : pending).add(member)
      mustBeRead(member)
    }
    return { done, pending }
  },
)

/** Told of a failure, the caller should look at it; if nobody does by the end of the turn, it is reported. */
function mustBeRead(member: Member): void {
  if (member.status === 'failed' && !member.outcomeRead) Loop.currentRunner('wait()').loop.noteFailure(member)
}

function* untilEnough(crowd: Crowd, enough: () => boolean): Generator<Suspension, void> {
  while (!enough()) yield* crowd.changed()
}

/**
 * Gives tasks in the order in which they end. Operations become tasks; tasks and futures are given as they are.
 * Leaving early cancels nothing, and a cancelled `next` loses nothing.
 *
 * @param operations operations, tasks or futures
 * @param options.timeoutMs milliseconds from now, after which `next` throws a `TimeoutError` for what is left
 *
 * @example
 * import { asCompleted, run, sleep } from 'cede'
 *
 * await run(function* () {
 *   const ended = asCompleted([sleep(20, 'slow'), sleep(10, 'fast')])
 *   for (let item = yield* ended.next(); !item.done; item = yield* ended.next()) {
 *     console.log(item.value.result())
 *   }
 * })
 */
export function asCompleted<T>(
  operations: Iterable<Operation<T>>,
  options?: { readonly timeoutMs?: number | undefined },
): CoroutineIterator<Task<T> | Future<T>> {
  const timeoutMs = timeoutOf('asCompleted()', options)
  return new Completed<T>(membersOf('asCompleted()', operations), timeoutMs)
}

class Completed<T> implements CoroutineIterator<Member<T>> {
  readonly #ended: Member<T>[] = []
  readonly #crowd: Crowd<T>
  readonly #deadlineMs: number

  constructor(members: Member<T>[], timeoutMs: number) {
    this.#deadlineMs = Loop.currentRunner('asCompleted()').loop.time() + timeoutMs
    this.#crowd = new Crowd<T>('asCompleted', (member) => this.#ended.push(member))
    for (const member of new Set(members)) this.#crowd.add(member)
  }

  next(): Coroutine<IteratorResult<Member<T>, undefined>> {
    return nextCompleted(this.#ended, this.#crowd, this.#deadlineMs)
  }
}

const nextCompleted = coroutine('asCompleted', function* <
  T,
>(ended: Member<T>[], crowd: Crowd<T>, deadlineMs: number): Generator<
  Suspension,
  IteratorResult<Member<T>, undefined>
> {
  if (ended.length === 0 && crowd.live.size > 0) {
    const wait = untilEnough(crowd as Crowd, () => ended.length > 0)
    if (deadlineMs === Infinity) yield* wait
    else yield* timeoutAt(deadlineMs, wait)
  }
  const member = ended.shift()
  if (member !== undefined) mustBeRead(member)
  return member === undefined ? { done: true, value: undefined } : { done: false, value: member }
})

/**
 * Waits for a task and returns how it ended; never throws its outcome.
 *
 * Suspends until the task has ended.
 */
export function join<T>(task: Task<T>): Coroutine<Outcome<T>> {
  return joinTask(task)
}

const joinTask = coroutine('join', function* <T>(task: Task<T>): Generator<Suspension, Outcome<T>> {
  return yield* task.join()
})

/**
 * Cancels a task and waits until it has ended, its cleanup included.
 *
 * @param options `reason` and `graceMs` as for `cancel`; `timeoutMs`: how long to wait, default: until it has ended
 * @returns how it ended
 * @throws {TimeoutError} if it has not ended after `timeoutMs`; it goes on ending
 */
export function cancelAndWait<T>(
  task: Task<T>,
  options?: CancelOptions & { readonly timeoutMs?: number | undefined },
): Coroutine<Outcome<T>> {
  timeoutOf('cancelAndWait()', options)
  return cancelAndJoin(task, options)
}

const cancelAndJoin = coroutine('cancelAndWait', function* <
  T,
>(task: Task<T>, options: (CancelOptions & { readonly timeoutMs?: number | undefined }) | undefined): Generator<
  Suspension,
  Outcome<T>
> {
  task.cancel(options)
  const timeoutMs = options?.timeoutMs ?? Infinity
  if (timeoutMs === Infinity) return yield* task.join()
  const outcome = yield* timeoutOr(timeoutMs, task.join(), null)
  if (outcome !== null) return outcome
  throw new TimeoutError(
    `cancelAndWait(): ${task.describeSelf()} was expected to end within ${String(timeoutMs)} ms, and still cleans up`,
    timeoutMs,
  )
})
