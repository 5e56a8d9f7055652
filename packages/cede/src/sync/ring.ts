/** A ring of this many places is not worth shrinking. */
const KEPT_PLACES = 1_024

/**
 * First in, first out: a ring in an array whose length is a power of two, which grows when it is full, and shrinks when a
 * peak is over. Putting and taking cost the same however much is in it; an array's own `shift` does not.
 */
export class Ring<T> {
  #ring: (T | undefined)[] = new Array<T | undefined>(8).fill(undefined)
  #head = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  push(item: T): void {
    if (this.#size === this.#ring.length) this.#resize(this.#size * 2)
    const ring = this.#ring
    ring[(this.#head + this.#size) & (ring.length - 1)] = item
    this.#size++
  }

  /** Takes the oldest. The ring must not be empty. */
  pop(): T {
    const ring = this.#ring
    const head = this.#head
    const item = ring[head] as T
    ring[head] = undefined
    this.#head = (head + 1) & (ring.length - 1)
    const size = --this.#size
    // Three quarters of it stay free, so that a queue that goes up and down a little is not copied each time.
    if (size * 8 < ring.length && ring.length > KEPT_PLACES) this.#resize(ring.length / 2)
    return item
  }

  /** Takes all of them, oldest first. */
  clear(): T[] {
    const items: T[] = []
    while (this.#size > 0) items.push(this.pop())
    return items
  }

  #resize(places: number): void {
    const old = this.#ring
    const ring = new Array<T | undefined>(places).fill(undefined)
    for (let i = 0; i < this.#size; i++) ring[i] = old[(this.#head + i) & (old.length - 1)]
    this.#ring = ring
    this.#head = 0
  }

  /** How many items it has room for. */
  get places(): number {
    return this.#ring.length
  }
}
