// Keeps the examples in the documentation true. Every ```ts block of README.md, ARCHITECTURE.md, CONTRIBUTING.md and
// docs/**, and of every `@example` in the sources, is compiled with cede/strict on; what claims to run is run.
//
//   ```ts            compiled; in an `@example` (which may do without the fence) also run
//   ```ts run        compiled and run: must end with exit status 0 within 20 s
//   ```ts check      compiled, not run (for an `@example` that would serve for ever)
//   ```ts no-check   neither: shows what is wrong, or only a fragment
//   ```ts wrong      a slip; the blocks behind it say how it is told
//   ```ts file=PATH  an excerpt of that file, line by line as it stands there; in any language (excerpts.ts)
//
// Blocks behind a snippet hold its messages to what they really are (told.ts): ```text compiler, ```text linter,
// ```text screen (with NAME=VALUE, run so). ```python is compiled by Python, where there is one.
//
// With arguments, only documents whose path contains one of them are checked.
//
// A snippet stands in its file at the line it has in the document, so that every message names the right line.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { differingExcerpts, excerptsIn, pythonIn, pythonProblems } from './excerpts.ts'
import { lintMessages, toldBy, toldProblem, type Told } from './told.ts'

export type Mode = 'run' | 'check' | 'no-check' | 'wrong'

export interface Snippet {
  readonly document: string
  /** Of the first line of code, counted from 1. */
  readonly line: number
  readonly code: string
  readonly mode: Mode
  /** What must be said about it. */
  readonly told?: readonly Told[]
}

/** What stands between two fences. */
export interface Block {
  readonly language: string
  /** What follows the language. */
  readonly word: string
  /** Of the first line of code, counted from 1. */
  readonly line: number
  readonly code: string
}

const timeLimitMs = 20_000
/** How many snippets are run at once. */
const atATime = 2

/** The ```ts blocks of a text; `usual` is the mode of those that name none. */
export function snippetsIn(document: string, text: string, usual: Mode): Snippet[] {
  const snippets: Snippet[] = []
  for (const { language, word, line, code } of blocksIn(document, text)) {
    const told = language === 'text' ? toldBy(word, code) : null
    if (told !== null) {
      const last = snippets.pop()
      if (last === undefined) throw new Error(`read ${document}:${line}: expected a snippet above`)
      snippets.push({ ...last, told: [...(last.told ?? []), told] })
    } else if (isTypeScript(language) && !word.startsWith('file=')) {
      snippets.push({ document, line, code, mode: modeOf(word, usual, `${document}:${line - 1}`) })
    }
  }
  const untold = snippets.find(({ mode, told }) => mode === 'wrong' && told === undefined)
  if (untold === undefined) return snippets
  throw new Error(
    `read ${document}:${untold.line}: expected a block behind \`\`\`ts wrong that says how it is told, found none`,
  )
}

function isTypeScript(language: string): boolean {
  return language === 'ts' || language === 'typescript'
}

/** All fenced blocks of a text. */
export function blocksIn(document: string, text: string): Block[] {
  const blocks: Block[] = []
  let open: (Omit<Block, 'code'> & { fence: string; indent: number; code: string[] }) | undefined
  for (const [index, line] of text.split('\n').entries()) {
    if (open === undefined) {
      const start = /^( *)(`{3,}|~{3,})\s*(\S*)\s*(.*?)\s*$/.exec(line)
      if (start === null) continue
      const [, indent = '', fence = '', language = '', word = ''] = start
      open = { fence, indent: indent.length, language, word, line: index + 2, code: [] }
    } else if (line.trim().startsWith(open.fence) && line.trim().replaceAll(open.fence[0]!, '') === '') {
      const { language, word, line: first, code } = open
      blocks.push({ language, word, line: first, code: code.join('\n') + '\n' })
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
  return blocks
}

function modeOf(word: string, usual: Mode, where: string): Mode {
  if (word === '') return usual
  if (word === 'run' || word === 'check' || word === 'no-check' || word === 'wrong') return word
  throw new Error(`read ${where}: expected run, check, no-check or wrong after \`\`\`ts, found '${word}'`)
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
  // Of this process alone: others may check at the same time.
  const folder = join(root, '.cache', 'snippets', String(process.pid))
  try {
    return await checkSnippetsIn(folder, root, snippets)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function checkSnippetsIn(
  folder: string,
  root: string,
  snippets: readonly Snippet[],
): Promise<Verdict[]> {
  const compiled = snippets.filter(({ mode }) => mode === 'run' || mode === 'check')
  const complaints = compile(root, folder, compiled)
  const aboutOthers = complaints.filter((line) => !compiled.some((snippet) => line.includes(nameOf(snippet))))
  if (complaints.length > 0 && complaints.length === aboutOthers.length) {
    throw new Error(`compile the snippets: expected no error outside them, found\n${aboutOthers.join('\n')}`)
  }
  const slips = snippets.filter(({ mode }) => mode === 'wrong')
  const wrong = join(folder, 'wrong')
  const told = (by: Told['by']) => slips.some((slip) => slip.told?.some((block) => block.by === by))
  const refusals = refusalsOf(root, wrong, slips)
  const warnings = told('linter') ? await lintMessages(root, wrong) : new Map<string, string>()

  const judge = async (snippet: Snippet): Promise<Verdict> => {
    const own = complaints.filter((line) => line.includes(nameOf(snippet)))
    const problem =
      own.length > 0
        ? own.map((line) => line.replace(/^.*?\.ts(?=\()/, '')).join('\n')
        : await problemOf(root, snippet, join(snippet.mode === 'wrong' ? wrong : folder, nameOf(snippet)), {
            compiler: refusals.filter((line) => line.includes(nameOf(snippet))).join('\n'),
            linter: warnings.get(nameOf(snippet)) ?? '',
          })
    return { snippet, problem }
  }
  const verdicts: Verdict[] = []
  let begun = 0
  const work = async (): Promise<void> => {
    while (begun < snippets.length) {
      const index = begun++
      verdicts[index] = await judge(snippets[index]!)
    }
  }
  await Promise.all(Array.from({ length: atATime }, work))
  return verdicts
}

function nameOf(snippet: Snippet): string {
  return `${snippet.document.replaceAll(/[^\w.-]+/g, '-')}.L${snippet.line}.ts`
}

/** Writes snippets into `folder` and compiles them there. @returns the complaints */
function compile(root: string, folder: string, snippets: readonly Snippet[]): string[] {
  mkdirSync(folder, { recursive: true })
  for (const snippet of snippets) {
    writeFileSync(join(folder, nameOf(snippet)), '\n'.repeat(snippet.line - 1) + snippet.code)
  }
  const up = relative(folder, root)
  const config = {
    extends: `${up}/tsconfig.json`,
    compilerOptions: { noUnusedLocals: false, noUnusedParameters: false },
    include: ['*.ts', `${up}/strict.d.ts`],
    exclude: [],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['node_modules/typescript-7/bin/tsc', '--project', join(folder, 'tsconfig.json'), '--pretty', 'false'],
    { cwd: root, encoding: 'utf8' },
  )
  return status === 0 ? [] : (stdout + stderr).trim().split(/\n(?! )/)
}

/** What the compiler says about slips. One that cannot even be parsed hides the types of the others. */
function refusalsOf(root: string, folder: string, slips: readonly Snippet[]): string[] {
  if (slips.length === 0) return []
  const first = compile(root, folder, slips)
  const others = slips.filter((slip) => !first.some((line) => line.includes(nameOf(slip))))
  if (first.length === 0 || others.length === 0) return first
  const second = compile(root, join(folder, 'parsed'), others)
  return [...first, ...second]
}

async function problemOf(
  root: string,
  { mode, told = [] }: Snippet,
  file: string,
  said: { readonly compiler: string; readonly linter: string },
): Promise<string | undefined> {
  let ran = false
  for (const block of told) {
    let found = block.by === 'screen' ? '' : said[block.by]
    if (block.by === 'screen') {
      const end = await runSnippet(root, file, block.env)
      if (mode === 'run' && end.problem !== undefined) return end.problem
      found = end.output
      ran = true
    }
    const problem = toldProblem(block, found)
    if (problem !== undefined) return problem
  }
  return mode === 'run' && !ran ? (await runSnippet(root, file)).problem : undefined
}

interface End {
  readonly output: string
  readonly problem: string | undefined
}

function runSnippet(root: string, file: string, env: Readonly<Record<string, string>> = {}): Promise<End> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--import=tsx', file], {
      cwd: root,
      env: { ...process.env, ...env },
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
      const found = late
        ? `an end within ${timeLimitMs / 1000} s, found it still running`
        : `exit status 0, found ${status ?? signal ?? 'none'}`
      resolve({ output, problem: status === 0 ? undefined : `run: expected ${found}\n${output}` })
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
  const wanted = process.argv.slice(2)
  const isWanted = (file: string) => wanted.length === 0 || wanted.some((part) => file.includes(part))
  const read = (file: string) => readFileSync(join(root, file), 'utf8')
  const texts = documents
    .filter((file) => isWanted(file) && existsSync(join(root, file)))
    .map((file) => ({ file, text: read(file) }))
  const snippets = [
    ...texts.flatMap(({ file, text }) => snippetsIn(file, text, 'check')),
    ...sources.filter(isWanted).flatMap((file) => snippetsInSource(file, read(file))),
  ]
  const verdicts = await checkSnippets(root, snippets)
  for (const { snippet, problem } of verdicts) {
    const did = { run: 'ran     ', check: 'compiled', 'no-check': 'left out', wrong: 'is told ' }[
      snippet.mode
    ]
    console.log(`${problem === undefined ? did : 'FAILED  '} ${snippet.document}:${snippet.line}`)
    if (problem !== undefined) console.log(problem.replaceAll(/^/gm, '    '))
  }
  const excerpts = texts.flatMap(({ file, text }) => excerptsIn(file, blocksIn(file, text)))
  const pythons = texts.flatMap(({ file, text }) => pythonIn(file, blocksIn(file, text)))
  const problems = [...differingExcerpts(root, excerpts), ...pythonProblems(root, pythons)]
  for (const problem of problems) console.log(`FAILED   ${problem}`)
  const failed = verdicts.filter(({ problem }) => problem !== undefined).length + problems.length
  const count = (mode: Mode) => snippets.filter((snippet) => snippet.mode === mode).length
  console.log(
    `snippets: ${snippets.length} found, ${count('run')} to run, ${count('check')} to compile only, ` +
      `${count('wrong')} slips, ${count('no-check')} left out, ${excerpts.length} excerpts of files, ` +
      `${pythons.length} in Python; ${failed} failed`,
  )
  process.exitCode = failed === 0 ? 0 : 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
