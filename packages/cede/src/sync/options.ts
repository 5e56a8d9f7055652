/**
 * Checks options. Locks and queues have a `name`, as options do, so a lock given as options would pass for them, and the
 * program would have one lock more than it believes.
 */
import { MisuseError } from '../core/errors.ts'
import { nameOf } from '../core/misuse.ts'
import { called } from './in-line.ts'

/** Options of everything that tasks wait at. */
export interface NameOptions {
  /** For dumps and messages. Default: none. */
  readonly name?: string | undefined
  /** Locks, queues and their kin have it: none of them is taken for options. */
  readonly statistics?: never
}

/** @throws {MisuseError} unless they are options, or undefined; `instead` says what to write */
export function requireOptions(act: string, options: unknown, instead: (found: unknown) => string): void {
  if (options === undefined || (typeof options === 'object' && options !== null && !isPrimitive(options)))
    return
  const found = isPrimitive(options)
    ? called(wordsOf(options.constructor.name), options.name ?? '')
    : nameOf(options)
  throw new MisuseError(`${act}: options were expected, found ${found}; write ${instead(options)}`)
}

/** @returns the name in the options of a constructor, or an empty string @throws as `requireOptions` */
export function nameFrom(act: string, options: NameOptions | undefined): string {
  requireOptions(act, options, insteadOfName)
  return options?.name ?? ''
}

function insteadOfName(found: unknown): string {
  return typeof found === 'string' ? `\`{ name: '${found}' }\`` : "`{ name: 'x' }`"
}

interface Primitive {
  readonly name?: string
  statistics(): unknown
}

function isPrimitive(value: unknown): value is Primitive {
  return typeof (value as Partial<Primitive> | null | undefined)?.statistics === 'function'
}

/** `capacity limiter` for `CapacityLimiter`. */
function wordsOf(className: string): string {
  return className.replace(/\B[A-Z]/g, ' $&').toLowerCase()
}
