/** Netstrings, `5:hello,`: the length in decimal digits, a colon, the bytes, a comma. */
import { compact } from '../byte-queue.ts'
import { ProtocolError } from '../errors.ts'
import {
  bodyBytes,
  checkedLimit,
  checkOptions,
  joinedIfSmall,
  LONGEST_FRAME,
  tooLong,
  type Decoded,
  type FrameCodec,
  type FrameLimit,
} from './frame-codec.ts'

export interface NetstringsOptions extends FrameLimit {
  /** How long a frame may be, in bytes, without its length and the comma. Default: 1,048,576. */
  readonly limitBytes?: number | undefined
}

const DEFAULT_LIMIT_BYTES = 1_048_576
const ZERO = 48
const NINE = 57
const COLON = 58
const COMMA = 44

/**
 * Netstrings: `5:hello,`. The grammar is strict: no sign, no space, no zero before other digits.
 *
 * @param options see `NetstringsOptions`
 * @returns a codec. Its `decode` throws `LimitError` at the first digit that makes the length too large, without waiting
 *   for the rest (`error.consumedBytes` are the digits so far), and `ProtocolError` for anything that is no netstring.
 *   Its `encode` throws `LimitError`, and `MisuseError` for what is neither string (sent as UTF-8) nor bytes; these
 *   must not be changed afterwards
 * @throws {RangeError} if `limitBytes` is no whole number above 0
 *
 * Does not suspend.
 *
 * @example
 * import { framed, netstrings, run, StreamReader } from 'cede'
 *
 * await run(function* () {
 *   const reader = new StreamReader()
 *   reader.feedData(Buffer.from('5:hello,0:,'))
 *   const frames = framed({ reader }, netstrings())
 *   console.log((yield* frames.read())?.toString()) // hello
 * })
 */
export function netstrings(options: NetstringsOptions = {}): FrameCodec<Buffer, string | Uint8Array> {
  checkOptions('netstrings()', options, 'write `netstrings({ limitBytes: 1_000 })`')
  return new Netstrings(checkedLimit('netstrings()', options.limitBytes, DEFAULT_LIMIT_BYTES, LONGEST_FRAME))
}

class Netstrings implements FrameCodec<Buffer, string | Uint8Array> {
  readonly name = 'netstrings'
  readonly #limitBytes: number

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  encode(frame: string | Uint8Array): Uint8Array | readonly Uint8Array[] {
    const body = bodyBytes('encode a netstring', frame, this.#limitBytes)
    return joinedIfSmall([Buffer.from(`${String(body.length)}:`), body, Uint8Array.of(COMMA)], body)
  }

  decode(available: Buffer): Decoded<Buffer> | number {
    let length = 0
    let digits = 0
    for (; ; digits++) {
      if (digits === available.length) return digits + 1
      const byte = available[digits]!
      if (byte === COLON && digits > 0) break
      const afterZero = digits === 1 && length === 0
      if (byte < ZERO || byte > NINE || afterZero) {
        const expected = digits === 0 ? 'a digit' : afterZero ? "':' after 0" : "a digit or ':'"
        throw this.#wrong(expected, available, digits)
      }
      length = length * 10 + byte - ZERO
      if (length > this.#limitBytes) {
        throw tooLong(
          'decode a netstring',
          this.#limitBytes,
          `found a length of ${String(length)} or more`,
          digits + 1,
        )
      }
    }
    const start = digits + 1
    const end = start + length
    if (available.length <= end) return end + 1
    if (available[end] !== COMMA) throw this.#wrong(`',' after ${String(length)} bytes`, available, end)
    return { frame: compact(available.subarray(start, end)), consumedBytes: end + 1 }
  }

  #wrong(expected: string, available: Buffer, at: number): ProtocolError {
    const byte = available[at]!
    const found = byte > 32 && byte < 127 ? `'${String.fromCharCode(byte)}'` : `byte ${String(byte)}`
    return new ProtocolError(
      `decode a netstring: expected ${expected}, found ${found}`,
      available.subarray(0, at + 1),
    )
  }
}
