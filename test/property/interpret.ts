/**
 * Runs a program tree with the library. Every node is a generator of its own that returns the token it was given, so
 * that a caller can tell whether what it called has really ended, and ended here. Around every wait, scope, `finally`
 * and task the interpreter records how it was left and compares that with the rules.
 */
import {
  any,
  CancelledError,
  cancelAndWait,
  checkpoint,
  ClosedError,
  coroutine,
  createTask,
  currentTask,
  gather,
  race,
  shield,
  sleep,
  sleepForever,
  taskGroup,
  TaskGroupError,
  timeout,
  TimeoutError,
  timeoutOr,
  withScope,
  type CancelScope,
  type Operation,
  type Suspension,
  type TaskGroup,
  type TimeoutScope,
} from 'cede'
import { Place, standing, targetOf, encloses, type PlaceKind } from './place.ts'
import { FUTURES, QUEUES, type Node } from './program.ts'
import {
  newLeaf,
  pick,
  type Composite,
  type Entry,
  type Leaf,
  type LeafOptions,
  type TaskModel,
  type Token,
  type World,
} from './world.ts'

type Run<T = Token> = Generator<Suspension, T, unknown>
type NodeOf<K extends Node['node']> = Node & { readonly node: K }

interface Env {
  readonly world: World
  readonly task: TaskModel
  readonly place: Place
}

// ---------------------------------------------------------------------- tasks

export function* taskBody(world: World, node: Node): Run {
  const task = currentTask()!
  const model = world.modelOf(task)
  const { owner } = model
  // With a limit the first step may be spent on waiting for room.
  const isFirstStep = owner === null || owner.limit === Infinity
  if (task.cancelled && isFirstStep)
    world.violate(`task ${model.id} was cancelled before its first step, and its body runs`)
  if (model.how !== 'unstarted') world.violate(`the body of task ${model.id} runs twice`)
  if (owner?.over === true) world.violate(`a task begins after the end of its ${owner.what}`)
  if (owner !== null && ++owner.running > owner.limit)
    world.violate(`${owner.running} tasks run in a group with limit ${owner.limit}`)
  model.how = 'running'
  const token = world.token()
  try {
    yield* call({ world, task: model, place: model.root }, node)
    model.how = 'returned'
    model.value = token
    return token
  } catch (error) {
    model.how = 'threw'
    model.error = error
    throw error
  } finally {
    if (owner !== null) owner.running--
    if (model.how === 'running') {
      model.how = 'unwound'
      if (standing(model.root) === 'free')
        world.violate(`the body of task ${model.id} was unwound, and nobody cancelled it`)
    }
  }
}

const wrappedTaskBody: (world: World, node: Node) => Operation<Token> = coroutine('wrappedTaskBody', taskBody)

/** Tasks run plain generators and wrapped coroutines by turns. */
function newTaskBody(world: World, node: Node): Operation<Token> {
  return world.tasks.length % 2 === 0 ? taskBody(world, node) : wrappedTaskBody(world, node)
}

// ---------------------------------------------------------------------- nodes

/** Runs a node on the native stack of its caller. */
function call(env: Env, node: Node): Run<void> {
  return called(env, node)
}

function* called(env: Env, node: Node): Run<void> {
  const token = env.world.token()
  const value = yield* run(env, node, token)
  returned(env, value, token)
}

function returned(env: Env, value: Token, token: Token): void {
  if (value !== token)
    env.world.violate(`a call in task ${env.task.id} returned what another call was to return`)
  else if (token.unwound)
    env.world.violate(`a call in task ${env.task.id} was unwound, and its caller goes on`)
  if (currentTask() !== env.task.task) env.world.violate(`code of task ${env.task.id} runs in another task`)
}

function run(env: Env, node: Node, token: Token): Operation<Token> {
  switch (node.node) {
    case 'seq':
      return seq(env, node, token)
    case 'sleep':
      return sleeps(env, node.ms, token)
    case 'checkpoint':
    case 'forever':
      return waits(env, node.node, token)
    case 'act':
    case 'later':
    case 'elapse':
    case 'throw':
    case 'cancelSelf':
    case 'cancelAround':
    case 'spawn':
    case 'spawnSleep':
      return atOnce(env, node, token)
    case 'await':
    case 'join':
    case 'cancelAndWait':
      return waitsForTask(env, node, token)
    case 'future':
      return waitsForFuture(env, node.index % FUTURES, token)
    case 'get':
      return gets(env, node.index % QUEUES, token)
    case 'scope':
    case 'shield':
    case 'timeout':
      return scoped(env, node, token)
    case 'bare':
      return bare(env, node, token)
    case 'group':
      return grouped(env, node, token)
    case 'gather':
    case 'race':
    case 'any':
      return together(env, node, token)
    case 'catch':
      return catches(env, node, token)
    case 'finally':
      return cleansUp(env, node, token)
    case 'loop':
      return loops(env, node, token)
    case 'call':
      return calls(env, node, node.depth, token)
  }
}

function* seq(env: Env, node: NodeOf<'seq'>, token: Token): Run {
  for (const part of node.parts) {
    const expected = env.world.token()
    returned(env, yield* run(env, part, expected), expected)
  }
  return token
}

function* atOnce(
  env: Env,
  node: NodeOf<'act' | 'later' | 'elapse' | 'throw' | 'cancelSelf' | 'cancelAround' | 'spawn' | 'spawnSleep'>,
  token: Token,
): Run {
  const { world } = env
  switch (node.node) {
    case 'act':
      world.act(node.does)
      break
    case 'later':
      world.later(node.ms, node.does)
      break
    case 'elapse':
      world.clock.elapse(node.ms)
      break
    case 'throw':
      throw world.error()
    case 'cancelSelf':
      world.cancelTask(env.task, null)
      break
    case 'cancelAround':
      cancelAround(env, node.depth)
      break
    case 'spawn':
      world.creatingEager = node.eager
      createTask(newTaskBody(world, node.body), { eager: node.eager })
      break
    case 'spawnSleep': {
      const value = world.token()
      world.creatingBare = { value, sleepMs: node.ms }
      createTask(sleep(node.ms, value))
    }
  }
  return token
}

function cancelAround(env: Env, depth: number): void {
  let place = env.place
  for (let i = 0; i < depth && place.outer !== null; i++) place = place.outer
  env.world.cancelScope(place, null)
}

// ---------------------------------------------------------------------- waits

function* sleeps(env: Env, ms: number, token: Token): Run {
  const leaf = beginLeaf(env, `sleep ${ms}`, 'wake', { mustSuspend: true, sleepMs: ms })
  const value = yield* wait(env, leaf, sleep(ms, token))
  if (value !== token) env.world.violate('a sleep returned something else than its value')
  return token
}

function* waits(env: Env, what: 'checkpoint' | 'forever', token: Token): Run {
  if (what === 'checkpoint') yield* wait(env, beginLeaf(env, what, 'wake'), checkpoint())
  else yield* wait(env, beginLeaf(env, what, 'wake', { mustSuspend: true }), sleepForever())
  return token
}

function* waitsForTask(env: Env, node: NodeOf<'await' | 'join' | 'cancelAndWait'>, token: Token): Run {
  const { world } = env
  const others = world.tasks.filter((other) => other !== env.task)
  if (others.length === 0) {
    yield* sleeps(env, 0, token)
    return token
  }
  const awaited = pick(others, node.index)
  const { task } = awaited
  const leaf = beginLeaf(env, `${node.node} task ${awaited.id}`, 'value', { awaited })
  if (node.node === 'await') {
    try {
      const value = yield* wait(env, leaf, task)
      if (value !== awaited.value || task.status !== 'done')
        world.violate('awaiting a task returned something else than its value')
    } catch (error) {
      const rightly =
        task.status === 'failed'
          ? error === task.outcome
          : task.status === 'cancelled' && error instanceof CancelledError
      if (!rightly) world.violate(`awaiting a task that is ${task.status} threw ${String(error)}`)
      throw error
    }
  } else {
    const outcome = yield* wait(env, leaf, node.node === 'join' ? task.join() : cancelAndWait(task))
    const rightly =
      outcome.status === task.status &&
      (outcome.status === 'done'
        ? outcome.value === awaited.value
        : outcome.status === 'cancelled' || outcome.error === task.outcome)
    if (!rightly) world.violate(`${node.node} of a task that is ${task.status} returned ${outcome.status}`)
  }
  return token
}

function* waitsForFuture(env: Env, index: number, token: Token): Run {
  const { world } = env
  const model = world.futures[index]!
  const leaf = beginLeaf(env, `future #${index}`, 'value', { future: model })
  try {
    const value = yield* wait(env, leaf, model.future)
    if (model.outcome?.status !== 'done' || model.outcome.value !== value)
      world.violate('a future returned something else than its value')
  } catch (error) {
    const { outcome } = model
    const rightly =
      outcome?.status === 'failed'
        ? outcome.value === error
        : outcome?.status === 'cancelled' && error instanceof CancelledError && error.reason === outcome.value
    if (!rightly) world.violate(`a future threw something else than its error: ${String(error)}`)
    throw error
  }
  return token
}

/** A queue as users write it: what is in stock first, else a place in the wait queue. */
function* gets(env: Env, index: number, token: Token): Run {
  const { world } = env
  const { queue, stock } = world.queues[index]!
  yield* wait(env, beginLeaf(env, 'checkpoint of get', 'wake'), checkpoint())
  const kept = stock.shift()
  if (kept !== undefined) {
    kept.received++
    return token
  }
  const leaf = beginLeaf(env, `get from queue #${index}`, 'value', { mustSuspend: true, queue: index })
  try {
    const value = yield* wait(env, leaf, queue.wait())
    const { handed } = leaf
    if (handed === null || !('value' in handed) || handed.value !== value) {
      world.violate(`task ${env.task.id} received from a queue what it was not handed`)
    }
    ;(value as Token).received++
  } catch (error) {
    const { handed } = leaf
    if (handed === null || !('error' in handed) || handed.error !== error) {
      world.violate(
        `task ${env.task.id} was thrown an error by a queue that it was not handed: ${String(error)}`,
      )
    }
    throw error
  }
  return token
}

function beginLeaf(env: Env, what: string, kind: Leaf['kind'], options: LeafOptions = {}): Leaf {
  const { world, task, place } = env
  world.tick()
  if (task.leaf !== null) world.violate(`task ${task.id} begins a wait inside a wait`)
  world.checkDeadlines(place)
  return newLeaf(place, what, kind, options)
}

function* wait<T>(env: Env, leaf: Leaf, operation: Operation<T>): Run<T> {
  const { world, task } = env
  task.leaf = leaf
  world.note(`task ${task.id}: ${leaf.what}`)
  try {
    const value = yield* operation
    leafEnds(env, leaf, 'returned')
    return value
  } catch (error) {
    leafEnds(env, leaf, 'threw')
    throw error
  } finally {
    if (!leaf.ended) leafUnwound(env, leaf)
  }
}

function leafEnds(env: Env, leaf: Leaf, how: string): void {
  const { world, task, place } = env
  const what = `the wait of task ${task.id} (${leaf.what})`
  leaf.ended = true
  task.leaf = null
  if (leaf.awaited !== null) leaf.awaited.awaited = true
  world.note(`task ${task.id}: ${leaf.what} ${how}`)
  if (currentTask() !== task.task) world.violate(`${what} ended in another task`)
  if (leaf.bornCancelled) world.violate(`${what} began in a cancelled scope and ${how}`)
  if (leaf.unparked) world.violate(`${what} was unparked and ${how}`)
  if (leaf.parked && !leaf.resumed) world.violate(`${what} was never resumed and ${how}`)
  if (leaf.mustSuspend && !leaf.parked) world.violate(`${what} did not suspend`)
  const overtaken = leaf.kind === 'wake' || leaf.givesWay
  if (overtaken && standing(place) === 'cancelled')
    world.violate(`${what} had no value, its scope is cancelled, and it ${how}`)
  world.checkDeadlines(place)
  world.tick()
}

function leafUnwound(env: Env, leaf: Leaf): void {
  const { world, task, place } = env
  const what = `the wait of task ${task.id} (${leaf.what})`
  leaf.ended = true
  task.leaf = null
  task.unwindingSinceMs ??= world.clock.peek()
  world.note(`task ${task.id}: ${leaf.what} unwound`)
  if (standing(place) === 'free') world.violate(`${what} was unwound, and nothing around it is cancelled`)
  if (leaf.kind === 'value' && leaf.resumed && !leaf.givesWay)
    world.violate(`${what} had its value and was unwound`)
  if (leaf.parked && !leaf.unparked && !leaf.resumed) world.violate(`${what} was unwound while it is parked`)
}

// ---------------------------------------------------------------------- scopes

interface BodyRecord {
  how: 'unstarted' | 'running' | 'returned' | 'threw' | 'unwound'
  readonly token: Token
  error: unknown
}

function newRecord(world: World): BodyRecord {
  return { how: 'unstarted', token: world.token(), error: undefined }
}

function* scopeBody(env: Env, node: Node, record: BodyRecord): Run {
  const { world } = env
  record.how = 'running'
  try {
    yield* called(env, node)
    record.how = 'returned'
    return record.token
  } catch (error) {
    record.how = 'threw'
    record.error = error
    throw error
  } finally {
    if (record.how === 'running') {
      record.how = 'unwound'
      if (standing(env.place) === 'free')
        world.violate(`the body of a ${env.place.kind} was unwound, and nothing around it is cancelled`)
    }
  }
}

const wrappedScopeBody: (env: Env, node: Node, record: BodyRecord) => Operation<Token> = coroutine(
  'wrappedScopeBody',
  scopeBody,
)

function* scoped(env: Env, node: NodeOf<'scope' | 'shield' | 'timeout'>, token: Token): Run {
  const { world } = env
  const kind: PlaceKind = node.node === 'timeout' ? (node.orElse ? 'timeoutOr' : 'timeout') : node.node
  const place = new Place(kind, env.place, env.task)
  const record = newRecord(world)
  const fallback = world.token()
  let left = false
  try {
    const value = yield* openScope(env, node, place, record, fallback)
    left = true
    scopeReturned(env, place, record, value, fallback)
  } catch (error) {
    if (!left) scopeThrew(env, place, record, error)
    left = true
    throw error
  } finally {
    place.left = true
    if (!left) passedBy(env, `a ${kind}`, record)
  }
  return token
}

function openScope(
  env: Env,
  node: NodeOf<'scope' | 'shield' | 'timeout'>,
  place: Place,
  record: BodyRecord,
  fallback: Token,
): Operation<Token | undefined> {
  const { world } = env
  const inside = { ...env, place }
  const body = (scope: CancelScope): Operation<Token> => {
    place.scope = scope
    world.scopes.push(place)
    // Plain and wrapped by turns.
    const make = world.scopes.length % 2 === 0 ? scopeBody : wrappedScopeBody
    return make(inside, node.body, record)
  }
  if (node.node !== 'timeout') {
    return node.node === 'scope' ? withScope(body) : shield(() => scopeBody(inside, node.body, record))
  }
  const timed = (scope: TimeoutScope): Operation<Token> => {
    place.deadlineMs = world.clock.peek() + node.ms
    const cut = scope.cancelled
    if (cut !== node.ms <= 0) world.violate(`a timeout of ${node.ms} ms begins ${cut ? 'cut' : 'uncut'}`)
    return body(scope)
  }
  return node.orElse ? timeoutOr(node.ms, timed, fallback) : timeout(node.ms, timed)
}

function scopeReturned(
  env: Env,
  place: Place,
  record: BodyRecord,
  value: Token | undefined,
  fallback: Token,
): void {
  const { world } = env
  const what = `a ${place.kind} whose body ${record.how}`
  if (record.how === 'returned') {
    if (value !== record.token) world.violate(`${what} returned something else`)
    return
  }
  if (record.how !== 'unwound') world.violate(`${what} returned`)
  const rightly =
    place.kind === 'scope'
      ? value === undefined
      : place.kind === 'timeoutOr' && value === fallback && hasExpired(world, place)
  if (!rightly) world.violate(`${what} returned ${value === undefined ? 'undefined' : 'a value'}`)
  if (takePending(place).length > 0 && !env.task.graceSpent)
    world.violate(`${what} returned, and cleanup inside threw`)
  reports(env, place, what)
}

function scopeThrew(env: Env, place: Place, record: BodyRecord, error: unknown): void {
  const { world, task } = env
  const what = `a ${place.kind} whose body ${record.how}`
  if (record.how === 'threw') {
    if (record.error !== error) world.violate(`${what} threw another error: ${String(error)}`)
    return
  }
  if (record.how !== 'unwound') world.violate(`${what} threw ${String(error)}`)
  const timed = place.kind === 'timeout' || place.kind === 'timeoutOr'
  const [first] = takePending(place)
  if (
    first !== undefined &&
    first.error !== error &&
    !(error instanceof TaskGroupError) &&
    !task.graceSpent
  ) {
    world.violate(`${what} threw another error than cleanup inside: ${String(error)}`)
  }
  const rightly =
    task.held.has(error) ||
    error instanceof TaskGroupError ||
    (place.kind === 'timeout' && error instanceof TimeoutError && hasExpired(world, place)) ||
    (timed && error instanceof CancelledError && !(place.scope as TimeoutScope).expired)
  if (!rightly) world.violate(`${what} threw ${String(error)}`)
  reports(env, place, what)
}

/** Takes the errors of cleanup inside a scope off the list of those that must be thrown. */
function takePending(place: Place): readonly { readonly error: unknown }[] {
  const { task } = place
  const inside = task.pending.filter(({ at }) => encloses(place, at))
  task.pending = task.pending.filter(({ at }) => !encloses(place, at))
  return inside
}

/** A scope that ends because it was cancelled goes on here: nothing around it may be cancelled. */
function reports(env: Env, place: Place, what: string): void {
  const { world } = env
  if (place.scope?.cancelled !== true) world.violate(`${what} reports, and was not cancelled`)
  if (standing(env.place) === 'cancelled')
    world.violate(`${what} reports, and a scope around it is cancelled`)
}

/** What was called here is gone without a word. */
function passedBy(env: Env, what: string, record: BodyRecord): void {
  const { world } = env
  if (standing(env.place) === 'free') world.violate(`${what} was unwound, and nothing around it is cancelled`)
  if (record.how !== 'unwound' && record.how !== 'unstarted')
    world.violate(`${what} was unwound, and its body ${record.how}`)
}

function hasExpired(world: World, place: Place): boolean {
  const expired = (place.scope as TimeoutScope).expired
  if (expired && world.clock.peek() < place.deadlineMs)
    world.violate(`a timeout expired before it was due at ${place.deadlineMs} ms`)
  return expired
}

/** A scope whose body is one wait, with no generator in between. */
function* bare(env: Env, node: NodeOf<'bare'>, token: Token): Run {
  const { world, task } = env
  const place = new Place(node.kind, env.place, task)
  const inside: Env = { ...env, place }
  const index = node.index % QUEUES
  const sleeping = node.waits === 'sleep'
  const options = sleeping ? { sleepMs: node.sleepMs } : { queue: index }
  const leaf = beginLeaf(inside, `${node.kind}(${node.waits})`, sleeping ? 'wake' : 'value', options)
  const slept = world.token()
  const fallback = world.token()
  task.leaf = leaf
  world.note(`task ${task.id}: ${leaf.what}`)
  const open = (scope: CancelScope | null): Operation<unknown> => {
    place.scope = scope
    if (node.kind === 'timeoutOr') place.deadlineMs = world.clock.peek() + Math.max(0, node.ms)
    if (node.kind !== 'shield') world.scopes.push(place)
    return sleeping ? sleep(node.sleepMs, slept) : world.queues[index]!.queue.wait()
  }
  try {
    const value = yield* openBare(node, open, fallback)
    place.left = true
    const cut = value === (node.kind === 'timeoutOr' ? fallback : undefined)
    if (cut) {
      leafUnwound(inside, leaf)
      reports(env, place, `a ${node.kind} around a wait`)
    } else {
      leafEnds(inside, leaf, 'returned')
      if (value !== (sleeping ? slept : handedTo(leaf)))
        world.violate(`${leaf.what} returned something else than its value`)
      if (!sleeping) (value as Token).received++
    }
  } catch (error) {
    place.left = true
    const cancelled =
      node.kind === 'timeoutOr' && error instanceof CancelledError && !(place.scope as TimeoutScope).expired
    if (cancelled) {
      leafUnwound(inside, leaf)
      reports(env, place, `a ${node.kind} around a wait`)
    } else {
      leafEnds(inside, leaf, 'threw')
      const { handed } = leaf
      if (handed === null || !('error' in handed) || handed.error !== error) {
        world.violate(`${leaf.what} threw what it was not handed: ${String(error)}`)
      }
    }
    throw error
  } finally {
    place.left = true
    if (!leaf.ended) leafUnwound(inside, leaf)
  }
  return token
}

function openBare(
  node: NodeOf<'bare'>,
  open: (scope: CancelScope | null) => Operation<unknown>,
  fallback: Token,
): Operation<unknown> {
  if (node.kind === 'scope') return withScope(open)
  return node.kind === 'timeoutOr' ? timeoutOr(node.ms, open, fallback) : shield(() => open(null))
}

function handedTo({ handed }: Leaf): unknown {
  return handed !== null && 'value' in handed ? handed.value : null
}

// ---------------------------------------------------------------------- groups, gather, race

function newComposite(env: Env, what: string, limit: number): Composite {
  const composite: Composite = {
    what,
    place: env.place,
    children: [],
    ended: [],
    limit,
    running: 0,
    over: false,
    group: null,
  }
  env.task.composites.push(composite)
  return composite
}

function compositeOver(env: Env, composite: Composite): void {
  const { world, task } = env
  composite.over = true
  if (task.composites.pop() !== composite) world.violate(`a ${composite.what} ended before one inside it`)
  const left = composite.children.filter((child) => !child.done).length
  if (left > 0) world.violate(`a ${composite.what} ended before ${left} of its tasks`)
}

function* grouped(env: Env, node: NodeOf<'group'>, token: Token): Run {
  const { world } = env
  const composite = newComposite(env, 'group', node.limit ?? Infinity)
  const place = new Place('group', env.place, env.task, () => groupStopped(composite))
  const record = newRecord(world)
  let left = false
  try {
    const value = yield* taskGroup((group) => groupBody({ ...env, place }, node, composite, group, record), {
      limit: node.limit ?? undefined,
    })
    left = true
    if (record.how !== 'returned' || value !== record.token)
      world.violate(`a group whose body ${record.how} returned`)
    if (failures(composite).length > 0) world.violate('a group returned, and one of its tasks failed')
  } catch (error) {
    if (!left) groupThrew(env, composite, record, error)
    left = true
    throw error
  } finally {
    place.left = true
    compositeOver(env, composite)
    if (left) takePending(place)
    if (!left && standing(env.place) === 'free')
      world.violate('a group was unwound, and nothing around it is cancelled')
  }
  return token
}

function failures(composite: Composite): TaskModel[] {
  return composite.ended.filter((child) => child.task.status === 'failed')
}

function groupStopped(composite: Composite): boolean {
  return (
    composite.group?.cancelled === true || composite.ended.some((child) => child.task.status === 'failed')
  )
}

function* groupBody(
  env: Env,
  node: NodeOf<'group'>,
  composite: Composite,
  group: TaskGroup,
  record: BodyRecord,
): Run {
  const { world } = env
  composite.group = group
  world.groups.push(composite)
  for (const child of node.children) {
    const stopped = groupStopped(composite)
    try {
      world.creating = { composite, count: 1 }
      world.creatingEager = node.eager
      group.createTask(newTaskBody(world, child), { eager: node.eager })
    } catch (error) {
      world.creating = null
      world.creatingEager = false
      if (!(error instanceof ClosedError) || !stopped)
        world.violate(`an open group refused a task: ${String(error)}`)
    }
  }
  return yield* scopeBody(env, node.body, record)
}

function groupThrew(env: Env, composite: Composite, record: BodyRecord, error: unknown): void {
  const { world, task } = env
  const failed = failures(composite).map((child) => child.task.outcome)
  if (!(error instanceof TaskGroupError)) {
    const rightly =
      error instanceof CancelledError && composite.group?.cancelled === true && record.how === 'unwound'
    if (!rightly || failed.length > 0)
      world.violate(`a group whose body ${record.how} threw ${String(error)}`)
    return
  }
  // The body may have failed with the error of a task that it waited for, so errors can be in the list twice.
  const others: unknown[] = []
  let matched = 0
  for (const one of error.errors as unknown[]) {
    if (matched < failed.length && one === failed[matched]) matched++
    else others.push(one)
  }
  if (matched < failed.length) world.violate('a group threw other errors than its tasks, or in another order')
  const bodyThrew = record.how === 'threw' && others.length === 1 && others[0] === record.error
  const bodyHeld =
    record.how === 'unwound' &&
    others.length === 1 &&
    (task.held.has(others[0]) || others[0] instanceof TaskGroupError)
  if (others.length > 0 && !bodyThrew && !bodyHeld)
    world.violate(`a group whose body ${record.how} threw an error of nobody`)
  if (others.length === 0 && record.how === 'threw') world.violate('a group lost the error of its body')
}

function* together(env: Env, node: NodeOf<'gather' | 'race' | 'any'>, token: Token): Run {
  const { world } = env
  if (node.children.length === 0) return token
  const composite = newComposite(env, node.node, Infinity)
  const bodies = node.children.map((child) => newTaskBody(world, child))
  let left = false
  try {
    world.creating = { composite, count: bodies.length }
    const value: unknown = yield* startTogether(node.node, bodies)
    left = true
    togetherReturned(world, composite, value)
  } catch (error) {
    if (!left) togetherThrew(world, composite, error)
    left = true
    throw error
  } finally {
    compositeOver(env, composite)
    if (!left && standing(env.place) === 'free')
      world.violate(`a ${node.node} was unwound, and nothing around it is cancelled`)
  }
  return token
}

function startTogether(how: 'gather' | 'race' | 'any', bodies: Operation<Token>[]): Operation<unknown> {
  if (how === 'gather') return gather(bodies)
  return how === 'race' ? race(bodies) : any(bodies)
}

function togetherReturned(world: World, composite: Composite, value: unknown): void {
  const { what, ended } = composite
  if (what === 'gather') {
    gathered(world, composite, value as unknown[])
    return
  }
  const winner = what === 'race' ? ended[0] : ended.find((child) => child.task.status === 'done')
  if (winner?.task.status !== 'done' || winner.value !== value) {
    world.violate(`a ${what} returned something else than the value of its winner`)
  }
}

function togetherThrew(world: World, { what, ended }: Composite, error: unknown): void {
  if (what === 'any') {
    const succeeded = ended.some((child) => child.task.status === 'done')
    const errors = error instanceof AggregateError ? error.errors.length : 0
    if (succeeded || errors !== ended.length)
      world.violate(`an any threw ${String(error)} with ${errors} errors`)
    return
  }
  const first = what === 'race' ? ended[0] : ended.find((child) => child.task.status !== 'done')
  const rightly =
    first?.task.status === 'failed'
      ? first.task.outcome === error
      : first?.task.status === 'cancelled' && error instanceof CancelledError
  if (!rightly) world.violate(`a ${what} threw something else than the first error: ${String(error)}`)
}

function gathered(world: World, composite: Composite, values: unknown[]): void {
  const { children } = composite
  if (values.length !== children.length || values.some((value, i) => children[i]!.value !== value)) {
    world.violate('a gather returned something else than the values in the order of its arguments')
  }
}

// ---------------------------------------------------------------------- catch and finally

function* catches(env: Env, node: NodeOf<'catch'>, token: Token): Run {
  const { world } = env
  try {
    yield* called(env, node.body)
  } catch (error) {
    const reporter = world.heldErrors.get(error)
    if (reporter != null && reporter.task === env.task && encloses(reporter, env.place)) {
      world.violate(`an error of cleanup was caught inside the ${reporter.kind} that is being unwound`)
    }
    yield* called(env, node.handler)
  }
  return token
}

function enter(env: Env): Entry {
  const entry: Entry = { begun: false }
  env.task.entries.push(entry)
  return entry
}

/** A `finally` begins: returns where its code stands. */
function cleanupBegins(env: Env, entry: Entry, how: string, token: Token): Env {
  const { world, task } = env
  if (entry.begun) world.violate(`a finally of task ${task.id} runs a second time`)
  else if (task.entries.pop() !== entry)
    world.violate(`a finally of task ${task.id} runs before one inside it`)
  entry.begun = true
  world.note(`task ${task.id}: finally, ${how}`)
  if (currentTask() !== task.task) world.violate(`a finally of task ${task.id} runs in another task`)
  if (how !== 'unwound') return env
  token.unwound = true
  task.unwindingSinceMs ??= world.clock.peek()
  if (standing(env.place) === 'free')
    world.violate(`task ${task.id} was unwound, and nothing around it is cancelled`)
  return { ...env, place: new Place('cleanup', env.place, task, () => false) }
}

function cleanupThrew(env: Env, how: string, error: unknown): void {
  if (how !== 'unwound') return
  env.task.held.add(error)
  env.task.pending.push({ error, at: env.place })
  env.world.heldErrors.set(error, targetOf(env.place))
}

function* cleansUp(env: Env, node: NodeOf<'finally'>, token: Token): Run {
  const entry = enter(env)
  let how = 'unwound'
  try {
    yield* called(env, node.body)
    how = 'returned'
  } catch (error) {
    how = 'threw'
    throw error
  } finally {
    const inside = cleanupBegins(env, entry, how, token)
    try {
      yield* called(inside, node.cleanup)
      if (node.exit === 'throw') throw env.world.error()
    } catch (error) {
      cleanupThrew(env, how, error)
      throw error
    }
    if (node.exit === 'return') return token
  }
  return token
}

function* loops(env: Env, node: NodeOf<'loop'>, token: Token): Run {
  let here = env
  for (let i = 0; i < node.times; i++) {
    const entry = enter(here)
    let how = 'unwound'
    try {
      yield* called(here, node.body)
      how = 'returned'
    } catch (error) {
      how = 'threw'
      throw error
    } finally {
      const inside = cleanupBegins(here, entry, how, token)
      // After a forced return the rest of the loop is cleanup.
      if (how === 'unwound') here = inside
      try {
        yield* called(inside, node.cleanup)
      } catch (error) {
        cleanupThrew(here, here === env ? how : 'unwound', error)
        throw error
      }
      continue
    }
  }
  return token
}

// ---------------------------------------------------------------------- calls

function calls(env: Env, node: NodeOf<'call'>, depth: number, token: Token): Operation<Token> {
  const wrap = node.kind === 'wrapped' || (node.kind === 'mixed' && depth % 3 !== 0)
  return wrap ? wrappedCall(env, node, depth, token) : plainCall(env, node, depth, token)
}

function* plainCall(env: Env, node: NodeOf<'call'>, depth: number, token: Token): Run {
  const entry = enter(env)
  let how = 'unwound'
  try {
    if (depth <= 1) {
      yield* called(env, node.body)
    } else {
      const expected = env.world.token()
      returned(env, yield* calls(env, node, depth - 1, expected), expected)
    }
    how = 'returned'
  } catch (error) {
    how = 'threw'
    throw error
  } finally {
    cleanupBegins(env, entry, how, token)
  }
  return token
}

const wrappedCall: (env: Env, node: NodeOf<'call'>, depth: number, token: Token) => Operation<Token> =
  coroutine('wrappedCall', plainCall)
