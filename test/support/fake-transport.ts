// A transport whose system and peer are the test: what comes in, what is taken and when. Flow control and order are
// those of all transports (`BaseTransport`).
import assert from 'node:assert/strict'
import type { SocketAddress } from 'cede'
import { Protocol } from 'cede/lowlevel'
import { Loop } from '../../packages/cede/src/core/loop.ts'
import { BaseTransport } from '../../packages/cede/src/io/base-transport.ts'
import { wrapped, type Policy } from '../../packages/cede/src/io/policy.ts'
import type { InnerTransport, TransportEvents } from '../../packages/cede/src/io/transport.ts'

export class FakeTransport extends BaseTransport {
  readonly localAddress: SocketAddress = { host: '127.0.0.1', port: 1 }
  /** What the peer has taken, with the times. */
  readonly taken: { readonly atMs: number; readonly text: string }[] = []
  /** The peer takes what it is sent at once. */
  takes = true
  /** What happened to the connection: `eof`, `shut`, `shut, unread input`, `cut`. */
  readonly ends: string[] = []
  #queue: Buffer[] = []
  #inbox: (Buffer | null)[] = []
  #flowing = false
  #eofSent = false
  #toTell = false

  /** Puts the policies between a new fake transport and a recorder. Called in a coroutine. */
  static behind(...policies: Policy[]) {
    const runner = Loop.currentRunner('FakeTransport.behind()')
    const above = new Recorder(() => runner.loop.time())
    const below = new FakeTransport(wrapped(policies, above, runner), runner, { host: '127.0.0.1', port: 2 })
    below.begin()
    return { below, above, transport: above.transport }
  }

  get takenText(): string {
    return this.taken.map(({ text }) => text).join('')
  }

  get takenBytes(): number {
    return this.takenText.length
  }

  /** Something reads from the system. */
  get flowing(): boolean {
    return this.#flowing
  }

  /** The peer sends; null ends its direction. While nobody reads, its system keeps it. */
  incoming(data: string | null): void {
    this.#inbox.push(data === null ? null : Buffer.from(data))
    this.#deliver()
  }

  /** The peer takes `bytes` of what waits. */
  take(bytes: number): void {
    this.#move(bytes)
    this.#taken()
  }

  #move(bytes: number): void {
    const all = Buffer.concat(this.#queue)
    const piece = all.subarray(0, bytes)
    this.#queue = bytes < all.length ? [all.subarray(bytes)] : []
    if (piece.length > 0) this.taken.push({ atMs: this.loop.time(), text: piece.toString('latin1') })
  }

  /** The connection breaks. */
  break(error: Error): void {
    this.lost(error)
  }

  #deliver(): void {
    while (this.#flowing && this.#inbox.length > 0) {
      const next = this.#inbox.shift()!
      if (next === null) this.ended()
      else this.received(next)
    }
  }

  #taken(): void {
    if (this.#queue.length > 0) return
    if (this.#toTell) {
      this.#toTell = false
      this.sent()
    }
    if (this.eofWanted && !this.#eofSent) {
      this.#eofSent = true
      this.ends.push('eof')
    }
    if (this.ends.at(-1)?.startsWith('shut') === true) this.loop.callSystem(() => this.lost(null))
  }

  protected get queuedBytes(): number {
    return this.#queue.reduce((sum, { length }) => sum + length, 0)
  }

  protected startReading(): void {
    this.#flowing = true
    this.#deliver()
  }

  protected stopReading(): void {
    this.#flowing = false
  }

  protected send(chunks: readonly Uint8Array[], _bytes: number, tell: boolean): void {
    assert.ok(!this.ends.includes('eof'), 'nothing may be sent behind the end')
    for (const chunk of chunks) if (chunk.length > 0) this.#queue.push(Buffer.from(chunk))
    this.#toTell ||= tell
    if (!this.takes) return
    this.#move(Infinity)
    if (tell) this.loop.callSystem(() => this.#taken())
  }

  protected sendEof(): void {
    this.#taken()
  }

  protected shut(unread: boolean): void {
    this.ends.push(unread ? 'shut, unread input' : 'shut')
    this.#taken()
  }

  protected cut(error: Error | null): void {
    this.ends.push('cut')
    this.#queue = []
    this.loop.callSystem(() => this.lost(error))
  }
}

/** Writes down what it is told, with the times. */
export class Recorder implements TransportEvents {
  readonly #now: () => number
  readonly log: string[] = []
  readonly received: { readonly atMs: number; readonly text: string }[] = []
  protocol = new Protocol()
  transport!: InnerTransport
  keepOpen = true
  lostBy: Error | null | undefined
  /** Called for each chunk. */
  onData: (() => void) | null = null
  onResume: (() => void) | null = null

  constructor(now: () => number) {
    this.#now = now
  }

  #note(what: string): void {
    assert.ok(this.lostBy === undefined, `nothing may be told behind connectionLost, found ${what}`)
    this.log.push(`${String(Math.round(this.#now() * 1_000) / 1_000)} ${what}`)
  }

  get text(): string {
    return this.received.map(({ text }) => text).join('')
  }

  connectionMade(transport: InnerTransport): void {
    this.transport = transport
  }

  dataReceived(chunk: Buffer): void {
    assert.ok(this.lostBy === undefined, 'no data may be told behind connectionLost')
    assert.ok(this.transport.reading, 'no data may be told while nobody reads')
    this.received.push({ atMs: this.#now(), text: chunk.toString('latin1') })
    this.onData?.()
  }

  eofReceived(): boolean {
    this.#note('eof')
    return this.keepOpen
  }

  pauseWriting(): void {
    this.#note('pause')
  }

  resumeWriting(): void {
    this.#note('resume')
    this.onResume?.()
  }

  connectionLost(error: Error | null): void {
    this.#note(`lost ${error === null ? '-' : error.message}`)
    this.lostBy = error
  }
}
