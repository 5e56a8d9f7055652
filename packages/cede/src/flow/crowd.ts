/**
 * A crowd: tasks and futures that one coroutine waits for together. Groups, `gather`, `race`, `wait` and their kin
 * differ only in what they do when a member ends.
 *
 * A coroutine that leaves early must not leave its members behind: `endAll` cancels those that are left and waits for
 * them inside a shield, since they have a grace of their own.
 */
import { Future, type Waiter } from '../core/future.ts'
import { isLibraryOperation, wrongArgument } from '../core/misuse.ts'
import { forgetAnnounced, NOTHING, OUTSIDE, running } from '../core/running.ts'
import { Loop } from '../core/loop.ts'
import type { Coroutine, Operation, Suspension } from '../core/suspension.ts'
import { isFuture, type Task } from '../core/task.ts'
import { WaitQueue } from '../core/wait-queue.ts'
import { shield } from './with-scope.ts'

/** A task or a future. */
export type Member<T = unknown> = Task<T> | Future<T>

export class Crowd<T = unknown> {
  readonly #act: string
  readonly #live = new Map<Member<T>, Waiter>()
  readonly #ended: (member: Member<T>) => void
  readonly #changed: WaitQueue
  /** Whoever waits here waits for every member. */
  #forAll = false

  /** @param ended is called synchronously when a member has ended; it may cancel others, and must not throw */
  constructor(act: string, ended: (member: Member<T>) => void) {
    this.#act = act
    this.#ended = ended
    this.#changed = new WaitQueue(
      () => ({
        what: `${this.#act}, ${String(this.#live.size)} to go`,
        holders: [...this.#live.keys()].filter((member) => !(member instanceof Future)) as Task[],
      }),
      (asking) => this.#blocker(asking),
    )
  }

  /** Those that have not ended. */
  get live(): ReadonlyMap<Member<T>, unknown> {
    return this.#live
  }

  add(member: Member<T>): void {
    if (member.done()) {
      this.#ended(member)
      return
    }
    const waiter = {
      settled: () => {
        this.#live.delete(member)
        this.#ended(member)
        this.#changed.wakeAll()
      },
    }
    this.#live.set(member, waiter)
    futureOf(member).addWaiter(waiter)
  }

  /** Stops watching those that have not ended. */
  forget(): void {
    for (const [member, waiter] of this.#live) futureOf(member).removeWaiter(waiter)
    this.#live.clear()
  }

  /** Waits until a member ends or `poke` is called. */
  changed(): Coroutine<void> {
    return this.#changed.wait()
  }

  poke(): void {
    this.#changed.wakeAll()
  }

  cancelAll(reason?: unknown): void {
    for (const member of [...this.#live.keys()]) {
      if (member instanceof Future) member.cancel(reason)
      else member.cancel({ reason })
    }
  }

  *whenEmpty(): Generator<Suspension, void, unknown> {
    this.#forAll = true
    while (this.#live.size > 0) yield* this.changed()
  }

  #blocker(asking: Task): Task | null {
    if (this.#forAll && this.#live.has(asking as Task<T>)) return asking
    if (this.#live.size !== 1) return null
    const [only] = this.#live.keys()
    return only instanceof Future ? null : (only as Task)
  }

  /** Cancels all that are left and waits until they have ended; no cancel from outside interrupts that. */
  *endAll(reason?: unknown): Generator<Suspension, void, unknown> {
    if (this.#live.size === 0) return
    this.cancelAll(reason)
    yield* shield(this.whenEmpty())
  }
}

export function futureOf<T>(member: Member<T>): Future<T> {
  return member instanceof Future ? member : member.asFuture()
}

/** The error of a member that has ended without a value; reading it counts as receiving it. */
export function errorOf(member: Member): unknown {
  try {
    futureOf(member).take()
    return undefined
  } catch (error) {
    return error
  }
}

/** True if the member ended without a value. */
export function hasFailed(member: Member): boolean {
  return member.status === 'failed' || member.status === 'cancelled'
}

/** Tasks and futures as they are; a task for everything else. The same object twice is one member. */
export function membersOf<T>(act: string, operations: Iterable<Operation<T>>): Member<T>[] {
  requireList(act, operations)
  const runner = Loop.currentRunner(act)
  const made = new Map<Operation<T>, Member<T>>()
  const members: Member<T>[] = []
  try {
    for (const operation of operations) {
      if (running.announced !== NOTHING && running.announced !== OUTSIDE) {
        // The list was itself a coroutine, and has just been stepped: `gather(a(), b())`.
        forgetAnnounced()
        throw notAList(act, operations)
      }
      let member = made.get(operation)
      if (member === undefined) {
        member = isFuture(operation) ? (operation as Member<T>) : runner.createTask(operation, undefined, act)
        made.set(operation, member)
      }
      members.push(member)
    }
  } catch (error) {
    for (const [operation, member] of made) if ((operation as unknown) !== member) member.cancel()
    throw error
  }
  return members
}

/** @throws {MisuseError} for what is no list, or is itself one operation: to iterate it would step it */
export function requireList(act: string, operations: unknown): void {
  if (
    typeof (operations as Partial<Iterable<unknown>> | null | undefined)?.[Symbol.iterator] === 'function' &&
    typeof operations !== 'string' &&
    !isLibraryOperation(operations) &&
    !isFuture(operations)
  )
    return
  throw notAList(act, operations)
}

function notAList(act: string, found: unknown): Error {
  const instead = `write the operations in an array: \`${act.replace('()', '([first, second])')}\``
  return wrongArgument(act, 'a list of operations', found, instead)
}
