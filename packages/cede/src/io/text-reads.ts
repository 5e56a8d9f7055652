/** Reads of text: UTF-8, of which never half a character is given out. */
import { Read } from './read.ts'
import type { StreamReader } from './stream-reader.ts'

/** Of UTF-8, in bytes. */
export const LONGEST_CHARACTER = 4

export class ReadAllText extends Read<string | null> {
  protected override get act(): string {
    return 'readText()'
  }
  protected override get wanted(): string {
    return 'everything up to the end'
  }

  override canEnd(): boolean {
    return this.reader.ended
  }

  protected override end(): string | null {
    const { reader } = this
    if (reader.exception() !== null) throw this.lost()
    return reader.queue.length === 0 ? null : reader.take(reader.queue.length).toString()
  }
}

export class ReadSomeText extends Read<string | null> {
  readonly #size: number
  protected override get act(): string {
    return 'readText()'
  }

  constructor(reader: StreamReader, size: number) {
    super(reader)
    this.#size = size
  }

  protected override get wanted(): string {
    return `text of at most ${String(this.#size)} bytes`
  }

  override canEnd(): boolean {
    return this.reader.ended || this.#whole() > 0
  }

  /** How many bytes at the front, within the size, are whole characters. */
  #whole(): number {
    const { queue } = this.reader
    const available = Math.min(queue.length, this.#size)
    return available === 0 ? 0 : wholeCharacters(queue.peek(available))
  }

  protected override end(): string | null {
    const { reader } = this
    const whole = this.#whole()
    if (whole > 0) return reader.take(whole).toString()
    // Only the beginning of a character is left, and the rest will not come.
    if (reader.exception() !== null) throw this.lost()
    return reader.queue.length === 0 ? null : reader.take(reader.queue.length).toString()
  }
}

/** How many bytes are left without the beginning of a UTF-8 character at the end that has not come whole. */
function wholeCharacters(bytes: Buffer): number {
  const { length } = bytes
  for (let back = 1; back < LONGEST_CHARACTER && back <= length; back++) {
    const byte = bytes[length - back]!
    if (byte < 0x80) return length
    // A byte that continues a character: its first byte is further back.
    if (byte < 0xc0) continue
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
    return needed > back ? length - back : length
  }
  return length
}
