// The table of a run: on the terminal, and in Markdown for docs/performance.md.

import { styleText } from 'node:util'
import { short, type Outcome, type Results } from './results.ts'

const columns = ['', 'measured', 'median', 'target', ''] as const

function cells(row: Outcome): string[] {
  const median = row.median === undefined ? '' : short(row.median)
  return [row.what, row.measured, median, row.target, row.verdict]
}

function byHeading(rows: readonly Outcome[]): Map<string, Outcome[]> {
  const groups = new Map<string, Outcome[]>()
  for (const row of rows) {
    const group = groups.get(row.heading)
    if (group) group.push(row)
    else groups.set(row.heading, [row])
  }
  return groups
}

export function summary(results: Results): string {
  const judged = results.rows.filter((row) => row.verdict === 'met' || row.verdict === 'missed')
  const met = judged.filter((row) => row.verdict === 'met').length
  if (results.quick) return 'a quick run judges nothing'
  return `${met} of ${judged.length} targets met`
}

export function conditions(results: Results): string {
  const unit = results.cases[results.unit]
  const measure =
    results.kind === 'code'
      ? `one unit, ${unit?.does ?? results.unit}, is ${short(unit?.bestNs ?? NaN)} ns`
      : `${results.counted ?? 'requests'} a second, and processor time of the server for each`
  const versions = Object.entries(results.versions).map(([name, version]) => `${name} ${version}`)
  return [measure, `best of ${results.rounds} interleaved rounds`, versions.join(', '), results.machine].join(
    '; ',
  )
}

export function terminalTable(results: Results): string {
  const table = [[...columns], ...results.rows.map(cells)]
  const widths = columns.map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => (i === 0 || i === 4 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
  const lines = [bold(results.title), conditions(results), '', '  ' + line(columns)]
  for (const [heading, rows] of byHeading(results.rows)) {
    lines.push(bold(heading))
    for (const row of rows) lines.push('  ' + coloured(row, line(cells(row)).trimEnd()))
  }
  for (const [key, reason] of Object.entries(results.skipped)) lines.push(`skipped: ${key}: ${reason}`)
  lines.push('', summary(results))
  return lines.join('\n')
}

function bold(text: string): string {
  return process.stdout.isTTY ? styleText('bold', text) : text
}

function coloured(row: Outcome, text: string): string {
  if (!process.stdout.isTTY) return text
  if (row.verdict === 'missed') return styleText('red', text)
  if (row.verdict === 'met') return styleText('green', text)
  return text
}

export function markdownTable(results: Results): string {
  const lines = [
    `Measured ${results.when.slice(0, 10)}: ${conditions(results)}. ${summary(results)}.`,
    '',
    '| what | measured | median | target | |',
    '| --- | ---: | ---: | ---: | --- |',
  ]
  for (const [heading, rows] of byHeading(results.rows)) {
    lines.push(`| **${heading}** | | | | |`)
    for (const row of rows) lines.push(`| ${cells(row).join(' | ')} |`)
  }
  return lines.join('\n')
}

/** `text` with what stands between the two marks replaced by the table. */
export function withTable(text: string, results: Results): string {
  const [begin, end] = [`<!-- bench ${results.suite} -->`, `<!-- /bench ${results.suite} -->`]
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from < 0 || to < from) throw new Error(`the page has no ${begin} followed by ${end}`)
  return `${text.slice(0, from + begin.length)}\n\n${markdownTable(results)}\n\n${text.slice(to)}`
}
