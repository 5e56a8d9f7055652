/** What a network in memory does to what is sent, drawn from one seed: so it is the same in every run. */
import { seededRandom } from '../core/random.ts'
import type { SimNetworkOptions } from '../drivers/sim.ts'

/** What each direction of a connection holds, if nothing else is said. */
const BUFFER_BYTES = 65_536

/** Draws what happens to connections. Without options nothing does, and nothing is drawn. */
export class NetworkConditions {
  readonly bufferBytes: number
  /** Null: as large as there is room for. */
  readonly #largestPieceBytes: number | null
  readonly #leastDelayMs: number
  readonly #mostDelayMs: number
  readonly #resetChance: number
  readonly #refuseChance: number
  readonly #random: () => number

  constructor(options: SimNetworkOptions) {
    const [leastMs, mostMs] = options.delayMs ?? [0, 0]
    this.bufferBytes = options.bufferBytes ?? BUFFER_BYTES
    this.#largestPieceBytes = options.largestPieceBytes ?? null
    this.#leastDelayMs = leastMs
    this.#mostDelayMs = mostMs
    this.#resetChance = options.resetChance ?? 0
    this.#refuseChance = options.refuseChance ?? 0
    this.#random = seededRandom(options.seed ?? 0)
  }

  /** The most that the next piece may have. */
  pieceBytes(): number {
    return this.#largestPieceBytes === null
      ? Infinity
      : 1 + Math.floor(this.#random() * this.#largestPieceBytes)
  }

  delayMs(): number {
    if (this.#mostDelayMs === 0) return 0
    return this.#leastDelayMs + this.#random() * (this.#mostDelayMs - this.#leastDelayMs)
  }

  breaks(): boolean {
    return this.#resetChance > 0 && this.#random() < this.#resetChance
  }

  refuses(): boolean {
    return this.#refuseChance > 0 && this.#random() < this.#refuseChance
  }
}
