/**
 * What is printed when nobody else takes an error: the sentence, where the task was made, where it was, the error.
 *
 * The error is printed as the console prints errors, causes and members included; the stack of a report is a task's
 * own, and shown without library lines. What came from outside is one line: no place in the program is to blame.
 */
import type { ExceptionContext } from '../core/runner.ts'
import { originOf, userLines } from './dump.ts'

export function printReport(context: ExceptionContext): void {
  const { message, error, task, stack, outerStack } = context
  if (context.fromOutside === true && error instanceof Error) {
    console.error(`cede: ${message}: ${error.message}`)
    return
  }
  const lines = [`cede: ${message}`]
  if (task !== undefined) {
    const origin = originOf(task)
    if (origin !== null) lines.push(`  ${origin}`)
  }
  if (stack !== undefined) lines.push(userLines(stack))
  const text = lines.filter((line) => line !== '').join('\n')
  console.error(text)
  if ('error' in context) console.error(error)
  if (outerStack !== undefined) console.error(`  and further out\n${outerStack}`)
}
