import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { blocksIn, checkSnippets, snippetsIn, snippetsInSource } from './check-snippets.ts'
import { differingExcerpts, excerptsIn, pythonIn, pythonProblems } from './excerpts.ts'

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
    /a\.md:1: expected run, check, no-check or wrong/,
  )
  assert.throws(
    () => snippetsIn('a.md', '```ts\n1', 'check'),
    /a\.md: expected the block before line 2 to be closed/,
  )
})

test('what is told about a snippet belongs to the one above; a slip that is told by nobody is an error', () => {
  const text = [
    '```ts wrong',
    'sleep(1)',
    '```',
    'The compiler says nothing.',
    '```text linter',
    'must be',
    '  awaited',
    '...',
    'no-floating-promises',
    '```',
    '```text screen A=1',
    '```',
    '```text',
    'other text',
    '```',
  ].join('\n')
  assert.deepEqual(snippetsIn('a.md', text, 'check'), [
    {
      document: 'a.md',
      line: 2,
      code: 'sleep(1)\n',
      mode: 'wrong',
      told: [
        { by: 'linter', env: {}, pieces: ['must be awaited', 'no-floating-promises'] },
        { by: 'screen', env: { A: '1' }, pieces: [] },
      ],
    },
  ])
  assert.throws(() => snippetsIn('a.md', '```ts wrong\n1\n```', 'check'), /a\.md:2: expected a block behind/)
  assert.throws(() => snippetsIn('a.md', '```text screen\n1\n```', 'check'), /a\.md:2: expected a snippet/)
})

test('an excerpt has lines of its file, whole and as they stand there', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'excerpts-'))
  try {
    writeFileSync(join(scratch, 'a.py'), 'def f():\n    return 1\n\nf()\n')
    const blockOf = (file: string, code: string) => `\`\`\`python file=${file}\n${code}\n\`\`\`\n`
    const text = [
      blockOf('a.py', 'def f():\n    return 1'),
      blockOf('a.py', '    return 1\n\nf()'),
      blockOf('a.py', 'return 1'),
      blockOf('a.py', 'f()\n    return 1'),
      blockOf('b.py', 'f()'),
    ].join('')
    assert.deepEqual(snippetsIn('a.md', text, 'check'), [])
    assert.deepEqual(differingExcerpts(scratch, excerptsIn('a.md', blocksIn('a.md', text))), [
      'a.md:11: expected an excerpt of a.py, found other lines',
      'a.md:14: expected an excerpt of a.py, found other lines',
      'a.md:18: expected an excerpt of b.py, found no such file',
    ])
  } finally {
    rmSync(scratch, { recursive: true })
  }
})

test('Python must understand its blocks; a fragment may await', () => {
  const text = '```python\nawait f()\n```\n```python\nx = 1\nif x\n```\n```python file=a.py\n)\n```'
  assert.deepEqual(pythonProblems(root, pythonIn('a.md', blocksIn('a.md', text))), [
    "a.md:5: expected Python, found line 2: expected ':'",
  ])
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
      '```ts wrong',
      "throw new Error('so ' + process.env.HOW + yield_)",
      '```',
      '```text compiler',
      "error TS2304: Cannot find name 'yield_'.",
      '```',
      '```text screen HOW=loud',
      'ReferenceError: yield_',
      'is not defined',
      '```',
      '```ts wrong',
      'process.exit(1)',
      '```',
      '```text screen',
      'a message',
      '```',
    ].join('\n')
    const verdicts = await checkSnippets(scratch, snippetsIn('a.md', text, 'check'))
    const problems = verdicts.map(({ problem }) => problem)
    assert.equal(problems[0], undefined)
    assert.equal(problems[1], undefined)
    assert.match(problems[2]!, /^\(8,7\): error TS2322/)
    assert.match(problems[3]!, /^run: expected exit status 0, found 3/)
    assert.equal(problems[4], undefined)
    assert.equal(problems[5], undefined)
    assert.match(problems[6]!, /^screen: expected\n {4}a message\n/)
  } finally {
    rmSync(scratch, { recursive: true })
  }
})
