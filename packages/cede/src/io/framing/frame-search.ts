/**
 * Asks a codec about the front of a queue, no more often than needed and about no more bytes than needed.
 *
 * The bytes are joined only where a frame lies over several blocks. A codec that knows how many bytes it needs is asked
 * again when they are there. One that does not (it searches, and asks for one more each time) gets twice as many bytes
 * each time, and room is left behind what was joined: so a frame of n bytes costs n, in however many chunks it comes.
 */
import { MisuseError } from '../../core/errors.ts'
import { nameOf } from '../../core/misuse.ts'
import type { ByteQueue } from '../byte-queue.ts'
import type { Decoded, FrameCodec } from './frame-codec.ts'

export class FrameSearch<In> {
  readonly #codec: FrameCodec<In, never>
  /** The codec has looked at so many bytes. */
  #scanned = 0
  /** It wants so many. */
  #needed = 1
  /** It does not know how many it will need in the end. */
  #growing = false

  constructor(codec: FrameCodec<In, never>) {
    this.#codec = codec
  }

  /** How many bytes the frame at the front has, or more, as far as the codec knows. */
  get expected(): number {
    return this.#needed
  }

  /** The next frame; or bytes may have been taken meanwhile. */
  again(): void {
    this.#scanned = 0
    this.#needed = 1
    this.#growing = false
  }

  /**
   * The frame at the front of `queue`, or null if it is not complete. It is not taken.
   *
   * @param ended nothing will come behind what is in the queue
   * @throws what the codec throws; {MisuseError} if its answer makes no sense
   */
  find(queue: ByteQueue, ended: boolean): Decoded<In> | null {
    const { length } = queue
    while (length >= this.#needed || (ended && length > 0)) {
      const wanted = this.#growing ? Math.max(this.#needed, 2 * this.#scanned) : this.#needed
      const available = queue.front(Math.min(length, wanted), this.#growing)
      const isAll = ended && available.length === length
      const answer = this.#codec.decode(available, this.#scanned, isAll)
      if (typeof answer !== 'number') return this.#checked(answer, available)
      if (!Number.isInteger(answer) || answer <= available.length) throw this.#wrong(answer, available)
      this.#scanned = available.length
      this.#needed = answer
      this.#growing = answer === available.length + 1
      if (isAll) return null
    }
    return null
  }

  #checked(answer: Decoded<In>, available: Buffer): Decoded<In> {
    const { frame, consumedBytes } = answer
    const takesSome =
      Number.isInteger(consumedBytes) && consumedBytes > 0 && consumedBytes <= available.length
    if (takesSome && frame !== null) return answer
    throw this.#wrong(takesSome ? 'a frame that is null' : consumedBytes, available)
  }

  #wrong(found: unknown, { length }: Buffer): MisuseError {
    const what = typeof found === 'string' ? found : nameOf(found)
    return new MisuseError(
      `decode() of ${this.#codec.name}: expected a frame other than null that takes 1 to ${String(length)} bytes, or the number of ` +
        `bytes needed, more than ${String(length)}, found ${what}`,
    )
  }
}
