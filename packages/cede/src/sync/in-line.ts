/** Words about those who wait in line, for dumps and `console.log`. */
import type { Task } from '../core/task.ts'

/** A wait queue, whatever those in it are woken with. */
interface Line {
  readonly length: number
  tasks(): Iterable<Task>
}

/** How many names are written out. */
const NAMES_SHOWN = 5

/** `in line: a, b and 3 more`, in the order in which they come; `nobody in line`. */
export function inLine(line: Line): string {
  if (line.length === 0) return 'nobody in line'
  const names: string[] = []
  for (const task of line.tasks()) {
    if (names.length === NAMES_SHOWN) break
    names.push(task.name)
  }
  const left = line.length - names.length
  return `in line: ${names.join(', ')}${left > 0 ? ` and ${String(left)} more` : ''}`
}

/** `Lock(accounts: held by Task-3, 2 waiting)` */
export function printed(kind: string, name: string, state: string, line: Line): string {
  const waiting = line.length === 0 ? '' : `, ${String(line.length)} waiting`
  return `${kind}(${name === '' ? '' : `${name}: `}${state}${waiting})`
}

/** `lock accounts`, or `a lock` without a name. */
export function called(kind: string, name: string): string {
  return name === '' ? `${/^[aeiou]/.test(kind) ? 'an' : 'a'} ${kind}` : `${kind} ${name}`
}
