/**
 * Seeded bugs: each is one small change to the library's sources, of the kind that a slip makes. `find` must occur
 * exactly once in `file`, so that a mutant that the code has outgrown is noticed. Short finds outlive a reformatting.
 */
export interface Mutant {
  readonly name: string
  /** Below packages/cede/src. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

export const MUTANTS: readonly Mutant[] = [
  // ------------------------------------------------------------------ waits that end not at all, or twice
  {
    name: 'dropped resume: a woken waiter is not resumed',
    file: 'core/wait-queue.ts',
    find: 'this.task!.resume(value)',
    replace: 'void value',
  },
  {
    name: 'dropped resume: the last waiter of a settled future',
    file: 'core/future.ts',
    find: 'for (const waiter of waiters) this.#tell(waiter)',
    replace: 'for (const waiter of [...waiters].slice(1)) this.#tell(waiter)',
  },
  {
    name: 'resumed twice: a task that is ready can be resumed again',
    file: 'core/task.ts',
    find: 'this.waiting = null\n    this.mode = mode',
    replace: 'this.mode = mode',
  },
  {
    name: 'delivered twice: a waiter that failAll woke stays in the queue',
    file: 'core/wait-queue.ts',
    find: 'this.remove(first)\n      first.task!.fail(error)',
    replace: 'first.task!.fail(error)\n      break',
  },
  {
    name: 'skipped unpark: a wait queue keeps a cancelled waiter',
    file: 'core/wait-queue.ts',
    find: 'unpark(): void {\n    this.queue.remove(this)',
    replace: 'unpark(): void {\n    void this.queue',
  },
  {
    name: 'skipped unpark: a future keeps a cancelled waiter',
    file: 'core/future.ts',
    find: 'this.#future.removeWaiter(this)',
    replace: 'void this.#future',
  },
  {
    name: 'skipped unpark: a future that settles cannot be left any more',
    file: 'core/future.ts',
    find: 'for (const waiter of waiters) this.#tell(waiter)',
    replace: 'for (const waiter of [...waiters]) this.#tell(waiter)',
  },
  {
    name: 'skipped unpark: the timer of a cancelled sleep stays armed',
    file: 'core/sleep.ts',
    find: 'task.runner.loop.timers.disarm(this)',
    replace: 'void task',
  },
  {
    name: 'the deadline of a timeout that is left stays armed',
    file: 'flow/timeout.ts',
    find: 'this.task!.runner.loop.timers.disarm(deadline)',
    replace: 'void deadline',
  },

  // ------------------------------------------------------------------ values
  {
    name: 'cancel before value: a task that is ready with a value is unwound',
    file: 'core/step.ts',
    find: 'task.mode === WAKE ? (task.target',
    replace: 'task.mode === WAKE || task.mode === RESUME ? (task.target',
  },
  {
    name: 'lost value: a task that is cancelled is woken with nothing',
    file: 'core/step.ts',
    find: 'const value = task.outcome',
    replace: 'const value = task.cancelled ? undefined : task.outcome',
  },
  {
    name: 'unfair: the youngest waiter is woken',
    file: 'core/wait-queue.ts',
    find: 'wakeOne(value: V): boolean {\n    const first = this.#first',
    replace: 'wakeOne(value: V): boolean {\n    const first = this.#last',
  },
  {
    name: 'a waiter that was moved is removed from the queue it came from',
    file: 'core/wait-queue.ts',
    find: 'waiting.queue = this',
    replace: 'waiting.task!.mode = waiting.task!.mode',
  },
  {
    name: 'a race returns the last to end',
    file: 'flow/race.ts',
    find: 'if (seen.winner !== null) return',
    replace: 'if (seen.winner === member) return',
  },

  // ------------------------------------------------------------------ cancel
  {
    name: 'a wait without a value outruns the cancel',
    file: 'core/step.ts',
    find: '(task.target === null ? RESUME : UNWIND)',
    replace: 'RESUME',
  },
  {
    name: 'ready operations do not notice a cancel',
    file: 'core/running.ts',
    find: 'return running.credit-- > 0',
    replace: 'return running.credit-- > -1_000',
  },
  {
    name: 'a task that was cancelled before its first step runs',
    file: 'core/step.ts',
    find: '(task.target === null ? RESUME : UNWIND)',
    replace: '(task.target === null || (task.flags & 1) !== 0 ? RESUME : UNWIND)',
  },
  {
    name: 'forgotten chain split: a native chain is returned as a whole',
    file: 'core/unwind.ts',
    find: 'if (chain.length === 1) return',
    replace: 'if (chain.length >= 1) return',
  },
  {
    name: 'cancel by throwing: frames that are unwound see an error',
    file: 'core/unwind.ts',
    find: 'if (chain.length === 1) return body.return(undefined)',
    replace: "if (chain.length === 1) return body.throw!(new Error('cancelled'))",
  },
  {
    name: 'interrupted cleanup: outer cancels reach it',
    file: 'core/unwind.ts',
    find: 'this.shielded = true',
    replace: 'this.shielded = false',
  },
  {
    name: 'interrupted cleanup: forced to return again without a grace',
    file: 'core/step.ts',
    find: 'if (canSplitChains) return false',
    replace: 'if (!canSplitChains) return false',
  },
  {
    name: 'interrupted cleanup: the grace is cut',
    file: 'core/unwind.ts',
    find: 'graceMs >= 0 ? graceMs : runner.cleanupGraceMs',
    replace: 'graceMs >= 0 ? graceMs : runner.cleanupGraceMs / 1_000',
  },
  {
    name: 'lost error: cleanup that throws is ignored',
    file: 'core/unwind.ts',
    find: 'if (threw) unwinding.hold(error)',
    replace: 'if (threw && frame === task) unwinding.hold(error)',
  },
  {
    name: 'catch-like swallow: the inner of two cancelled scopes reports',
    file: 'core/unwind.ts',
    find: 'const { enclosing } = unwinding\n  if (task.target !== null) {',
    replace: 'const { enclosing } = unwinding\n  if (task.target !== null && !(frame as Scope).cancelled) {',
  },
  {
    name: 'a second error of cleanup takes the place of the first',
    file: 'core/unwind.ts',
    find: 'if (this.#held === null) this.#held = { error }',
    replace: 'if (this.#held === null || this.enclosing === null) this.#held = { error }',
  },
  {
    name: 'cleanup without end: the grace never runs out',
    file: 'core/step.ts',
    find: 'if (task.unwinding !== null) task.unwinding.startGrace()',
    replace: 'if (task.unwinding !== null) void task',
  },
  {
    name: 'ignored shield',
    file: 'flow/with-scope.ts',
    find: 'override shielded = true',
    replace: 'override shielded = false',
  },
  {
    name: 'wrong target: the scope around a shield is not looked at when the shield ends',
    file: 'core/scope.ts',
    find: 'if (task.target !== null || this.shielded) task.refreshTarget()',
    replace: 'if (task.target !== null) task.refreshTarget()',
  },
  {
    name: 'cancelled scope not left: a parked task is not told',
    file: 'core/scope.ts',
    find: 'this.task?.cancelArrived()',
    replace: 'this.task?.refreshTarget()',
  },
  {
    name: 'a scope that has ended remains the target',
    file: 'core/scope.ts',
    find: 'task.scope = this.outer!',
    replace: 'if (!this.cancelled) task.scope = this.outer!',
  },

  // ------------------------------------------------------------------ frames and order
  {
    name: 'wrong parent: an outcome passes by the frame that waits for it',
    file: 'core/step.ts',
    find: 'const parent: Frame = frame.parent!',
    replace: 'const parent: Frame = frame.parent!.parent ?? frame.parent!',
  },
  {
    name: 'what a pass schedules runs in the same pass',
    file: 'core/loop.ts',
    find: 'ready.shift().run()',
    replace: 'ready.shift().run()\n      if (this.#passLeft === 0 && ready.length > 0) this.#passLeft = 1',
  },
  {
    name: 'the seed does not decide the order',
    file: 'core/random.ts',
    find: 'let state = seed >>> 0',
    replace: 'let state = (seed + Math.random() * 1e6) >>> 0',
  },
  {
    name: 'eager tasks: the step around is not put back',
    file: 'core/runner.ts',
    find: 'const before = { ...running }',
    replace: 'const before = { ...running, task: null }',
  },

  // ------------------------------------------------------------------ timers
  {
    name: 'timer order: the heap compares the wrong way round',
    file: 'core/timers.ts',
    find: 'return a.keyMs < b.keyMs ||',
    replace: 'return a.keyMs > b.keyMs ||',
  },
  {
    name: 'timer order: ties by anything but creation',
    file: 'core/timers.ts',
    find: 'a.keySerial < b.keySerial',
    replace: 'a.keySerial > b.keySerial',
  },
  {
    name: 'early timer: a millisecond too soon',
    file: 'core/timers.ts',
    find: 'list.keyMs > nowMs',
    replace: 'list.keyMs - 1 > nowMs',
  },
  {
    name: 'early timer: armed in the middle of a long step',
    file: 'core/timers.ts',
    find: 'timer.deadlineMs += passedMs',
    replace: 'timer.deadlineMs += 0',
  },
  {
    name: 'a timeout of no time does not begin cut',
    file: 'flow/timeout.ts',
    find: 'if (ms <= 0 ||',
    replace: 'if (ms < 0 ||',
  },
  {
    name: 'a deadline that is moved stays where it was',
    file: 'flow/timeout.ts',
    find: "loop.arm(this.#deadline, ms, 'reschedule()')",
    replace: "loop.arm(this.#deadline, this.#ms, 'reschedule()')",
  },
  {
    name: 'lost timer: cancelling the last of a list loses those armed after it',
    file: 'core/timers.ts',
    find: 'if (later === null) list.last = earlier',
    replace: 'if (later === null) list.last = timer',
  },

  // ------------------------------------------------------------------ errors that nobody receives
  {
    name: 'a failure is reported once more when its outcome is asked for',
    file: 'core/task.ts',
    find: 'this.asFuture().outcomeRead = true',
    replace: 'if (this.future !== null) this.future.outcomeRead = true',
  },
  {
    name: 'a failure that nobody receives is not reported',
    file: 'core/loop.ts',
    find: 'this.#failures.push(failed)',
    replace: 'void failed',
  },
  {
    name: 'a failure that somebody received is reported',
    file: 'core/future.ts',
    find: 'take(): T {\n    this.outcomeRead = true',
    replace: "take(): T {\n    this.outcomeRead = this.#status === 'done'",
  },

  // ------------------------------------------------------------------ groups
  {
    name: 'a group leaves before its children',
    file: 'flow/task-group.ts',
    find: 'yield* this.#crowd.endAll(',
    replace: 'void (',
  },
  {
    name: 'gather and race do not wait for losers',
    file: 'flow/crowd.ts',
    find: 'yield* shield(this.whenEmpty())',
    replace: 'yield* shield(this.#live.size > 9 ? this.whenEmpty() : [][Symbol.iterator]())',
  },
  {
    name: 'a failing child does not stop its group',
    file: 'flow/task-group.ts',
    find: 'if (!this.#stopping) this.stop(',
    replace: 'if (this.#ended) this.stop(',
  },
  {
    name: 'a limited group does not pass room on',
    file: 'flow/task-group.ts',
    find: 'if (!this.#room!.wakeOne()) this.#free++',
    replace: 'this.#free++',
  },
  {
    name: 'a limited group has room without end',
    file: 'flow/task-group.ts',
    find: 'if (this.#free > 0) this.#free--',
    replace: 'if (this.#free > 0) this.#free -= 0',
  },

  // ------------------------------------------------------------------ connections in memory
  {
    name: 'network: a chunk is lost',
    file: 'io/memory-socket.ts',
    find: 'transport.socketReceived(this.#read())',
    replace: 'if (this.#read().length !== 20) transport.socketReceived(this.#read())',
  },
  {
    name: 'network: the last byte of a piece is lost',
    file: 'io/memory-socket.ts',
    find: "this.#peer.#received.push(bytes)\n    this.#peer.#come('data', count)",
    replace: "this.#peer.#received.push(bytes)\n    this.#peer.#come('data', Math.max(1, count - 1))",
  },
  {
    name: 'network: bytes overtake each other in the queue of a writer',
    file: 'io/memory-socket.ts',
    find: 'for (const chunk of chunks) this.#queue.push(chunk)',
    replace: 'for (const chunk of chunks) this.#queue.unshift(chunk)',
  },
  {
    name: 'network: the end overtakes what is under way',
    file: 'io/memory-socket.ts',
    find: 'if (atMs <= nowMs && this.#underWay.length === 0) {',
    replace: "if (kind === 'end' || (atMs <= nowMs && this.#underWay.length === 0)) {",
  },
  {
    name: 'network: the end overtakes what was not taken',
    file: 'io/memory-socket.ts',
    find: 'if (this.queuedBytes === 0 && this.#endWanted',
    replace: 'if (this.#endWanted',
  },
  {
    name: 'network: the end is told before the data',
    file: 'io/memory-socket.ts',
    find: 'this.#flowing && this.#arrivedBytes > 0)',
    replace: 'this.#flowing && this.#arrivedBytes > 0 && !(this.#endArrived && !this.#endTold))',
  },
  {
    name: 'network: delivered inline',
    file: 'io/memory-socket.ts',
    find: 'this.#loop.callSystem(this.#run)',
    replace: 'this.#run()',
  },
  {
    name: 'network: closing drops what was not taken',
    file: 'io/memory-socket.ts',
    find: 'this.#shutting && this.queuedBytes === 0',
    replace: 'this.#shutting',
  },
  {
    name: 'network: closing does not tell the peer',
    file: 'io/memory-socket.ts',
    find: 'if (!this.#endSent) this.#sendEnd()',
    replace: 'void this.#endSent',
  },
  {
    name: 'network: closing with unread bytes is told as a good end',
    file: 'io/memory-socket.ts',
    find: "if (kind === 'data') this.#turnAway(bytes)",
    replace: "if (kind === 'data') this.#received.drop(bytes)",
  },
  {
    name: 'network: a writer is not told that there is room',
    file: 'io/memory-socket.ts',
    find: 'if (this.#peer.queuedBytes > 0) this.#peer.#wake()',
    replace: 'void this.#peer',
  },
  {
    name: 'network: an abort is told as an end',
    file: 'io/memory-socket.ts',
    find: "if (!this.#broken) this.#peer.#come('reset')",
    replace: "if (!this.#broken) this.#peer.#come('end')",
  },
  {
    name: 'network: a lost connection is told twice',
    file: 'io/base-transport.ts',
    find: 'if (this.gone) return\n    this.gone = true\n',
    replace: 'if (!this.gone) this.loop.callSystem(() => this.lost(error))\n    this.gone = true\n',
  },
  {
    name: 'network: paused reading goes on',
    file: 'io/memory-socket.ts',
    find: 'this.#flowing = flowing',
    replace: 'this.#flowing ||= flowing',
  },
  {
    name: 'network: the room of a peer is not looked at',
    file: 'io/memory-socket.ts',
    find: 'const count = Math.min(this.queuedBytes, room, ',
    replace: 'const count = Math.min(this.queuedBytes, ',
  },
  {
    name: 'network: a timer stays when both ends are gone',
    file: 'io/memory-socket.ts',
    find: 'this.#timer?.cancel()',
    replace: 'void this.#timer',
  },
  {
    name: 'network: one end of a broken connection is not told',
    file: 'io/memory-socket.ts',
    find: "this.#come('reset')\n    this.#peer.#come('reset')",
    replace: "this.#come('reset')",
  },
  {
    name: 'network: delays come from another source than the seed',
    file: 'io/network-conditions.ts',
    find: 'this.#random = seededRandom(options.seed ?? 0)',
    replace: 'this.#random = Math.random',
  },

  // ------------------------------------------------------------------ locks, queues and channels
  {
    name: 'lock: a cancelled waiter keeps the wake-up',
    file: 'sync/acquire.ts',
    find: 'override park(task: Task): void {',
    replace:
      "override unpark(): void {}\n  override wake(): void {\n    if (this.task!.status === 'waiting') super.wake()\n  }\n  override park(task: Task): void {",
  },
  {
    name: 'lock: handed over and free at once',
    file: 'sync/lock.ts',
    find: 'this.#holder = next.task',
    replace: 'this.#holder = next.task\n    this.#locked = false',
  },
  {
    name: 'lock: a task that is cancelled does not give it back',
    file: 'sync/holding.ts',
    find: 'this.#of.giveBack(this.#holder!)',
    replace: 'if (!this.#holder!.cancelled) this.#of.giveBack(this.#holder!)',
  },
  {
    name: 'lock: a cycle is not told',
    file: 'sync/lock-cycle.ts',
    find: 'if (other === task) {',
    replace: 'if (other === task && steps > 0) {',
  },
  {
    name: 'semaphore: a permit is created when it is handed over',
    file: 'sync/semaphore.ts',
    find: 'if (!this.#line.wakeOne()) this.#value++',
    replace: 'this.#line.wakeOne()\n    this.#value++',
  },
  {
    name: 'bounded semaphore: a permit is lost when somebody waits for it',
    file: 'sync/bounded-semaphore.ts',
    find: 'if (this.value < this.bound) super.release()',
    replace: 'if (this.value < this.bound - 1 || this.bound === 1) super.release()',
  },
  {
    name: 'limiter: a cancelled borrower still asks',
    file: 'sync/capacity-limiter.ts',
    find: 'this.#limiter.ask(this.borrower, false)',
    replace: 'void this.borrower',
  },
  {
    name: 'limiter: lets in more than there are tokens',
    file: 'sync/capacity-limiter.ts',
    find: 'first !== null && !this.locked()',
    replace: 'first !== null',
  },
  {
    name: 'event: wakes only one',
    file: 'sync/event.ts',
    find: 'this.#line.wakeAll()',
    replace: 'this.#line.wakeOne()',
  },
  {
    name: 'condition: a notice is lost with the task that was told',
    file: 'sync/condition.ts',
    find: 'scope.shielded = true',
    replace: 'scope.shielded = false',
  },
  {
    name: 'condition: who is cancelled goes on without the lock',
    file: 'sync/condition.ts',
    find: 'if (!held) yield* new LockAgain(lock)',
    replace: 'if (!held) yield* checkpoint()',
  },
  {
    name: 'condition: the end of the grace cuts the wait for the lock',
    file: 'sync/condition.ts',
    find: 'override shielded = true',
    replace: 'override shielded = false',
  },
  {
    name: 'barrier: who is cancelled still counts',
    file: 'sync/barrier.ts',
    find: 'override begin(): IteratorResult<Suspension, number> {',
    replace: 'override unpark(): void {}\n  override begin(): IteratorResult<Suspension, number> {',
  },
  {
    name: 'queue: an item is handed to a getter that was cancelled',
    file: 'sync/taking.ts',
    find: 'override end(value: T | Ended): IteratorReturnResult<R> {',
    replace:
      "override unpark(): void {}\n  override wake(item: T | Ended): void {\n    if (this.task!.status === 'waiting') super.wake(item)\n  }\n  override end(value: T | Ended): IteratorReturnResult<R> {",
  },
  {
    name: 'queue: an item is taken before the getter gives way',
    file: 'sync/taking.ts',
    find: 'if (!mayFinishNow()) return announce(GIVE_WAY)',
    replace: 'if (!mayFinishNow()) {\n      source.take()\n      return announce(GIVE_WAY)\n    }',
  },
  {
    name: 'queue: the last that waits to put is not let in',
    file: 'sync/queue.ts',
    find: 'if (this.putters.length > 0) this.#letIn()',
    replace: 'if (this.putters.length > 1) this.#letIn()',
  },
  {
    name: 'queue: the item of a putter that was cancelled is put all the same',
    file: 'sync/queue.ts',
    find: 'protected requireOpen(): void {',
    replace:
      "override unpark(): void {}\n  override wake(value: undefined | Ended): void {\n    if (this.task!.status === 'waiting') super.wake(value)\n  }\n  protected requireOpen(): void {",
  },
  {
    name: 'queue: an item that was said to be done is dropped and counted again',
    file: 'sync/queue.ts',
    find: 'Math.min(dropped.length, this.#unfinished)',
    replace: 'dropped.length',
  },
  {
    name: 'priority queue: the youngest of equal items first',
    file: 'sync/heap.ts',
    find: 'if (compare(item, items[above]!) >= 0) break',
    replace: 'if (compare(item, items[above]!) > 0) break',
  },
  {
    name: 'channel: does not end with its last sender',
    file: 'sync/channel.ts',
    find: 'if (--core.senders === 0)',
    replace: 'if (--core.senders < 0)',
  },
  {
    name: 'channel: closing one receiver ends the waits of all',
    file: 'sync/channel.ts',
    find: '(waiting as { readonly receiver?: unknown }).receiver === this',
    replace: '(waiting as { readonly receiver?: unknown }).receiver !== null',
  },
  {
    name: 'broadcast: room that becomes free is not told',
    file: 'sync/broadcast.ts',
    find: 'if (wasFull) this.#broadcast.gotRoom(this)',
    replace: 'if (wasFull && this.size === 0) this.#broadcast.gotRoom(this)',
  },
  {
    name: 'broadcast: a subscription that leaves still counts as full',
    file: 'sync/broadcast.ts',
    find: 'if (subscription.full && this.#subscriptions.has(subscription)) this.#full--',
    replace: 'void this.#full',
  },
  {
    name: 'ticker: turns that were missed are made up for',
    file: 'flow/ticker.ts',
    find: 'return Math.max(next, Math.ceil',
    replace: 'return Math.min(next, Math.ceil',
  },
]
