/**
 * The dump: every task with its state, since when, what it waits for and who could end that, where it was made, and
 * its stack by probe. Tasks whose entries are alike but for name and time are folded into one with a count, so that
 * ten thousand connections are three lines.
 */
import type { Task } from '../core/task.ts'

export interface DumpOptions {
  /** Library frames are shown too. Default: false. */
  readonly all?: boolean | undefined
  /** Entries after which the rest is counted only. Default: 100. */
  readonly limit?: number | undefined
}

/** How many names of folded tasks are written out. */
const NAMES_SHOWN = 3

interface Entry {
  /** Everything that must be equal for folding. */
  readonly text: string
  readonly tasks: Task[]
}

export function describeTasks(tasks: Iterable<Task>, options: DumpOptions = {}): string {
  const list = [...tasks]
  const entries = new Map<string, Entry>()
  for (const task of list) {
    const text = entryOf(task, options.all === true)
    const entry = entries.get(text)
    if (entry === undefined) entries.set(text, { text, tasks: [task] })
    else entry.tasks.push(task)
  }
  const limit = options.limit ?? 100
  const shown = [...entries.values()].slice(0, limit)
  const blocks = shown.map((entry) => `${headOf(entry.tasks)}${entry.text}`)
  const left = entries.size - shown.length
  if (left > 0) blocks.push(`... and ${String(left)} more`)
  return [`${String(list.length)} ${list.length === 1 ? 'task' : 'tasks'}`, ...blocks].join('\n')
}

function headOf(tasks: readonly Task[]): string {
  const names = tasks
    .slice(0, NAMES_SHOWN)
    .map((task) => task.name)
    .join(', ')
  if (tasks.length === 1) return `task ${names}`
  return `${String(tasks.length)} tasks ${names}${tasks.length > NAMES_SHOWN ? ', ...' : ''}`
}

function entryOf(task: Task, all: boolean): string {
  const lines: string[] = []
  lines.push(`${task.label === '' ? '' : ` (${task.label})`}: ${stateOf(task)}`)
  const origin = originOf(task)
  if (origin !== null) lines.push(`  ${origin}`)
  const stack = all ? task.stack() : userLines(task.stack())
  if (stack !== '') lines.push(stack)
  return lines.join('\n')
}

/** Where the task was made, as far as that is known: the line in debug mode, else the task that made it. */
export function originOf(task: Task): string | null {
  const createdAt = task.runner.debug?.createdAt(task)
  if (createdAt !== undefined) return `created at ${createdAt}`
  if (task.creatorId === 0) return null
  for (const other of task.runner.tasks()) {
    if (other.id === task.creatorId) return `created by task ${other.name}`
  }
  return 'created by a task that has ended'
}

function stateOf(task: Task): string {
  const cancelled = task.cancelled ? ', cancelled' : ''
  if (task.status !== 'waiting') return `${task.status}${cancelled}`
  const wait = task.waitsFor()
  const holders = (wait?.holders ?? []).filter((holder) => wait?.what !== holder.describeSelf())
  const held = holders.length === 0 ? '' : `, held by ${holders.map((holder) => holder.name).join(', ')}`
  return `waiting for ${roughly(task.waitingMs())}${cancelled}: ${wait?.what ?? 'nothing'}${held}`
}

/** Coarse on purpose: tasks that have waited about as long fold into one entry. */
function roughly(ms: number): string {
  if (ms < 1000) return 'less than 1 s'
  if (ms < 60_000) return `${String(Math.floor(ms / 1000))} s`
  return `${String(Math.floor(ms / 60_000))} min`
}

/** Where this library is, and where its sources are: with source maps, stacks of the build name those. */
const LIBRARY = [new URL('..', import.meta.url), new URL('../../src/', import.meta.url)]
const LIBRARY_PLACES: readonly string[] = LIBRARY.flatMap(({ href, pathname }) => [
  href,
  decodeURIComponent(pathname),
])

/** A stack without the library's own lines and without the native half of each `yield*`. */
export function userLines(stack: string): string {
  return stack
    .split('\n')
    .filter((line) => !/(^|[ .])(next|throw|return) \((<anonymous>|native|unknown)?\)$/.test(line.trim()))
    .filter((line) => line.includes('.test.') || !LIBRARY_PLACES.some((place) => line.includes(place)))
    .filter((line) => !/\((node|ext):/.test(line) && !/at (node|ext):/.test(line))
    .map((line) => `  ${line.trim()}`)
    .join('\n')
}
