/** Protocols that the contract of transports is tried with, beside the recorder. */
import assert from 'node:assert/strict'
import { BufferedProtocol } from 'cede/lowlevel'
import { Recorder, type Reactions } from './kinds.ts'

export const HELLO: Buffer = Buffer.from('hello')

/** Puts what comes into pieces of memory of a given size. */
export class Pieces extends BufferedProtocol {
  readonly told: string[] = []
  readonly #memory: Buffer
  text = ''

  constructor(size: number) {
    super()
    this.#memory = Buffer.alloc(size)
  }

  override getBuffer(sizeHint: number): Uint8Array {
    assert.ok(sizeHint > 0)
    return this.#memory
  }

  override bufferUpdated(bytes: number): void {
    this.told.push(`${bytes}`)
    this.text += this.#memory.toString('utf8', 0, bytes)
  }

  override eofReceived(): boolean {
    this.told.push('eof')
    return true
  }
}

/** A recorder that closes when the peer has ended. */
export function closing(reactions: Reactions = {}): Recorder {
  return new Recorder({ eof: () => false, ...reactions })
}
