/**
 * What a codec is: two functions, from a frame to bytes and from the front of a buffer to a frame. It keeps no state
 * between calls, so one serves any number of streams, and can be tried without any.
 */
import { nameOf, wrongArgument } from '../../core/misuse.ts'
import { checkSize } from '../address.ts'
import { LimitError } from '../errors.ts'

/**
 * How frames become bytes, and bytes frames.
 *
 * `In` is what is read, `Out` what may be written. `lines`, `lengthPrefixed`, `netstrings` and `jsonLines` make codecs;
 * your own is an object with these three.
 *
 * @example
 * import { framed, run, StreamReader, type FrameCodec } from 'cede'
 *
 * // Each frame is a big-endian number of 16 bits.
 * const numbers: FrameCodec<number> = {
 *   name: 'numbers',
 *   encode(frame) {
 *     return Uint8Array.of(frame >> 8, frame)
 *   },
 *   decode(available) {
 *     return available.length < 2 ? 2 : { frame: available.readUInt16BE(), consumedBytes: 2 }
 *   },
 * }
 * await run(function* () {
 *   const reader = new StreamReader()
 *   reader.feedData(Buffer.from([1, 2, 0, 7]))
 *   reader.feedEof()
 *   const frames = framed({ reader }, numbers)
 *   console.log(yield* frames.read(), yield* frames.read(), yield* frames.read()) // 258 7 null
 * })
 */
export interface FrameCodec<In, Out = In> {
  /** For messages: `lines`, `uint16 length prefix`. */
  readonly name: string

  /**
   * The bytes of one frame, in one piece or several. They must not be changed afterwards.
   *
   * @throws {LimitError} if the frame is too long; {MisuseError} if the framing cannot express it
   */
  encode(frame: Out): string | Uint8Array | readonly Uint8Array[]

  /**
   * Looks for one frame at the front of a stream. Called again with more bytes until it is there.
   *
   * @param available the bytes at the front of the stream, 1 or more. They are not yours: copy what you keep
   * @param scannedBytes so many of them were there when it was called before, so that a search need not begin anew; 0
   *   the first time
   * @param ended nothing will come behind `available`
   * @returns the frame, which is anything but `null`, with the bytes it takes, 1 or more; or a number: so many bytes in
   *   all must be there before it makes sense to ask again, more than there are
   * @throws {ProtocolError} if the bytes cannot be the beginning of a frame; {LimitError} if the frame is too long.
   *   Whoever reads gets the error; the bytes stay where they are
   */
  decode(available: Buffer, scannedBytes: number, ended: boolean): Decoded<In> | number
}

/** A frame, and how many bytes it took. */
export interface Decoded<T> {
  readonly frame: T
  readonly consumedBytes: number
}

export interface FrameLimit {
  /** How long a frame may be, in bytes, without what the framing adds. */
  readonly limitBytes?: number | undefined
}

/** The longest frame any length can stand for; nobody wants more in one piece. */
export const LONGEST_FRAME = 0xffff_ffff

/** @throws {RangeError} if `limitBytes` is no whole number above 0, or more than the framing can express */
export function checkedLimit(
  act: string,
  limitBytes: number | undefined,
  usual: number,
  most: number,
): number {
  checkSize(act, 'limitBytes', limitBytes)
  if (limitBytes === undefined) return usual
  if (limitBytes === Infinity) return most
  if (limitBytes <= most) return limitBytes
  throw new RangeError(
    `${act}: limitBytes was expected to be at most ${String(most)}, found ${String(limitBytes)}`,
  )
}

/** @throws {MisuseError} if `options` are none */
export function checkOptions(act: string, options: unknown, instead: string): void {
  if (typeof options === 'object' && options !== null) return
  throw wrongArgument(act, 'options', options, instead)
}

/** @throws {RangeError} if `value` is none of `allowed` */
export function checkChoice(act: string, option: string, value: unknown, allowed: readonly string[]): void {
  if (allowed.includes(value as string)) return
  const list = allowed.map((one) => `'${one}'`)
  throw new RangeError(
    `${act}: ${option} was expected to be ${list.slice(0, -1).join(', ')} or ${list.at(-1)!}, found ${nameOf(value)}`,
  )
}

/** The bytes of a frame of bytes that is to be sent. @throws {MisuseError} {LimitError} */
export function bodyBytes(act: string, frame: unknown, limitBytes: number): Uint8Array {
  const body = typeof frame === 'string' ? Buffer.from(frame) : frame
  if (!(body instanceof Uint8Array)) {
    throw wrongArgument(
      act,
      'a string or a Uint8Array',
      frame,
      'write `JSON.stringify(value)` for other values, or use `jsonLines()`',
    )
  }
  if (body.length > limitBytes) throw tooLong(act, limitBytes, `found ${String(body.length)}`, 0)
  return body
}

/** Up to so many bytes a body is copied behind its prefix; above, the two are sent as they are. */
const COPIED_BODY = 16_384

export function joinedIfSmall(
  parts: readonly Uint8Array[],
  body: Uint8Array,
): Uint8Array | readonly Uint8Array[] {
  return body.length > COPIED_BODY ? parts : Buffer.concat(parts)
}

export function tooLong(act: string, limitBytes: number, found: string, consumedBytes: number): LimitError {
  return new LimitError(
    `${act}: expected at most ${String(limitBytes)} bytes (option limitBytes), ${found}`,
    limitBytes,
    consumedBytes,
  )
}
