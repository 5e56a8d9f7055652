// What is published: the built files behind every door, as programs without TypeScript meet them.
// `npm test` builds them first.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>
  readonly scripts?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
}

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const folder = join(root, 'packages/cede')
const dist = join(folder, 'dist')
const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
const doors = Object.entries(manifest.exports).flatMap(([door, files]) =>
  typeof files === 'string'
    ? []
    : [{ name: door.replace(/^\./, 'cede'), types: files.types, code: files.default }],
)

function distFiles(ending: string): string[] {
  return readdirSync(dist, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => join(entry.parentPath, entry.name))
}

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true)
}

/** Runs a program of plain JavaScript in plain Node. */
function runNode(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    timeout: 10_000,
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  assert.equal(status, 0, `${args.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

test('the package needs nothing and runs nothing at installation', () => {
  assert.equal(manifest.dependencies, undefined)
  assert.equal(manifest.scripts, undefined)
})

test('every door leads to built files', () => {
  assert.ok(doors.length >= 4)
  for (const { types, code } of doors) {
    assert.ok(existsSync(join(folder, types)), types)
    assert.ok(existsSync(join(folder, code)), code)
  }
})

for (const { name } of doors) {
  test(`require('${name}') and import '${name}' give the same module, and the program ends by itself`, () => {
    const names = 'console.log(Object.keys(door).filter((key) => key !== "__esModule").sort().join())'
    const required = runNode('--no-warnings', '-e', `const door = require('${name}'); ${names}`)
    const imported = runNode('--input-type=module', '-e', `import * as door from '${name}'; ${names}`)
    assert.equal(required, imported)
    if (name === 'cede') assert.match(required, /\brun\b/)
  })
}

test('no module awaits at its top level, which require() could not load', () => {
  for (const file of distFiles('.js')) {
    const visit = (node: ts.Node): void => {
      if (ts.isFunctionLike(node)) return
      const awaits =
        ts.isAwaitExpression(node) || (ts.isForOfStatement(node) && node.awaitModifier !== undefined)
      assert.ok(!awaits, `${relative(root, file)}: expected no top-level await, found one`)
      ts.forEachChild(node, visit)
    }
    visit(parse(file))
  }
})

test('declarations say no any and show nothing internal', () => {
  for (const file of distFiles('.d.ts')) {
    const source = parse(file)
    const visit = (node: ts.Node): void => {
      const { line } = source.getLineAndCharacterOfPosition(node.getStart())
      const where = `${relative(root, file)}:${line + 1}`
      assert.notEqual(node.kind, ts.SyntaxKind.AnyKeyword, `${where}: expected no any, found one`)
      ts.forEachChild(node, visit)
    }
    visit(source)
    assert.doesNotMatch(source.text, /@internal/, `${relative(root, file)}: expected no @internal member`)
  }
})

test('declarations are complete: nothing they mention was stripped', () => {
  const program = ts.createProgram(
    doors.map(({ types }) => join(folder, types)),
    {
      target: ts.ScriptTarget.ES2023,
      lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
      module: ts.ModuleKind.NodeNext,
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
      types: ['node'],
    },
  )
  const problems = ts
    .getPreEmitDiagnostics(program)
    .filter(({ file }) => file?.fileName.startsWith(dist) ?? true)
  const host = {
    getCanonicalFileName: (name: string) => name,
    getCurrentDirectory: () => root,
    getNewLine: () => '\n',
  }
  assert.equal(ts.formatDiagnostics(problems, host), '')
})

test('every file has a map with its source in it, and declarations lead to the sources', () => {
  for (const file of distFiles('.js')) {
    const map = JSON.parse(readFileSync(`${file}.map`, 'utf8')) as {
      sources: string[]
      sourcesContent?: string[]
    }
    assert.equal(map.sourcesContent?.length, map.sources.length, relative(root, file))
  }
  for (const file of distFiles('.d.ts')) {
    const map = JSON.parse(readFileSync(`${file}.map`, 'utf8')) as { sources: string[] }
    for (const source of map.sources) assert.ok(existsSync(join(dirname(file), source)), `${file}: ${source}`)
  }
})

test('the door cede/core runs programs where there is nothing of Node', () => {
  const program = `
    for (const name of ['process', 'Buffer', 'setImmediate', 'clearImmediate', 'require']) delete globalThis[name]
    const { run, sleep, gather, timeoutOr } = await import('cede/core')
    const [a, b] = await run(function* () {
      return yield* gather([sleep(5, 'slept'), timeoutOr(1, sleep(1_000, 'late'), 'cut')])
    })
    console.log(a, b)
  `
  assert.equal(runNode('--input-type=module', '--eval', program).trim(), 'slept cut')
})
