/** The things of a program: each one of the library beside its model, and what tasks do with it. */
import {
  Barrier,
  BoundedSemaphore,
  Broadcast,
  CapacityLimiter,
  channel,
  Condition,
  Event,
  LifoQueue,
  Lock,
  PriorityQueue,
  Queue,
  Semaphore,
  sleep,
  type Operation,
  type Receiver,
  type Sender,
  type Subscription,
} from 'cede'
import {
  BarrierModel,
  BroadcastModel,
  Call,
  ChannelModel,
  ConditionModel,
  DONE,
  END,
  EndModel,
  EventModel,
  fault,
  Item,
  Line,
  LimiterModel,
  LockModel,
  NONE,
  numbersOf,
  QueueModel,
  SemaphoreModel,
  SubscriptionModel,
  type Given,
  type Outcome,
} from './sync-model.ts'
import { OPERATIONS, SUDDEN, type SyncStep, type ThingSpec, type Use } from './sync-program.ts'
import { codeOf, type Env, type Party, type Run, type WaitOptions, type World } from './sync-world.ts'

type UseStep = SyncStep & { readonly step: 'use' }

/** How much a body without steps waits. */
const BODY_MS = 1

export abstract class Thing {
  readonly world: World
  readonly spec: ThingSpec
  readonly name: string

  constructor(world: World, spec: ThingSpec, index: number) {
    this.world = world
    this.spec = spec
    this.name = `thing ${String(index)} (${spec.kind})`
  }

  use(env: Env, step: UseStep): Run<void> {
    const names = OPERATIONS[this.spec.kind]
    return this.perform(env, names[step.how % names.length]!, step)
  }

  /** Something that does not wait, by whoever; null is a callback. */
  act(me: Party | null, { how, n }: Use): void {
    const names = SUDDEN[this.spec.kind]
    this.suddenly(me, names[how % names.length]!, n)
  }

  /** Where tasks wait here. */
  abstract lines(): Line[]
  /** What the library says of itself otherwise than the model. */
  abstract differences(): string[]

  /** After the run, when every task has ended. */
  left(): string[] {
    return this.lines()
      .filter((line) => line.length > 0)
      .map((line) => `${String(line.length)} are in ${line.name}`)
  }

  isHeldBy(_who: Party): boolean {
    return false
  }

  protected abstract perform(env: Env, name: string, step: UseStep): Run<void>
  protected abstract suddenly(me: Party | null, name: string, n: number): void

  protected what(name: string): string {
    return `${this.spec.kind}.${name} of ${this.name}`
  }
}

function differences(found: Record<string, unknown>, expected: Record<string, unknown>): string[] {
  return Object.keys(expected)
    .filter((key) => found[key] !== expected[key])
    .map((key) => `expected ${key} ${shown(expected[key])}, found ${shown(found[key])}`)
}

function shown(value: unknown): string {
  return typeof value === 'object' && value !== null && 'name' in value ? String(value.name) : String(value)
}

// ---------------------------------------------------------------------- what is held

interface Held {
  with<T>(body: () => Operation<T>): Operation<T>
  acquire(): Operation<void>
  tryAcquire(): boolean
  release(): void
}

/** How something is taken and given back, in the library and in the model. */
interface Taking {
  readonly acquire: () => Operation<void>
  readonly tryAcquire: () => boolean
  readonly release: () => void
  readonly take: () => Outcome | Line
  readonly giveBack: () => Outcome
  readonly subject?: unknown
}

/** What tasks take and give back. */
abstract class HeldThing<H extends Held> extends Thing {
  abstract readonly held: H
  /** How many hold it. */
  inside = 0

  protected abstract take(who: Party): Outcome | Line
  protected abstract giveBack(who: Party): Outcome
  /** How many may be inside. */
  protected abstract most(): number

  protected entered(): void {
    this.inside++
    if (this.inside > this.most())
      this.world.violate(`${String(this.inside)} hold ${this.name}, and ${String(this.most())} may`)
  }

  override left(): string[] {
    const inside = this.inside === 0 ? [] : [`${String(this.inside)} hold it still`]
    return [...super.left(), ...inside]
  }

  protected override *perform(env: Env, name: string, step: UseStep): Run<void> {
    switch (name) {
      case 'with':
      case 'withSleep':
        yield* this.hold(env, name, step, (inner) =>
          name === 'with' ? this.world.steps(inner, step.body) : sleep(BODY_MS),
        )
        return
      case 'acquire':
      case 'tryAcquire':
        yield* this.takeAndGive(env, name, step, this.plainly(env.me))
    }
  }

  protected plainly(me: Party): Taking {
    const { held } = this
    return {
      acquire: () => held.acquire(),
      tryAcquire: () => held.tryAcquire(),
      release: () => held.release(),
      take: () => this.take(me),
      giveBack: () => this.giveBack(me),
      subject: me,
    }
  }

  protected *hold(
    env: Env,
    name: string,
    step: UseStep,
    body: (inner: Env) => Operation<unknown>,
  ): Run<void> {
    const { me } = env
    const call = new Call(me, this.what(name), () => this.take(me), { subject: me })
    yield* this.world.hold(
      env,
      call,
      (enter) => this.held.with(enter),
      { limitMs: step.limitMs, bare: name === 'withSleep' },
      () => this.entered(),
      () => {
        this.inside--
        this.giveBack(me)
      },
      body,
    )
  }

  /** By hand, with a `finally`. */
  protected *takeAndGive(env: Env, name: string, step: UseStep, how: Taking): Run<void> {
    const { world } = this
    const what = this.what(name)
    if (name.startsWith('try')) {
      const tried = world.act(
        what,
        () => how.tryAcquire(),
        () => {
          const taken = how.take()
          if (taken instanceof Line) return { returns: false }
          return taken === DONE ? { returns: true } : taken
        },
      )
      if (!('returns' in tried) || tried.returns !== true) return
    } else {
      const call = new Call(env.me, what, () => how.take(), { subject: how.subject })
      const outcome = yield* world.wait(env, call, how.acquire, step)
      if (outcome === null || 'throws' in outcome) return
    }
    this.entered()
    try {
      yield* world.steps(env, step.body)
    } finally {
      this.inside--
      world.act(`${what}, release`, how.release, how.giveBack)
    }
  }
}

class LockThing extends HeldThing<Lock> {
  readonly held: Lock
  readonly model: LockModel

  constructor(world: World, spec: ThingSpec, index: number) {
    super(world, spec, index)
    this.held = new Lock({ name: this.name })
    this.model = new LockModel(this.name, world.expected)
  }

  lines(): Line[] {
    return [this.model.line]
  }

  differences(): string[] {
    return lockDifferences(this.held, this.model)
  }

  override isHeldBy(who: Party): boolean {
    return this.held.statistics().holder === who.task
  }

  protected override take(who: Party): Outcome | Line {
    return this.model.take(who)
  }

  protected override giveBack(): Outcome {
    return this.model.giveBack()
  }

  protected override most(): number {
    return 1
  }

  /** Only where it is a mistake: whose lock it is goes on with it. */
  protected override suddenly(): void {
    if (this.model.holder !== null) return
    this.world.act(
      this.what('release'),
      () => this.held.release(),
      () => this.model.giveBack(),
    )
  }
}

function lockDifferences(lock: Lock, model: LockModel): string[] {
  const { locked, holder, tasksWaiting } = lock.statistics()
  return differences(
    { locked, holder, tasksWaiting },
    {
      locked: model.holder !== null,
      holder: (model.holder as Party | null)?.task ?? null,
      tasksWaiting: model.line.length,
    },
  )
}

class SemaphoreThing extends HeldThing<Semaphore> {
  readonly held: Semaphore
  readonly model: SemaphoreModel
  readonly #bounded: boolean
  #permits: number

  constructor(world: World, spec: ThingSpec, index: number) {
    super(world, spec, index)
    this.#bounded = spec.kind === 'boundedSemaphore'
    const options = { name: this.name }
    this.#permits = this.#bounded ? spec.size : spec.size - 1
    this.held = this.#bounded
      ? new BoundedSemaphore(this.#permits, options)
      : new Semaphore(this.#permits, options)
    this.model = new SemaphoreModel(
      this.name,
      world.expected,
      this.#permits,
      this.#bounded ? this.#permits : Infinity,
    )
  }

  lines(): Line[] {
    return [this.model.line]
  }

  differences(): string[] {
    const { value, tasksWaiting } = this.held.statistics()
    const found = { value, tasksWaiting, locked: this.held.locked() }
    const { model } = this
    return differences(found, {
      value: model.value,
      tasksWaiting: model.line.length,
      locked: model.value === 0,
    })
  }

  override left(): string[] {
    const { value } = this.held
    const permits =
      value === this.#permits ? [] : [`expected ${String(this.#permits)} permits, found ${String(value)}`]
    return [...super.left(), ...permits]
  }

  protected override take(): Outcome | Line {
    return this.model.take()
  }

  protected override giveBack(): Outcome {
    return this.model.giveBack()
  }

  protected override most(): number {
    return this.#permits
  }

  protected override *perform(env: Env, name: string, step: UseStep): Run<void> {
    if (name === 'release') this.suddenly()
    else yield* super.perform(env, name, step)
  }

  /** A bounded one is released too often only when it is full: otherwise it is somebody's permit. */
  protected override suddenly(): void {
    if (this.#bounded && this.model.value < this.#permits) return
    if (!this.#bounded) this.#permits++
    this.world.act(
      this.what('release'),
      () => this.held.release(),
      () => this.model.giveBack(),
    )
  }
}

class LimiterThing extends HeldThing<CapacityLimiter> {
  readonly held: CapacityLimiter
  readonly model: LimiterModel
  /** It was lowered below what is borrowed. */
  #most: number

  constructor(world: World, spec: ThingSpec, index: number) {
    super(world, spec, index)
    this.held = new CapacityLimiter(spec.size, { name: this.name })
    this.model = new LimiterModel(this.name, world.expected, spec.size)
    this.#most = spec.size
  }

  lines(): Line[] {
    return [this.model.line]
  }

  differences(): string[] {
    const { held, model } = this
    const { borrowed, total, borrowers, tasksWaiting } = held.statistics()
    const expected = [...model.borrowers.keys()].map((one) => borrowerOf(one))
    const same =
      borrowers.length === expected.length && borrowers.every((one, index) => one === expected[index])
    return [
      ...differences(
        { borrowed, total, tasksWaiting, available: held.available, locked: held.locked() },
        {
          borrowed: expected.length,
          total: model.total,
          tasksWaiting: model.line.length,
          available: Math.max(0, model.total - expected.length),
          locked: expected.length >= model.total,
        },
      ),
      ...(same ? [] : ['other borrowers than expected, or in another order']),
    ]
  }

  override isHeldBy(who: Party): boolean {
    return this.held.statistics().borrowers.includes(who.task)
  }

  protected override take(who: Party): Outcome | Line {
    return this.model.take(who, who)
  }

  protected override giveBack(who: Party): Outcome {
    return this.model.giveBack(who)
  }

  protected override most(): number {
    return this.#most
  }

  protected override *perform(env: Env, name: string, step: UseStep): Run<void> {
    const { held, model } = this
    const borrower = `borrower ${String(step.n % 2)}`
    switch (name) {
      case 'setTotal':
        this.suddenly(env.me, name, step.n)
        return
      case 'onBehalf':
      case 'tryOnBehalf':
        yield* this.takeAndGive(env, name, step, {
          acquire: () => held.acquireOnBehalfOf(borrower),
          tryAcquire: () => held.tryAcquireOnBehalfOf(borrower),
          release: () => held.releaseOnBehalfOf(borrower),
          take: () => model.take(borrower, env.me),
          giveBack: () => model.giveBack(borrower),
          subject: borrower,
        })
        return
      default:
        yield* super.perform(env, name, step)
    }
  }

  protected override suddenly(_me: Party | null, _name: string, n: number): void {
    const total = 1 + (n % 3)
    this.#most = Math.max(this.#most, total)
    this.world.act(
      this.what('setTotal'),
      () => {
        this.held.total = total
      },
      () => this.model.setTotal(total),
    )
  }
}

/** Tasks borrow as themselves. */
function borrowerOf(one: unknown): unknown {
  return typeof one === 'string' ? one : (one as Party).task
}

class ConditionThing extends Thing {
  readonly condition: Condition
  readonly model: ConditionModel
  #stock = 0

  constructor(world: World, spec: ThingSpec, index: number) {
    super(world, spec, index)
    this.condition = new Condition({ name: this.name })
    this.model = new ConditionModel(this.name, world.expected)
  }

  lines(): Line[] {
    return [this.model.line, this.model.lock.line]
  }

  differences(): string[] {
    const { tasksWaiting } = this.condition.statistics()
    return [
      ...lockDifferences(this.condition.lock, this.model.lock),
      ...differences({ noticesWaiting: tasksWaiting }, { noticesWaiting: this.model.line.length }),
    ]
  }

  override isHeldBy(who: Party): boolean {
    return this.condition.lock.statistics().holder === who.task
  }

  override left(): string[] {
    return [...super.left(), ...(this.condition.locked() ? ['its lock is held'] : [])]
  }

  protected override *perform(env: Env, name: string, step: UseStep): Run<void> {
    switch (name) {
      case 'wait':
        yield* this.#wait(env, step)
        return
      case 'notify':
        this.#notify(env.me, step.n)
        return
      default:
        yield* this.#hold(env, name, step)
    }
  }

  *#hold(env: Env, name: string, step: UseStep): Run<void> {
    const { me } = env
    const { lock } = this.model
    const limits: WaitOptions = name === 'with' ? step : {}
    yield* this.world.hold(
      env,
      new Call(me, this.what('with'), () => lock.take(me)),
      (enter) => this.condition.with(enter),
      limits,
      () => {},
      () => lock.giveBack(),
      (inner) => this.#inside(inner, name, step),
    )
  }

  *#inside(env: Env, name: string, step: UseStep): Run<void> {
    const { world } = this
    if (name === 'awaitNotice') {
      yield* this.#wait(env, step)
    } else if (name === 'takeWhenThere') {
      yield* this.#waitFor(env, step)
    } else if (name !== 'with') {
      this.#stock++
      const count = 1 + (step.n % 2)
      const told = this.model.line.calls.slice(0, count)
      if (name === 'addAndNotify') this.#notify(env.me, count)
      else this.#notifyAll(env.me)
      // They wait for the lock by now.
      if (step.n >= 2) for (const { who } of told) world.cancel(world.parties[who.id]!)
    }
    this.#mustHold(env.me)
    yield* world.steps(env, step.body)
    this.#mustHold(env.me)
  }

  #mustHold(me: Party): void {
    if (this.condition.lock.statistics().holder !== me.task)
      this.world.violate(`task ${String(me.id)} is inside ${this.name}, and does not hold its lock`)
  }

  #waiting(me: Party, name: string): Call {
    const { lock } = this.model
    const again = (): Call => new Call(me, this.what('lock again'), () => lock.take(me))
    return new Call(me, this.what(name), () => this.model.wait(me), { again })
  }

  *#wait(env: Env, step: UseStep): Run<void> {
    const { me } = env
    // Without the lock the first thing it does is to refuse.
    const held = this.model.lock.holder === me
    const outcome = yield* this.world.wait(env, this.#waiting(me, 'wait'), () => this.condition.wait(), step)
    if (held && outcome !== null) this.#mustHold(me)
  }

  /** Waits until there is something that nobody else has taken. */
  *#waitFor(env: Env, { limitMs }: UseStep): Run<void> {
    const { me } = env
    const done = (): Call => new Call(me, this.what('waitFor'), () => DONE)
    let call = done()
    const predicate = (): boolean => {
      this.world.ends(me, call, DONE)
      this.#mustHold(me)
      const isThere = this.#stock > 0
      if (isThere) this.#stock--
      call = isThere ? done() : this.#waiting(me, 'waitFor')
      me.call = call
      return isThere
    }
    const normal = (value: unknown): unknown => (value === true ? undefined : value)
    const options = { limitMs, normal, current: () => call }
    yield* this.world.wait(env, call, () => this.condition.waitFor(predicate), options)
  }

  #notify(me: Party | null, count: number): void {
    this.world.act(
      this.what('notify'),
      () => this.condition.notify(count),
      () => this.model.notify(me, count),
    )
  }

  #notifyAll(me: Party): void {
    this.world.act(
      this.what('notifyAll'),
      () => this.condition.notifyAll(),
      () => this.model.notify(me, Infinity),
    )
  }

  /** A callback holds no lock. */
  protected override suddenly(me: Party | null): void {
    this.#notify(me, 1)
  }
}

// ---------------------------------------------------------------------- what tasks wait for together

class EventThing extends Thing {
  readonly event: Event
  readonly model: EventModel

  constructor(world: World, spec: ThingSpec, index: number) {
    super(world, spec, index)
    this.event = new Event({ name: this.name })
    this.model = new EventModel(this.name, world.expected)
  }

  lines(): Line[] {
    return [this.model.line]
  }

  differences(): string[] {
    const { isSet, tasksWaiting } = this.event.statistics()
    return differences(
      { isSet, tasksWaiting },
      { isSet: this.model.isSet, tasksWaiting: this.model.line.length },
    )
  }

  protected override *perform(env: Env, name: string, step: UseStep): Run<void> {
    if (name !== 'wait') {
      this.suddenly(env.me, name)
      return
    }
    // It gives way only if the event is set, and that counts then.
    const call: Call = new Call(env.me, this.what(name), () => (call.gaveWay ? DONE : this.model.wait()))
    yield* this.world.wait(env, call, () => this.event.wait(), step)
  }

  protected override suddenly(_me: Party | null, name: string): void {
    const { event, model } = this
    this.world.act(
      this.what(name),
      () => {
        if (name !== 'clear') event.set()
        if (name !== 'set') event.clear()
      },
      () => {
        if (name !== 'clear') model.set(true)
        if (name !== 'set') model.set(false)
        return DONE
      },
    )
  }
}

class BarrierThing extends Thing {
  readonly barrier: Barrier
  readonly model: BarrierModel

  constructor(world: World, spec: ThingSpec, index: number) {
    super(world, spec, index)
    const parties = spec.size + 1
    this.barrier = new Barrier(parties, { name: this.name })
    this.model = new BarrierModel(this.name, world.expected, parties)
  }

  lines(): Line[] {
    return [this.model.line]
  }

  differences(): string[] {
    const { broken, tasksWaiting } = this.barrier.statistics()
    return differences(
      { broken, tasksWaiting },
      { broken: this.model.broken, tasksWaiting: this.model.line.length },
    )
  }

  protected override *perform(env: Env, name: string, step: UseStep): Run<void> {
    if (name !== 'wait' && name !== 'with') {
      this.suddenly(env.me, name)
      return
    }
    const { barrier, model } = this
    const call = new Call(env.me, this.what(name), () => model.wait())
    // Behind the barrier there is nothing that can be waited for: the call has ended.
    const start = (): Operation<unknown> =>
      name === 'wait' ? barrier.wait() : barrier.with((index) => returned(index))
    yield* this.world.wait(env, call, start, step)
  }

  protected override suddenly(_me: Party | null, name: string): void {
    this.world.act(
      this.what(name),
      () => (name === 'abort' ? this.barrier.abort() : this.barrier.reset()),
      () => this.model.end(name === 'abort'),
    )
  }
}

function* returned<T>(value: T): Run<T> {
  return value
}

// ---------------------------------------------------------------------- what is handed over

function put(item: Item): void {
  item.put = true
}

/** An item reaches the program; what is not one stands for the end, or for nothing. */
function received(value: unknown): unknown {
  if (value instanceof Item) value.received++
  return value
}

/** What a step of an iteration gives. */
function ofNext(value: unknown): unknown {
  const { done, value: item } = value as IteratorResult<unknown, undefined>
  return received(done === true ? END : item)
}

const noneIfUndefined = (value: unknown): unknown => (value === undefined ? NONE : value)
const endIfNull = (value: unknown): unknown => received(value === null ? END : value)

/** How one that waits for an item sees what it is given; at the end it throws, or returns that. */
function presented(given: Given, atEnd: () => Outcome): Outcome {
  if (given === 'ended') return atEnd()
  return 'item' in given ? { returns: given.item } : given
}

const atEndOfLoop = (): Outcome => ({ returns: END })

/** `tryGet` and its like. */
function tried(given: Given | Line, atEnd: () => Outcome): Outcome {
  return given instanceof Line ? { returns: NONE } : presented(given, atEnd)
}

/** `tryPut` and its like. */
function triedToPut(given: Given | Line, atEnd: Outcome): Outcome {
  if (given instanceof Line) return { returns: false }
  return given === 'ended' ? atEnd : { returns: true }
}

/** Something that items go through. */
abstract class Passage extends Thing {
  readonly #items: Item[] = []

  protected item(n: number): Item {
    const item = this.world.item(n % 2)
    this.#items.push(item)
    return item
  }

  /** What was put has come out once, was dropped, or is there still; what was not put is nowhere. */
  protected lost(): string[] {
    return this.#items.flatMap((item) => {
      const found = item.received + item.dropped
      const expected = item.put ? 1 : 0
      return found === expected
        ? []
        : [`item ${String(item.id)} was put ${expected} times, and found ${found}`]
    })
  }

  protected *put(
    env: Env,
    name: string,
    step: UseStep,
    start: (item: Item) => Operation<void>,
    model: (item: Item) => Given | Line,
    atEnd: () => Outcome,
    end?: EndModel,
  ): Run<void> {
    const item = this.item(step.n)
    const call = new Call(env.me, this.what(name), () => model(item), {
      subject: item,
      present: (given) => presented(given, atEnd),
      end,
    })
    const outcome = yield* this.world.wait(env, call, () => start(item), step)
    if (outcome !== null && 'returns' in outcome) put(item)
  }

  protected *take(
    env: Env,
    name: string,
    step: UseStep,
    start: () => Operation<unknown>,
    normal: (value: unknown) => unknown,
    model: () => Given | Line,
    atEnd: () => Outcome,
    end?: EndModel,
  ): Run<void> {
    const call = new Call(env.me, this.what(name), model, {
      present: (given) => presented(given, atEnd),
      end,
    })
    yield* this.world.wait(env, call, start, { limitMs: step.limitMs, normal })
  }

  /** A `forEach` for `n` items: a wait for each, with the steps in between. */
  protected *loop(
    env: Env,
    step: UseStep,
    start: (body: (item: Item) => Operation<unknown>) => Operation<void>,
    model: () => Given | Line,
    atEnd: () => Outcome,
    done: () => void,
    end?: EndModel,
  ): Run<void> {
    const { world } = this
    const { me } = env
    const next = (): Call =>
      new Call(me, this.what('forEach'), model, {
        present: (given) => presented(given, atEnd),
        end,
      })
    let call: Call | null = next()
    let left = 1 + (step.n % 3)
    // Between the bodies the loop waits for itself.
    const goOn = (): void => {
      me.owed.push(() => {
        done()
        if (call === null) return
        me.call = call
      })
    }
    function* body(item: Item): Run<boolean> {
      world.ends(me, call!, { returns: received(item) })
      call = null
      try {
        yield* world.steps(env, step.body)
        if (--left > 0) call = next()
        return left > 0
      } finally {
        goOn()
      }
    }
    let ended: unknown
    let how: 'unwound' | 'ended' | 'threw' = 'unwound'
    try {
      world.begins(me, call, env.place)
      yield* start(body)
      how = 'ended'
    } catch (error) {
      how = 'threw'
      ended = error
      // Of a body.
      if (call === null) throw error
    } finally {
      world.flush(me)
      if (call !== null) {
        if (how === 'unwound') world.wasCut(me, call, env.place)
        else world.ends(me, call, how === 'ended' ? { returns: END } : { throws: codeOf(ended) })
      }
      world.settle()
    }
  }
}

class QueueThing extends Passage {
  readonly queue: Queue<Item>
  readonly model: QueueModel
  /** Loops that are under way: each may say for one item that it is done. */
  #loops = 0
  /** Items are said to be done by loops alone, or before they were taken: not both, or loops say it too often. */
  #done: 'by loops' | 'early' | null = null

  constructor(world: World, spec: ThingSpec & { readonly kind: 'queue' }, index: number) {
    super(world, spec, index)
    const options = { name: this.name }
    if (spec.order === 'fifo') this.queue = new Queue<Item>(spec.size, options)
    else if (spec.order === 'lifo') this.queue = new LifoQueue<Item>(spec.size, options)
    else this.queue = new PriorityQueue<Item>(spec.size, (a, b) => a.priority - b.priority, options)
    this.model = new QueueModel(this.name, world.expected, spec.order, spec.size)
  }

  lines(): Line[] {
    const { takers, putters, joiners } = this.model
    return [takers, putters, joiners]
  }

  differences(): string[] {
    const { size, tasksWaitingToGet, tasksWaitingToPut, unfinished, isShutDown } = this.queue.statistics()
    const { model } = this
    return differences(
      { size, tasksWaitingToGet, tasksWaitingToPut, unfinished, isShutDown, full: this.queue.full() },
      {
        size: model.items.length,
        tasksWaitingToGet: model.takers.length,
        tasksWaitingToPut: model.putters.length,
        unfinished: model.unfinished,
        isShutDown: model.ended,
        full: model.full,
      },
    )
  }

  override left(): string[] {
    while (!this.queue.empty()) received(this.queue.tryGet())
    return [...super.left(), ...this.lost()]
  }

  protected override what(name: string): string {
    return super.what(name).replace('queue', `queue ${this.model.order}`)
  }

  protected override *perform(env: Env, name: string, step: UseStep): Run<void> {
    const { queue, model } = this
    const shut = (): Outcome => fault('CEDE_QUEUE_SHUT_DOWN')
    const take = (): Given | Line => model.take()
    switch (name) {
      case 'put':
        yield* this.put(
          env,
          name,
          step,
          (item) => queue.put(item),
          (item) => model.put(item),
          shut,
        )
        return
      case 'get':
        yield* this.take(env, name, step, () => queue.get(), received, take, shut)
        return
      case 'next':
        yield* this.take(env, name, step, () => queue.next(), ofNext, take, atEndOfLoop)
        return
      case 'forEach':
        yield* this.#forEach(env, step)
        return
      case 'join': {
        // It gives way only if nothing is left to do, and that counts then.
        const call: Call = new Call(env.me, this.what(name), () => (call.gaveWay ? DONE : model.join()))
        yield* this.world.wait(env, call, () => queue.join(), step)
        return
      }
      default:
        this.suddenly(env.me, name, step.n)
    }
  }

  *#forEach(env: Env, step: UseStep): Run<void> {
    if (this.#done === 'early') return
    this.#done = 'by loops'
    this.#loops++
    try {
      yield* this.loop(
        env,
        step,
        (body) => this.queue.forEach(body),
        () => this.model.take(),
        atEndOfLoop,
        () => this.model.taskDone(),
      )
    } finally {
      this.#loops--
    }
  }

  #taskDone(): void {
    const { items, unfinished } = this.model
    if (unfinished > 0 && unfinished <= items.length + this.#loops) {
      if (this.#done === 'by loops') return
      this.#done = 'early'
    }
    this.world.act(
      this.what('taskDone'),
      () => this.queue.taskDone(),
      () => this.model.taskDone(),
    )
  }

  protected override suddenly(_me: Party | null, name: string, n: number): void {
    const { queue, model, world } = this
    const shut = (): Outcome => fault('CEDE_QUEUE_SHUT_DOWN')
    switch (name) {
      case 'tryPut': {
        const item = this.item(n)
        world.act(
          this.what(name),
          () => (item.put = queue.tryPut(item)),
          () => triedToPut(model.put(item), shut()),
        )
        return
      }
      case 'tryGet':
        world.act(
          this.what(name),
          () => received(noneIfUndefined(queue.tryGet())),
          () => tried(model.take(), shut),
        )
        return
      case 'taskDone':
        this.#taskDone()
        return
      default: {
        const immediate = n % 2 === 1
        world.act(
          this.what(immediate ? 'shutdown now' : 'shutdown'),
          () => numbersOf(queue.shutdown({ immediate })),
          () => model.shutdown(immediate),
        )
      }
    }
  }
}

class ChannelThing extends Passage {
  readonly model: ChannelModel
  readonly #senders: { readonly real: Sender<Item>; readonly model: EndModel }[]
  readonly #receivers: { readonly real: Receiver<Item>; readonly model: EndModel }[]

  constructor(world: World, spec: ThingSpec, index: number) {
    super(world, spec, index)
    const { sender, receiver } = channel<Item>(spec.size, { name: this.name })
    this.#senders = [{ real: sender, model: new EndModel() }]
    this.#receivers = [{ real: receiver, model: new EndModel() }]
    this.model = new ChannelModel(this.name, world.expected, 'fifo', spec.size)
  }

  lines(): Line[] {
    return [this.model.takers, this.model.putters]
  }

  differences(): string[] {
    const found = this.#senders[0]!.real.statistics()
    const { size, senders, receivers, tasksWaitingToSend, tasksWaitingToReceive } = found
    const { model } = this
    return differences(
      { size, senders, receivers, tasksWaitingToSend, tasksWaitingToReceive },
      {
        size: model.items.length,
        senders: model.senders,
        receivers: model.receivers,
        tasksWaitingToSend: model.putters.length,
        tasksWaitingToReceive: model.takers.length,
      },
    )
  }

  override left(): string[] {
    const open = this.#receivers.find(({ model }) => !model.closed)
    for (let left = this.model.items.length; left > 0; left--) received(open?.real.tryReceive())
    return [...super.left(), ...this.lost()]
  }

  protected override *perform(env: Env, name: string, step: UseStep): Run<void> {
    const { model } = this
    const sender = pick(this.#senders, step.n)
    const receiver = pick(this.#receivers, step.n)
    const take = (): Given | Line => (receiver.model.closed ? 'ended' : model.take())
    const atEnd = (): Outcome => (receiver.model.closed ? fault('CEDE_CLOSED') : { returns: END })
    switch (name) {
      case 'send':
        yield* this.put(
          env,
          name,
          step,
          (item) => sender.real.send(item),
          (item) => this.#send(item, sender.model),
          () => this.#refused(sender.model),
          sender.model,
        )
        return
      case 'receive':
        yield* this.take(
          env,
          name,
          step,
          () => receiver.real.receive(),
          endIfNull,
          take,
          atEnd,
          receiver.model,
        )
        return
      case 'next':
        yield* this.take(env, name, step, () => receiver.real.next(), ofNext, take, atEnd, receiver.model)
        return
      case 'forEach':
        yield* this.loop(
          env,
          step,
          (body) => receiver.real.forEach(body),
          take,
          atEnd,
          () => {},
          receiver.model,
        )
        return
      default:
        this.suddenly(env.me, name, step.n)
    }
  }

  #send(item: Item, sender: EndModel): Given | Line {
    return sender.closed || this.model.receivers === 0 ? 'ended' : this.model.put(item)
  }

  #refused(sender: EndModel): Outcome {
    return fault(sender.closed ? 'CEDE_CLOSED' : 'CEDE_BROKEN_CHANNEL')
  }

  protected override suddenly(_me: Party | null, name: string, n: number): void {
    const { model, world } = this
    const sender = pick(this.#senders, n)
    const receiver = pick(this.#receivers, n)
    switch (name) {
      case 'trySend': {
        const item = this.item(n)
        world.act(
          this.what(name),
          () => (item.put = sender.real.trySend(item)),
          () => triedToPut(this.#send(item, sender.model), this.#refused(sender.model)),
        )
        return
      }
      case 'tryReceive':
        world.act(
          this.what(name),
          () => endIfNull(noneIfUndefined(receiver.real.tryReceive())),
          () =>
            receiver.model.closed ? fault('CEDE_CLOSED') : tried(model.take(), () => ({ returns: END })),
        )
        return
      default:
        this.#changeEnds(n)
    }
  }

  #changeEnds(n: number): void {
    const { model, world } = this
    const sender = this.#senders.at(-1)!
    const receiver = this.#receivers.at(-1)!
    if (n === 0) {
      world.act(
        this.what('clone of a sender'),
        () => void this.#senders.push({ real: sender.real.clone(), model: new EndModel() }),
        () => this.#cloned(sender.model, () => model.senders++),
      )
    } else if (n === 1) {
      world.act(
        this.what('clone of a receiver'),
        () => void this.#receivers.push({ real: receiver.real.clone(), model: new EndModel() }),
        () => this.#cloned(receiver.model, () => model.receivers++),
      )
    } else if (n === 2) {
      world.act(
        this.what('close of a sender'),
        () => sender.real.close(),
        () => model.closeSender(sender.model),
      )
    } else {
      world.act(
        this.what('close of a receiver'),
        () => receiver.real.close(),
        () => model.closeReceiver(receiver.model),
      )
    }
  }

  #cloned(end: EndModel, count: () => void): Outcome {
    if (end.closed) return fault('CEDE_CLOSED')
    count()
    return DONE
  }
}

class BroadcastThing extends Passage {
  readonly broadcast: Broadcast<Item>
  readonly model: BroadcastModel
  readonly #subscriptions: { readonly real: Subscription<Item>; readonly model: SubscriptionModel }[] = []
  readonly #lines: Line[] = []

  constructor(world: World, spec: ThingSpec & { readonly kind: 'broadcast' }, index: number) {
    super(world, spec, index)
    this.broadcast = new Broadcast<Item>(spec.size, { slowReaders: spec.policy, name: this.name })
    this.model = new BroadcastModel(this.name, world.expected, spec.policy)
    this.#subscribe()
  }

  lines(): Line[] {
    return [...this.#lines, this.model.line]
  }

  differences(): string[] {
    const { subscriptions, full, tasksWaitingToSend } = this.broadcast.statistics()
    const { model } = this
    return [
      ...differences(
        { subscriptions, full, tasksWaitingToSend, closed: this.broadcast.closed },
        {
          subscriptions: model.subscriptions.length,
          full: model.full,
          tasksWaitingToSend: model.line.length,
          closed: model.closed,
        },
      ),
      ...this.#subscriptions.flatMap(({ real, model: one }) =>
        differences(
          { size: real.size, dropped: real.dropped, lagged: real.lagged },
          { size: one.queue.items.length, dropped: one.dropped, lagged: one.lagged },
        ),
      ),
    ]
  }

  protected override what(name: string): string {
    return super.what(name).replace('broadcast', `broadcast ${this.model.policy}`)
  }

  protected override *perform(env: Env, name: string, step: UseStep): Run<void> {
    const { broadcast, model } = this
    const from = pick(this.#subscriptions, step.n)
    const take = (): Given | Line => (from.model.closed ? 'ended' : model.take(from.model))
    const atEnd = (): Outcome => this.#ended(from.model)
    switch (name) {
      case 'send':
        yield* this.put(
          env,
          name,
          step,
          (item) => broadcast.send(item),
          (item) => model.send(item),
          () => fault('CEDE_CLOSED'),
        )
        return
      case 'receive':
        yield* this.take(env, name, step, () => from.real.receive(), endIfNull, take, atEnd)
        return
      case 'next':
        yield* this.take(env, name, step, () => from.real.next(), ofNext, take, atEnd)
        return
      case 'forEach':
        yield* this.loop(
          env,
          step,
          (body) => from.real.forEach(body),
          take,
          atEnd,
          () => {},
        )
        return
      default:
        this.suddenly(env.me, name, step.n)
    }
  }

  #ended({ closed, lagged }: SubscriptionModel): Outcome {
    if (closed) return fault('CEDE_CLOSED')
    return lagged ? fault('CEDE_LAGGED') : { returns: END }
  }

  protected override suddenly(_me: Party | null, name: string, n: number): void {
    const { broadcast, model, world } = this
    const from = pick(this.#subscriptions, n)
    switch (name) {
      case 'trySend': {
        const item = this.item(n)
        world.act(
          this.what(name),
          () => (item.put = broadcast.trySend(item)),
          () => triedToPut(model.send(item), fault('CEDE_CLOSED')),
        )
        return
      }
      case 'tryReceive':
        world.act(
          this.what(name),
          () => endIfNull(noneIfUndefined(from.real.tryReceive())),
          () => {
            const atEnd = (): Outcome => this.#ended(from.model)
            return from.model.closed ? atEnd() : tried(model.take(from.model), atEnd)
          },
        )
        return
      case 'subscribe':
        if (this.#subscriptions.length < 3) this.#subscribe()
        return
      default:
        if (n === 3) {
          world.act(
            this.what('close'),
            () => broadcast.close(),
            () => model.close(),
          )
        } else {
          world.act(
            this.what('close of a subscription'),
            () => from.real.close(),
            () => model.unsubscribe(from.model),
          )
        }
    }
  }

  #subscribe(): void {
    const { broadcast, model, spec, world } = this
    const name = `${this.name}.${String(this.#subscriptions.length)}`
    const queue = new QueueModel(name, world.expected, 'fifo', spec.size)
    const subscription = new SubscriptionModel(queue)
    world.act(
      this.what('subscribe'),
      () => void this.#subscriptions.push({ real: broadcast.subscribe(), model: subscription }),
      () => {
        if (model.closed) return fault('CEDE_CLOSED')
        model.subscriptions.push(subscription)
        this.#lines.push(queue.takers)
        return DONE
      },
    )
  }
}

function pick<T>(list: readonly T[], index: number): T {
  return list[index % list.length]!
}

export function makeThing(world: World, spec: ThingSpec, index: number): Thing {
  switch (spec.kind) {
    case 'lock':
      return new LockThing(world, spec, index)
    case 'event':
      return new EventThing(world, spec, index)
    case 'condition':
      return new ConditionThing(world, spec, index)
    case 'semaphore':
    case 'boundedSemaphore':
      return new SemaphoreThing(world, spec, index)
    case 'limiter':
      return new LimiterThing(world, spec, index)
    case 'barrier':
      return new BarrierThing(world, spec, index)
    case 'queue':
      return new QueueThing(world, spec, index)
    case 'channel':
      return new ChannelThing(world, spec, index)
    case 'broadcast':
      return new BroadcastThing(world, spec, index)
  }
}
