/** A thing of a program: something of the library beside its model, which must agree. What all kinds of things share. */
import type { Operation } from 'cede'
import { Call, type CallOptions, type Given, type Line, type Outcome } from './sync-model.ts'
import { kindOf, OPERATIONS, pick, SUDDEN, type SyncStep, type ThingSpec, type Use } from './sync-program.ts'
import type { Env, Party, Run, WaitOptions, World } from './sync-world.ts'

export type UseStep = SyncStep & { readonly step: 'use' }
export type SpecOf<K extends ThingSpec['kind']> = ThingSpec & { readonly kind: K }

export abstract class Thing<S extends ThingSpec = ThingSpec> {
  readonly world: World
  readonly spec: S
  readonly name: string
  /** Where tasks wait here. */
  abstract readonly lines: readonly Line[]

  constructor(world: World, spec: S, index: number) {
    this.world = world
    this.spec = spec
    this.name = `thing ${String(index)} (${spec.kind})`
  }

  *use(env: Env, step: UseStep): Run<void> {
    const name = pick(OPERATIONS[this.spec.kind], step.how)
    const run = this.perform(env, name, step)
    if (run === null) this.suddenly(env.me, name, step.n)
    else yield* run
  }

  /** Something that does not wait, by whoever; null is a callback. */
  act(me: Party | null, { how, n }: Use): void {
    this.suddenly(me, pick(SUDDEN[this.spec.kind], how), n)
  }

  /** What the library says of itself otherwise than the model. */
  abstract differences(): string[]

  /** After the run, when every task has ended. */
  left(): string[] {
    return this.lines
      .filter((line) => line.length > 0)
      .map((line) => `${String(line.length)} are in ${line.name}`)
  }

  isHeldBy(_who: Party): boolean {
    return false
  }

  /** An operation that may wait; null: it is something sudden. */
  protected abstract perform(env: Env, name: string, step: UseStep): Run<void> | null
  protected abstract suddenly(me: Party | null, name: string, n: number): void

  protected what(name: string): string {
    return `${kindOf(this.spec)}.${name} of ${this.name}`
  }

  /** Does it in the library and in the model. */
  protected both(name: string, real: () => unknown, model: () => Outcome): Outcome {
    return this.world.act(this.what(name), real, model)
  }

  /** Waits in the library, as the model decides. @returns how it ended; null if its limit cut it */
  protected wait(
    env: Env,
    name: string,
    { limitMs }: UseStep,
    start: () => Operation<unknown>,
    decide: (call: Call) => Given | Line,
    options: CallOptions & Pick<WaitOptions, 'normal'> = {},
  ): Run<Outcome | null> {
    const call: Call = new Call(env.me, this.what(name), () => decide(call), options)
    return this.world.wait(env, call, start, { ...options, limitMs })
  }
}

/** Where what was found is otherwise than expected; what is not expected anyhow is not looked at. */
export function differences<F extends object>(found: F, expected: Partial<NoInfer<F>>): string[] {
  return (Object.keys(expected) as (keyof F & string)[])
    .filter((key) => found[key] !== expected[key])
    .map((key) => `expected ${key} ${shown(expected[key])}, found ${shown(found[key])}`)
}

function shown(value: unknown): string {
  return typeof value === 'object' && value !== null && 'name' in value ? String(value.name) : String(value)
}
