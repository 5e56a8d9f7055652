import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { checkLayers } from './check-layers.ts'

function check(files: Readonly<Record<string, string>>): string[] {
  const src = mkdtempSync(join(tmpdir(), 'layers-'))
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(src, name)), { recursive: true })
      writeFileSync(join(src, name), text)
    }
    return checkLayers(src)
  } finally {
    rmSync(src, { recursive: true })
  }
}

test('imports that point down, or stay in their folder, pass', () => {
  const breaches = check({
    'core/loop.ts': `import { Task } from './task.ts'\nexport const loop = Task`,
    'core/task.ts': `export class Task {}`,
    'core/task.test.ts': `import test from 'node:test'\nimport { run } from '../run.ts'\ntest(run)`,
    'flow/race.ts': `import { Task } from '../core/task.ts'\nexport const race = Task`,
    'io/stream.ts': `import { Buffer } from 'node:buffer'\nimport '../flow/race.ts'\nexport const b = Buffer`,
    'run.ts': `export { b as run } from './io/stream.ts'`,
    'core.ts': `export * from './core/loop.ts'\nexport * from './flow/race.ts'`,
    'index.ts': `export * from './core.ts'\nexport * from './run.ts'\nexport type { Task } from './core/task.ts'`,
  })
  assert.deepEqual(breaches, [])
})

const wrong: readonly (readonly [title: string, file: string, text: string, found: RegExp])[] = [
  [
    'an import upwards',
    'core/a.ts',
    `import { x } from '../io/x.ts'\nx()`,
    /^core\/a\.ts:1: import '\.\.\/io\/x\.ts': expected a layer below 1 \(core\), found layer 3 \(io\)$/,
  ],
  ['import type upwards', 'core/a.ts', `import type { x } from '../io/x.ts'`, /found layer 3 \(io\)/],
  [
    'a re-export upwards',
    'core/a.ts',
    `\n\nexport { x } from '../io/x.ts'`,
    /^core\/a\.ts:3: .*layer 3 \(io\)/,
  ],
  ['export type upwards', 'core/a.ts', `export type { x } from '../io/x.ts'`, /found layer 3 \(io\)/],
  ['import() upwards', 'core/a.ts', `void import('../io/x.ts')`, /found layer 3 \(io\)/],
  ['an import() type upwards', 'core/a.ts', `export type X = import('../io/x.ts').X`, /found layer 3 \(io\)/],
  [
    'an augmentation upwards',
    'core/a.ts',
    `declare module '../io/x.ts' {}\nexport {}`,
    /found layer 3 \(io\)/,
  ],
  [
    'a neighbour of the same layer',
    'drivers/a.ts',
    `import '../interop/y.ts'`,
    /below 2 \(drivers\), found layer 2 \(interop\)/,
  ],
  [
    'flow on anything but core',
    'flow/a.ts',
    `import '../interop/y.ts'`,
    /expected flow to stand on core alone, found interop/,
  ],
  [
    'a Node module in core',
    'core/a.ts',
    `import 'node:net'`,
    /only Cede's own files in core, found a Node module/,
  ],
  [
    'the type of a Node module in core',
    'core/a.ts',
    `import type { Socket } from 'node:net'`,
    /found a Node module/,
  ],
  [
    'a Node module in flow',
    'flow/a.ts',
    `import 'node:net'`,
    /only Cede's own files in flow, found a Node module/,
  ],
  ['a Node module without its prefix', 'io/a.ts', `import 'net'`, /expected no dependency, found a package/],
  ['a package', 'io/a.ts', `import 'left-pad'`, /expected no dependency, found a package/],
  ['the own name', 'io/a.ts', `import 'cede'`, /found the package's own name/],
  ['a file outside', 'io/a.ts', `import '../../../x.ts'`, /expected a file inside src/],
  [
    'a missing file',
    'io/a.ts',
    `import './gone.ts'`,
    /expected an existing file, found none at io\/gone\.ts/,
  ],
  ['a test file', 'io/a.ts', `import './b.test.ts'`, /expected no test file/],
  ['the composition root from below', 'io/a.ts', `import '../run.ts'`, /found layer 5 \(run\.ts\)/],
  [
    'a door from the composition root',
    'run.ts',
    `import './index.ts'`,
    /below 5 \(run\.ts\), found layer 6 \(doors\)/,
  ],
  ['an unknown folder', 'utils/a.ts', ``, /^utils\/a\.ts:1: place the file: .* found utils$/],
]
for (const [title, file, text, found] of wrong) {
  test(`refused: ${title}`, () => {
    const breaches = check({
      'io/x.ts': '',
      'interop/y.ts': '',
      'io/b.test.ts': '',
      'run.ts': '',
      'index.ts': '',
      [file]: text,
    })
    assert.equal(breaches.length, 1, breaches.join('\n'))
    assert.match(breaches[0]!, found)
  })
}

test('refused: a Node module behind the door core.ts', () => {
  const breaches = check({
    'interop/storage.ts': `import 'node:async_hooks'`,
    'core/a.ts': ``,
    'core.ts': `import './core/a.ts'\nexport * from './interop/storage.ts'`,
    'index.ts': `export * from './interop/storage.ts'`,
  })
  assert.equal(breaches.length, 1)
  assert.match(
    breaches[0]!,
    /behind the door core\.ts, found one by way of core\.ts -> interop\/storage\.ts$/,
  )
})

test('refused: a circle at run time; a circle of types passes', () => {
  const types = check({
    'core/a.ts': `import type { B } from './b.ts'\nexport type A = B`,
    'core/b.ts': `import type { A } from './a.ts'\nexport type B = A`,
  })
  assert.deepEqual(types, [])
  const values = check({
    'core/a.ts': `import { b } from './b.ts'\nexport const a = () => b`,
    'core/b.ts': `import { c } from './c.ts'\nexport const b = () => c`,
    'core/c.ts': `import { type A, a } from './a.ts'\nexport const c = (): A => a`,
  })
  assert.equal(values.length, 1)
  assert.match(values[0]!, /found core\/a\.ts -> core\/b\.ts -> core\/c\.ts -> core\/a\.ts$/)
})
