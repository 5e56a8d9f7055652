// What only the linter sees: operations left without their star. The fixtures are linted with the repository's own
// configuration, and each must be flagged at exactly the lines that say so.
import { ESLint } from 'eslint'
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const folder = join(dirname(fileURLToPath(import.meta.url)), 'lint-fixtures')
const root = dirname(dirname(dirname(folder)))
const linter = new ESLint({ cwd: root, ignore: false })

/** `line: rule` for each rule that a line's mark names. */
function marksOf(text: string): string[] {
  return text.split('\n').flatMap((line, index) => {
    const [, rules] = /\/\/ flagged: (.*)$/.exec(line) ?? []
    return rules === undefined ? [] : rules.split(', ').map((rule) => `${index + 1}: ${rule}`)
  })
}

for (const file of readdirSync(folder).filter((name) => name.endsWith('.ts'))) {
  test(`lint flags the marked lines of ${file} and no others`, async () => {
    const path = join(folder, file)
    const [result] = await linter.lintFiles([path])
    const found = result!.messages.map(({ line, ruleId, message }) => `${line}: ${ruleId ?? message}`)
    assert.deepEqual(found.sort(), marksOf(readFileSync(path, 'utf8')).sort())
  })
}
