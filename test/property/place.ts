/**
 * Where in a program a line stands, as a chain of scopes from inside out. It is the model's own record of what the
 * library keeps in scopes and unwindings: from it follows whether a wait may end at all.
 */
import type { CancelScope } from 'cede'
import type { TaskModel } from './world.ts'

export type PlaceKind = 'task' | 'scope' | 'timeout' | 'timeoutOr' | 'shield' | 'group' | 'cleanup'

/** A task as far as places know it. */
interface PlacedTask {
  /** A cleanup of it was cut at least once. */
  readonly graceSpent: boolean
}

export class Place<T extends PlacedTask = TaskModel> {
  readonly kind: PlaceKind
  readonly outer: Place<T> | null
  readonly task: T
  readonly isCancelled: () => boolean
  scope: CancelScope | null = null
  /** Of a timeout: when it is due. */
  deadlineMs = Infinity
  left = false

  constructor(kind: PlaceKind, outer: Place<T> | null, task: T, isCancelled?: () => boolean) {
    this.kind = kind
    this.outer = outer
    this.task = task
    this.isCancelled = isCancelled ?? (() => this.scope?.cancelled === true)
  }
}

/**
 * `cancelled`: a wait here must end by unwinding; `free`: it must not; `unknown`: inside a cleanup of a task whose
 * grace was spent at least once.
 */
export type Standing = 'free' | 'cancelled' | 'unknown'

export function standing<T extends PlacedTask>(place: Place<T>): Standing {
  return targetOf(place) !== null ? 'cancelled' : behindSpentGrace(place) ? 'unknown' : 'free'
}

/** The outermost scope that is cancelled and not held back by a shield or a cleanup in between. */
export function targetOf<T extends PlacedTask>(place: Place<T>): Place<T> | null {
  let target: Place<T> | null = null
  for (let p: Place<T> | null = place; p !== null; p = p.outer) {
    if (p.kind === 'cleanup') break
    if (p.isCancelled()) target = p
    if (p.kind === 'shield') break
  }
  return target
}

function behindSpentGrace<T extends PlacedTask>(place: Place<T>): boolean {
  if (!place.task.graceSpent) return false
  for (let p: Place<T> | null = place; p !== null; p = p.outer) {
    if (p.kind === 'shield') return false
    if (p.kind === 'cleanup') return true
  }
  return false
}

export function encloses(outer: Place, place: Place): boolean {
  for (let p: Place | null = place; p !== null; p = p.outer) if (p === outer) return true
  return false
}
