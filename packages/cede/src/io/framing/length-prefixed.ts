/** Frames of bytes with their length before them. */
import { compact } from '../byte-queue.ts'
import { ProtocolError } from '../errors.ts'
import {
  bodyBytes,
  checkChoice,
  checkedLimit,
  checkOptions,
  joinedIfSmall,
  LONGEST_FRAME,
  tooLong,
  type Decoded,
  type FrameCodec,
  type FrameLimit,
} from './frame-codec.ts'

export interface LengthPrefixedOptions extends FrameLimit {
  /**
   * How the length is written: in 8, 16 or 32 bits, or as a varint, seven bits to a byte, low ones first, as Protocol
   * Buffers do.
   */
  readonly prefix: 'uint8' | 'uint16' | 'uint32' | 'varint'
  /** The order of the bytes of `uint16` and `uint32`. Default: `big`, as networks do. */
  readonly endian?: 'big' | 'little' | undefined
  /**
   * How long a frame may be, in bytes, without its prefix. Default: 1,048,576, or the most the prefix can say: 255 and
   * 65,535.
   */
  readonly limitBytes?: number | undefined
}

const DEFAULT_LIMIT_BYTES = 1_048_576
const PREFIXES = ['uint8', 'uint16', 'uint32', 'varint'] as const
const MOST = { uint8: 0xff, uint16: 0xffff, uint32: LONGEST_FRAME, varint: LONGEST_FRAME }

/**
 * Frames of bytes with their length before them.
 *
 * @param options see `LengthPrefixedOptions`
 * @returns a codec. Its `decode` throws `LimitError` as soon as a length above the limit was read, without waiting for
 *   the bytes it stands for (`error.consumedBytes` are those of the length), and `ProtocolError` for a varint of more
 *   than 5 bytes. Its `encode` throws `LimitError`, and `MisuseError` for what is neither string (sent as UTF-8) nor
 *   bytes; these must not be changed afterwards
 * @throws {RangeError} if `prefix` or `endian` is none of those above, or `limitBytes` no whole number above 0, or more
 *   than the prefix can say; {MisuseError} if there are no options
 *
 * Does not suspend.
 *
 * @example
 * import { framed, lengthPrefixed, run, StreamReader } from 'cede'
 *
 * await run(function* () {
 *   const codec = lengthPrefixed({ prefix: 'uint16', limitBytes: 1_000 })
 *   const reader = new StreamReader()
 *   reader.feedData(Buffer.from('\0\x05hello'))
 *   const frame = yield* framed({ reader }, codec).read()
 *   console.log(frame?.toString()) // hello
 * })
 */
export function lengthPrefixed(options: LengthPrefixedOptions): FrameCodec<Buffer, string | Uint8Array> {
  const act = 'lengthPrefixed()'
  checkOptions(act, options, "write `lengthPrefixed({ prefix: 'uint32' })`")
  const { prefix, endian = 'big' } = options
  checkChoice(act, 'prefix', prefix, PREFIXES)
  checkChoice(act, 'endian', endian, ['big', 'little'])
  const most = MOST[prefix]
  const limitBytes = checkedLimit(act, options.limitBytes, Math.min(DEFAULT_LIMIT_BYTES, most), most)
  if (prefix === 'varint') return new VarintPrefixed(limitBytes)
  return new FixedPrefixed(prefix, endian === 'little', limitBytes)
}

const SIZES = { uint8: 1, uint16: 2, uint32: 4 }

abstract class LengthPrefixed implements FrameCodec<Buffer, string | Uint8Array> {
  readonly name: string
  protected readonly limitBytes: number

  constructor(prefix: string, limitBytes: number) {
    this.name = `${prefix} length prefix`
    this.limitBytes = limitBytes
  }

  encode(frame: string | Uint8Array): Uint8Array | readonly Uint8Array[] {
    const body = bodyBytes(`encode a frame with ${this.name}`, frame, this.limitBytes)
    return joinedIfSmall([this.prefixOf(body.length), body], body)
  }

  protected abstract prefixOf(length: number): Uint8Array
  abstract decode(available: Buffer): Decoded<Buffer> | number

  /** The frame of `length` bytes behind a prefix of `size` bytes, or how many bytes both need. */
  protected behind(available: Buffer, size: number, length: number): Decoded<Buffer> | number {
    if (length > this.limitBytes) throw this.overLimit(length, size)
    const end = size + length
    if (available.length < end) return end
    return { frame: compact(available.subarray(size, end)), consumedBytes: end }
  }

  protected overLimit(length: number, size: number): Error {
    return tooLong(
      `decode a frame with ${this.name}`,
      this.limitBytes,
      `found a length of ${String(length)}`,
      size,
    )
  }
}

class FixedPrefixed extends LengthPrefixed {
  readonly #size: number
  readonly #little: boolean

  constructor(prefix: keyof typeof SIZES, little: boolean, limitBytes: number) {
    super(prefix, limitBytes)
    this.#size = SIZES[prefix]
    this.#little = little
  }

  protected override prefixOf(length: number): Uint8Array {
    const prefix = Buffer.allocUnsafe(this.#size)
    if (this.#little) prefix.writeUIntLE(length, 0, this.#size)
    else prefix.writeUIntBE(length, 0, this.#size)
    return prefix
  }

  override decode(available: Buffer): Decoded<Buffer> | number {
    const size = this.#size
    if (available.length < size) return size
    const length = this.#little ? available.readUIntLE(0, size) : available.readUIntBE(0, size)
    return this.behind(available, size, length)
  }
}

/** Enough for 32 bits. */
const LONGEST_VARINT = 5

class VarintPrefixed extends LengthPrefixed {
  constructor(limitBytes: number) {
    super('varint', limitBytes)
  }

  protected override prefixOf(length: number): Uint8Array {
    const bytes: number[] = []
    let rest = length
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest & 0x7f) | 0x80)
    bytes.push(rest)
    return Uint8Array.from(bytes)
  }

  override decode(available: Buffer): Decoded<Buffer> | number {
    let length = 0
    for (let i = 0; i < LONGEST_VARINT; i++) {
      if (i === available.length) return i + 1
      const byte = available[i]!
      length += (byte & 0x7f) * 0x80 ** i
      if (length > this.limitBytes) throw this.overLimit(length, i + 1)
      if (byte < 0x80) return this.behind(available, i + 1, length)
    }
    throw new ProtocolError(
      `decode a frame with ${this.name}: expected a varint of at most ${String(LONGEST_VARINT)} bytes, found more`,
      available.subarray(0, LONGEST_VARINT),
    )
  }
}
