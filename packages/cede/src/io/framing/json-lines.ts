/** A JSON value per line. */
import { isUtf8 } from 'node:buffer'
import { wrongArgument } from '../../core/misuse.ts'
import { ProtocolError } from '../errors.ts'
import { checkedLimit, checkOptions, LONGEST_FRAME, type FrameCodec, type FrameLimit } from './frame-codec.ts'
import { LineCodec } from './line-codec.ts'

/** What JSON can say. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue }

/** What a line of JSON may be: anything but `null` alone, which would look like the end of the stream. */
export type JsonFrame = Exclude<JsonValue, null>

export interface JsonLinesOptions extends FrameLimit {
  /** How long a line may be, in bytes, without its ending. Default: 1,048,576. */
  readonly limitBytes?: number | undefined
}

const DEFAULT_LIMIT_BYTES = 1_048_576

/**
 * JSON lines: each frame is a value, written on a line of its own, which ends with `\n`; `\r\n` is read as well. What
 * stands behind the last ending when the stream ends is a line too.
 *
 * A value that is `null` is refused in both directions: `read` returns `null` at the end of the stream. Inside of lists
 * and objects it is a value like any other.
 *
 * @param options see `JsonLinesOptions`
 * @returns a codec. Its `decode` throws `LimitError` for a line above the limit, and `ProtocolError` for one that is
 *   not JSON in UTF-8, an empty one too; `error.received` is the line. Its `encode` throws what `JSON.stringify` throws,
 *   `MisuseError` for what is nothing in JSON, and `LimitError`
 * @throws {RangeError} if `limitBytes` is no whole number above 0
 *
 * Does not suspend.
 *
 * @example
 * import { framed, jsonLines, run, StreamReader } from 'cede'
 *
 * await run(function* () {
 *   const reader = new StreamReader()
 *   reader.feedData(Buffer.from('{"id":1}\n[true]\n'))
 *   reader.feedEof()
 *   const frames = framed({ reader }, jsonLines())
 *   for (let value; (value = yield* frames.read()) !== null; ) console.log(value)
 * })
 */
export function jsonLines(options: JsonLinesOptions = {}): FrameCodec<JsonFrame, unknown> {
  checkOptions('jsonLines()', options, 'write `jsonLines({ limitBytes: 1_000 })`')
  return new JsonLines({
    name: 'JSON lines',
    frame: 'a JSON line',
    limitBytes: checkedLimit('jsonLines()', options.limitBytes, DEFAULT_LIMIT_BYTES, LONGEST_FRAME),
    separator: Uint8Array.of(10),
    keepSeparator: false,
  })
}

class JsonLines extends LineCodec<JsonFrame, unknown> {
  encode(value: unknown): Uint8Array {
    // Undefined for what is nothing in JSON, whatever its type says.
    const text = JSON.stringify(value) as string | undefined
    if (text !== undefined && text !== 'null') return this.ended(text)
    throw wrongArgument(
      'encode a JSON line',
      'a value that JSON can say, and not null alone',
      value,
      'put it into a list or an object',
    )
  }

  protected override frame(available: Buffer, size: number, consumedBytes: number): JsonFrame {
    const line = available.subarray(0, size)
    const received = available.subarray(0, consumedBytes)
    if (!isUtf8(line)) {
      throw new ProtocolError('decode a JSON line: expected UTF-8, found other bytes', received)
    }
    const text = line.toString()
    let value: JsonValue
    try {
      value = JSON.parse(text) as JsonValue
    } catch (cause) {
      throw new ProtocolError(
        `decode a JSON line: expected JSON, found ${foundIn(text, cause as Error)}`,
        received,
        { cause },
      )
    }
    if (value !== null) return value
    throw new ProtocolError(
      'decode a JSON line: expected a value that is not null alone, found null',
      received,
    )
  }
}

/** What was found in place of JSON. Not `nameOf`: a line is no string in the sense of JSON. */
function foundIn(line: string, cause: Error): string {
  if (line === '') return 'an empty line'
  return `text (${JSON.stringify(line.length > 40 ? `${line.slice(0, 40)}…` : line)}) (${cause.message})`
}
