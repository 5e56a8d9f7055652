// Compiles the programs of the benchmarks on use, once for each state of their source: the load generator, and peers.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MissingError } from './line-process.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const cache = join(root, '.cache', 'bench')

export interface CompileOptions {
  /** Default: $CC, or cc. */
  readonly compiler?: string | undefined
  /** Where the program is kept. */
  readonly folder?: string | undefined
  /** What it needs beside the C library: a header that must be there, and the library behind it. */
  readonly needs?: { readonly header: string; readonly library: string }
}

/**
 * Gives the path of the program made from a file of C.
 *
 * @throws {MissingError} if there is no C compiler, or a library is missing, or this is not Linux
 */
export function compiledC(source: URL, options: CompileOptions = {}): string {
  const { compiler = process.env['CC'] ?? 'cc', folder, needs } = options
  const what = `compile ${nameOf(source)}`
  if (process.platform !== 'linux') {
    throw new MissingError(`${what}: Linux was expected (epoll), found ${process.platform}`)
  }
  return compiled(source, folder, (draft) => {
    if (needs !== undefined) {
      const look = ['-fsyntax-only', '-include', needs.header, '-x', 'c', '/dev/null']
      const { status, error } = spawnSync(compiler, look, { stdio: 'ignore' })
      if (error === undefined && status !== 0)
        throw new MissingError(`${what}: the header ${needs.header} was expected, found none`)
    }
    const libraries = needs === undefined ? [] : [`-l${needs.library}`]
    const flags = ['-O2', '-Wall', '-Wextra', '-pthread', '-o', draft, fileURLToPath(source), ...libraries]
    const { status, error } = spawnSync(compiler, flags, { stdio: 'inherit' })
    if (error !== undefined) {
      throw new MissingError(
        `${what}: a C compiler was expected, found none (${error.message}); ` +
          'install gcc and libc6-dev, or name one in $CC',
      )
    }
    if (status !== 0) throw new Error(`${what}: ${compiler} failed (status ${String(status)})`)
  })
}

/**
 * Gives the path of the program made from a file of Go, which needs nothing but the standard library.
 *
 * @throws {MissingError} if Go is not installed
 */
export function compiledGo(
  source: URL,
  { compiler = 'go', folder }: Pick<CompileOptions, 'compiler' | 'folder'> = {},
): string {
  const what = `compile ${nameOf(source)}`
  return compiled(source, folder, (draft) => {
    const { status, error } = spawnSync(compiler, ['build', '-o', draft, fileURLToPath(source)], {
      stdio: 'inherit',
      // Nothing is fetched.
      env: { ...process.env, GOPROXY: 'off', GO111MODULE: 'off', GOTOOLCHAIN: 'local', CGO_ENABLED: '0' },
    })
    if (error !== undefined) throw new MissingError(`${what}: Go was expected, found none (${error.message})`)
    if (status !== 0) throw new Error(`${what}: go failed (status ${String(status)})`)
  })
}

function compiled(source: URL, folder = cache, compile: (draft: string) => void): string {
  const path = fileURLToPath(source)
  const hash = createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16)
  const program = join(folder, `${basename(path).replace(/\W/g, '-')}-${process.arch}-${hash}`)
  if (existsSync(program)) return program
  mkdirSync(folder, { recursive: true })
  const draft = `${program}.${process.pid}`
  compile(draft)
  renameSync(draft, program)
  return program
}

function nameOf(source: URL): string {
  return relative(root, fileURLToPath(source))
}
