// Keeps the examples in the documentation true. Every ```ts block of README.md, ARCHITECTURE.md, CONTRIBUTING.md and
// docs/**, and of every `@example` in the sources, is compiled with cede/strict on; what claims to run is run.
//
//   ```ts            compiled; in an `@example` (which may do without the fence) also run
//   ```ts run        compiled and run: must end with exit status 0 within 20 s
//   ```ts check      compiled, not run (for an `@example` that would serve for ever)
//   ```ts no-check   neither: shows what is wrong, or only a fragment
//
// A snippet stands in its file at the line it has in the document, so that every message names the right line.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export type Mode = 'run' | 'check' | 'no-check'

export interface Snippet {
  readonly document: string
  /** Of the first line of code, counted from 1. */
  readonly line: number
  readonly code: string
  readonly mode: Mode
}

const timeLimitMs = 20_000

/** The ```ts blocks of a text; `usual` is the mode of those that name none. */
export function snippetsIn(document: string, text: string, usual: Mode): Snippet[] {
  const snippets: Snippet[] = []
  let open:
    { fence: string; indent: number; mode: Mode | undefined; line: number; code: string[] } | undefined
  for (const [index, line] of text.split('\n').entries()) {
    if (open === undefined) {
      const start = /^( *)(`{3,}|~{3,})\s*(\S*)\s*(.*?)\s*$/.exec(line)
      if (start === null) continue
      const [, indent = '', fence = '', language = '', word = ''] = start
      const isTypeScript = language === 'ts' || language === 'typescript'
      const mode = isTypeScript ? modeOf(word, usual, `${document}:${index + 1}`) : undefined
      open = { fence, indent: indent.length, mode, line: index + 2, code: [] }
    } else if (line.trim().startsWith(open.fence) && line.trim().replaceAll(open.fence[0]!, '') === '') {
      const { mode, line: first, code } = open
      if (mode !== undefined) snippets.push({ document, line: first, code: code.join('\n') + '\n', mode })
      open = undefined
    } else {
      open.code.push(line.slice(Math.min(open.indent, line.length - line.trimStart().length)))
    }
  }
  if (open !== undefined) {
    throw new Error(
      `read ${document}: expected the block before line ${open.line} to be closed, found the end`,
    )
  }
  return snippets
}

function modeOf(word: string, usual: Mode, where: string): Mode {
  if (word === '') return usual
  if (word === 'run' || word === 'check' || word === 'no-check') return word
  throw new Error(`read ${where}: expected run, check or no-check after \`\`\`ts, found '${word}'`)
}

/** The code of all `@example` tags in a source file: their ```ts blocks, or all that stands below if there is none. */
export function snippetsInSource(document: string, text: string): Snippet[] {
  const source = ts.createSourceFile(document, text, ts.ScriptTarget.Latest, true)
  const comments = new Map<number, ts.JSDoc>()
  const visit = (node: ts.Node): void => {
    for (const comment of ts.getJSDocCommentsAndTags(node)) {
      if (ts.isJSDoc(comment)) comments.set(comment.pos, comment)
    }
    ts.forEachChild(node, visit)
  }
  visit(source)

  return [...comments.values()]
    .sort((a, b) => a.pos - b.pos)
    .flatMap((comment) => {
      const first = source.getLineAndCharacterOfPosition(comment.pos).line + 1
      return examplesIn(text.slice(comment.pos, comment.end)).flatMap(({ line, lines }) => {
        const above = '\n'.repeat(first + line - 1)
        const fenced = snippetsIn(document, above + lines.join('\n'), 'run')
        if (fenced.length > 0) return fenced
        const code = lines.join('\n').trimEnd() + '\n'
        return [{ document, line: first + line, code, mode: 'run' as const }]
      })
    })
}

/** What stands below each `@example` of a comment, without the stars; `line` counts from the comment's own. */
function examplesIn(comment: string): { line: number; lines: string[] }[] {
  const examples: { line: number; lines: string[] }[] = []
  let inExample = false
  let inBlock = false
  for (const [index, raw] of comment.split('\n').entries()) {
    const line = raw.replace(/^\s*(\/\*\*|\*\/|\*) ?/, '').replace(/\s*\*\/$/, '')
    if (line.trimStart().startsWith('```')) inBlock = !inBlock
    const [, tag] = inBlock ? [] : (/^@(\w+)/.exec(line) ?? [])
    if (tag !== undefined) {
      inExample = tag === 'example'
      if (inExample) examples.push({ line: index + 1, lines: [] })
    } else if (inExample) {
      examples.at(-1)?.lines.push(line)
    }
  }
  return examples
}

export interface Verdict {
  readonly snippet: Snippet
  /** What went wrong; undefined if nothing did. */
  readonly problem: string | undefined
}

/** Compiles and runs the snippets of the repository in `root`, with a scratch folder there. */
export async function checkSnippets(root: string, snippets: readonly Snippet[]): Promise<Verdict[]> {
  const folder = join(root, '.cache', 'snippets')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const nameOf = (snippet: Snippet) => `${snippet.document.replaceAll(/[^\w.-]+/g, '-')}.L${snippet.line}.ts`
  const checked = snippets.filter((snippet) => snippet.mode !== 'no-check')
  for (const snippet of checked) {
    writeFileSync(join(folder, nameOf(snippet)), '\n'.repeat(snippet.line - 1) + snippet.code)
  }
  const config = {
    extends: '../../tsconfig.json',
    compilerOptions: { noUnusedLocals: false, noUnusedParameters: false },
    include: ['*.ts', '../../strict.d.ts'],
    exclude: [],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))

  const compiled = spawnSync(
    process.execPath,
    ['node_modules/typescript-7/bin/tsc', '--project', join(folder, 'tsconfig.json'), '--pretty', 'false'],
    { cwd: root, encoding: 'utf8' },
  )
  const complaints = compiled.status === 0 ? [] : (compiled.stdout + compiled.stderr).trim().split(/\n(?! )/)
  const aboutOthers = complaints.filter((line) => !checked.some((snippet) => line.includes(nameOf(snippet))))
  if (complaints.length > 0 && complaints.length === aboutOthers.length) {
    throw new Error(`compile the snippets: expected no error outside them, found\n${aboutOthers.join('\n')}`)
  }

  const verdicts: Verdict[] = []
  for (const snippet of snippets) {
    const own = complaints.filter((line) => line.includes(nameOf(snippet)))
    const problem =
      own.length > 0
        ? own.map((line) => line.replace(/^.*?\.ts(?=\()/, '')).join('\n')
        : snippet.mode === 'run'
          ? await runSnippet(root, join(folder, nameOf(snippet)))
          : undefined
    verdicts.push({ snippet, problem })
  }
  return verdicts
}

function runSnippet(root: string, file: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--import=tsx', file], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    let late = false
    const collect = (chunk: Buffer) => (output += chunk.toString())
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    const timer = setTimeout(() => {
      late = true
      child.kill('SIGKILL')
    }, timeLimitMs)
    child.on('close', (status, signal) => {
      clearTimeout(timer)
      if (status === 0) resolve(undefined)
      else if (late)
        resolve(`run: expected an end within ${timeLimitMs / 1000} s, found it still running\n${output}`)
      else resolve(`run: expected exit status 0, found ${status ?? signal ?? 'none'}\n${output}`)
    })
  })
}

function filesUnder(root: string, folder: string, ending: string): string[] {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort()
}

async function main(): Promise<void> {
  const root = dirname(dirname(fileURLToPath(import.meta.url)))
  const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', ...filesUnder(root, 'docs', '.md')]
  const sources = filesUnder(root, 'packages/cede/src', '.ts').filter((file) => !file.endsWith('.test.ts'))
  const read = (file: string) => readFileSync(join(root, file), 'utf8')
  const snippets = [
    ...documents
      .filter((file) => existsSync(join(root, file)))
      .flatMap((file) => snippetsIn(file, read(file), 'check')),
    ...sources.flatMap((file) => snippetsInSource(file, read(file))),
  ]
  const verdicts = await checkSnippets(root, snippets)
  for (const { snippet, problem } of verdicts) {
    const did = { run: 'ran     ', check: 'compiled', 'no-check': 'left out' }[snippet.mode]
    console.log(`${problem === undefined ? did : 'FAILED  '} ${snippet.document}:${snippet.line}`)
    if (problem !== undefined) console.log(problem.replaceAll(/^/gm, '    '))
  }
  const failed = verdicts.filter(({ problem }) => problem !== undefined).length
  const count = (mode: Mode) => snippets.filter((snippet) => snippet.mode === mode).length
  console.log(
    `snippets: ${snippets.length} found, ${count('run')} to run, ${count('check')} to compile only, ` +
      `${count('no-check')} left out; ${failed} failed`,
  )
  process.exitCode = failed === 0 ? 0 : 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
