// The table of a run: on the terminal, and in Markdown for docs/performance.md.

import { styleText } from 'node:util'
import { short, type Outcome, type Results } from './results.ts'

interface Column {
  readonly title: string
  /** Text; figures stand at the right. */
  readonly text?: true
  readonly cell: (row: Outcome) => string
}

/** Latencies have a column where there are any. */
function columnsOf({ rows }: Results): Column[] {
  const columns: Column[] = [
    { title: 'what', text: true, cell: (row) => row.what },
    { title: 'measured', cell: (row) => row.measured },
    { title: 'median', cell: (row) => (row.median === undefined ? '' : short(row.median)) },
  ]
  if (rows.some((row) => row.latency !== undefined))
    columns.push({ title: 'p50 / p99 / p99.9, us', cell: (row) => row.latency ?? '' })
  columns.push(
    { title: 'target', cell: (row) => row.target },
    { title: '', text: true, cell: (row) => row.verdict },
  )
  return columns
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
  if (judged.length === 0) return 'no targets'
  return `${met} of ${judged.length} targets met`
}

export function conditions(results: Results): string {
  const unit = results.cases[results.unit]
  const rounds = `of ${results.rounds} interleaved rounds`
  const measure =
    results.kind === 'code'
      ? `one unit, ${unit?.does ?? results.unit}, is ${short(unit?.bestNs ?? NaN)} ns; best ${rounds}`
      : results.drawn === 'latency'
        ? `latencies, the medians ${rounds}`
        : `${results.counted ?? 'requests'} a second, and processor time of the server for each; best ${rounds}`
  const versions = Object.entries(results.versions).map(([name, version]) => `${name} ${version}`)
  const rate = results.rate === undefined ? [] : [`open loops at ${short(results.rate)} a second`]
  return [measure, ...rate, versions.join(', '), results.machine].join('; ')
}

export function terminalTable(results: Results): string {
  const columns = columnsOf(results).map((column) => {
    const cells = results.rows.map(column.cell)
    return { ...column, width: Math.max(column.title.length, ...cells.map((cell) => cell.length)) }
  })
  const line = (of: (column: Column) => string) =>
    columns
      .map((column) => (column.text ? of(column).padEnd(column.width) : of(column).padStart(column.width)))
      .join('  ')
      .trimEnd()
  const lines = [bold(results.title), conditions(results), '', '  ' + line(({ title }) => title)]
  for (const [heading, rows] of byHeading(results.rows)) {
    lines.push(bold(heading))
    for (const row of rows)
      lines.push(
        '  ' +
          coloured(
            row,
            line(({ cell }) => cell(row)),
          ),
      )
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
  const columns = columnsOf(results)
  const lines = [
    `Measured ${results.when.slice(0, 10)}: ${conditions(results)}. ${summary(results)}.`,
    '',
    `| ${columns.map(({ title }) => title).join(' | ')} |`.replace('|  |', '| |'),
    `| ${columns.map(({ text }) => (text ? '---' : '---:')).join(' | ')} |`,
  ]
  for (const [heading, rows] of byHeading(results.rows)) {
    lines.push(`| **${heading}** |${' |'.repeat(columns.length - 1)}`)
    for (const row of rows) lines.push(`| ${columns.map(({ cell }) => cell(row)).join(' | ')} |`)
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
