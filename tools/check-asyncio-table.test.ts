import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkTable, rowsOf, usedInTest, type Kind } from './check-asyncio-table.ts'

const kinds: Readonly<Record<string, Kind>> = {
  run: 'function',
  Runner: 'class',
  'Runner.close': 'function',
  'Runner[Symbol.asyncDispose]': 'function',
  'RunOptions.debug': 'property',
  Loop: 'type',
}
const surface = { kindOf: (name: string) => kinds[name] }
const testFile = `
  // run(1) in a comment, 'Runner.close()' in a string: neither counts
  test('run: a value', () => { run(1); const loop: Loop = x; return new Runner({ debug: true }) })
  test(\`close: \${1}\`, async () => { await runner.close(); await runner[Symbol.asyncDispose]() })
  test('nothing', () => 'run() runner.close() new Runner()' /* Loop debug */)
`

function check(...rows: readonly string[]): string[] {
  const table = ['| asyncio | Cede | | how | test |', '| --- | --- | --- | --- | --- |', ...rows].join('\n')
  return checkTable('docs/asyncio.md', table, surface, (path) =>
    path === 'test/a.test.ts' ? testFile : undefined,
  )
}

test('rows that hold pass', () => {
  assert.deepEqual(
    check(
      '| `run()` | `run` | there | | [a](../test/a.test.ts) "run:" |',
      '| `x` | `Runner`, `RunOptions.debug`, `Loop` | different | how | [a](../test/a.test.ts) "run: a" |',
      '| `y` | `Runner.close`, `Runner[Symbol.asyncDispose]` | there | | [a](../test/a.test.ts) "close" |',
      '| `z` | | left out | why | |',
      '| `later` | | not yet | | |',
    ),
    [],
  )
})

const wrong: readonly (readonly [title: string, row: string, problem: RegExp])[] = [
  [
    'a status of its own',
    '| `a` | `run` | maybe | | [a](../test/a.test.ts) "run" |',
    /one of there, different/,
  ],
  ['no name', '| `a` | | there | | [a](../test/a.test.ts) "run" |', /expected a name/],
  ['no test', '| `a` | `run` | there | | |', /expected the test that uses it/],
  [
    'no such file',
    '| `a` | `run` | there | | [b](../test/b.test.ts) "run" |',
    /test file test\/b\.test\.ts, found none/,
  ],
  [
    'no such export',
    '| `a` | `walk` | there | | [a](../test/a.test.ts) "run" |',
    /expected walk to be exported/,
  ],
  [
    'no such test',
    '| `a` | `run` | there | | [a](../test/a.test.ts) "walk" |',
    /expected a test 'walk\.\.\.'/,
  ],
  [
    'a test without the name',
    '| `a` | `run` | there | | [a](../test/a.test.ts) "close" |',
    /to use the function run, found no use/,
  ],
  ['a name in a string only', '| `a` | `run` | there | | [a](../test/a.test.ts) "nothing" |', /found no use/],
  [
    'a method in a string only',
    '| `a` | `Runner.close` | there | | [a](../test/a.test.ts) "nothing" |',
    /found no use/,
  ],
  [
    'a property in a comment only',
    '| `a` | `RunOptions.debug` | there | | [a](../test/a.test.ts) "nothing" |',
    /found no use/,
  ],
  ['left out without a reason', '| `a` | | left out | | |', /expected why it is left out/],
  ['left out with a name', '| `a` | `run` | left out | why | |', /expected no name/],
]
for (const [title, row, problem] of wrong) {
  test(`${title} is found`, () => {
    const problems = check(row)
    assert.equal(problems.length, 1)
    assert.match(problems[0]!, problem)
    assert.match(problems[0]!, /^docs\/asyncio\.md:3: `a`: /)
  })
}

test('tables that cannot be read', () => {
  assert.throws(() => rowsOf('| a | b |'), /row 1: expected 5 cells, found 2/)
  assert.throws(() => rowsOf('| a | b | there | | the test |'), /row 1: expected \[file\]\(path\) "title"/)
})

test('a name with a bar in it', () => {
  assert.equal(rowsOf('| `a \\| b` | | not yet | | |')[0]?.asyncio, '`a \\| b`')
})

test('a type counts only where a type stands, a class where it is made or asked for', () => {
  assert.equal(usedInTest(`test('t', () => Loop)`, 't', 'Loop', 'type'), false)
  assert.equal(usedInTest(`test('t', () => Runner)`, 't', 'Runner', 'class'), false)
  assert.equal(usedInTest(`test('t', () => x instanceof Runner)`, 't', 'Runner', 'class'), true)
  assert.equal(usedInTest(`test('t', () => close)`, 't', 'Runner.close', 'function'), false)
})
