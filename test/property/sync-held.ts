/** Things that tasks take and give back: locks, semaphores, and limiters. */
import { BoundedSemaphore, CapacityLimiter, Lock, Semaphore, sleep, type Operation } from 'cede'
import { Call, DONE, Line, LimiterModel, LockModel, SemaphoreModel, type Outcome } from './sync-model.ts'
import { differences, Thing, type UseStep } from './sync-thing.ts'
import type { Env, Party, Run } from './sync-world.ts'

/** How much a body without steps waits. */
const BODY_MS = 1

interface Held {
  with<T>(body: () => Operation<T>): Operation<T>
  acquire(): Operation<void>
  tryAcquire(): boolean
  release(): void
}

interface HeldModel {
  readonly line: Line
  take(who: Party): Outcome | Line
  giveBack(who: Party): Outcome
}

/** How something is taken and given back by hand, in the library and in the model. */
interface Taking {
  readonly acquire: () => Operation<void>
  readonly tryAcquire: () => boolean
  readonly release: () => void
  readonly take: () => Outcome | Line
  readonly giveBack: () => Outcome
  readonly subject: unknown
}

abstract class HeldThing extends Thing {
  abstract readonly held: Held
  abstract readonly model: HeldModel
  /** How many may be inside. */
  protected abstract readonly most: number
  /** How many are. */
  #inside = 0

  get lines(): Line[] {
    return [this.model.line]
  }

  override left(): string[] {
    const inside = this.#inside === 0 ? [] : [`${String(this.#inside)} hold it still`]
    return [...super.left(), ...inside]
  }

  protected override perform(env: Env, name: string, step: UseStep): Run<void> | null {
    switch (name) {
      case 'with':
      case 'withSleep':
        return this.#hold(env, name, step)
      case 'acquire':
      case 'tryAcquire':
        return this.takeAndGive(env, name, step, this.#plainly(env.me))
      default:
        return null
    }
  }

  #entered(): void {
    this.#inside++
    if (this.#inside > this.most)
      this.world.violate(`${String(this.#inside)} hold ${this.name}, and ${String(this.most)} may`)
  }

  *#hold(env: Env, name: string, step: UseStep): Run<void> {
    const { held, model, world } = this
    const { me } = env
    const bare = name === 'withSleep'
    yield* world.hold(
      env,
      new Call(me, this.what(name), () => model.take(me), { subject: me }),
      (enter) => held.with(enter),
      { limitMs: step.limitMs, bare },
      () => this.#entered(),
      () => {
        this.#inside--
        model.giveBack(me)
      },
      (inner) => (bare ? sleep(BODY_MS) : world.steps(inner, step.body)),
    )
  }

  #plainly(me: Party): Taking {
    const { held, model } = this
    return {
      acquire: () => held.acquire(),
      tryAcquire: () => held.tryAcquire(),
      release: () => held.release(),
      take: () => model.take(me),
      giveBack: () => model.giveBack(me),
      subject: me,
    }
  }

  /** By hand, with a `finally`. */
  protected *takeAndGive(env: Env, name: string, step: UseStep, how: Taking): Run<void> {
    if (name.startsWith('try')) {
      const outcome = this.both(name, how.tryAcquire, () => tried(how.take()))
      if (!('returns' in outcome) || outcome.returns !== true) return
    } else {
      const outcome = yield* this.wait(env, name, step, how.acquire, how.take, { subject: how.subject })
      if (outcome === null || 'throws' in outcome) return
    }
    this.#entered()
    try {
      yield* this.world.steps(env, step.body)
    } finally {
      this.#inside--
      this.world.act(`${this.what(name)}, release`, how.release, how.giveBack)
    }
  }
}

/** `tryAcquire` and its like. */
function tried(taken: Outcome | Line): Outcome {
  if (taken instanceof Line) return { returns: false }
  return taken === DONE ? { returns: true } : taken
}

export class LockThing extends HeldThing {
  readonly held: Lock = new Lock({ name: this.name })
  readonly model: LockModel = new LockModel(this.name, this.world.expected)
  protected readonly most = 1

  differences(): string[] {
    return lockDifferences(this.held, this.model)
  }

  override isHeldBy(who: Party): boolean {
    return this.held.statistics().holder === who.task
  }

  /** Only where it is a mistake: whose lock it is goes on with it. */
  protected override suddenly(_me: Party | null, name: string): void {
    if (this.model.holder !== null) return
    this.both(
      name,
      () => this.held.release(),
      () => this.model.giveBack(),
    )
  }
}

export function lockDifferences(lock: Lock, model: LockModel): string[] {
  return differences(lock.statistics(), {
    locked: model.holder !== null,
    holder: (model.holder as Party | null)?.task ?? null,
    tasksWaiting: model.line.length,
  })
}

export class SemaphoreThing extends HeldThing {
  readonly #bounded = this.spec.kind === 'boundedSemaphore'
  /** How many permits there are, taken or not. */
  protected most: number = this.#bounded ? this.spec.size : this.spec.size - 1
  readonly held: Semaphore = this.#bounded
    ? new BoundedSemaphore(this.most, { name: this.name })
    : new Semaphore(this.most, { name: this.name })
  readonly model: SemaphoreModel = new SemaphoreModel(
    this.name,
    this.world.expected,
    this.most,
    this.#bounded ? this.most : Infinity,
  )

  differences(): string[] {
    const { held, model } = this
    return differences(
      { ...held.statistics(), locked: held.locked() },
      { value: model.value, tasksWaiting: model.line.length, locked: model.value === 0 },
    )
  }

  override left(): string[] {
    const { value } = this.held
    const permits =
      value === this.most ? [] : [`expected ${String(this.most)} permits, found ${String(value)}`]
    return [...super.left(), ...permits]
  }

  /** A bounded one is released too often only when it is full: otherwise it is somebody's permit. */
  protected override suddenly(_me: Party | null, name: string): void {
    if (this.#bounded && this.model.value < this.most) return
    if (!this.#bounded) this.most++
    this.both(
      name,
      () => this.held.release(),
      () => this.model.giveBack(),
    )
  }
}

export class LimiterThing extends HeldThing {
  readonly held: CapacityLimiter = new CapacityLimiter(this.spec.size, { name: this.name })
  readonly model: LimiterModel = new LimiterModel(this.name, this.world.expected, this.spec.size)
  /** It may be lowered below what is borrowed. */
  protected most: number = this.spec.size

  differences(): string[] {
    const { held, model } = this
    const statistics = held.statistics()
    const { borrowers } = statistics
    const expected = [...model.borrowers.keys()].map(borrowerOf)
    const same =
      borrowers.length === expected.length && borrowers.every((one, index) => one === expected[index])
    return [
      ...differences(
        { ...statistics, available: held.available, locked: held.locked() },
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

  protected override perform(env: Env, name: string, step: UseStep): Run<void> | null {
    if (name !== 'onBehalf' && name !== 'tryOnBehalf') return super.perform(env, name, step)
    return this.takeAndGive(env, name, step, this.#onBehalfOf(`borrower ${String(step.n % 2)}`, env.me))
  }

  #onBehalfOf(borrower: string, me: Party): Taking {
    const { held, model } = this
    return {
      acquire: () => held.acquireOnBehalfOf(borrower),
      tryAcquire: () => held.tryAcquireOnBehalfOf(borrower),
      release: () => held.releaseOnBehalfOf(borrower),
      take: () => model.take(me, borrower),
      giveBack: () => model.giveBack(borrower),
      subject: borrower,
    }
  }

  protected override suddenly(_me: Party | null, name: string, n: number): void {
    const total = 1 + (n % 3)
    this.most = Math.max(this.most, total)
    this.both(
      name,
      () => void (this.held.total = total),
      () => this.model.setTotal(total),
    )
  }
}

/** Tasks borrow as themselves. */
function borrowerOf(one: unknown): unknown {
  return typeof one === 'string' ? one : (one as Party).task
}
