/**
 * Hooks for those who watch the scheduler: tests, tracers, monitors. Every hook is optional, and while no instrument
 * is there the loop pays one comparison with null a step.
 */
import type { Task } from './task.ts'
import type { Wait } from './suspension.ts'

/** Hooks run synchronously inside the loop: they must not touch tasks. One that throws is reported and taken off. */
export interface Instrument {
  taskCreated?(task: Task): void
  stepBegins?(task: Task): void
  stepEnds?(task: Task): void
  /** The task has parked on `wait`; it ends by exactly one `resumed` or `unparked`. */
  parked?(task: Task, wait: Wait): void
  resumed?(task: Task, wait: Wait): void
  unparked?(task: Task, wait: Wait): void
  taskDone?(task: Task): void
  turnBegins?(): void
  turnEnds?(): void
}

/** A record, so that none can be forgotten. */
const ALL: Readonly<Record<keyof Instrument, true>> = {
  taskCreated: true,
  stepBegins: true,
  stepEnds: true,
  parked: true,
  resumed: true,
  unparked: true,
  taskDone: true,
  turnBegins: true,
  turnEnds: true,
}

/** @internal The names of all hooks. */
export const HOOKS: readonly (keyof Instrument)[] = Object.keys(ALL) as (keyof Instrument)[]

/** One instrument that passes everything on to several. */
export class Instruments implements Required<Instrument> {
  readonly #instruments: Set<Instrument>
  readonly #failed: (error: unknown) => void

  constructor(instruments: Iterable<Instrument>, failed: (error: unknown) => void) {
    this.#instruments = new Set(instruments)
    this.#failed = failed
  }

  get list(): readonly Instrument[] {
    return [...this.#instruments]
  }

  taskCreated(task: Task): void {
    this.#each((instrument) => instrument.taskCreated?.(task))
  }
  stepBegins(task: Task): void {
    this.#each((instrument) => instrument.stepBegins?.(task))
  }
  stepEnds(task: Task): void {
    this.#each((instrument) => instrument.stepEnds?.(task))
  }
  parked(task: Task, wait: Wait): void {
    this.#each((instrument) => instrument.parked?.(task, wait))
  }
  resumed(task: Task, wait: Wait): void {
    this.#each((instrument) => instrument.resumed?.(task, wait))
  }
  unparked(task: Task, wait: Wait): void {
    this.#each((instrument) => instrument.unparked?.(task, wait))
  }
  taskDone(task: Task): void {
    this.#each((instrument) => instrument.taskDone?.(task))
  }
  turnBegins(): void {
    this.#each((instrument) => instrument.turnBegins?.())
  }
  turnEnds(): void {
    this.#each((instrument) => instrument.turnEnds?.())
  }

  #each(call: (instrument: Instrument) => void): void {
    for (const instrument of this.#instruments) {
      try {
        call(instrument)
      } catch (error) {
        this.#instruments.delete(instrument)
        this.#failed(error)
      }
    }
  }
}
