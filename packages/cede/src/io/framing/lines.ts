/** Lines as frames: strings or bytes up to a separator. */
import { wrongArgument } from '../../core/misuse.ts'
import { compact } from '../byte-queue.ts'
import type { Separator } from '../stream-reader.ts'
import {
  checkChoice,
  checkedLimit,
  checkOptions,
  LONGEST_FRAME,
  type FrameCodec,
  type FrameLimit,
} from './frame-codec.ts'
import { LineCodec } from './line-codec.ts'

export const DEFAULT_LINE_LIMIT_BYTES = 65_536

export interface LinesOptions extends FrameLimit {
  /** How long a line may be, in bytes, without its ending. Default: 65,536. */
  readonly limitBytes?: number | undefined
  /** What ends a line: a string (as UTF-8) or bytes. Default: `\n`; then `\r\n` ends a line as well. */
  readonly separator?: Separator | undefined
  /** Frames keep their endings. What is written gets one only if it has none. Default: false. */
  readonly keepSeparator?: boolean | undefined
  /** What a line is: a string, or a Buffer. Default: `utf8`, where bytes that are no UTF-8 become U+FFFD. */
  readonly encoding?: 'utf8' | 'bytes' | undefined
}

/**
 * Lines: each frame is one, without its ending. What stands behind the last ending when the stream ends is a line too.
 *
 * @param options see `LinesOptions`
 * @returns a codec. Its `decode` throws `LimitError` for a line above the limit, as soon as that is certain; its
 *   `encode` also `MisuseError`, if a line has a separator in it, or ends in a carriage return that would be dropped
 * @throws {RangeError} if `limitBytes` is no whole number above 0, or `encoding` none of the two; {MisuseError} if
 *   the separator is empty
 *
 * Does not suspend.
 *
 * @example
 * import { framed, lines, run, StreamReader } from 'cede'
 *
 * await run(function* () {
 *   const reader = new StreamReader()
 *   reader.feedData(Buffer.from('one\r\ntwo\nthree'))
 *   reader.feedEof()
 *   const frames = framed({ reader }, lines({ limitBytes: 1_000 }))
 *   for (let line; (line = yield* frames.read()) !== null; ) console.log(line) // one two three
 * })
 */
export function lines(options?: LinesOptions & { readonly encoding?: 'utf8' | undefined }): FrameCodec<string>
export function lines(
  options: LinesOptions & { readonly encoding: 'bytes' },
): FrameCodec<Buffer, string | Uint8Array>
export function lines(
  options: LinesOptions = {},
): FrameCodec<string> | FrameCodec<Buffer, string | Uint8Array> {
  checkOptions('lines()', options, 'write `lines({ limitBytes: 1_000 })`')
  const { encoding = 'utf8', separator = '\n', keepSeparator = false } = options
  checkChoice('lines()', 'encoding', encoding, ['utf8', 'bytes'])
  const settings = {
    name: 'lines',
    frame: 'a line',
    limitBytes: checkedLimit('lines()', options.limitBytes, DEFAULT_LINE_LIMIT_BYTES, LONGEST_FRAME),
    separator: separatorBytes(separator),
    keepSeparator,
  }
  return encoding === 'utf8' ? new TextLines(settings) : new ByteLines(settings)
}

class TextLines extends LineCodec<string, string> {
  encode(line: string): Uint8Array {
    if (typeof line === 'string') return this.ended(line)
    throw wrongArgument('encode a line', 'a string', line, "use `lines({ encoding: 'bytes' })` for bytes")
  }

  protected override frame(available: Buffer, size: number): string {
    return available.toString('utf8', 0, size)
  }
}

class ByteLines extends LineCodec<Buffer, string | Uint8Array> {
  encode(line: string | Uint8Array): Uint8Array {
    if (typeof line === 'string' || line instanceof Uint8Array) return this.ended(line)
    throw wrongArgument(
      'encode a line',
      'a string or a Uint8Array',
      line,
      'use `jsonLines()` for other values',
    )
  }

  protected override frame(available: Buffer, size: number): Buffer {
    return compact(available.subarray(0, size))
  }
}

function separatorBytes(separator: unknown): Uint8Array {
  const bytes = typeof separator === 'string' ? Buffer.from(separator) : separator
  if (bytes instanceof Uint8Array && bytes.length > 0) return Uint8Array.from(bytes)
  throw wrongArgument(
    'lines()',
    'a separator of 1 byte or more',
    separator,
    "write `lines({ separator: '\\r\\n' })`",
  )
}
