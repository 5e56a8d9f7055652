import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { checkSnippets, snippetsIn, snippetsInSource } from './check-snippets.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

test('blocks of a document, with their modes and lines', () => {
  const text = [
    '# Title',
    '```ts',
    'const a = 1',
    '```',
    '```sh',
    'npm ci',
    '```',
    '- item',
    '  ```ts run',
    '  if (1) {',
    '    f()',
    '  }',
    '  ```',
    '````ts no-check',
    '```',
    '````',
  ].join('\n')
  assert.deepEqual(snippetsIn('a.md', text, 'check'), [
    { document: 'a.md', line: 3, code: 'const a = 1\n', mode: 'check' },
    { document: 'a.md', line: 10, code: 'if (1) {\n  f()\n}\n', mode: 'run' },
    { document: 'a.md', line: 15, code: '```\n', mode: 'no-check' },
  ])
})

test('an unknown word and an open block are errors', () => {
  assert.throws(
    () => snippetsIn('a.md', '```ts runs\n```', 'check'),
    /a\.md:1: expected run, check or no-check/,
  )
  assert.throws(
    () => snippetsIn('a.md', '```ts\n1', 'check'),
    /a\.md: expected the block before line 2 to be closed/,
  )
})

test('blocks of @example in a source, and only those', () => {
  const text = [
    'export const zero = 0',
    '/**',
    ' * Adds.',
    ' * ```ts',
    ' * notAnExample()',
    ' * ```',
    ' * @example',
    ' * In short:',
    ' * ```ts',
    ' * if (true) {',
    ' *   add(1)',
    ' *   @decorated class A {}',
    ' * }',
    ' * ```',
    ' * @example',
    ' * ```ts check',
    ' * add(2)',
    ' * ```',
    ' * @returns what it is',
    ' */',
    'export function add(n: number): number { return n }',
  ].join('\n')
  assert.deepEqual(snippetsInSource('add.ts', text), [
    {
      document: 'add.ts',
      line: 10,
      code: 'if (true) {\n  add(1)\n  @decorated class A {}\n}\n',
      mode: 'run',
    },
    { document: 'add.ts', line: 17, code: 'add(2)\n', mode: 'check' },
  ])
})

test('an @example without a fence is code from the line below on', () => {
  const text = '/** Adds.\n * @example\n * add(1)\n *   .b()\n */\nexport const add = 1'
  assert.deepEqual(snippetsInSource('a.ts', text), [
    { document: 'a.ts', line: 3, code: 'add(1)\n  .b()\n', mode: 'run' },
  ])
})

test('what does not compile, fails or hangs is told, at the line of the document', async () => {
  const scratch = mkdtempSync(join(tmpdir(), 'snippets-'))
  try {
    symlinkSync(join(root, 'node_modules'), join(scratch, 'node_modules'))
    cpSync(join(root, 'tsconfig.base.json'), join(scratch, 'tsconfig.base.json'))
    writeFileSync(
      join(scratch, 'tsconfig.json'),
      '{ "extends": "./tsconfig.base.json", "compilerOptions": { "noEmit": true, "types": ["node"] } }',
    )
    writeFileSync(join(scratch, 'strict.d.ts'), 'export {}')
    const text = [
      '```ts run',
      'console.log(1 as number)',
      '```',
      '```ts',
      'process.exit(1)',
      '```',
      '```ts',
      'const a: string = 1',
      '```',
      '```ts run',
      'process.exitCode = 3',
      '```',
      '```ts no-check',
      'yield yield',
      '```',
    ].join('\n')
    const verdicts = await checkSnippets(scratch, snippetsIn('a.md', text, 'check'))
    const problems = verdicts.map(({ problem }) => problem)
    assert.equal(problems[0], undefined)
    assert.equal(problems[1], undefined)
    assert.match(problems[2]!, /^\(8,7\): error TS2322/)
    assert.match(problems[3]!, /^run: expected exit status 0, found 3/)
    assert.equal(problems[4], undefined)
  } finally {
    rmSync(scratch, { recursive: true })
  }
})
