/** Where the sources are, and how a mutant is put into them. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Mutant } from './mutants.ts'

export const root: string = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
export const sources: string = join(root, 'packages/cede/src')

/**
 * The text of the mutant's file with the bug in it.
 *
 * @throws if what it replaces is not there exactly once
 */
export function applied(mutant: Mutant): string {
  const text = readFileSync(join(sources, mutant.file), 'utf8')
  const count = text.split(mutant.find).length - 1
  if (count !== 1) {
    throw new Error(
      `mutant "${mutant.name}": its text was expected once in ${mutant.file}, found ${count} times:\n${mutant.find}`,
    )
  }
  return text.replace(mutant.find, () => mutant.replace)
}
