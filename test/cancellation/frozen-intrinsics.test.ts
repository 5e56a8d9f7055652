// DESIGN.md "Cancellation" 4: with frozen intrinsics chains of plain generators cannot be listed. Then a frame is
// returned as a whole, and again at every later wait until it ends. Wrapped coroutines unwind as everywhere.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChild } from '../support/child.ts'

const FROZEN = { nodeArgs: ['--frozen-intrinsics'] }

async function printed(program: string): Promise<string[]> {
  const { code, stdout, stderr } = await runChild('test/cancellation/frozen-program.ts', [program], FROZEN)
  assert.equal(code, 0, stderr)
  const [frozen, ...lines] = stdout.trimEnd().split('\n')
  assert.equal(frozen, 'frozen')
  return lines
}

function twice(entries: readonly string[]): string[] {
  return [...entries, 'cancelled', ...entries, 'CEDE_TIMEOUT']
}

test('with frozen intrinsics wrapped coroutines and single generators unwind as everywhere', async () => {
  const cleanups = (levels: readonly number[]): string[] =>
    levels.flatMap((depth) => [`level ${depth} cleans up`, `level ${depth} cleaned up`])
  assert.deepEqual(await printed('wrapped'), twice(cleanups([3, 2, 1])))
  assert.deepEqual(await printed('single'), twice(cleanups([1])))
})

test('with frozen intrinsics a plain chain goes on after the inner cleanup, and is returned again at its next wait', async () => {
  assert.deepEqual(
    await printed('plain'),
    twice(['level 2 cleans up', 'level 2 cleaned up', 'level 1 went on', 'level 1 cleans up']),
  )
})
