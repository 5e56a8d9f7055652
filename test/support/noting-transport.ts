// A transport that goes nowhere and notes what it is told, for protocols and writers that are fed by hand.
import { Protocol, type InnerTransport, type WriteMarks } from 'cede/lowlevel'

export class NotingTransport implements InnerTransport {
  readonly localAddress = { host: '127.0.0.1', port: 1 }
  readonly remoteAddress = { host: '127.0.0.1', port: 2 }
  readonly bufferedBytes = 0
  readonly leftBytes = 0
  readonly canWriteEof = true
  writeMarks: WriteMarks = { highWaterBytes: 65_536, lowWaterBytes: 16_384 }
  flushMs = Infinity
  protocol: Protocol
  closing = false
  reading = true
  /** What was written, as Latin-1, one entry for each write. */
  readonly writes: string[] = []
  /** How it was ended; an error if it failed. */
  ending: 'open' | 'closed' | 'aborted' | Error = 'open'

  /** Tells `protocol` that it is made. */
  constructor(protocol: Protocol = new Protocol()) {
    this.protocol = protocol
    protocol.connectionMade(this)
  }

  get written(): string {
    return this.writes.join('')
  }

  pauseReading(): void {
    this.reading = false
  }

  resumeReading(): void {
    this.reading = true
  }

  write(data: Uint8Array): void {
    if (!this.closing) this.writes.push(Buffer.from(data).toString('latin1'))
  }

  writeLines(list: Iterable<Uint8Array>): void {
    for (const data of list) this.write(data)
  }

  writeEof(): void {}

  close(): void {
    this.#end('closed')
  }

  abort(): void {
    this.#end('aborted')
  }

  fail(error: Error): void {
    this.#end(error)
  }

  #end(ending: 'closed' | 'aborted' | Error): void {
    if (!this.closing) this.ending = ending
    this.closing = true
  }
}
