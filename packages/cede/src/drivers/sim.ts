/**
 * A driver without a kernel: its clock is a number that jumps to the next alarm when nothing else can happen. What
 * takes hours runs in milliseconds, and takes the same steps every time.
 *
 * Before the clock jumps, promises that are due are let through, so coroutines may wait for promises that settle by
 * themselves. What needs the outside world (files, processes, sockets of the system) does not belong here: while it is
 * under way the clock would jump past it. Connections of programs on this driver stay in memory (`io/memory-net.ts`);
 * what that network does to them, slow it down, cut it into pieces, break it, is said here.
 */
import type { Driver, DriverHost } from '../core/driver.ts'
import { nameOf } from '../core/misuse.ts'

declare function setImmediate(callback: () => void): unknown

export interface SimOptions {
  /** Where the clock starts, in milliseconds. Default: 0. */
  readonly startMs?: number | undefined
  /** What the network between its programs is like. Default: no delay and no faults. */
  readonly network?: SimNetworkOptions | undefined
}

/** What a network in memory does to connections. The same seed does the same every time. */
export interface SimNetworkOptions {
  /** Where all its randomness comes from. Default: 0. */
  readonly seed?: number | undefined
  /**
   * How long what is sent is under way, in milliseconds, from the least to the most; drawn for each piece, but nothing
   * overtakes. To connect takes two of these. Default: `[0, 0]`.
   */
  readonly delayMs?: readonly [least: number, most: number] | undefined
  /** Bytes are sent and delivered in pieces of random sizes up to this. Default: as many as there are. */
  readonly largestPieceBytes?: number | undefined
  /** How many bytes each direction of a connection holds before the writer's side has to wait. Default: 65,536. */
  readonly bufferBytes?: number | undefined
  /** The chance, from 0 to 1, that a piece breaks its connection instead of arriving: both ends are reset. Default: 0. */
  readonly resetChance?: number | undefined
  /** The chance, from 0 to 1, that an attempt to connect is refused. Default: 0. */
  readonly refuseChance?: number | undefined
}

export class SimDriver implements Driver {
  readonly name = 'sim'
  /** @internal What the network is like. */
  readonly network: SimNetworkOptions
  #host: DriverHost | null = null
  #nowMs: number
  #turnAsked = false
  #alarmMs: number | null = null
  #tickAsked = false
  #held = false
  /** Turns without work in a row, while nothing is left to jump to. */
  #stalled = false

  /** @throws {RangeError} if a number is wrong */
  constructor(options: SimOptions = {}) {
    this.#nowMs = options.startMs ?? 0
    this.network = options.network ?? {}
    checkNetwork(this.network)
  }

  now(): number {
    return this.#nowMs
  }

  attach(loop: DriverHost): void {
    this.#host = loop
  }

  /** Lets time pass inside a step, as a long computation would. */
  elapse(ms: number): void {
    this.#nowMs += ms
  }

  requestTurn(): void {
    this.#turnAsked = true
    this.#stalled = false
    this.#askForTick()
  }

  setAlarm(deadlineMs: number | null): void {
    this.#alarmMs = deadlineMs
    this.#askForTick()
  }

  afterMicrotasks(done: () => void): void {
    setImmediate(done)
  }

  hold(active: boolean): void {
    this.#held = active
    this.#stalled = false
    if (active) this.#askForTick()
  }

  #askForTick(): void {
    if (this.#tickAsked) return
    this.#tickAsked = true
    setImmediate(this.#tick)
  }

  readonly #tick = (): void => {
    this.#tickAsked = false
    if (!this.#turnAsked) {
      if (!this.#held) return
      if (this.#alarmMs === null) {
        this.#stallOnce()
        return
      }
      this.#nowMs = Math.max(this.#nowMs, this.#alarmMs)
      this.#alarmMs = null
    }
    this.#turnAsked = false
    this.#host!.turn()
  }

  /** Nothing to do and nowhere to jump to: waits one more round for late promises, then says so. */
  #stallOnce(): void {
    if (this.#stalled) {
      this.#stalled = false
      this.#host!.stalled()
      return
    }
    this.#stalled = true
    this.#askForTick()
  }
}

function checkNetwork({
  delayMs: [leastMs, mostMs] = [0, 0],
  largestPieceBytes = 1,
  bufferBytes = 1,
  resetChance = 0,
  refuseChance = 0,
}: SimNetworkOptions): void {
  const refuse = (option: string, expected: string, found: unknown): never => {
    throw new RangeError(
      `SimDriver: network.${option} was expected to be ${expected}, found ${Array.isArray(found) ? found.join() : nameOf(found)}`,
    )
  }
  if (!(leastMs >= 0 && mostMs >= leastMs && mostMs < Infinity)) {
    refuse('delayMs', '0 or more milliseconds, the least first', [leastMs, mostMs])
  }
  for (const [option, size] of Object.entries({ largestPieceBytes, bufferBytes })) {
    if (!(Number.isInteger(size) && size >= 1)) refuse(option, 'a whole number above 0', size)
  }
  for (const [option, chance] of Object.entries({ resetChance, refuseChance })) {
    if (!(chance >= 0 && chance <= 1)) refuse(option, 'a number from 0 to 1', chance)
  }
}
