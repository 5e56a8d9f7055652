/** Reads of bytes: some, all, exactly so many, up to a separator, a look at them. */
import { Read } from './read.ts'
import type { StreamReader } from './stream-reader.ts'

export class ReadSome extends Read<Buffer | null> {
  readonly #size: number
  protected override get act(): string {
    return 'read()'
  }

  constructor(reader: StreamReader, size: number) {
    super(reader)
    this.#size = size
  }

  protected override get wanted(): string {
    return `1 to ${String(this.#size)} bytes`
  }

  override canEnd(): boolean {
    return this.reader.queue.length > 0 || this.reader.ended || this.#size === 0
  }

  protected override end(): Buffer | null {
    const { reader } = this
    const available = reader.queue.length
    if (available > 0 || this.#size === 0) return reader.take(Math.min(available, this.#size))
    if (reader.exception() !== null) throw this.lost()
    return null
  }
}

/** Leaves the bytes where they are. */
export class Peek extends Read<Buffer | null> {
  readonly #size: number
  protected override get act(): string {
    return 'peek()'
  }

  constructor(reader: StreamReader, size: number) {
    super(reader)
    this.#size = size
  }

  protected override get wanted(): string {
    return `a look at ${String(this.#size)} bytes`
  }

  override canEnd(): boolean {
    return this.reader.queue.length >= this.#size || this.reader.ended
  }

  protected override end(): Buffer | null {
    const { reader } = this
    const available = reader.queue.length
    if (available > 0) return reader.queue.peek(Math.min(available, this.#size))
    if (reader.exception() !== null) throw this.lost()
    return null
  }
}

export class ReadAll extends Read<Buffer | null> {
  protected override get act(): string {
    return 'read()'
  }
  protected override get wanted(): string {
    return 'everything up to the end'
  }

  override canEnd(): boolean {
    return this.reader.ended
  }

  protected override end(): Buffer | null {
    const { reader } = this
    if (reader.exception() !== null) throw this.lost()
    return reader.queue.length === 0 ? null : reader.take(reader.queue.length)
  }
}

export class ReadExactly extends Read<Buffer> {
  readonly #size: number
  protected override get act(): string {
    return 'readExactly()'
  }

  constructor(reader: StreamReader, size: number) {
    super(reader)
    this.#size = size
  }

  protected override get wanted(): string {
    return `${String(this.#size)} bytes`
  }

  override canEnd(): boolean {
    return this.reader.queue.length >= this.#size || this.reader.ended
  }

  protected override end(): Buffer {
    const { reader } = this
    if (reader.queue.length >= this.#size) return reader.take(this.#size)
    if (reader.exception() !== null) throw this.lost()
    throw this.incomplete(this.#size)
  }
}

export class ReadUntil extends Read<Buffer> {
  readonly #separators: readonly Uint8Array[]
  readonly #longest: number
  #searched = 0
  /** Where the separator that ends first begins, or -1; and where it ends. */
  #at = -1
  #end = 0
  protected override get act(): string {
    return 'readUntil()'
  }

  constructor(reader: StreamReader, separators: readonly Uint8Array[]) {
    super(reader)
    this.#separators = separators
    this.#longest = Math.max(...separators.map((separator) => separator.length))
  }

  protected override get wanted(): string {
    return this.#separators.length === 1
      ? 'a separator'
      : `one of ${String(this.#separators.length)} separators`
  }

  override canEnd(): boolean {
    const { reader } = this
    const { queue } = reader
    this.#at = -1
    for (const separator of this.#separators) {
      // One that begins in what was searched may end in what is new.
      const at = queue.indexOf(separator, Math.max(0, this.#searched - separator.length + 1))
      if (at === -1 || (this.#at !== -1 && at + separator.length >= this.#end)) continue
      this.#at = at
      this.#end = at + separator.length
    }
    if (this.#at !== -1) return true
    this.#searched = queue.length
    return this.#noneBefore() > reader.limitBytes || reader.ended
  }

  /** No separator begins in so many bytes. */
  #noneBefore(): number {
    return Math.max(0, this.#searched - this.#longest + 1)
  }

  protected override searchAgain(): void {
    this.#searched = 0
  }

  protected override end(): Buffer {
    const { reader } = this
    const at = this.#at
    if (at > reader.limitBytes) throw this.overLimit(`found it after ${String(at)} bytes`, at)
    if (at !== -1) return reader.take(this.#end)
    const none = this.#noneBefore()
    if (none > reader.limitBytes) throw this.overLimit(`found none in ${String(none)} bytes`, none)
    if (reader.exception() !== null) throw this.lost()
    throw this.incomplete(undefined)
  }
}
