// Messages quoted in documents: what stands in a ```text block behind a snippet must really be said about it. Lines may
// be broken anywhere; a line of three dots leaves something out.
import { ESLint } from 'eslint'
import { basename, join } from 'node:path'

export interface Told {
  /** Who says it: the compiler, the linter, or the screen when the snippet is run. */
  readonly by: 'compiler' | 'linter' | 'screen'
  /** Of the process that is run. */
  readonly env: Readonly<Record<string, string>>
  /** What is said, in this order. */
  readonly pieces: readonly string[]
}

/** @returns null if a ```text block with this word says nothing about a snippet */
export function toldBy(word: string, text: string): Told | null {
  const [by, ...settings] = word.split(' ')
  if (by !== 'compiler' && by !== 'linter' && by !== 'screen') return null
  const env = Object.fromEntries(settings.map((setting) => setting.split('=', 2) as [string, string]))
  const pieces = text.split(/^\s*(?:…|\.\.\.)\s*$/m).map(inOneLine)
  return { by, env, pieces: pieces.filter((piece) => piece !== '') }
}

/** What is wrong, if `told` was not said. */
export function toldProblem({ by, pieces }: Told, said: string): string | undefined {
  const found = inOneLine(said)
  let from = 0
  for (const piece of pieces) {
    const at = found.indexOf(piece, from)
    if (at === -1) return `${by}: expected\n    ${piece}\n${from > 0 ? 'further on ' : ''}in\n${said}`
    from = at + piece.length
  }
  return undefined
}

function inOneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim()
}

/** What the linter says about each file in `folder`, with the repository's own rules. */
export async function lintMessages(root: string, folder: string): Promise<Map<string, string>> {
  const linter = new ESLint({ cwd: root, ignore: false })
  const results = await linter.lintFiles([join(folder, '*.ts')])
  return new Map(
    results.map(({ filePath, messages }) => [
      basename(filePath),
      messages.map(({ line, message, ruleId }) => `${line}: ${message} ${ruleId ?? ''}`).join('\n'),
    ]),
  )
}
