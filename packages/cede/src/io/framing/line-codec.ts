/** What all framings by lines share: the search for the end of a line, and what may be written as one. */
import { wrongArgument } from '../../core/misuse.ts'
import { MisuseError } from '../../core/errors.ts'
import { tooLong, type Decoded, type FrameCodec } from './frame-codec.ts'

const CARRIAGE_RETURN = 13

export interface LineSettings {
  readonly name: string
  /** In words: what one frame is. */
  readonly frame: string
  readonly limitBytes: number
  readonly separator: Uint8Array
  /** Frames keep their separator. */
  readonly keepSeparator: boolean
}

export abstract class LineCodec<In, Out> implements FrameCodec<In, Out> {
  readonly name: string
  protected readonly settings: LineSettings
  /** What is searched; one byte is found faster as a number. */
  private readonly needle: number | Uint8Array
  /** A carriage return before the newline belongs to the ending. */
  private readonly dropsReturn: boolean

  constructor(settings: LineSettings) {
    const { separator } = settings
    this.name = settings.name
    this.settings = settings
    this.needle = separator.length === 1 ? separator[0]! : separator
    this.dropsReturn = this.needle === 10
  }

  abstract encode(frame: Out): string | Uint8Array

  /**
   * Makes the frame of the first bytes of `available`.
   *
   * @param size how many bytes the line has
   * @param consumedBytes how many it has with its ending
   */
  protected abstract frame(available: Buffer, size: number, consumedBytes: number): In

  decode(available: Buffer, scannedBytes: number, ended: boolean): Decoded<In> | number {
    const { limitBytes, separator, keepSeparator } = this.settings
    const { length } = available
    // A separator that begins in what was searched may end in what is new.
    const at = available.indexOf(this.needle, Math.max(0, scannedBytes - separator.length + 1))
    if (at === -1) {
      // What may be the beginning of an ending does not count yet.
      const longestEnding = this.dropsReturn ? 2 : separator.length
      const size = ended ? length : Math.max(0, length - longestEnding + 1)
      if (size > limitBytes) throw this.#tooLong(`found no end in ${String(length)}`, size)
      if (!ended || length === 0) return length + 1
      return { frame: this.frame(available, length, length), consumedBytes: length }
    }
    const consumedBytes = at + separator.length
    const size = this.dropsReturn && at > 0 && available[at - 1] === CARRIAGE_RETURN ? at - 1 : at
    if (size > limitBytes) throw this.#tooLong(`found ${String(size)}`, consumedBytes)
    return {
      frame: this.frame(available, keepSeparator ? consumedBytes : size, consumedBytes),
      consumedBytes,
    }
  }

  #tooLong(found: string, consumedBytes: number): Error {
    return tooLong(`decode ${this.settings.frame}`, this.settings.limitBytes, found, consumedBytes)
  }

  /** The bytes of a line with its ending. @throws {MisuseError} {LimitError} */
  protected ended(given: unknown): Uint8Array {
    const { limitBytes, separator, keepSeparator } = this.settings
    const act = `encode ${this.settings.frame}`
    const line = typeof given === 'string' ? Buffer.from(given) : (given as Uint8Array)
    const hasEnding = keepSeparator && endsWith(line, separator)
    const whole = hasEnding ? line : Buffer.concat([line, separator])
    const size = whole.length - separator.length
    if (Buffer.from(whole.buffer, whole.byteOffset, whole.length).indexOf(separator) !== size) {
      throw wrongArgument(
        act,
        'a line without its separator in it',
        given,
        'send each line as a frame of its own',
      )
    }
    if (this.dropsReturn && !keepSeparator && size > 0 && whole[size - 1] === CARRIAGE_RETURN) {
      throw new MisuseError(
        `${act}: expected a line that does not end in a carriage return, which would be taken for a part of its ending, found one; ` +
          'leave it away, or use `keepSeparator: true`',
      )
    }
    if (size > limitBytes) throw tooLong(act, limitBytes, `found ${String(size)}`, 0)
    return whole
  }
}

function endsWith(bytes: Uint8Array, end: Uint8Array): boolean {
  if (bytes.length < end.length) return false
  return end.every((byte, i) => bytes[bytes.length - end.length + i] === byte)
}
