/** Reads of lines, as bytes and as text. */
import { Read } from './read.ts'

const NEWLINE = 10

export abstract class LineRead<T> extends Read<T | null> {
  /** So many bytes were searched, and hold no newline. */
  #searched = 0
  /** Where the newline is, or -1. */
  #at = -1
  protected override get wanted(): string {
    return 'a line'
  }

  override canEnd(): boolean {
    const { reader } = this
    this.#at = reader.queue.indexOf(NEWLINE, this.#searched)
    if (this.#at !== -1) return true
    this.#searched = reader.queue.length
    return this.#searched > reader.limitBytes || reader.ended
  }

  protected override searchAgain(): void {
    this.#searched = 0
  }

  /** It has ended, and will be given out once more. Until then a second use is refused, as always. */
  protected renewed(): boolean {
    // Debug mode counts the operations that are made and never run.
    if (this.reader.debugged) return false
    this.renewWait()
    this.#searched = 0
    this.#at = -1
    return true
  }

  /** Takes a line of so many bytes, which ends with a newline or at the end of the stream. */
  protected abstract taken(bytes: number): T

  protected override end(): T | null {
    const { reader } = this
    const { length } = reader.queue
    const at = this.#at
    if (at > reader.limitBytes) throw this.overLimit(`found one of ${String(at)} bytes`, at + 1)
    if (at !== -1) return this.taken(at + 1)
    if (length > reader.limitBytes) throw this.overLimit(`found none in ${String(length)} bytes`, length)
    if (reader.exception() !== null) throw this.lost()
    return length === 0 ? null : this.taken(length)
  }
}

export class ReadLine extends LineRead<Buffer> {
  protected override get act(): string {
    return 'readLine()'
  }

  protected override taken(bytes: number): Buffer {
    if (this.renewed()) this.reader.spareLine = this
    return this.reader.take(bytes)
  }
}

const CARRIAGE_RETURN = 13

export class ReadTextLine extends LineRead<string> {
  protected override get act(): string {
    return 'readTextLine()'
  }

  protected override taken(bytes: number): string {
    if (this.renewed()) this.reader.spareTextLine = this
    const { queue } = this.reader
    let end = bytes
    if (queue.at(end - 1) === NEWLINE) {
      end--
      if (end > 0 && queue.at(end - 1) === CARRIAGE_RETURN) end--
    }
    const line = queue.text(end)
    this.reader.drop(bytes)
    return line
  }
}
