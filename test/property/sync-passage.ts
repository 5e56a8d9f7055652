/** A thing that items go through: how they are put in and taken out, one at a time or in a loop. */
import type { Operation } from 'cede'
import { Call, END, Item, Line, NONE, type EndModel, type Given, type Outcome } from './sync-model.ts'
import type { ThingSpec } from './sync-program.ts'
import { Thing, type UseStep } from './sync-thing.ts'
import { codeOf, type Env, type Party, type Run } from './sync-world.ts'

/** Where items go in, in the library and in the model. */
export interface Inlet {
  readonly real: {
    send(item: Item): Operation<void>
    trySend(item: Item): boolean
  }
  readonly put: (item: Item) => Given | Line
  /** How it says that no items go in any more. */
  readonly refused: () => Outcome
  readonly end?: EndModel
}

/** Where items come out, in the library and in the model. */
export interface Outlet {
  readonly real: {
    receive(): Operation<Item | null>
    tryReceive(): Item | null | undefined
    next(): Operation<IteratorResult<Item, undefined>>
    forEach(body: (item: Item) => Operation<unknown>): Operation<void>
  }
  readonly take: () => Given | Line
  /** How it says that no items come any more. */
  readonly ended: (inLoop: boolean) => Outcome
  readonly end?: EndModel
}

/** What an iteration returns at its end, and operations that take an item where they do not throw. */
export const AT_END: Outcome = { returns: END }

export abstract class Passage<S extends ThingSpec = ThingSpec> extends Thing<S> {
  readonly #items: Item[] = []

  /** For `n`, if there are several. */
  protected abstract inlet(n: number): Inlet
  protected abstract outlet(n: number): Outlet
  /** What only this kind of passage can do. */
  protected abstract otherwise(name: string, n: number): void

  protected override perform(env: Env, name: string, step: UseStep): Run<void> | null {
    switch (name) {
      case 'put':
      case 'send':
        return this.#put(env, name, step)
      case 'get':
      case 'receive':
      case 'next':
        return this.#take(env, name, step)
      case 'forEach':
        return this.loop(env, step)
      default:
        return null
    }
  }

  protected override suddenly(_me: Party | null, name: string, n: number): void {
    switch (name) {
      case 'tryPut':
      case 'trySend': {
        const { real, put, refused } = this.inlet(n)
        const item = this.#item(n)
        this.both(
          name,
          () => (item.put = real.trySend(item)),
          () => triedToPut(put(item), refused),
        )
        return
      }
      case 'tryGet':
      case 'tryReceive': {
        const { real, take, ended } = this.outlet(n)
        this.both(
          name,
          () => received(real.tryReceive()),
          () => triedToTake(take(), () => ended(false)),
        )
        return
      }
      default:
        this.otherwise(name, n)
    }
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

  #item(n: number): Item {
    const item = this.world.item(n % 2)
    this.#items.push(item)
    return item
  }

  *#put(env: Env, name: string, step: UseStep): Run<void> {
    const { real, put, refused, end } = this.inlet(step.n)
    const item = this.#item(step.n)
    const outcome = yield* this.wait(
      env,
      name,
      step,
      () => real.send(item),
      () => put(item),
      { subject: item, present: (given) => presented(given, refused), end },
    )
    if (outcome !== null && 'returns' in outcome) item.put = true
  }

  *#take(env: Env, name: string, step: UseStep): Run<void> {
    const { real, take, ended, end } = this.outlet(step.n)
    const present = (given: Given): Outcome => presented(given, () => ended(name === 'next'))
    if (name === 'next')
      yield* this.wait(env, name, step, () => real.next(), take, { present, end, normal: ofNext })
    else yield* this.wait(env, name, step, () => real.receive(), take, { present, end, normal: received })
  }

  /** A `forEach` for `n` items: a wait for each, with the steps in between. `done`: of one item. */
  protected *loop(env: Env, step: UseStep, done: () => void = () => {}): Run<void> {
    const { world } = this
    const { me } = env
    const { real, take, ended, end } = this.outlet(step.n)
    const present = (given: Given): Outcome => presented(given, () => ended(true))
    const next = (): Call => new Call(me, this.what('forEach'), take, { present, end })
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
    let error: unknown
    let how: 'unwound' | 'ended' | 'threw' = 'unwound'
    try {
      world.begins(me, call, env.place)
      yield* real.forEach(body)
      how = 'ended'
    } catch (thrown) {
      how = 'threw'
      error = thrown
      // Of a body.
      if (call === null) throw thrown
    } finally {
      world.flush(me)
      if (call !== null) {
        if (how === 'unwound') world.wasCut(me, call, env.place)
        else world.ends(me, call, how === 'ended' ? AT_END : { throws: codeOf(error) })
      }
      world.settle()
    }
  }
}

/** What a program receives: an item, which counts, or what stands for the end or for nothing. */
export function received(value: unknown): unknown {
  if (value === null) return END
  if (value === undefined) return NONE
  if (value instanceof Item) value.received++
  return value
}

/** What a step of an iteration gives. */
function ofNext(value: unknown): unknown {
  const { done, value: item } = value as IteratorResult<unknown, undefined>
  return done === true ? END : received(item)
}

/** How one that waits for an item, or to put one, sees what it is given. */
function presented(given: Given, atEnd: () => Outcome): Outcome {
  if (given === 'ended') return atEnd()
  return 'item' in given ? { returns: given.item } : given
}

function triedToTake(given: Given | Line, atEnd: () => Outcome): Outcome {
  return given instanceof Line ? { returns: NONE } : presented(given, atEnd)
}

function triedToPut(given: Given | Line, atEnd: () => Outcome): Outcome {
  if (given instanceof Line) return { returns: false }
  return given === 'ended' ? atEnd() : { returns: true }
}
