/** One attempt to connect, to one address. */
import { Leaf } from '../core/leaf.ts'
import { steppedByHand } from '../core/misuse.ts'
import { answerProbe, isProbe } from '../core/probe.ts'
import { announce } from '../core/running.ts'
import type { Coroutine, Suspension, WaitDescription } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import { ConnectError } from './errors.ts'
import { networkOf } from './network.ts'
import type { ConnectSettings, NewConnection, Place } from './transport.ts'

/** Connects, and gives the connection to `take` in the moment it is made. Suspends until then. */
export function attemptAt(
  place: Place,
  address: string,
  settings: ConnectSettings,
  take: (connection: NewConnection) => void,
): Coroutine<void> {
  return new Attempt(place, address, settings, take)
}

/** One attempt to connect to one address. */
class Attempt extends Leaf<void> {
  readonly #place: Place
  readonly #address: string
  readonly #settings: ConnectSettings
  readonly #take: (connection: NewConnection) => void
  #giveUp: (() => void) | null = null
  #result: Error | 'connected' | null = null

  constructor(
    place: Place,
    address: string,
    settings: ConnectSettings,
    take: (connection: NewConnection) => void,
  ) {
    super()
    this.#place = place
    this.#address = address
    this.#settings = settings
    this.#take = take
  }

  next(value?: unknown): IteratorResult<Suspension, void> {
    if (isProbe(value)) return answerProbe()
    const result = this.#result
    if (result === null) {
      if (this.#giveUp !== null) throw steppedByHand('openConnection()')
      return announce(this)
    }
    if (result !== 'connected') throw new ConnectError(this.#address, [result])
    return { done: true, value: undefined }
  }

  park(task: Task): void {
    const network = networkOf('openConnection()', task.runner.loop, this.#place)
    this.#giveUp = network.connect(this.#place, this.#settings, {
      connected: (connection) => {
        try {
          this.#take(connection)
          this.#result = 'connected'
        } catch (error) {
          // A policy threw.
          connection.refuse()
          this.#result = error instanceof Error ? error : new Error(String(error), { cause: error })
        }
        task.resume(undefined)
      },
      failed: (error) => {
        this.#result = error
        task.resume(undefined)
      },
    })
  }

  unpark(): void {
    this.#giveUp!()
  }

  describe(): WaitDescription {
    return { what: `a connection to ${this.#address}` }
  }
}
