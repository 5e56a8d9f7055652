/**
 * A layer between a transport and what it tells: to the one below it is the events, to the one above it the transport.
 * Passes everything through; a policy overrides what it changes.
 */
import type { SocketAddress } from './address.ts'
import type { AnyProtocol } from './protocol.ts'
import type { InnerTransport, TransportEvents, WriteMarks } from './transport.ts'

export class TransportLayer implements TransportEvents, InnerTransport {
  protected below!: InnerTransport
  protected readonly above: TransportEvents

  constructor(above: TransportEvents) {
    this.above = above
  }

  // ------------------------------------------------------------------ told by the transport below

  connectionMade(transport: InnerTransport): void {
    this.below = transport
    this.above.connectionMade(this)
  }

  dataReceived(chunk: Buffer): void {
    this.above.dataReceived(chunk)
  }

  eofReceived(): boolean {
    return this.above.eofReceived()
  }

  pauseWriting(): void {
    this.above.pauseWriting()
  }

  resumeWriting(): void {
    this.above.resumeWriting()
  }

  connectionLost(error: Error | null): void {
    this.above.connectionLost(error)
  }

  // ------------------------------------------------------------------ asked by the one above

  get localAddress(): SocketAddress {
    return this.below.localAddress
  }

  get remoteAddress(): SocketAddress {
    return this.below.remoteAddress
  }

  get bufferedBytes(): number {
    return this.below.bufferedBytes
  }

  get leftBytes(): number {
    return this.below.leftBytes
  }

  get writeMarks(): WriteMarks {
    return this.below.writeMarks
  }

  set writeMarks(marks: WriteMarks) {
    this.below.writeMarks = marks
  }

  get flushMs(): number {
    return this.below.flushMs
  }

  set flushMs(flushMs: number) {
    this.below.flushMs = flushMs
  }

  get protocol(): AnyProtocol {
    return this.above.protocol
  }

  set protocol(protocol: AnyProtocol) {
    this.above.protocol = protocol
  }

  get closing(): boolean {
    return this.below.closing
  }

  get reading(): boolean {
    return this.below.reading
  }

  get canWriteEof(): boolean {
    return this.below.canWriteEof
  }

  pauseReading(): void {
    this.below.pauseReading()
  }

  resumeReading(): void {
    this.below.resumeReading()
  }

  write(data: Uint8Array): void {
    this.below.write(data)
  }

  writeLines(list: Iterable<Uint8Array>): void {
    for (const data of list) this.write(data)
  }

  writeEof(): void {
    this.below.writeEof()
  }

  close(): void {
    this.below.close()
  }

  abort(): void {
    this.below.abort()
  }

  fail(error: Error): void {
    this.below.fail(error)
  }

  /** Closes as the one above all layers would: each of them can still send what it holds back. */
  protected closeFromTop(): void {
    const { above } = this
    if (above instanceof TransportLayer) above.closeFromTop()
    else this.close()
  }
}
