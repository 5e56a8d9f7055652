/**
 * What the heap is made of, in bytes by kind of object.
 *
 * The size of a heap alone says little: code is compiled again and better for minutes, and half a megabyte comes and
 * goes with it. So code, and what V8 notes for it, is left out here, and what has grown has a name.
 */
import { getHeapSnapshot } from 'node:v8'

/** By kind: `object StreamReader`, `closure`, `string`, `array`. */
export type HeapCensus = ReadonlyMap<string, number>

interface Snapshot {
  readonly snapshot: {
    readonly meta: {
      readonly node_fields: readonly string[]
      readonly node_types: readonly [readonly string[]]
    }
  }
  readonly nodes: readonly number[]
  readonly strings: readonly string[]
}

/** Code, feedback, shapes of objects and roots. */
const OF_THE_ENGINE: ReadonlySet<string> = new Set(['code', 'hidden', 'object shape', 'synthetic'])

/** Counts what is alive; what nobody holds is collected first. */
export async function heapCensus(): Promise<HeapCensus> {
  const chunks: Buffer[] = []
  for await (const chunk of getHeapSnapshot()) chunks.push(chunk as Buffer)
  const { snapshot, nodes, strings } = JSON.parse(Buffer.concat(chunks).toString()) as Snapshot
  const { node_fields: fields, node_types: types } = snapshot.meta
  const typeAt = fields.indexOf('type')
  const nameAt = fields.indexOf('name')
  const sizeAt = fields.indexOf('self_size')
  const census = new Map<string, number>()
  for (let node = 0; node < nodes.length; node += fields.length) {
    const type = types[0][nodes[node + typeAt]!]!
    if (OF_THE_ENGINE.has(type)) continue
    const kind = type === 'object' ? `object ${strings[nodes[node + nameAt]!]!}` : type
    census.set(kind, (census.get(kind) ?? 0) + nodes[node + sizeAt]!)
  }
  return census
}

/** How many bytes there are more, and which kinds have grown most. */
export function grownSince(
  before: HeapCensus,
  after: HeapCensus,
): { readonly bytes: number; readonly most: string } {
  const growths = [...after].map(([kind, bytes]) => ({ kind, bytes: bytes - (before.get(kind) ?? 0) }))
  const gone = [...before].filter(([kind]) => !after.has(kind)).reduce((sum, [, bytes]) => sum + bytes, 0)
  const most = growths
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, 5)
    .map(({ kind, bytes }) => `${kind} ${String(bytes)}`)
  return { bytes: growths.reduce((sum, { bytes }) => sum + bytes, 0) - gone, most: most.join(', ') }
}
