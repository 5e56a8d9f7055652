/**
 * Descriptors that belong to somebody else, watched for `addReader` and `addWriter`: pipes, terminals, eventfd, sockets of
 * other libraries. The system watches each descriptor once, for both directions; without edges, since whoever is called
 * may take as little of what is there as he likes.
 *
 * Whoever closes a descriptor should remove it first. If not, the system forgets it by itself, and when its number is used
 * again, callbacks of the old one are not called for the new one. But if another process has the file too, as a child
 * that was given it, the system goes on to tell of it, and the callbacks are called, until they are removed; the driver
 * gets rid of it then (`drivers/epoll.ts`).
 */
import type { Descriptors, Direction } from '../core/driver.ts'
import { MisuseError } from '../core/errors.ts'
import { nameOf } from '../core/misuse.ts'
import type { EpollDriver, Watcher } from './epoll.ts'
import { BROKEN, HUNG_UP, READABLE, WRITABLE } from './shim.ts'

const LARGEST = 2 ** 31 - 1

/** What it means that a descriptor cannot be watched, by the code of the system. */
const FOUND: Readonly<Record<string, string>> = {
  EBADF: ', which is not open',
  EEXIST: ', which is a connection or server of this program',
  EPERM: ': a file or directory, which is always ready',
}

/** One descriptor. */
class Descriptor implements Watcher {
  read: (() => void) | null = null
  write: (() => void) | null = null
  token = -1

  get bits(): number {
    return (this.read === null ? 0 : READABLE) | (this.write === null ? 0 : WRITABLE)
  }

  ready(bits: number): void {
    const broken = (bits & (BROKEN | HUNG_UP)) !== 0
    if (broken || (bits & READABLE) !== 0) this.read?.()
    if (broken || (bits & WRITABLE) !== 0) this.write?.()
  }
}

export class DescriptorTable implements Descriptors {
  readonly #driver: EpollDriver
  readonly #table = new Map<number, Descriptor>()
  #held = false
  #needed = false

  constructor(driver: EpollDriver) {
    this.#driver = driver
  }

  watch(descriptor: number, direction: Direction, ready: () => void): void {
    const act = direction === 'read' ? 'addReader()' : 'addWriter()'
    checkDescriptor(act, descriptor)
    const known = this.#table.get(descriptor)
    if (known !== undefined) {
      const before = known[direction]
      known[direction] = ready
      // Asks the system even if nothing changes: so it is noticed that the number is another file's by now.
      if (this.#rewatch(descriptor, known)) return
      known[direction] = before
      this.#remove(descriptor, known)
    }
    const entry = new Descriptor()
    entry[direction] = ready
    try {
      entry.token = this.#driver.watch(descriptor, entry.bits, entry)
    } catch (error) {
      throw notWatched(act, descriptor, error as NodeJS.ErrnoException)
    }
    this.#table.set(descriptor, entry)
    this.#checkNeed()
  }

  unwatch(descriptor: number, direction: Direction): boolean {
    checkDescriptor(direction === 'read' ? 'removeReader()' : 'removeWriter()', descriptor)
    const entry = this.#table.get(descriptor)
    if (entry?.[direction] == null) return false
    entry[direction] = null
    // It may have been closed meanwhile: then there is nothing to be changed.
    if (entry.bits === 0) this.#remove(descriptor, entry)
    else this.#rewatch(descriptor, entry)
    return true
  }

  /** @returns false if the system watches nothing of this number */
  #rewatch(descriptor: number, entry: Descriptor): boolean {
    if (!this.#driver.watches(entry.token, descriptor)) return false
    try {
      this.#driver.rewatch(entry.token, descriptor, entry.bits, entry)
      return true
    } catch {
      return false
    }
  }

  #remove(descriptor: number, entry: Descriptor): void {
    this.#table.delete(descriptor)
    this.#driver.unwatch(entry.token, descriptor)
    this.#checkNeed()
  }

  /** While somebody runs, those who are watched keep the process alive. */
  hold(active: boolean): void {
    this.#held = active
    this.#checkNeed()
  }

  #checkNeed(): void {
    const needed = this.#held && this.#table.size > 0
    if (needed === this.#needed) return
    this.#needed = needed
    this.#driver.need(needed)
  }
}

function checkDescriptor(act: string, descriptor: unknown): void {
  if (Number.isInteger(descriptor) && (descriptor as number) >= 0 && (descriptor as number) <= LARGEST) return
  throw new MisuseError(
    `${act}: a descriptor (a whole number from 0 on) was expected, found ${nameOf(descriptor)}`,
  )
}

/** The error of the system, in words. */
function notWatched(act: string, descriptor: number, error: NodeJS.ErrnoException): NodeJS.ErrnoException {
  const { code = '', errno, syscall } = error
  const found = FOUND[code]
  const why = found === undefined ? `: ${error.message}` : `${found} (${code})`
  const message =
    `${act}: a descriptor that can be watched (a pipe, a terminal, a socket) was expected, ` +
    `found ${String(descriptor)}${why}`
  return Object.assign(new Error(message), { code, errno, syscall })
}
