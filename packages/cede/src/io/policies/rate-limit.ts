/** The policy that limits how fast bytes go. */
import { wrongArgument } from '../../core/misuse.ts'
import type { Policy } from '../policy.ts'
import type { TransportEvents } from '../transport.ts'
import { ReadLimit } from './read-limit.ts'
import { checkAmount, TokenBucket } from './token-bucket.ts'
import { WriteLimit } from './write-limit.ts'

export interface RateLimitOptions {
  /** How many bytes a second each connection may send to us. Default: no limit of its own. */
  readonly readBytesPerSecond?: number | undefined
  /** How many bytes a second we send on each connection. Default: no limit of its own. */
  readonly writeBytesPerSecond?: number | undefined
  /** How many bytes may go at once after a pause, in each direction. Default: those of a tenth of a second. */
  readonly burstBytes?: number | undefined
  /** A bucket that all bytes of all connections, both ways, take their tokens from as well: a limit for the total. */
  readonly bucket?: TokenBucket | undefined
}

/** Bursts that last so many seconds: long enough for timers that come some milliseconds late. */
const BURST_SECONDS = 0.1

const ACT = 'rateLimit()'

/**
 * Limits how fast bytes go, on each connection and in total.
 *
 * A connection that sends too fast is read more slowly; its own system then holds it up. What is written too fast waits
 * here, counts as buffered (`drain` waits for it, `hardLimitBytes` holds), and is sent at the rate, also after `close`.
 * What still waits when the run ends is handed to the system at once.
 *
 * Give it before `idleTimeout`, which then sees the bytes as the handler does, little by little.
 *
 * @throws {RangeError} if a number is not finite and above 0
 * @throws {MisuseError} if nothing is limited, or `bucket` is no bucket
 *
 * @example
 * import { openConnection, rateLimit, run, startServer, TokenBucket } from 'cede'
 *
 * await run(function* () {
 *   const total = new TokenBucket({ perSecond: 1_000_000, burst: 100_000 })
 *   const server = yield* startServer(
 *     function* (reader, writer) {
 *       writer.write(Buffer.alloc(3_000, 'x'))
 *     },
 *     {
 *       host: '127.0.0.1',
 *       port: 0,
 *       policies: [rateLimit({ writeBytesPerSecond: 20_000, burstBytes: 1_000, bucket: total })],
 *     },
 *   )
 *   const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
 *   const startedMs = Date.now()
 *   console.log((yield* reader.read())?.length, Date.now() - startedMs >= 80)
 *   writer.close()
 *   yield* server.shutdown()
 * })
 */
export function rateLimit(options: RateLimitOptions): Policy {
  if (typeof options !== 'object' || (options as unknown) === null) {
    throw wrongArgument(ACT, 'options', options, 'write `rateLimit({ readBytesPerSecond: 100_000 })`')
  }
  const { readBytesPerSecond, writeBytesPerSecond, burstBytes, bucket } = options
  if (bucket !== undefined && !(bucket instanceof TokenBucket)) {
    throw wrongArgument(
      ACT,
      'a TokenBucket as bucket',
      bucket,
      'write `new TokenBucket({ perSecond, burst })`',
    )
  }
  if (readBytesPerSecond === undefined && writeBytesPerSecond === undefined && bucket === undefined) {
    throw wrongArgument(
      ACT,
      'readBytesPerSecond, writeBytesPerSecond or bucket',
      options,
      'say what is limited',
    )
  }
  for (const [name, value] of Object.entries({ readBytesPerSecond, writeBytesPerSecond, burstBytes })) {
    if (value !== undefined) checkAmount(ACT, name, value)
  }

  /** A new one for each connection. */
  const bucketFor = (bytesPerSecond: number | undefined): TokenBucket | undefined => {
    if (bytesPerSecond === undefined) return bucket
    const burst = burstBytes ?? Math.max(1, bytesPerSecond * BURST_SECONDS)
    return new TokenBucket({ perSecond: bytesPerSecond, burst, parent: bucket })
  }
  return {
    name: 'rateLimit',
    wrap(events, runner) {
      const readBucket = bucketFor(readBytesPerSecond)
      const writeBucket = bucketFor(writeBytesPerSecond)
      let wrapped: TransportEvents = events
      if (writeBucket !== undefined) wrapped = new WriteLimit(wrapped, runner, writeBucket)
      if (readBucket !== undefined) wrapped = new ReadLimit(wrapped, runner.loop, readBucket)
      return wrapped
    },
  }
}
