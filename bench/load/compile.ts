// Compiles the load generator, once for each state of its source.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MissingError } from '../line-process.ts'

const source = fileURLToPath(new URL('load.c', import.meta.url))
const cache = fileURLToPath(new URL('../../.cache/bench', import.meta.url))

/**
 * Gives the path of the program, which is kept in `folder`. $CC names another compiler than cc.
 *
 * @throws {MissingError} if there is no C compiler, or this is not Linux; says what to install
 */
export function compiledLoad(compiler: string = process.env['CC'] ?? 'cc', folder: string = cache): string {
  if (process.platform !== 'linux') {
    throw new MissingError(`compile bench/load/load.c: Linux was expected (epoll), found ${process.platform}`)
  }
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16)
  const program = join(folder, `load-${process.arch}-${hash}`)
  if (existsSync(program)) return program
  mkdirSync(folder, { recursive: true })
  const draft = `${program}.${process.pid}`
  const { status, error } = spawnSync(compiler, ['-O2', '-Wall', '-Wextra', '-o', draft, source], {
    stdio: 'inherit',
  })
  if (error !== undefined) {
    throw new MissingError(
      `compile bench/load/load.c: a C compiler was expected, found none (${error.message}); ` +
        'install gcc and libc6-dev, or name one in $CC',
    )
  }
  if (status !== 0)
    throw new Error(`compile bench/load/load.c: ${compiler} failed (status ${String(status)})`)
  renameSync(draft, program)
  return program
}
