/**
 * A heap that keeps the order of equal items: a priority queue without the waiting.
 *
 * To take the least item, the hole at the top goes down to the bottom along the least ones below, and up again to where
 * the last item fits: that nearly always belongs to the bottom, so comparing it on the way down would be for nothing. A
 * comparison that throws leaves everything as it was: the hole goes up to the top again, which takes back every move. An
 * item that is added first finds its place, and only then the others move.
 *
 * Each item has four below it. That is as many comparisons as with two, nearly, and half as many moves, which pays
 * because the serial number that keeps equal items in order has to be moved as well.
 */

/** Negative if `a` comes before `b`, positive if after, 0 if they are equal. */
export type Compare<T> = (a: T, b: T) => number

export class Heap<T> {
  readonly #compare: Compare<T>
  readonly #items: T[] = []
  /** In which order they were added; at the index of the item. */
  readonly #serials: number[] = []
  #added = 0

  constructor(compare: Compare<T>) {
    this.#compare = compare
  }

  get size(): number {
    return this.#items.length
  }

  push(item: T): void {
    const items = this.#items
    const serials = this.#serials
    const compare = this.#compare
    let place = items.length
    while (place > 0) {
      const above = (place - 1) >> 2
      // Of equal items the one above was added first.
      if (compare(item, items[above]!) >= 0) break
      place = above
    }
    for (let index = items.length; index > place;) {
      const above = (index - 1) >> 2
      items[index] = items[above]!
      serials[index] = serials[above]!
      index = above
    }
    items[place] = item
    serials[place] = this.#added++
  }

  /** Takes the least item; of equal ones that which was added first. The heap must not be empty. */
  pop(): T {
    const items = this.#items
    const serials = this.#serials
    const compare = this.#compare
    const last = items.length - 1
    const lastItem = items[last]!
    const lastSerial = serials[last]!
    const top = items[0]!
    const topSerial = serials[0]!
    let hole = 0
    try {
      for (let first = 1; first < last; first = 4 * hole + 1) {
        let least = first
        let leastItem = items[first]!
        const end = first + 4 < last ? first + 4 : last
        for (let below = first + 1; below < end; below++) {
          const item = items[below]!
          const order = compare(item, leastItem)
          if (order < 0 || (order === 0 && serials[below]! < serials[least]!)) {
            least = below
            leastItem = item
          }
        }
        items[hole] = leastItem
        serials[hole] = serials[least]!
        hole = least
      }
      while (hole > 0) {
        const above = (hole - 1) >> 2
        const order = compare(lastItem, items[above]!)
        if (order > 0 || (order === 0 && lastSerial > serials[above]!)) break
        hole = this.#raise(hole)
      }
    } catch (error) {
      while (hole > 0) hole = this.#raise(hole)
      items[0] = top
      serials[0] = topSerial
      throw error
    }
    items.pop()
    serials.pop()
    if (last > 0) {
      items[hole] = lastItem
      serials[hole] = lastSerial
    }
    return top
  }

  /** Moves a hole one level up. @returns where it is then */
  #raise(hole: number): number {
    const above = (hole - 1) >> 2
    this.#items[hole] = this.#items[above]!
    this.#serials[hole] = this.#serials[above]!
    return above
  }

  /** Takes all of them, in no order. */
  clear(): T[] {
    this.#serials.length = 0
    return this.#items.splice(0)
  }
}
