/**
 * Where in a program a line stands, as a chain of scopes from inside out. It is the model's own record of what the
 * library keeps in scopes and unwindings: from it follows whether a wait may end at all.
 */
import type { CancelScope } from 'cede'
import type { TaskModel } from './world.ts'

export type PlaceKind = 'task' | 'scope' | 'timeout' | 'timeoutOr' | 'shield' | 'group' | 'cleanup'

export class Place {
  readonly kind: PlaceKind
  readonly outer: Place | null
  readonly task: TaskModel
  readonly isCancelled: () => boolean
  scope: CancelScope | null = null
  /** Of a timeout: when it is due. */
  deadlineMs = Infinity
  left = false

  constructor(kind: PlaceKind, outer: Place | null, task: TaskModel, isCancelled?: () => boolean) {
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

export function standing(place: Place): Standing {
  return targetOf(place) !== null ? 'cancelled' : behindSpentGrace(place) ? 'unknown' : 'free'
}

/** The outermost scope that is cancelled and not held back by a shield or a cleanup in between. */
export function targetOf(place: Place): Place | null {
  let target: Place | null = null
  for (let p: Place | null = place; p !== null; p = p.outer) {
    if (p.kind === 'cleanup') break
    if (p.isCancelled()) target = p
    if (p.kind === 'shield') break
  }
  return target
}

function behindSpentGrace(place: Place): boolean {
  if (!place.task.graceSpent) return false
  for (let p: Place | null = place; p !== null; p = p.outer) {
    if (p.kind === 'shield') return false
    if (p.kind === 'cleanup') return true
  }
  return false
}

export function encloses(outer: Place, place: Place): boolean {
  for (let p: Place | null = place; p !== null; p = p.outer) if (p === outer) return true
  return false
}
