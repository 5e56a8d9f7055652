/**
 * Ends connections on which nothing moves.
 *
 * What moves is noted with its time, and no timer is touched for it: when the timer fires it looks how long ago that
 * was, and is armed anew for the rest.
 *
 * Bytes that were written have moved when the system below has taken them. Most are taken at the end of the pass in
 * which they were written; the layer looks then. Those that are not are looked for again several times while the
 * timeout lasts, so a peer that took its last bytes between two looks is ended late by one such step at most.
 */
import { TimeoutError, withoutStack } from '../../core/errors.ts'
import type { Loop } from '../../core/loop.ts'
import type { Entry } from '../../core/ready-queue.ts'
import { leaveStep } from '../../core/running.ts'
import type { TimerHandle } from '../../core/timer-handle.ts'
import type { Policy } from '../policy.ts'
import { TransportLayer } from '../transport-layer.ts'
import type { InnerTransport, TransportEvents } from '../transport.ts'
import { checkTime } from './check-time.ts'

/** How often the layer looks for bytes being taken while a timeout lasts. */
const LOOKS = 8

/**
 * Ends a connection on which no byte has moved for `ms` milliseconds, in either direction.
 *
 * Reads and drains that wait get a `ConnectionLostError` whose cause is a `TimeoutError`; the connection is reset. Bytes
 * that are buffered and that the peer does not take have not moved: a peer that never reads is idle, too. So is a
 * connection whose handler works for longer than that and neither reads nor writes.
 *
 * @param ms milliseconds above 0; while written bytes wait to be taken, an eighth more may pass
 * @throws {RangeError} if `ms` is not a number above 0
 *
 * @example
 * import { ConnectionLostError, idleTimeout, openConnection, run, startServer } from 'cede'
 *
 * await run(function* () {
 *   const server = yield* startServer(
 *     function* (reader) {
 *       try {
 *         yield* reader.readLine()
 *       } catch (error) {
 *         if (error instanceof ConnectionLostError) console.log(error.message)
 *       }
 *     },
 *     { host: '127.0.0.1', port: 0, policies: [idleTimeout(200)] },
 *   )
 *   const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
 *   try {
 *     yield* reader.readLine()
 *   } catch (error) {
 *     console.log(error instanceof ConnectionLostError)
 *   }
 *   writer.close()
 *   yield* server.shutdown()
 * })
 */
export function idleTimeout(ms: number): Policy {
  checkTime('idleTimeout()', ms)
  return { name: 'idleTimeout', wrap: (events, { loop }) => new IdleTimeout(events, loop, ms) }
}

class IdleTimeout extends TransportLayer implements Entry {
  readonly #loop: Loop
  readonly #ms: number
  #timer: TimerHandle | null = null
  /** When a byte moved last. */
  #movedMs = 0
  #writtenBytes = 0
  /** Those of them that were seen to be taken. */
  #takenBytes = 0
  #lookAsked = false
  #over = false

  constructor(above: TransportEvents, loop: Loop, ms: number) {
    super(above)
    this.#loop = loop
    this.#ms = ms
  }

  override connectionMade(transport: InnerTransport): void {
    this.#movedMs = this.#loop.time()
    this.#arm(this.#movedMs + this.#ms)
    super.connectionMade(transport)
  }

  override dataReceived(chunk: Buffer): void {
    this.#movedMs = this.#loop.time()
    this.above.dataReceived(chunk)
  }

  override write(data: Uint8Array): void {
    const dropped = this.below.closing
    this.below.write(data)
    if (dropped) return
    this.#writtenBytes += data.length
    if (this.#lookAsked) return
    this.#lookAsked = true
    this.#loop.schedule(this)
  }

  override resumeWriting(): void {
    this.#look()
    this.above.resumeWriting()
  }

  override connectionLost(error: Error | null): void {
    this.#over = true
    this.#timer?.cancel()
    this.above.connectionLost(error)
  }

  /** @internal Called by the loop: the transport has handed to the system what was written in the last pass. */
  run(): void {
    leaveStep()
    this.#lookAsked = false
    if (this.#over) return
    const nowMs = this.#look()
    if (this.below.bufferedBytes > 0 && this.#timer!.when() > nowMs + this.#lookMs)
      this.#arm(nowMs + this.#lookMs)
  }

  get #lookMs(): number {
    return this.#ms / LOOKS
  }

  /** Notes whether bytes were taken since the last look. @returns the time */
  #look(): number {
    const nowMs = this.#loop.time()
    const takenBytes = this.#writtenBytes - this.below.leftBytes
    if (takenBytes > this.#takenBytes) {
      this.#takenBytes = takenBytes
      this.#movedMs = nowMs
    }
    return nowMs
  }

  #arm(whenMs: number): void {
    this.#timer?.cancel()
    this.#timer = this.#loop.callAtSystem(whenMs, this.#fired)
  }

  readonly #fired = (): void => {
    const nowMs = this.#look()
    const deadlineMs = this.#movedMs + this.#ms
    if (nowMs < deadlineMs) {
      this.#arm(this.below.bufferedBytes > 0 ? Math.min(deadlineMs, nowMs + this.#lookMs) : deadlineMs)
      return
    }
    this.#over = true
    const ms = String(this.#ms)
    const { bufferedBytes } = this.below
    const untaken =
      bufferedBytes === 0 ? '' : `, and ${String(bufferedBytes)} buffered bytes that the peer does not take`
    this.fail(
      withoutStack(
        () =>
          new TimeoutError(
            `idleTimeout(${ms}): expected a byte within ${ms} ms, found none${untaken}`,
            this.#ms,
          ),
      ),
    )
  }
}
