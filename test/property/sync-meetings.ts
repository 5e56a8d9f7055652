/** Things that tasks wait at until another task has come or has told them: events, conditions, and barriers. */
import { Barrier, Condition, Event } from 'cede'
import { lockDifferences } from './sync-held.ts'
import { BarrierModel, Call, ConditionModel, DONE, EventModel, type Line } from './sync-model.ts'
import { differences, Thing, type UseStep } from './sync-thing.ts'
import type { Env, Party, Run, WaitOptions } from './sync-world.ts'

export class EventThing extends Thing {
  readonly event: Event = new Event({ name: this.name })
  readonly model: EventModel = new EventModel(this.name, this.world.expected)
  readonly lines: Line[] = [this.model.line]

  differences(): string[] {
    const { isSet, line } = this.model
    return differences(this.event.statistics(), { isSet, tasksWaiting: line.length })
  }

  protected override perform(env: Env, name: string, step: UseStep): Run<void> | null {
    return name === 'wait' ? this.#wait(env, step) : null
  }

  *#wait(env: Env, step: UseStep): Run<void> {
    const { event, model } = this
    // It gives way only if the event is set, and that counts then.
    yield* this.wait(
      env,
      'wait',
      step,
      () => event.wait(),
      ({ gaveWay }) => (gaveWay ? DONE : model.wait()),
    )
  }

  protected override suddenly(_me: Party | null, name: string): void {
    const { event, model } = this
    this.both(
      name,
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

export class ConditionThing extends Thing {
  readonly condition: Condition = new Condition({ name: this.name })
  readonly model: ConditionModel = new ConditionModel(this.name, this.world.expected)
  readonly lines: Line[] = [this.model.line, this.model.lock.line]
  /** What `waitFor` waits for. */
  #stock = 0

  differences(): string[] {
    return [
      ...lockDifferences(this.condition.lock, this.model.lock),
      ...differences(
        { noticesWaiting: this.condition.statistics().tasksWaiting },
        { noticesWaiting: this.model.line.length },
      ),
    ]
  }

  override isHeldBy(who: Party): boolean {
    return this.condition.lock.statistics().holder === who.task
  }

  override left(): string[] {
    return [...super.left(), ...(this.condition.locked() ? ['its lock is held'] : [])]
  }

  protected override *perform(env: Env, name: string, step: UseStep): Run<void> {
    if (name === 'wait') yield* this.#wait(env, step)
    else if (name === 'notify') this.#notify(env.me, step.n)
    else yield* this.#hold(env, name, step)
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
    if (!this.isHeldBy(me))
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
    this.both(
      'notify',
      () => this.condition.notify(count),
      () => this.model.notify(me, count),
    )
  }

  #notifyAll(me: Party): void {
    this.both(
      'notifyAll',
      () => this.condition.notifyAll(),
      () => this.model.notify(me, Infinity),
    )
  }

  /** A callback holds no lock. */
  protected override suddenly(me: Party | null): void {
    this.#notify(me, 1)
  }
}

export class BarrierThing extends Thing {
  readonly #parties = this.spec.size + 1
  readonly barrier: Barrier = new Barrier(this.#parties, { name: this.name })
  readonly model: BarrierModel = new BarrierModel(this.name, this.world.expected, this.#parties)
  readonly lines: Line[] = [this.model.line]

  differences(): string[] {
    const { broken, line } = this.model
    return differences(this.barrier.statistics(), { broken, tasksWaiting: line.length })
  }

  protected override perform(env: Env, name: string, step: UseStep): Run<void> | null {
    return name === 'wait' || name === 'with' ? this.#wait(env, name, step) : null
  }

  *#wait(env: Env, name: 'wait' | 'with', step: UseStep): Run<void> {
    const { barrier, model } = this
    yield* this.wait(
      env,
      name,
      step,
      // Behind the barrier there is nothing that can be waited for: the call has ended.
      () => (name === 'wait' ? barrier.wait() : barrier.with((index) => returned(index))),
      () => model.wait(),
    )
  }

  protected override suddenly(_me: Party | null, name: string): void {
    this.both(
      name,
      () => (name === 'abort' ? this.barrier.abort() : this.barrier.reset()),
      () => this.model.end(name === 'abort'),
    )
  }
}

function* returned<T>(value: T): Run<T> {
  return value
}
