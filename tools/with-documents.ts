// Runs a command while README.md and CHANGELOG.md stand in packages/cede too, so that they are packed with it:
//
//   tsx tools/with-documents.ts npm publish --workspace cede
//
// Their links into docs/ lead nowhere in a package. If packages/cede/package.json names a repository they lead there.
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const folder = join(root, 'packages/cede')
export const documents = ['README.md', 'CHANGELOG.md'] as const

export function withDocuments<T>(body: () => T): T {
  const { repository } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    repository?: string | { url: string }
  }
  const url = typeof repository === 'object' ? repository.url : repository
  try {
    for (const name of documents)
      writeFileSync(join(folder, name), linked(readFileSync(join(root, name), 'utf8'), url))
    return body()
  } finally {
    for (const name of documents) rmSync(join(folder, name), { force: true })
  }
}

function linked(text: string, url: string | undefined): string {
  if (url === undefined) return text
  const base = url.replace(/^git\+/, '').replace(/\.git$/, '')
  return text.replaceAll(/\]\((?!#|[a-z]+:)/g, `](${base}/blob/HEAD/`)
}

const [command, ...args] = process.argv.slice(2)
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (command === undefined) throw new Error('with-documents: expected a command, found none')
  withDocuments(() => execFileSync(command, args, { cwd: root, stdio: 'inherit' }))
}
