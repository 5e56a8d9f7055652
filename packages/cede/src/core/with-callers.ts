/**
 * The stack of an error that the library throws into a coroutine, with the callers that are on no native stack.
 *
 * A frame that waits for another one, as the caller of `timeout` does for the body, is not below it on the native stack;
 * without its lines the error of a read in a timeout would name no line of the program. They are asked for when the
 * error is made, which is seldom, and only for the library's own errors: those of programs are not altered.
 */
import { running } from './running.ts'

export function withCallers<E extends Error>(error: E): E {
  const { task } = running
  // Debug mode collects the same for all errors.
  if (task === null || task.runner.debug !== null) return error
  const callers = task
    .callers()
    .split('\n')
    .filter((line) => !line.includes(' answerProbe '))
    .join('\n')
  if (callers !== '') error.stack = `${error.stack ?? ''}\n${callers}`
  return error
}
