/**
 * Random programs of clients and a server that talk over a network in memory, and random networks for them. Few sizes
 * and few durations, so that things meet.
 */
import fc from 'fast-check'

export type NetworkAct =
  /** Writes so many bytes, and waits until there is room. */
  | { readonly act: 'send'; readonly bytes: number }
  /** Writes without waiting. */
  | { readonly act: 'flood'; readonly writes: number; readonly bytes: number }
  | { readonly act: 'readLine' }
  | { readonly act: 'read'; readonly bytes: number }
  | { readonly act: 'readExactly'; readonly bytes: number }
  /** Reads to the end, piece by piece or as a whole. */
  | { readonly act: 'readAll'; readonly whole: boolean }
  /** Answers so many lines with as many bytes each. */
  | { readonly act: 'answer'; readonly lines: number; readonly bytes: number }
  | { readonly act: 'sleep'; readonly ms: number }
  | { readonly act: 'writeEof' }
  | { readonly act: 'close' }
  | { readonly act: 'abort' }
  /** Goes on after so long, wherever the acts are. */
  | { readonly act: 'within'; readonly ms: number; readonly acts: readonly NetworkAct[] }

/** What one end of a connection does. */
export interface EndScript {
  readonly acts: readonly NetworkAct[]
  /** `finish`: says that it has sent all, and reads to the end. `wait`: closes, and waits until that is done. */
  readonly last: 'finish' | 'close' | 'wait' | 'abort'
}

export interface ClientScript {
  readonly startMs: number
  readonly client: EndScript
  /** What the server does with its connection. */
  readonly server: EndScript
  /** When the client's task is cancelled; null: at the end. */
  readonly cancelMs: number | null
}

export interface StreamSizes {
  readonly limitBytes: number
  readonly highWaterBytes: number
  readonly hardLimitBytes: number
}

export interface NetworkProgram {
  readonly place: 'tcp' | 'path' | 'memory' | 'pair'
  readonly clients: readonly ClientScript[]
  readonly clientSizes: StreamSizes
  readonly serverSizes: StreamSizes
  readonly backlog: number
  readonly maxConnections: number | null
  /** When the server is shut down; null: at the end. */
  readonly shutdown: { readonly ms: number; readonly graceMs: number } | null
  readonly shuffleSeed: number | null
  readonly network: {
    readonly seed: number
    readonly delayMs: readonly [number, number]
    readonly largestPieceBytes: number | undefined
    readonly bufferBytes: number
    readonly resetChance: number
    readonly refuseChance: number
  }
}

const ms = fc.constantFrom(0, 0, 1, 1, 2, 3, 5, 10)
const bytes = fc.constantFrom(1, 2, 5, 20, 20, 60, 200, 1_000)

const simple: fc.Arbitrary<NetworkAct> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ act: fc.constant('send' as const), bytes }) },
  {
    weight: 3,
    arbitrary: fc.record({
      act: fc.constant('flood' as const),
      writes: fc.integer({ min: 1, max: 5 }),
      bytes,
    }),
  },
  { weight: 5, arbitrary: fc.record({ act: fc.constantFrom('readLine', 'readLine') }) },
  { weight: 4, arbitrary: fc.record({ act: fc.constantFrom('read', 'readExactly'), bytes }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('readAll' as const), whole: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      act: fc.constant('answer' as const),
      lines: fc.integer({ min: 1, max: 5 }),
      bytes,
    }),
  },
  { weight: 4, arbitrary: fc.record({ act: fc.constant('sleep' as const), ms }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('writeEof' as const) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom('close', 'abort') }) },
)

const act: fc.Arbitrary<NetworkAct> = fc.oneof(
  { weight: 5, arbitrary: simple },
  {
    weight: 1,
    arbitrary: fc.record({
      act: fc.constant('within' as const),
      ms,
      acts: fc.array(simple, { minLength: 1, maxLength: 3, size: 'max' }),
    }),
  },
)

const end: fc.Arbitrary<EndScript> = fc.record({
  acts: fc.array(act, { maxLength: 6, size: 'max' }),
  last: fc.constantFrom('finish', 'finish', 'finish', 'close', 'wait', 'abort'),
})

const sizes: fc.Arbitrary<StreamSizes> = fc.record({
  limitBytes: fc.constantFrom(10, 50, 1_000, 65_536),
  highWaterBytes: fc.constantFrom(1, 20, 100, 65_536),
  hardLimitBytes: fc.constantFrom(100, 500, 1_000_000),
})

/** Half of the networks have no faults, so that more is expected of what they carry. */
const chance = (often: number): fc.Arbitrary<number> => fc.constantFrom(0, 0, 0, 0, often / 4, often)

export const networkPrograms: fc.Arbitrary<NetworkProgram> = fc.record({
  place: fc.constantFrom('tcp', 'tcp', 'path', 'memory', 'pair'),
  clients: fc.array(
    fc.record({ startMs: ms, client: end, server: end, cancelMs: fc.option(ms, { freq: 4 }) }),
    { minLength: 1, maxLength: 4, size: 'max' },
  ),
  clientSizes: sizes,
  serverSizes: sizes,
  backlog: fc.constantFrom(1, 1, 2, 511),
  maxConnections: fc.option(fc.integer({ min: 1, max: 3 }), { freq: 4 }),
  shutdown: fc.option(fc.record({ ms, graceMs: ms }), { freq: 3 }),
  shuffleSeed: fc.option(fc.nat(1_000_000), { freq: 2 }),
  network: fc.record({
    seed: fc.nat(1_000_000),
    delayMs: fc.constantFrom([0, 0], [0, 0], [1, 1], [0, 3], [2, 20]),
    largestPieceBytes: fc.constantFrom(undefined, undefined, 1, 7, 100),
    bufferBytes: fc.constantFrom(1, 10, 100, 1_000, 65_536, 65_536),
    resetChance: chance(0.1),
    refuseChance: chance(0.5),
  }),
})
