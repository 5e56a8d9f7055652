/**
 * The FIFO of what is to run: a ring in an array whose length is a power of two, so that taking and adding cost a few
 * nanoseconds and no allocation, whatever the length. It grows when it is full, and shrinks when a peak is over.
 *
 * For tests a pass can be put into a seeded order (`shuffle`), so that nobody relies on an order that is not promised.
 */

/** Something the loop runs in its place in the queue: a task's step, a callback, a timer that is due. */
export interface Entry {
  run(): void
}

const INITIAL_CAPACITY = 64
/** A ring of this many places is not worth shrinking. */
const KEPT_CAPACITY = 4_096

export class ReadyQueue {
  #ring: (Entry | null)[] = new Array<Entry | null>(INITIAL_CAPACITY).fill(null)
  #head = 0
  /** With fewer entries it shrinks. */
  #shrinksBelow = 0
  length = 0

  push(entry: Entry): void {
    const ring = this.#ring
    const { length } = this
    if (length === ring.length) {
      this.#resize(ring.length * 2)
      this.push(entry)
      return
    }
    ring[(this.#head + length) & (ring.length - 1)] = entry
    this.length = length + 1
  }

  /** Takes the oldest. The queue must not be empty. */
  shift(): Entry {
    const ring = this.#ring
    const head = this.#head
    const entry = ring[head]!
    ring[head] = null
    this.#head = (head + 1) & (ring.length - 1)
    if (--this.length < this.#shrinksBelow) this.#resize(ring.length / 2)
    return entry
  }

  /** Puts the oldest `count` entries into an order drawn from `random` (Fisher and Yates). */
  shuffle(count: number, random: () => number): void {
    const ring = this.#ring
    const mask = ring.length - 1
    for (let i = count - 1; i > 0; i--) {
      const a = (this.#head + i) & mask
      const b = (this.#head + Math.floor(random() * (i + 1))) & mask
      const swapped = ring[a]!
      ring[a] = ring[b]!
      ring[b] = swapped
    }
  }

  #resize(capacity: number): void {
    const old = this.#ring
    const ring = new Array<Entry | null>(capacity).fill(null)
    for (let i = 0; i < this.length; i++) ring[i] = old[(this.#head + i) & (old.length - 1)]!
    this.#ring = ring
    this.#head = 0
    // Three quarters stay free when it shrinks, so that passes that go up and down are not copied each time.
    this.#shrinksBelow = capacity > KEPT_CAPACITY ? capacity / 8 : 0
  }

  /** How many entries it has room for. */
  get capacity(): number {
    return this.#ring.length
  }
}
