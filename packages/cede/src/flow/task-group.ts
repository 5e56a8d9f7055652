/**
 * A task group: a body and the child tasks it starts, which end together or not at all.
 *
 * The body runs in a scope in the caller's own task. The first failure, of a child or of the body, cancels all the
 * others, and the group throws only when every one has ended; so nothing that was started inside outlives it. When the
 * group is cancelled from outside, it cancels its children and waits for them inside a shield: they have a grace of
 * their own, and parents outlive children.
 */
import { coroutine, labelOf, operationFrom } from '../core/coroutine.ts'
import { cancelledError, ClosedError, InvalidStateError, TaskGroupError } from '../core/errors.ts'
import { Future } from '../core/future.ts'
import { nameOf, wrongNumber } from '../core/misuse.ts'
import type { Runner } from '../core/runner.ts'
import { BodyScope, type CancelOptions } from '../core/scope.ts'
import type { Body, Coroutine, Operation, Suspension } from '../core/suspension.ts'
import { requireTask, type Task, type TaskOptions } from '../core/task.ts'
import { WaitQueue } from '../core/wait-queue.ts'
import { Crowd, errorOf, hasFailed } from './crowd.ts'
import { cancelAndWait } from './wait.ts'

export interface TaskGroupOptions {
  /** How many children run at once; more are started and wait for their turn. Default: no limit. */
  readonly limit?: number | undefined
}

export interface TaskGroup {
  /**
   * Starts a child.
   *
   * @throws {ClosedError} if the group has ended, was cancelled, or a member has failed
   */
  createTask<T>(operation: Operation<T>, options?: TaskOptions): Task<T>
  /**
   * Starts a child and waits until it reports that it is ready. The child goes on as a member of the group.
   *
   * @returns what the child gave to `ready`
   * @throws {InvalidStateError} if the child ended without reporting; its own error if it failed before
   */
  start<V>(child: (ready: (value: V) => void) => Operation<unknown>, options?: TaskOptions): Coroutine<V>
  /** Children that have not ended, oldest first. */
  readonly tasks: readonly Task[]
  /**
   * Cancels children and body. The group then returns the value of the body if that had ended, and throws a
   * `CancelledError` otherwise. Again, or after the group has ended, it changes nothing.
   */
  cancel(options?: CancelOptions): void
  readonly cancelled: boolean
}

class GroupBody<T> extends BodyScope<T, TaskGroup> {
  constructor(body: Body<T, [group: TaskGroup]>, group: TaskGroup) {
    super(typeof body === 'function' ? () => body(group) : body)
  }

  protected override act(): string {
    return 'taskGroup()'
  }
}

class Group<T> implements TaskGroup {
  readonly scope: GroupBody<T>
  readonly errors: unknown[] = []
  readonly #names: string[] = []
  readonly #runner: Runner
  readonly #crowd: Crowd
  readonly #room: WaitQueue | null
  #free: number
  #cancelOptions: CancelOptions | null = null
  #ended = false

  constructor(body: Body<T, [group: TaskGroup]>, limit: number, runner: Runner) {
    this.#runner = runner
    this.#free = limit
    this.#room =
      limit === Infinity ? null : new WaitQueue(() => ({ what: 'room in a task group', holders: this.tasks }))
    this.#crowd = new Crowd('task group', (member) => this.#childEnded(member as Task))
    this.scope = new GroupBody(body, this)
  }

  get tasks(): readonly Task[] {
    return [...this.#crowd.live.keys()] as Task[]
  }

  get cancelled(): boolean {
    return this.#cancelOptions !== null
  }

  createTask<R>(operation: Operation<R>, options?: TaskOptions): Task<R> {
    if (this.#ended || this.#stopping) {
      const why = this.#ended ? 'has ended' : this.cancelled ? 'was cancelled' : 'is ending after a failure'
      throw new ClosedError(`createTask() of a task group: an open group was expected, found one that ${why}`)
    }
    const task =
      this.#room === null
        ? this.#runner.createTask<R>(operation, options, 'createTask()')
        : this.#runner.createTask<R>(
            inTurn(this, operationFrom('createTask()', operation)),
            { label: labelOf(operation), ...options },
            'createTask()',
          )
    if (this.#room !== null) holdUntilBegun(operation, task)
    this.#crowd.add(task)
    // An eager child may have stopped the group before it was a member.
    if (this.#stopping) task.cancel(this.#stopOptions)
    return task
  }

  start<V>(child: (ready: (value: V) => void) => Operation<unknown>, options?: TaskOptions): Coroutine<V> {
    return startChild(this, child, options) as Coroutine<V>
  }

  cancel(options: CancelOptions = {}): void {
    if (this.#ended) return
    this.#cancelOptions ??= options
    this.stop(options)
  }

  /** Body and children have to end now. */
  stop(options: CancelOptions): void {
    this.#stopping = true
    this.#stopOptions = options
    this.scope.cancel(options)
    for (const task of this.tasks) task.cancel(options)
  }
  #stopping = false
  #stopOptions: CancelOptions = {}

  fail(error: unknown, name: string): void {
    this.errors.push(error)
    this.#names.push(name)
    if (!this.#stopping) this.stop({ reason: `${name} of the same task group failed` })
  }

  #childEnded(task: Task): void {
    if (hasFailed(task)) {
      const error = errorOf(task)
      if (task.status === 'failed') this.fail(error, `task ${task.name}`)
    }
  }

  get cancelOptions(): CancelOptions | null {
    return this.#cancelOptions
  }

  *allEnded(): Generator<Suspension, void> {
    yield* this.#crowd.whenEmpty()
  }

  *endAll(): Generator<Suspension, void> {
    yield* this.#crowd.endAll('the task group was cancelled')
  }

  close(): void {
    this.#ended = true
  }

  error(): TaskGroupError {
    const { length } = this.errors
    const what = length === 1 ? '1 error' : `${String(length)} errors`
    const first = this.errors[0]
    return new TaskGroupError(
      this.errors,
      `a task group failed with ${what}, in ${this.#names.join(', ')}; the first: ${first instanceof Error ? first.message : nameOf(first)}`,
    )
  }

  /** With a limit, a child waits here for its turn. A slot that is freed goes straight to the one that waits longest. */
  *takeRoom(): Generator<Suspension, void> {
    if (this.#free > 0) this.#free--
    else yield* this.#room!.wait()
  }

  giveRoom(): void {
    if (!this.#room!.wakeOne()) this.#free++
  }
}

/** A promise goes on while its child waits for room: its operation is told that somebody will take what comes of it. */
interface Held {
  hold(): void
  drop(): void
}

function holdUntilBegun(operation: Operation<unknown> & Partial<Held>, task: Task): void {
  if (operation.hold === undefined) return
  operation.hold()
  task.addHook(() => operation.drop!())
}

function* inTurn<R>(
  group: Pick<Group<unknown>, 'takeRoom' | 'giveRoom'>,
  operation: Operation<R>,
): Generator<Suspension, R> {
  yield* group.takeRoom()
  try {
    return yield* operation
  } finally {
    group.giveRoom()
  }
}

/**
 * Runs `body`, which may start children with `group.createTask`; leaves only when body and children have all ended.
 * The first failure cancels all the others.
 *
 * @param body is given the group
 * @param options.limit how many children run at once
 * @returns the value of the body
 * @throws {TaskGroupError} with every error in the order in which it happened, if a child or the body failed; also if
 *   the group was cancelled from outside meanwhile
 * @throws {CancelledError} if `group.cancel()` stopped the body
 * @throws at the call {RangeError} if `limit` is not a whole number above 0, {MisuseError} if it is no number
 *
 * Suspends while children run.
 *
 * @example
 * import { run, sleep, taskGroup } from 'cede'
 *
 * function* worker(name: string, ms: number) {
 *   yield* sleep(ms)
 *   console.log(name)
 * }
 * await run(function* () {
 *   yield* taskGroup(function* (group) {
 *     group.createTask(worker('slow', 20))
 *     group.createTask(worker('fast', 10))
 *     yield* sleep(0)
 *   })
 * })
 */
export function taskGroup<T>(body: Body<T, [group: TaskGroup]>, options?: TaskGroupOptions): Coroutine<T> {
  const limit = options?.limit ?? Infinity
  if (limit !== Infinity && !(Number.isInteger(limit) && limit >= 1)) {
    throw wrongNumber(limit, `taskGroup(): a limit of 1 or more was expected, found ${nameOf(limit)}`)
  }
  return grouped(body, limit) as Coroutine<T>
}

const grouped = coroutine(
  'taskGroup',
  function* (body: Body<unknown, [group: TaskGroup]>, limit: number): Generator<Suspension, unknown> {
    const group = new Group(body, limit, requireTask('taskGroup()').runner)
    let value: unknown
    let bodyEnded = false
    let inside = true
    try {
      try {
        value = yield* group.scope as unknown as Operation<unknown>
        bodyEnded = !group.scope.unwound
      } catch (error) {
        group.fail(error, 'the body')
      }
      yield* group.allEnded()
      inside = false
    } finally {
      if (inside) group.stop({ reason: 'the task group was cancelled' })
      yield* group.endAll()
      group.close()
      if (inside && group.errors.length > 0) throw group.error()
    }
    if (group.errors.length > 0) throw group.error()
    if (!bodyEnded) throw cancelledError('the task group', group.cancelOptions?.reason)
    return value
  },
)

const startChild = coroutine(
  'start',
  function* (
    group: TaskGroup,
    child: (ready: (value: unknown) => void) => Operation<unknown>,
    options: TaskOptions | undefined,
  ): Generator<Suspension, unknown> {
    const readiness = new Future<unknown>()
    const ready = (value: unknown): void => {
      if (readiness.done())
        throw new InvalidStateError('ready(): expected to be called once, found a second call')
      readiness.setResult(value)
    }
    const task = group.createTask(reporting(child, ready), options)
    const watch = (): void => {
      // The failure of the child has cancelled this start already: nobody waits for the readiness any more.
      if (left || readiness.done()) return
      if (task.status === 'failed') {
        readiness.setException(task.exception())
      } else {
        readiness.setException(
          new InvalidStateError(
            `start(): ${task.describeSelf()} was expected to call ready(), and ended without it`,
          ),
        )
      }
    }
    task.addDoneCallback(watch)
    let left = false
    let waiting = true
    try {
      const value = yield* readiness
      waiting = false
      return value
    } finally {
      left = true
      task.removeDoneCallback(watch)
      if (waiting && !task.done()) yield* cancelAndWait(task, { reason: 'its start was cancelled' })
    }
  },
)

function* reporting(
  child: (ready: (value: unknown) => void) => Operation<unknown>,
  ready: (value: unknown) => void,
): Generator<Suspension, unknown> {
  return yield* operationFrom('start(): what the child function returned', child(ready))
}
