/** One listener, at one address. */
import { Leaf } from '../core/leaf.ts'
import { steppedByHand } from '../core/misuse.ts'
import { answerProbe, isProbe } from '../core/probe.ts'
import { announce } from '../core/running.ts'
import type { Coroutine, Suspension, WaitDescription } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import { formatAddress } from './address.ts'
import type { AcceptEvents, ListenOptions } from './endpoint.ts'
import { ListenError } from './errors.ts'
import { networkOf } from './network.ts'
import { listenSettings } from './socket-settings.ts'
import { EVERY_ADDRESS, type Listener, type ListenSettings, type Place } from './transport.ts'

/** Listens there. Suspends until it does. */
export function listenAt(place: Place, options: ListenOptions, events: AcceptEvents): Coroutine<Listener> {
  return new Listening(place, listenSettings(options), events)
}

/** One listener at one address. */
class Listening extends Leaf<Listener> {
  readonly #place: Place
  readonly #settings: ListenSettings
  readonly #events: AcceptEvents
  #giveUp: (() => void) | null = null
  #result: Listener | Error | null = null

  constructor(place: Place, settings: ListenSettings, events: AcceptEvents) {
    super()
    this.#place = place
    this.#settings = settings
    this.#events = events
  }

  next(value?: unknown): IteratorResult<Suspension, Listener> {
    if (isProbe(value)) return answerProbe()
    const result = this.#result
    if (result === null) {
      if (this.#giveUp !== null) throw steppedByHand('startServer()')
      return announce(this)
    }
    if (result instanceof Error) throw new ListenError(this.#address, result)
    return { done: true, value: result }
  }

  get #address(): string {
    return addressOfPlace(this.#place)
  }

  park(task: Task): void {
    const ended = (result: Listener | Error): void => {
      this.#result = result
      task.resume(undefined)
    }
    const events = this.#events
    const network = networkOf('startServer()', task.runner.loop, this.#place)
    this.#giveUp = network.listen(this.#place, this.#settings, {
      listening: ended,
      failed: ended,
      accepted: (connection) => events.accepted(connection),
      refused: (why) => events.refused(why),
      acceptFailed: (error) => events.acceptFailed(error),
      closed: () => events.closed(),
    })
  }

  unpark(): void {
    this.#giveUp!()
  }

  describe(): WaitDescription {
    return { what: `the server to listen on ${this.#address}` }
  }
}

function addressOfPlace(place: Place): string {
  if ('host' in place)
    return formatAddress({ host: place.host === EVERY_ADDRESS ? '*' : place.host, port: place.port })
  return formatAddress({ host: '', port: 0, ...place })
}
