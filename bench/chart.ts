// The chart of a run: a bar for each timed case, in units on a logarithmic scale, and a mark where the target
// is. Bars are rectangles and text, so this is a template and no drawing library.

import { short, type CaseResult, type Results } from './results.ts'
import type { Suite } from './suite.ts'

interface Bar {
  readonly key: string
  readonly case: CaseResult
  readonly target: number | undefined
}

const width = 960
const labels = 330
const rowHeight = 20
const headingHeight = 30
const top = 64
const right = 150

export function chart(suite: Suite, results: Results): string {
  const groups = barGroups(suite, results)
  const bars = [...groups.values()].flat()
  const most = Math.max(10, ...bars.map((bar) => bar.case.units))
  // Half of the least, so that the shortest bar can be seen.
  const least = Math.min(0.5, ...bars.map((bar) => bar.case.units / 2))
  const decades = Math.log10(most / least)
  const x = (units: number) => labels + (Math.log10(units / least) / decades) * (width - labels - right)

  const body: string[] = []
  let y = top
  for (const [heading, group] of groups) {
    y += headingHeight
    body.push(text(16, y - 9, heading, 'class="heading"'))
    for (const bar of group) {
      body.push(...drawBar(bar, y, x))
      y += rowHeight
    }
  }
  const height = y + 24
  const grid: string[] = []
  for (let units = 10 ** Math.ceil(Math.log10(least)); units <= most; units *= 10) {
    const at = x(units).toFixed(1)
    grid.push(`<line class="grid" x1="${at}" x2="${at}" y1="${top}" y2="${height - 16}"/>`)
    grid.push(text(Number(at), top - 6, short(units), 'class="tick" text-anchor="middle"'))
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<style>${style}</style>`,
    `<rect class="page" width="${width}" height="${height}"/>`,
    text(16, 24, `${suite.title}: time in units of a plain await, less is better`, 'class="title"'),
    text(16, 42, 'Logarithmic scale. The black mark is the target.', 'class="tick"'),
    ...grid,
    ...body,
    '</svg>\n',
  ].join('\n')
}

/** A bar for each case that a row speaks of, under the heading of the first that does. */
function barGroups(suite: Suite, results: Results): Map<string, Bar[]> {
  const groups = new Map<string, Bar[]>()
  const drawn = new Set<string>()
  for (const { heading, figure, target } of suite.rows) {
    const limit = figure.kind === 'units' && target && 'atMost' in target ? target.atMost : undefined
    const others = figure.kind === 'times' ? [figure.as] : figure.kind === 'extra' ? [figure.without] : []
    for (const key of [figure.of, ...others]) {
      const result = results.cases[key]
      if (result === undefined || drawn.has(key)) continue
      drawn.add(key)
      const group = groups.get(heading) ?? []
      group.push({ key, case: result, target: limit })
      groups.set(heading, group)
    }
  }
  for (const group of groups.values()) group.sort((a, b) => a.case.units - b.case.units)
  return groups
}

function drawBar(bar: Bar, y: number, x: (units: number) => number): string[] {
  const { by, does, units, bestNs } = bar.case
  const end = x(units)
  const parts = [
    text(labels - 8, y + 14, `${by}: ${does}`, 'text-anchor="end"'),
    `<rect class="${by === 'Cede' ? 'ours' : 'theirs'}" x="${labels}" y="${y + 3}" ` +
      `width="${Math.max(1, end - labels).toFixed(1)}" height="${rowHeight - 6}"/>`,
    text(
      Math.max(end, bar.target === undefined ? 0 : x(bar.target)) + 8,
      y + 14,
      `${short(units)} (${short(bestNs)} ns)`,
      'class="value"',
    ),
  ]
  if (bar.target !== undefined) {
    const at = x(bar.target).toFixed(1)
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
