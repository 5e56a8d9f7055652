import type { NameOptions } from './options.ts'
import { Queue } from './queue.ts'

/**
 * A queue that gives what was put last: a stack with waiting. Everything else is as in `Queue`.
 *
 * @example
 * import { LifoQueue, run } from 'cede'
 *
 * await run(function* () {
 *   const plates = new LifoQueue<string>(10)
 *   yield* plates.put('first')
 *   yield* plates.put('last')
 *   console.log(yield* plates.get()) // last
 * })
 */
export class LifoQueue<T> extends Queue<T> {
  /**
   * @param maxSize how many items it holds before `put` waits; `Infinity`: it never waits, and memory is the limit
   * @param options a name for dumps and messages
   * @throws {RangeError} if `maxSize` is no whole number above 0; {MisuseError} if it is no number
   */
  constructor(maxSize: number, options?: NameOptions) {
    super(maxSize, options, new Stack<T>())
  }

  /** @internal */
  override nameForMessages(): string {
    return 'LifoQueue'
  }
}

class Stack<T> {
  readonly #items: T[] = []

  get size(): number {
    return this.#items.length
  }

  push(item: T): void {
    this.#items.push(item)
  }

  pop(): T {
    return this.#items.pop() as T
  }

  clear(): T[] {
    return this.#items.splice(0).reverse()
  }
}
