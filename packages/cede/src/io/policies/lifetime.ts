/** The policy that ends connections after a time in any case. */
import { TimeoutError, withoutStack } from '../../core/errors.ts'
import type { Loop } from '../../core/loop.ts'
import type { TimerHandle } from '../../core/timer-handle.ts'
import type { Policy } from '../policy.ts'
import { TransportLayer } from '../transport-layer.ts'
import type { InnerTransport, TransportEvents } from '../transport.ts'
import { checkTime } from './check-time.ts'

/** How long what is buffered may take to be sent when the time is over, in milliseconds. */
const LAST_BYTES_MS = 1_000

/**
 * Ends a connection `ms` milliseconds after it was made, whatever happens on it.
 *
 * Nothing more is read or written then; what is buffered is sent, and after a second the rest is dropped. Reads and
 * drains that wait get a `ConnectionLostError` whose cause is a `TimeoutError`.
 *
 * @param ms milliseconds above 0
 * @throws {RangeError} if `ms` is not a number above 0
 *
 * @example
 * import { lifetime, openConnection, run, sleep, startServer } from 'cede'
 *
 * await run(function* () {
 *   const server = yield* startServer(
 *     function* (reader, writer) {
 *       try {
 *         for (;;) {
 *           yield* writer.send('tick\n')
 *           yield* sleep(10)
 *         }
 *       } catch (error) {
 *         console.log(String(error))
 *       }
 *     },
 *     { host: '127.0.0.1', port: 0, policies: [lifetime(50)] },
 *   )
 *   const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
 *   console.log(String(yield* reader.read()).split('\n').length > 1)
 *   writer.close()
 *   yield* server.shutdown()
 * })
 */
export function lifetime(ms: number): Policy {
  checkTime('lifetime()', ms)
  return { name: 'lifetime', wrap: (events, { loop }) => new Lifetime(events, loop, ms) }
}

class Lifetime extends TransportLayer {
  readonly #loop: Loop
  readonly #ms: number
  #timer: TimerHandle | null = null
  /** There when the time is over. */
  #error: TimeoutError | null = null

  constructor(above: TransportEvents, loop: Loop, ms: number) {
    super(above)
    this.#loop = loop
    this.#ms = ms
  }

  override connectionMade(transport: InnerTransport): void {
    this.#timer = this.#loop.callAtSystem(this.#loop.time() + this.#ms, () => this.#over())
    super.connectionMade(transport)
  }

  override connectionLost(error: Error | null): void {
    this.#timer?.cancel()
    this.above.connectionLost(error ?? this.#error)
  }

  #over(): void {
    const ms = String(this.#ms)
    const error = withoutStack(
      () =>
        new TimeoutError(
          `lifetime(${ms}): expected the connection to end within ${ms} ms, found it open`,
          this.#ms,
        ),
    )
    // To one that is being closed by its user nothing happens, if it is sent in time.
    if (!this.closing) this.#error = error
    this.#timer = this.#loop.callAtSystem(this.#loop.time() + LAST_BYTES_MS, () => this.fail(error))
    this.closeFromTop()
  }
}
