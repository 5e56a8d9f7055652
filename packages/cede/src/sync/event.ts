/** An event: a flag that tasks wait for. */
import { printsAs } from '../core/inspect.ts'
import { GIVE_WAY } from '../core/leaf.ts'
import { announce, mayFinishNow } from '../core/running.ts'
import type { Coroutine, Suspension } from '../core/suspension.ts'
import { Waiting, WaitQueue } from '../core/wait-queue.ts'
import { DONE } from './acquire.ts'
import { called, inLine, printed } from './in-line.ts'
import { nameFrom, type NameOptions } from './options.ts'

export interface EventStatistics {
  readonly isSet: boolean
  readonly tasksWaiting: number
}

/**
 * A flag that any number of tasks wait for. `set` wakes everyone who waits then, even if `clear` follows at once.
 *
 * @example
 * import { createTask, Event, run, sleep } from 'cede'
 *
 * const ready = new Event({ name: 'ready' })
 * function* client(name: string) {
 *   yield* ready.wait()
 *   console.log(name, 'begins')
 * }
 * await run(function* () {
 *   const clients = [createTask(client('one')), createTask(client('two'))]
 *   yield* sleep(10)
 *   ready.set()
 *   for (const each of clients) yield* each
 * })
 */
export class Event {
  static {
    printsAs(this.prototype, (event) =>
      printed('Event', event.name, event.#set ? 'set' : 'not set', event.#line),
    )
  }

  /** For dumps and messages; an empty string if it has none. */
  readonly name: string
  #set = false
  readonly #line: WaitQueue = new WaitQueue(
    () => ({ what: `${called('event', this.name)} (${inLine(this.#line)})` }),
    () => null,
  )

  /** @throws {MisuseError} if `options` are none: a string, or another event */
  constructor(options?: NameOptions) {
    this.name = nameFrom('new Event()', options)
  }

  /** Waits until the flag is set. A checkpoint; suspends if it is not set. */
  wait(): Coroutine<void> {
    return new EventWait(this, this.#line)
  }

  /** Sets the flag and wakes everyone who waits. They go on in the next pass, whatever becomes of the flag meanwhile. */
  set(): void {
    this.#set = true
    this.#line.wakeAll()
  }

  /** Takes the flag down: from now on `wait` waits. */
  clear(): void {
    this.#set = false
  }

  /** True if the flag is set. */
  isSet(): boolean {
    return this.#set
  }

  /** The flag and how many wait, at this moment. */
  statistics(): EventStatistics {
    return { isSet: this.#set, tasksWaiting: this.#line.length }
  }
}

class EventWait extends Waiting<void> {
  readonly #event: Event
  #foundSet = false

  constructor(event: Event, line: WaitQueue) {
    super(line)
    this.#event = event
  }

  override begin(): IteratorResult<Suspension, void> {
    // Cleared while it gave way: it has come in time all the same, and may be told only once.
    if (this.#foundSet) return DONE
    if (!this.#event.isSet()) return announce(this)
    if (mayFinishNow()) return DONE
    this.#foundSet = true
    return announce(GIVE_WAY)
  }
}
