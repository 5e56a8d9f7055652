import { getSystemErrorMap } from 'node:util'

/**
 * The error of a system call as Node makes them.
 *
 * @param result the negative errno
 * @param where what it was about, e.g. an address
 */
export function systemError(result: number, call: string, where = ''): NodeJS.ErrnoException {
  const [code] = getSystemErrorMap().get(result) ?? [`errno ${String(-result)}`]
  const message = where === '' ? `${call} ${code}` : `${call} ${code} ${where}`
  return Object.assign(new Error(message), { errno: result, code, syscall: call })
}
