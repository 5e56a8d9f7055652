/**
 * What the interpreter knows of one run: its tasks, scopes, futures and queues, every value that was handed over, and
 * what has gone wrong. The library is asked only for what its users can see.
 */
import { Future, type CancelScope, type Loop, type Task, type TaskGroup } from 'cede'
import { WaitQueue, type Wait } from 'cede/lowlevel'
import { Place, standing } from './place.ts'
import { FUTURES, QUEUES, type Act, type Program } from './program.ts'

/** Thrown by programs. */
export class ProgramError extends Error {
  constructor(id: number) {
    super(`error ${id}`)
  }
}

/** A value that exists once. */
export class Token {
  readonly id: number
  /** Times it was handed to a waiter or put into stock, and received. */
  given = 0
  received = 0
  /** The call that was to return it was unwound. */
  unwound = false

  constructor(id: number) {
    this.id = id
  }
}

/** One wait of a program: a `yield*` on one operation that waits for one thing. */
export interface Leaf {
  readonly what: string
  readonly place: Place
  /** `wake`: has no value, so a cancel may come between the end of the wait and the step. */
  readonly kind: 'wake' | 'value'
  readonly mustSuspend: boolean
  readonly bornCancelled: boolean
  readonly queue: number | null
  readonly future: FutureModel | null
  readonly awaited: TaskModel | null
  readonly sleepMs: number | null
  dueMs: number
  armed: number
  parked: boolean
  givesWay: boolean
  resumed: boolean
  unparked: boolean
  ended: boolean
  /** What was handed to it by a queue. */
  handed: { readonly value: unknown } | { readonly error: unknown } | null
}

export type LeafOptions = Partial<Pick<Leaf, 'mustSuspend' | 'queue' | 'future' | 'awaited' | 'sleepMs'>>

export function newLeaf(place: Place, what: string, kind: Leaf['kind'], options: LeafOptions): Leaf {
  return {
    what,
    place,
    kind,
    mustSuspend: options.mustSuspend ?? false,
    bornCancelled: standing(place) === 'cancelled',
    queue: options.queue ?? null,
    future: options.future ?? null,
    awaited: options.awaited ?? null,
    sleepMs: options.sleepMs ?? null,
    dueMs: 0,
    armed: 0,
    parked: false,
    givesWay: false,
    resumed: false,
    unparked: false,
    ended: false,
    handed: null,
  }
}

export class TaskModel {
  readonly id: number
  readonly task: Task
  readonly root: Place
  /** The group, gather or race that it belongs to. */
  readonly owner: Composite | null
  /** `finally` blocks entered and not yet begun, innermost last. */
  readonly entries: Entry[] = []
  readonly composites: Composite[] = []
  leaf: Leaf | null = null
  how: 'unstarted' | 'running' | 'returned' | 'threw' | 'unwound' = 'unstarted'
  value: Token | null = null
  error: unknown = undefined
  done = false
  /** Its body is an operation of the library, so nothing of the interpreter runs in it. */
  bare = false
  graceSpent = false
  /** When it was unwound for the first time. */
  unwindingSinceMs: number | null = null
  /** Errors thrown by cleanup while this task was unwound. */
  readonly held = new Set<unknown>()
  /** Those of them that no scope has thrown so far, and where they were thrown. */
  pending: { readonly error: unknown; readonly at: Place }[] = []
  /** Somebody has waited for its outcome and got it. */
  awaited = false
  /** It was cancelled after its end, which says that nobody wants its outcome. */
  waived = false
  // What the instrument has seen.
  parkedOn: Wait | null = null
  ready = false
  /** The pass in which it must be stepped. */
  duePass = 0

  constructor(id: number, task: Task, owner: Composite | null) {
    this.id = id
    this.task = task
    this.owner = owner
    this.root = new Place('task', null, this, () => task.cancelled)
  }
}

/** One entered `try`. */
export interface Entry {
  begun: boolean
}

/** A group, gather or race: tasks that must not outlive it. */
export interface Composite {
  readonly what: string
  /** Where it was called. */
  readonly place: Place
  readonly children: TaskModel[]
  /** Children in the order in which they ended. */
  readonly ended: TaskModel[]
  readonly limit: number
  running: number
  over: boolean
  group: TaskGroup | null
}

export interface FutureModel {
  readonly future: Future<unknown>
  outcome: { readonly status: 'done' | 'failed' | 'cancelled'; readonly value: unknown } | null
}

interface QueueModel {
  readonly queue: WaitQueue<unknown>
  readonly waiters: TaskModel[]
  readonly stock: Token[]
}

export interface WorldClock {
  peek(): number
  /** Lets time pass inside a step. */
  elapse(ms: number): void
}

export class World {
  readonly program: Program
  readonly loop: Loop
  readonly clock: WorldClock
  readonly violations: string[] = []
  readonly trace: string[] = []
  readonly tasks: TaskModel[] = []
  readonly scopes: Place[] = []
  readonly groups: Composite[] = []
  readonly futures: FutureModel[] = []
  readonly queues: QueueModel[] = []
  readonly tokens: Token[] = []
  /** Errors that cleanup threw while its task was unwound, and the scope that was to report them. */
  readonly heldErrors = new Map<unknown, Place | null>()
  /** True if no step lets time pass: then everything happens exactly when it is due. */
  readonly exact: boolean
  /** Tasks made now belong to it. */
  creating: { readonly composite: Composite; count: number } | null = null
  creatingEager = false
  /** The task made next has a sleep for its body. */
  creatingBare: { readonly value: Token; readonly sleepMs: number } | null = null
  #models = new WeakMap<Task, TaskModel>()
  #handing: Leaf['handed'] = null
  #handedTo: TaskModel | null = null
  /** Failed tasks that the exception handler was told. */
  readonly reported = new Set<Task>()
  readonly #shortestGraceMs: number
  #errors = 0
  /** Begins and ends of waits so far. */
  ticks = 0
  /** Done callbacks that have not been called. */
  #untold = 0
  #timerHandles: { cancel(): void }[] = []
  #timersArmed = 0
  readonly #lastSleep = { dueMs: -1, serial: 0 }
  readonly #lastCallback = { dueMs: -1, serial: 0 }

  constructor(program: Program, loop: Loop, clock: WorldClock) {
    this.program = program
    this.loop = loop
    this.clock = clock
    const text = JSON.stringify(program)
    this.exact = !text.includes('"elapse"')
    const graces = [...text.matchAll(/"graceMs":(\d+)/g)].map((match) => Number(match[1]))
    this.#shortestGraceMs = Math.min(program.cleanupGraceMs, ...graces)
    for (let i = 0; i < FUTURES; i++) this.futures.push({ future: new Future<unknown>(), outcome: null })
    for (let i = 0; i < QUEUES; i++)
      this.queues.push({ queue: new WaitQueue<unknown>(), waiters: [], stock: [] })
  }

  // ------------------------------------------------------------------ the record

  note(what: string): void {
    this.trace.push(`${this.clock.peek()} ${what}`)
  }

  violate(what: string): void {
    this.violations.push(`at ${this.clock.peek()} ms: ${what}`)
    this.note(`VIOLATION ${what}`)
  }

  token(): Token {
    const token = new Token(this.tokens.length)
    this.tokens.push(token)
    return token
  }

  error(): ProgramError {
    return new ProgramError(++this.#errors)
  }

  addTask(task: Task): TaskModel {
    const owner = this.creating?.composite ?? null
    const { creatingBare } = this
    this.creatingBare = null
    const model = new TaskModel(this.tasks.length, task, owner)
    this.tasks.push(model)
    this.#models.set(task, model)
    if (creatingBare !== null) {
      model.bare = true
      model.how = 'returned'
      model.value = creatingBare.value
      model.leaf = newLeaf(model.root, 'sleep as a task', 'wake', {
        mustSuspend: true,
        sleepMs: creatingBare.sleepMs,
      })
    }
    if (this.creating !== null) {
      this.creating.composite.children.push(model)
      if (--this.creating.count === 0) this.creating = null
    }
    return model
  }

  modelOf(task: Task): TaskModel {
    return this.#models.get(task)!
  }

  /** Once for every begin and end of a wait; interventions hang on these. */
  tick(): void {
    const tick = this.ticks++
    for (const intervention of this.program.interventions) {
      if (intervention.at !== 'tick' || intervention.tick !== tick) continue
      if (intervention.soon) this.later(null, intervention.does)
      else this.act(intervention.does)
    }
  }

  // ------------------------------------------------------------------ timers of the program

  later(ms: number | null, does: Act): void {
    if (ms === null) {
      this.loop.callSoon(() => this.act(does))
      return
    }
    const dueMs = this.clock.peek() + ms
    const serial = ++this.#timersArmed
    const handle = this.loop.callLater(ms, () => {
      this.#timerActs('a callLater', dueMs)
      if (this.program.shuffleSeed === null)
        this.#inOrder(this.#lastCallback, 'callLater callbacks', dueMs, serial)
      this.act(does)
    })
    this.#timerHandles.push(handle)
  }

  cancelTimers(): void {
    for (const handle of this.#timerHandles) handle.cancel()
  }

  armed(): number {
    return ++this.#timersArmed
  }

  sleepEnds(leaf: Leaf): void {
    this.#timerActs(leaf.what, leaf.dueMs)
    if (leaf.sleepMs! > 0) this.#inOrder(this.#lastSleep, 'sleeps', leaf.dueMs, leaf.armed)
  }

  #timerActs(what: string, dueMs: number): void {
    const nowMs = this.clock.peek()
    if (nowMs < dueMs) this.violate(`${what} acted before it was due at ${dueMs} ms`)
    if (this.exact && nowMs > dueMs) this.violate(`${what} acted after it was due at ${dueMs} ms`)
  }

  #inOrder(last: { dueMs: number; serial: number }, what: string, dueMs: number, serial: number): void {
    if (this.exact && (dueMs < last.dueMs || (dueMs === last.dueMs && serial < last.serial))) {
      this.violate(`${what} acted out of the order of deadline and creation`)
    }
    last.dueMs = dueMs
    last.serial = serial
  }

  // ------------------------------------------------------------------ acts

  act(does: Act): void {
    this.note(`act ${does.act}`)
    switch (does.act) {
      case 'cancelTask':
        this.cancelTask(pick(this.tasks, does.index), does.graceMs)
        break
      case 'cancelScope':
        if (this.scopes.length > 0) this.cancelScope(pick(this.scopes, does.index), does.graceMs)
        break
      case 'watch':
        this.#watch(pick(this.tasks, does.index))
        break
      case 'cancelGroup':
        if (this.groups.length > 0) this.groups[does.index % this.groups.length]!.group?.cancel()
        this.checkAllLeft('a group was cancelled')
        break
      case 'moveDeadline':
        this.#moveDeadline(does.index, does.ms)
        break
      case 'settle':
      case 'fail':
      case 'cancelFuture':
        this.#settle(this.futures[does.index % FUTURES]!, does.act)
        break
      case 'put':
      case 'wakeOne':
        this.#hand(this.queues[does.index % QUEUES]!, does.act === 'put')
        break
      case 'failAll':
        this.#failAll(this.queues[does.index % QUEUES]!)
        break
      case 'moveWaiters':
        this.#moveWaiters(this.queues[does.index % QUEUES]!, this.queues[does.to % QUEUES]!, does.count)
        break
      case 'handAndCancel':
        this.#handAndCancel(this.queues[does.index % QUEUES]!, does.cancelFirst)
    }
  }

  cancelTask(model: TaskModel, graceMs: number | null): void {
    const ended = model.task.done()
    if (ended) model.waived = true
    const cancelled = model.task.cancel(graceMs === null ? undefined : { graceMs })
    if (cancelled === ended) this.violate(`cancel() of task ${model.id} returned ${cancelled}`)
    if (cancelled && !model.task.cancelled)
      this.violate(`task ${model.id} does not know that it was cancelled`)
    this.checkLeft(model)
  }

  cancelScope(place: Place, graceMs: number | null): void {
    const scope: CancelScope | null = place.kind === 'task' ? place.task.task : place.scope
    if (scope === null) return
    const cancelled = scope.cancel(graceMs === null ? undefined : { graceMs })
    if (cancelled && !scope.cancelled) this.violate(`a ${place.kind} does not know that it was cancelled`)
    if (cancelled && place.left) this.violate(`cancel() of a ${place.kind} that has ended returned true`)
    this.checkLeft(place.task)
  }

  /** A wait in a cancelled scope ends in the very moment of the cancel. */
  checkLeft(model: TaskModel): void {
    const { leaf } = model
    if (leaf === null || model.parkedOn === null || leaf.ended) return
    if (standing(leaf.place) === 'cancelled')
      this.violate(`task ${model.id} still waits (${leaf.what}) in a cancelled scope`)
  }

  /** A deadline that lies in the past has cut its body before anything else happens inside. */
  checkDeadlines(place: Place): void {
    if (!this.exact) return
    const nowMs = this.clock.peek()
    for (let p: Place | null = place; p !== null; p = p.outer) {
      if (p.deadlineMs < nowMs && !p.isCancelled())
        this.violate(`a timeout that was due at ${p.deadlineMs} ms has not acted`)
    }
  }

  checkAllLeft(why: string): void {
    for (const model of this.tasks) if (!model.done) this.checkLeft(model)
    this.note(why)
  }

  #watch(model: TaskModel): void {
    let told = false
    this.#untold++
    model.task.addDoneCallback(() => {
      if (told || !model.done)
        this.violate(`a done callback of task ${model.id} was called ${told ? 'twice' : 'too early'}`)
      told = true
      this.#untold--
    })
  }

  #moveDeadline(index: number, ms: number): void {
    const open = this.scopes.filter(
      (place) => place.kind.startsWith('timeout') && !place.left && !place.isCancelled(),
    )
    if (open.length === 0) return
    const place = open[index % open.length]!
    ;(place.scope as unknown as { reschedule(ms: number): void }).reschedule(ms)
    place.deadlineMs = this.clock.peek() + Math.max(0, ms)
  }

  #settle(model: FutureModel, act: 'settle' | 'fail' | 'cancelFuture'): void {
    if (model.outcome !== null) return
    if (act === 'settle') {
      const token = this.token()
      model.outcome = { status: 'done', value: token }
      model.future.setResult(token)
    } else if (act === 'fail') {
      const error = this.error()
      model.outcome = { status: 'failed', value: error }
      model.future.setException(error)
      // Read, so that the report of unclaimed errors stays out of the way.
      model.future.exception()
    } else {
      const reason = this.token()
      model.outcome = { status: 'cancelled', value: reason }
      model.future.cancel(reason)
    }
    for (const task of this.tasks) {
      if (task.leaf?.future === model && task.parkedOn !== null && !task.leaf.ended) {
        this.violate(`task ${task.id} still waits for a future that was settled`)
      }
    }
  }

  #hand(model: QueueModel, stock: boolean): TaskModel | null {
    const token = this.token()
    const first = model.waiters[0] ?? null
    const { woken, to } = this.#wake({ value: token }, () => model.queue.wakeOne(token))
    if (woken !== (first !== null))
      this.violate(`wakeOne() returned ${woken} with ${model.waiters.length} waiting`)
    if (to !== first)
      this.violate(`wakeOne() woke ${nameOf(to)} and not ${nameOf(first)}, who waited longest`)
    if (woken) token.given++
    else if (stock) {
      token.given++
      model.stock.push(token)
    }
    this.#checkLength(model)
    return first
  }

  #wake(handed: NonNullable<Leaf['handed']>, wake: () => boolean): { woken: boolean; to: TaskModel | null } {
    this.#handing = handed
    this.#handedTo = null
    const woken = wake()
    this.#handing = null
    return { woken, to: this.#handedTo }
  }

  #failAll(model: QueueModel): void {
    const error = this.error()
    const before = model.waiters.length
    this.#handing = { error }
    const count = model.queue.failAll(error)
    this.#handing = null
    if (count !== before) this.violate(`failAll() returned ${count} with ${before} waiting`)
    if (model.waiters.length > 0) this.violate('failAll() left a waiter behind')
    this.#checkLength(model)
  }

  #moveWaiters(from: QueueModel, to: QueueModel, count: number): void {
    if (from === to) return
    const moved = from.queue.moveTo(to.queue, count)
    const expected = from.waiters.splice(0, count)
    to.waiters.push(...expected)
    if (moved !== expected.length) this.violate(`moveTo() moved ${moved}, expected ${expected.length}`)
    this.#checkLength(from)
    this.#checkLength(to)
  }

  #handAndCancel(model: QueueModel, cancelFirst: boolean): void {
    const first = model.waiters[0]
    if (first === undefined) return
    if (cancelFirst) {
      this.cancelTask(first, null)
      this.#hand(model, true)
    } else {
      this.#hand(model, true)
      this.cancelTask(first, null)
    }
  }

  #checkLength(model: QueueModel): void {
    if (model.queue.length !== model.waiters.length) {
      this.violate(`a queue says that ${model.queue.length} wait, and ${model.waiters.length} do`)
    }
  }

  /** From the instrument: a task that waits in a queue was woken. */
  wokenInQueue(model: TaskModel, leaf: Leaf): void {
    this.leavesQueue(model)
    if (this.#handing === null)
      this.violate(`task ${model.id} was woken in a queue without anybody waking it`)
    if (leaf.handed !== null) this.violate(`task ${model.id} was handed two values`)
    leaf.handed = this.#handing
    this.#handedTo = model
  }

  leavesQueue(model: TaskModel): void {
    for (const { waiters } of this.queues) {
      const at = waiters.indexOf(model)
      if (at !== -1) waiters.splice(at, 1)
    }
  }

  reapAfter(ms: number): void {
    this.#timerHandles.push(this.loop.callLater(ms, () => this.#reap()))
  }

  /** Settles and wakes everything. */
  #reap(): void {
    for (let index = 0; index < FUTURES; index++) this.act({ act: 'settle', index })
    for (const model of this.queues)
      for (let left = model.waiters.length; left > 0; left--) this.#hand(model, true)
  }

  /** The cleanup of a task was cut short: not before its grace was spent. */
  checkGrace(model: TaskModel): void {
    const { unwindingSinceMs } = model
    if (unwindingSinceMs === null) this.violate(`task ${model.id} has no grace left, and was never unwound`)
    else if (this.exact && this.clock.peek() < unwindingSinceMs + this.#shortestGraceMs) {
      this.violate(
        `the cleanup of task ${model.id}, unwound at ${unwindingSinceMs} ms, was cut short before its grace`,
      )
    }
  }

  /** Nothing can happen any more, says the driver: then nobody waits for the clock. */
  checkStalled(): void {
    for (const { id, parkedOn, leaf, graceSpent, how, owner } of this.tasks) {
      if (parkedOn === null) continue
      if (how === 'unstarted' && owner !== null && owner.running < owner.limit) {
        this.violate(`task ${id} waits for room in a group that has some`)
      }
      if (leaf === null) continue
      if (leaf.sleepMs !== null) this.violate(`task ${id} sleeps, and the loop stands still`)
      for (let place: Place | null = leaf.place; place !== null; place = place.outer) {
        if (place.deadlineMs < Infinity && !place.isCancelled()) {
          this.violate(`task ${id} waits in a timeout, and the loop stands still`)
        }
        if (place.kind === 'cleanup' && !graceSpent)
          this.violate(`task ${id} cleans up, and has no grace that ends`)
      }
    }
  }

  // ------------------------------------------------------------------ after the run

  checkEnd(): void {
    for (const model of this.tasks) {
      if (!model.done) this.violate(`task ${model.id} is left after the run`)
      const { task } = model
      if (task.status !== 'failed' || model.owner !== null || model.id === 0) continue
      if (!model.awaited && !model.waived && !this.reported.has(task))
        this.violate(`task ${model.id} failed, nobody got its error, and nobody was told`)
    }
    for (const model of this.queues) {
      if (model.waiters.length > 0 || model.queue.length > 0)
        this.violate('a waiter is left in a queue after the run')
      for (const token of model.stock) token.received++
    }
    for (const token of this.tokens) {
      if (token.given !== token.received) {
        this.violate(
          `value ${token.id} was given ${token.given} times and received or kept ${token.received} times`,
        )
      }
    }
    if (this.#untold > 0) this.violate(`${this.#untold} done callbacks were not called`)
    const timers = [...this.loop.timers].length
    if (timers > 0) this.violate(`${timers} timers are left after the run`)
    for (const model of this.futures) {
      if (model.outcome !== null) continue
      try {
        // Whoever were still in its list would be woken now, and refuse.
        model.future.setResult(undefined)
      } catch (error) {
        this.violate(`a waiter is left in a future after the run: ${String(error)}`)
      }
    }
  }
}

const FROM_OLDEST = 4

/** Names one of a list; see `program.ts`. */
export function pick<T>(list: readonly T[], index: number): T {
  return index < FROM_OLDEST
    ? list[index % list.length]!
    : list[list.length - 1 - ((index - FROM_OLDEST) % list.length)]!
}

function nameOf(model: TaskModel | null): string {
  return model === null ? 'nobody' : `task ${model.id}`
}
