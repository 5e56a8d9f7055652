// The chart of a run: a bar for each case. Timed code is drawn in units on a logarithmic scale, with a mark where the
// target is; servers in lines or requests a second, or by how long an answer takes, or the memory of a connection. Bars are rectangles and text, so this is a template and no drawing
// library.

import { short, type CaseResult, type Results } from './results.ts'
import { usedBy, type Suite } from './suite.ts'

interface Bar {
  readonly label: string
  readonly ours: boolean
  readonly value: number
  /** Stands at its end. */
  readonly note: string
  readonly target: number | undefined
}

interface Scale {
  readonly title: string
  readonly legend: string
  readonly x: (value: number) => number
  readonly ticks: readonly number[]
}

const width = 960
const labels = 330
const rowHeight = 20
const headingHeight = 30
const top = 64
const right = 150

export function chart(suite: Suite, results: Results): string {
  const drawn = suite.kind === 'code' ? 'units' : (suite.drawn ?? 'rate')
  const groups =
    drawn === 'latency' || drawn === 'program' ? rowGroups(suite, results, drawn) : barGroups(suite, results)
  const values = [...groups.values()].flat().map(({ value }) => value)
  const scale = scaleOf(suite, drawn, values)

  const body: string[] = []
  let y = top
  for (const [heading, group] of groups) {
    y += headingHeight
    body.push(text(16, y - 9, heading, 'class="heading"'))
    for (const bar of group) {
      body.push(...drawBar(bar, y, scale.x))
      y += rowHeight
    }
  }
  const height = y + 24
  const grid = scale.ticks.flatMap((value) => {
    const at = scale.x(value).toFixed(1)
    return [
      `<line class="grid" x1="${at}" x2="${at}" y1="${top}" y2="${height - 16}"/>`,
      text(Number(at), top - 6, short(value), 'class="tick" text-anchor="middle"'),
    ]
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<style>${style}</style>`,
    `<rect class="page" width="${width}" height="${height}"/>`,
    text(16, 24, scale.title, 'class="title"'),
    text(16, 42, scale.legend, 'class="tick"'),
    ...grid,
    ...body,
    '</svg>\n',
  ].join('\n')
}

function scaleOf(
  suite: Suite,
  drawn: 'units' | 'rate' | 'latency' | 'program',
  values: readonly number[],
): Scale {
  const { title } = suite
  switch (drawn) {
    case 'units':
      return logarithmic(values, {
        title: `${title}: time in units of a plain await, less is better`,
        legend: 'Logarithmic scale. The black mark is the target.',
      })
    case 'rate':
      return linear(values, {
        title: `${title}: ${suite.kind === 'servers' ? suite.counted : ''} a second, more is better`,
        legend: 'Beside each: the processor time that one takes of the server.',
      })
    case 'latency':
      return logarithmic(values, {
        title: `${title}: p50 in microseconds, less is better`,
        legend: 'Logarithmic scale. Beside each: p50 / p99 / p99.9.',
        notes: 270,
      })
    case 'program':
      return linear(values, {
        title: `${title}: memory of an idle connection in bytes, less is better`,
        legend: 'All of the process is counted. The black mark is the target.',
      })
  }
}

interface Texts extends Pick<Scale, 'title' | 'legend'> {
  /** Room behind the longest bar, if its note is long. */
  readonly notes?: number
}

function logarithmic(values: readonly number[], { notes = right, ...texts }: Texts): Scale {
  const most = Math.max(10, ...values)
  // Half of the least, so that the shortest bar can be seen.
  const least = Math.min(0.5, ...values.map((value) => value / 2))
  const decades = Math.log10(most / least)
  const ticks: number[] = []
  for (let units = 10 ** Math.ceil(Math.log10(least)); units <= most; units *= 10) ticks.push(units)
  return {
    ...texts,
    x: (units) => labels + (Math.log10(units / least) / decades) * (width - labels - notes),
    ticks,
  }
}

function linear(values: readonly number[], texts: Texts): Scale {
  const most = Math.max(1, ...values)
  // 1, 2 or 5 times a power of ten, so that there are four to ten of them.
  const power = 10 ** Math.floor(Math.log10(most / 4))
  const step = power * ([5, 2].find((times) => times * power * 4 <= most) ?? 1)
  return {
    ...texts,
    x: (value) => labels + (value / most) * (width - labels - right),
    ticks: Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step),
  }
}

/** A bar for each row with a latency, or with the bytes of a program; the least first. */
function rowGroups(suite: Suite, results: Results, kind: 'latency' | 'program'): Map<string, Bar[]> {
  const groups = new Map<string, Bar[]>()
  for (const [i, { heading, what, figure, target }] of suite.rows.entries()) {
    const { value, measured = '' } = results.rows[i] ?? {}
    if (figure.kind !== kind || value === undefined) continue
    if (figure.kind === 'program' && figure.in !== 'bytes') continue
    const group = groups.get(heading) ?? []
    const limit = target && 'atMost' in target ? target.atMost : undefined
    group.push({ label: what, ours: what.startsWith('Cede'), value, note: measured, target: limit })
    groups.set(heading, group)
  }
  for (const group of groups.values()) group.sort((a, b) => a.value - b.value)
  return groups
}

/** A bar for each case that a row speaks of, under the heading of the first that does. */
function barGroups(suite: Suite, results: Results): Map<string, Bar[]> {
  const groups = new Map<string, Bar[]>()
  const drawn = new Set<string>()
  for (const { heading, figure, target } of suite.rows) {
    const limit = figure.kind === 'units' && target && 'atMost' in target ? target.atMost : undefined
    for (const key of usedBy(figure)) {
      const result = results.cases[key]
      if (result === undefined || drawn.has(key)) continue
      drawn.add(key)
      const group = groups.get(heading) ?? []
      group.push(barOf(result, limit))
      groups.set(heading, group)
    }
  }
  const order = suite.kind === 'code' ? 1 : -1
  for (const group of groups.values()) group.sort((a, b) => order * (a.value - b.value))
  return groups
}

function barOf({ by, does, units, bestNs, load }: CaseResult, target: number | undefined): Bar {
  const common = { label: `${by}: ${does}`, ours: by === 'Cede', target }
  if (load === undefined) return { ...common, value: units, note: `${short(units)} (${short(bestNs)} ns)` }
  const cost = load.processorNs === null ? '' : ` (${short(load.processorNs / 1000)} us)`
  return { ...common, value: load.perSecond, note: short(load.perSecond) + cost }
}

function drawBar(
  { label, ours, value, note, target }: Bar,
  y: number,
  x: (value: number) => number,
): string[] {
  const end = x(value)
  const parts = [
    text(labels - 8, y + 14, label, 'text-anchor="end"'),
    `<rect class="${ours ? 'ours' : 'theirs'}" x="${labels}" y="${y + 3}" ` +
      `width="${Math.max(1, end - labels).toFixed(1)}" height="${rowHeight - 6}"/>`,
    text(Math.max(end, target === undefined ? 0 : x(target)) + 8, y + 14, note, 'class="value"'),
  ]
  if (target !== undefined) {
    const at = x(target).toFixed(1)
    parts.push(`<line class="target" x1="${at}" x2="${at}" y1="${y}" y2="${y + rowHeight}"/>`)
  }
  return parts
}

function text(x: number, y: number, content: string, attributes: string): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${x.toFixed(1)}" y="${y}" ${attributes}>${escaped}</text>`
}

const style = [
  '.page{fill:#fff}',
  'text{fill:#222}',
  '.title{font-size:16px;font-weight:bold}',
  '.heading{font-weight:bold}',
  '.tick,.value{fill:#666}',
  '.grid{stroke:#ddd}',
  '.ours{fill:#1f77b4}',
  '.theirs{fill:#b8bec6}',
  '.target{stroke:#000;stroke-width:2}',
].join('')
