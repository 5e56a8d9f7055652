// Code in documents that is not TypeScript to compile: excerpts of files, which must stand in them as they are, and
// Python, which Python must understand.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Block } from './check-snippets.ts'

export interface Excerpt {
  readonly document: string
  readonly line: number
  /** Path of the file it was taken from. */
  readonly file: string
  readonly code: string
}

/** The blocks with `file=PATH` behind their language. */
export function excerptsIn(document: string, blocks: readonly Block[]): Excerpt[] {
  return blocks.flatMap(({ word, line, code }) => {
    const [, file] = /^file=(\S+)$/.exec(word) ?? []
    return file === undefined ? [] : [{ document, line, file, code }]
  })
}

/** One sentence for each excerpt that its file does not have. */
export function differingExcerpts(root: string, excerpts: readonly Excerpt[]): string[] {
  return excerpts.flatMap(({ document, line, file, code }) => {
    const where = `${document}:${line}: expected an excerpt of ${file}`
    if (!existsSync(join(root, file))) return [`${where}, found no such file`]
    const text = readFileSync(join(root, file), 'utf8')
    return `\n${text}`.includes(`\n${code}`) ? [] : [`${where}, found other lines`]
  })
}

export interface Python {
  /** `docs/from-asyncio.md:12`, or the path of a file. */
  readonly name: string
  readonly code: string
}

/** The ```python blocks that are no excerpts. */
export function pythonIn(document: string, blocks: readonly Block[]): Python[] {
  return blocks
    .filter(({ language, word }) => language === 'python' && !word.startsWith('file='))
    .map(({ line, code }) => ({ name: `${document}:${line}`, code }))
}

/** `await` may stand outside of functions, as in fragments. */
const compileAll = `
import ast, json, sys
for name, code in json.load(sys.stdin):
    try:
        compile(code, name, 'exec', ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError as error:
        print(f'{name}: expected Python, found line {error.lineno}: {error.msg}')
`

/** One sentence for each that Python does not understand; none where there is no Python. */
export function pythonProblems(root: string, pythons: readonly Python[]): string[] {
  if (pythons.length === 0) return []
  const { error, status, stdout, stderr } = spawnSync('python3', ['-c', compileAll], {
    cwd: root,
    encoding: 'utf8',
    input: JSON.stringify(pythons.map(({ name, code }) => [name, code])),
  })
  if (error !== undefined) {
    console.log(`left out the Python blocks: expected python3, found ${error.message}`)
    return []
  }
  if (status !== 0) throw new Error(`compile the Python blocks: expected exit status 0, found ${stderr}`)
  return stdout.split('\n').filter((line) => line !== '')
}
