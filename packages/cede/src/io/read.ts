/** One read of a stream: what all of them have in common, and how they wait. */
import { GIVE_WAY, Leaf } from '../core/leaf.ts'
import { steppedByHand } from '../core/misuse.ts'
import { answerProbe, isProbe } from '../core/probe.ts'
import { announce, mayFinishNow } from '../core/running.ts'
import type { Suspension, WaitDescription } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import { withCallers } from '../core/with-callers.ts'
import { BusyError, ConnectionLostError, IncompleteReadError, LimitError } from './errors.ts'
import type { StreamReader } from './stream-reader.ts'

/** @internal One read: the operation, its iterator and its suspension. */
export abstract class Read<T> extends Leaf<T> {
  protected readonly reader: StreamReader
  /** It was resumed, and will be stepped. */
  woken = false
  #task: Task | null = null
  #gaveWay = false

  constructor(reader: StreamReader) {
    super()
    this.reader = reader
  }

  next(value?: unknown): IteratorResult<Suspension, T> {
    if (isProbe(value)) return answerProbe()
    const { reader } = this
    if (this.#task === null) {
      if (reader.pending !== null) throw this.#busy(reader.pending)
      if (this.#gaveWay) this.searchAgain()
      if (!this.canEnd()) return announce(this)
      if (!this.#gaveWay && !mayFinishNow()) {
        this.#gaveWay = true
        return announce(GIVE_WAY)
      }
    } else {
      if (!this.woken || reader.pending !== this) throw steppedByHand(`a read of ${this.wanted}`)
      reader.pending = null
    }
    return { done: true, value: this.end() }
  }

  /** In words: what is read. */
  protected abstract get wanted(): string

  /** The name of the method, for messages. */
  protected abstract get act(): string

  /** True if `end` would return or throw now. Called again whenever something has come. */
  abstract canEnd(): boolean

  /** Somebody else may have read meanwhile: what was found out about the queue no longer holds. */
  protected searchAgain(): void {}

  /** Takes what is wanted out of the queue, or throws why not. */
  protected abstract end(): T

  park(task: Task): void {
    this.#task = task
    this.reader.wait(this)
  }

  protected renewWait(): void {
    this.#task = null
    this.woken = false
    this.#gaveWay = false
  }

  unpark(): void {
    this.reader.pending = null
  }

  /** What it needs is there. */
  wake(): void {
    this.woken = true
    this.#task!.resume(undefined)
  }

  describe(): WaitDescription {
    return { what: `${this.wanted} from ${this.reader.peer}` }
  }

  #busy(other: Read<unknown>): BusyError {
    const who = other.#task === null ? 'another task' : `task ${other.#task.name}`
    return new BusyError(
      `${this.act} from ${this.reader.peer}: no other read was expected to be under way, found ${who} waiting for ${other.wanted}`,
    )
  }

  protected lost(): Error {
    const error = this.reader.exception()!
    // Each read that meets it throws an error of its own, with its own stack.
    if (!(error instanceof ConnectionLostError)) return error
    const expected = `${this.act} from ${this.reader.peer}: expected ${this.wanted}`
    return withCallers(new ConnectionLostError(expected, error.cause as Error))
  }

  protected overLimit(found: string, consumedBytes: number): LimitError {
    const { limitBytes, peer } = this.reader
    const message = `${this.act} from ${peer}: expected ${this.wanted} within ${String(limitBytes)} bytes (option limitBytes), ${found}`
    return withCallers(new LimitError(message, limitBytes, consumedBytes))
  }

  protected incomplete(expected: number | undefined): IncompleteReadError {
    const partial = this.reader.take(this.reader.queue.length)
    const message = `${this.act} from ${this.reader.peer}: expected ${this.wanted}, found the end of the stream after ${String(partial.length)} bytes`
    return withCallers(new IncompleteReadError(message, partial, expected))
  }
}
