/**
 * Descriptors that belong to somebody else, watched for `addReader` and `addWriter`: pipes, terminals, eventfd, sockets of
 * other libraries. The system watches each descriptor once, for both directions; without edges, since whoever is called
 * may take as little of what is there as he likes.
 */
import type { Descriptors, Direction } from '../core/driver.ts'
import type { EpollDriver, Watcher } from './epoll.ts'
import { BROKEN, HUNG_UP, READABLE, WRITABLE } from './shim.ts'

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
    const known = this.#table.get(descriptor)
    const entry = known ?? new Descriptor()
    const before = entry[direction]
    entry[direction] = ready
    try {
      if (known === undefined) entry.token = this.#driver.watch(descriptor, entry.bits, entry)
      else if (before === null) this.#driver.rewatch(entry.token, descriptor, entry.bits, entry)
    } catch (error) {
      entry[direction] = before
      throw error
    }
    this.#table.set(descriptor, entry)
    this.#checkNeed()
  }

  unwatch(descriptor: number, direction: Direction): boolean {
    const entry = this.#table.get(descriptor)
    if (entry?.[direction] == null) return false
    entry[direction] = null
    if (entry.bits === 0) {
      this.#table.delete(descriptor)
      this.#driver.unwatch(entry.token, descriptor)
      this.#checkNeed()
    } else {
      this.#driver.rewatch(entry.token, descriptor, entry.bits, entry)
    }
    return true
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
