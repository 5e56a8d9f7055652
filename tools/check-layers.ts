// Holds the layers of packages/cede/src: a file may import from its own folder and from folders with a lower
// number, and from nothing else; the doors count as one folder. `import type`, re-exports, `import()` and
// `import('…')` types count as well.
//
//   0 native   1 core   2 flow, sync, interop, drivers   3 io   4 adapters, debug, testing   5 run.ts   6 doors
//
// Beyond the numbers: core imports nothing but itself (no node: module, no package); flow and sync add core
// alone; the door core.ts reaches no node: module even indirectly; and inside a folder no two files need each
// other at run time, because such a circle makes the order of evaluation depend on who was imported first.
// Test files may import what they like.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const layers: Readonly<Record<string, number>> = {
  native: 0,
  core: 1,
  flow: 2,
  sync: 2,
  interop: 2,
  drivers: 2,
  io: 3,
  adapters: 4,
  debug: 4,
  testing: 4,
  // The two composition roots; the one for Node stands on the portable one.
  'run-portable.ts': 4.5,
  'run.ts': 5,
  doors: 6,
}
const doors = ['index.ts', 'core.ts', 'lowlevel.ts', 'testing.ts', 'strict.ts']
const coreAlone = ['flow', 'sync']

interface Import {
  readonly line: number
  readonly specifier: string
  /** Still there when types are erased. */
  readonly atRunTime: boolean
  /** The imported file, relative to src; undefined for node: modules and packages. */
  readonly target: string | undefined
}

/** Checks one source folder; each string is one breach, `file:line: what was attempted: expected, found`. */
export function checkLayers(src: string): string[] {
  const files = readdirSync(src, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.[cm]?ts$/.test(entry.name))
    .map((entry) => relative(src, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .filter((file) => !file.endsWith('.test.ts') && !file.endsWith('.d.ts'))
    .sort()
  const imports = new Map(files.map((file) => [file, importsOf(src, file)]))
  const breaches: string[] = []

  for (const [file, list] of imports) {
    const from = unitOf(file)
    if (layers[from] === undefined) {
      breaches.push(`${file}:1: place the file: expected a folder or door of the layers table, found ${from}`)
      continue
    }
    for (const one of list) {
      const breach = refuse(src, file, one)
      if (breach !== undefined) breaches.push(`${file}:${one.line}: import '${one.specifier}': ${breach}`)
    }
  }
  return [...breaches, ...nodeBehindCoreDoor(imports), ...cycles(imports)]
}

function refuse(src: string, file: string, { specifier, target }: Import): string | undefined {
  const from = unitOf(file)
  if (target === undefined) {
    if (specifier === 'cede' || specifier.startsWith('cede/')) {
      return `expected a relative path inside the package, found the package's own name`
    }
    const portable = from === 'core' || coreAlone.includes(from)
    if (portable) return `expected only Cede's own files in ${from}, found ${kindOf(specifier)}`
    return specifier.startsWith('node:') ? undefined : `expected no dependency, found ${kindOf(specifier)}`
  }
  if (target.startsWith('../')) return `expected a file inside src, found one outside`
  if (target.endsWith('.test.ts')) return `expected no test file, found one`
  if (!existsSync(join(src, target))) return `expected an existing file, found none at ${target}`
  const to = unitOf(target)
  if (to === from) return undefined
  const [lower, upper] = [layers[to], layers[from]]
  if (lower === undefined || upper === undefined) return `expected a known layer, found ${to}`
  if (coreAlone.includes(from) && to !== 'core') return `expected ${from} to stand on core alone, found ${to}`
  if (lower >= upper) {
    return `expected a layer below ${upper} (${from}), found layer ${lower} (${to})`
  }
  return undefined
}

/** What the layers table names: the folder of a file, the doors together, or run.ts by itself. */
function unitOf(file: string): string {
  return doors.includes(file) ? 'doors' : file.split('/', 1)[0]!
}

function kindOf(specifier: string): string {
  return specifier.startsWith('node:') ? 'a Node module' : 'a package'
}

function importsOf(src: string, file: string): Import[] {
  const path = join(src, file)
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true)
  const found: Import[] = []

  const add = (literal: ts.Node | undefined, atRunTime: boolean): void => {
    if (literal === undefined || !ts.isStringLiteralLike(literal)) return
    const specifier = literal.text
    found.push({
      line: source.getLineAndCharacterOfPosition(literal.getStart()).line + 1,
      specifier,
      atRunTime,
      target: specifier.startsWith('.')
        ? relative(src, resolve(dirname(path), specifier)).replaceAll('\\', '/')
        : undefined,
    })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      add(node.moduleSpecifier, node.importClause?.phaseModifier !== ts.SyntaxKind.TypeKeyword)
    } else if (ts.isExportDeclaration(node)) {
      add(node.moduleSpecifier, !node.isTypeOnly)
    } else if (ts.isImportTypeNode(node)) {
      add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, false)
    } else if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference)) {
      add(node.moduleReference.expression, !node.isTypeOnly)
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], true)
    } else if (ts.isModuleDeclaration(node) && ts.isStringLiteral(node.name)) {
      add(node.name, false)
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

function nodeBehindCoreDoor(imports: ReadonlyMap<string, readonly Import[]>): string[] {
  const breaches: string[] = []
  const seen = new Set<string>()
  const walk = (file: string, way: readonly string[]): void => {
    if (seen.has(file)) return
    seen.add(file)
    for (const { target, specifier, line } of imports.get(file) ?? []) {
      if (target !== undefined) walk(target, [...way, target])
      else if (specifier.startsWith('node:')) {
        breaches.push(
          `${file}:${line}: import '${specifier}': expected no Node module behind the door core.ts, ` +
            `found one by way of ${way.join(' -> ')}`,
        )
      }
    }
  }
  walk('core.ts', ['core.ts'])
  return breaches
}

/** Circles of run-time imports, by depth-first search; each circle is told once, from its first file on. */
function cycles(imports: ReadonlyMap<string, readonly Import[]>): string[] {
  const breaches: string[] = []
  const done = new Set<string>()
  const way: string[] = []
  const walk = (file: string): void => {
    if (way.includes(file)) {
      const circle = [...way.slice(way.indexOf(file)), file]
      breaches.push(
        `${file}:1: order the files of ${unitOf(file)}: expected no circle of run-time imports, ` +
          `found ${circle.join(' -> ')}`,
      )
      return
    }
    if (done.has(file)) return
    way.push(file)
    for (const { target, atRunTime } of imports.get(file) ?? []) {
      if (atRunTime && target !== undefined && imports.has(target)) walk(target)
    }
    way.pop()
    done.add(file)
  }
  for (const file of imports.keys()) walk(file)
  return breaches
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)))
  const src = join(root, 'packages/cede/src')
  const breaches = checkLayers(src)
  for (const breach of breaches) console.error(`packages/cede/src/${breach}`)
  console.log(
    breaches.length === 0 ? 'layers: all imports point down' : `layers: ${breaches.length} breaches`,
  )
  process.exitCode = breaches.length === 0 ? 0 : 1
}
