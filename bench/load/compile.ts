// Compiles the load generator, once for each state of its source.

import { compiledC } from '../compile.ts'

/**
 * Gives the path of the program, which is kept in `folder`. $CC names another compiler than cc.
 *
 * @throws {MissingError} if there is no C compiler, or this is not Linux; says what to install
 */
export function compiledLoad(compiler?: string, folder?: string): string {
  return compiledC(new URL('load.c', import.meta.url), { compiler, folder })
}
