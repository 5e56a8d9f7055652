// Keeps docs/asyncio.md true. Its tables have five columns: the name in asyncio, the name here, a status, a remark, and
// the test as `[file](path) "beginning of its title"`. For every row that is `there` or `different`
//
// - the second column names exports of cede or cede/lowlevel, or members of them (`Runner.close`);
// - the test file exists, has a test whose title begins like that, and inside that test the name is used: a function
//   or method is called, a class constructed or asked for with instanceof, a property read or written, a type named.
//
// Rows that are `left out` say why, `not yet` may; both name nothing.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export interface Row {
  /** Counted from 1. */
  readonly line: number
  readonly asyncio: string
  /** `run`, `Task.done`, `Runner[Symbol.asyncDispose]` */
  readonly names: readonly string[]
  readonly status: string
  readonly remark: string
  readonly test: { readonly path: string; readonly title: string } | undefined
}

const statuses = ['there', 'different', 'left out', 'not yet']

/** The rows of all tables of five columns; throws where one cannot be read. */
export function rowsOf(markdown: string): Row[] {
  const rows: Row[] = []
  for (const [index, text] of markdown.split('\n').entries()) {
    if (!text.startsWith('|') || /^\|[\s|:-]+$/.test(text) || /^\|\s*asyncio\s*\|/.test(text)) continue
    const line = index + 1
    const cells = text
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim())
    const [asyncio = '', here = '', status = '', remark = '', test = ''] = cells
    if (cells.length !== 5) throw new Error(`row ${line}: expected 5 cells, found ${cells.length}`)
    const names = [...here.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)
    const link = /^\[[^\]]*\]\(([^)]+)\) "(.+)"$/.exec(test)
    if (test !== '' && link === null) {
      throw new Error(`row ${line}: expected [file](path) "title" in the last cell, found ${test}`)
    }
    rows.push({
      line,
      asyncio,
      names,
      status,
      remark,
      test: link === null ? undefined : { path: link[1]!, title: link[2]! },
    })
  }
  return rows
}

/** What a name means, as far as the search for its use is concerned. */
export type Kind = 'function' | 'class' | 'property' | 'type'

/** Finds exports and their members in the public doors. */
export class Surface {
  readonly #checker: ts.TypeChecker
  readonly #exports = new Map<string, ts.Symbol>()

  constructor(doors: readonly string[], options: ts.CompilerOptions) {
    const program = ts.createProgram(doors, options)
    this.#checker = program.getTypeChecker()
    for (const door of doors) {
      const source = program.getSourceFile(door)
      const symbol = source === undefined ? undefined : this.#checker.getSymbolAtLocation(source)
      if (symbol === undefined) throw new Error(`read ${door}: expected a module, found none`)
      for (const exported of this.#checker.getExportsOfModule(symbol)) {
        this.#exports.set(exported.name, this.#resolved(exported))
      }
    }
  }

  #resolved(symbol: ts.Symbol): ts.Symbol {
    return (symbol.flags & ts.SymbolFlags.Alias) !== 0 ? this.#checker.getAliasedSymbol(symbol) : symbol
  }

  /** The kind of `name` or `Name.member`; undefined if there is no such thing. */
  kindOf(name: string): Kind | undefined {
    const [, head = '', member] =
      /^(\w+)(?:\.(\w+)|\[(Symbol\.\w+)\])?$/.exec(name)?.filter((p) => p !== undefined) ?? []
    const symbol = this.#exports.get(head)
    if (symbol === undefined) return undefined
    if (member === undefined) return kindOfSymbol(symbol)
    const wellKnown = /^Symbol\.(\w+)$/.exec(member)?.[1]
    const type = this.#checker.getDeclaredTypeOfSymbol(symbol)
    const property = this.#checker
      .getPropertiesOfType(type)
      .find((one) =>
        wellKnown === undefined ? one.name === member : one.name.startsWith(`__@${wellKnown}@`),
      )
    return property === undefined ? undefined : kindOfSymbol(property)
  }
}

function kindOfSymbol(symbol: ts.Symbol): Kind {
  if ((symbol.flags & (ts.SymbolFlags.Function | ts.SymbolFlags.Method)) !== 0) return 'function'
  if ((symbol.flags & ts.SymbolFlags.Class) !== 0) return 'class'
  if ((symbol.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias)) !== 0) return 'type'
  return 'property'
}

/** True if the test in `text` whose title begins with `title` uses the name; undefined if there is no such test. */
export function usedInTest(text: string, title: string, name: string, kind: Kind): boolean | undefined {
  const source = ts.createSourceFile('test.ts', text, ts.ScriptTarget.Latest, true)
  const tests: ts.CallExpression[] = []
  const collect = (node: ts.Node): void => {
    if (
      ts.isCallExpression(node) &&
      /^(test|it)\b/.test(node.expression.getText()) &&
      titleOf(node).startsWith(title)
    ) {
      tests.push(node)
    }
    ts.forEachChild(node, collect)
  }
  collect(source)
  if (tests.length === 0) return undefined
  const last = /(\w+)\]?$/.exec(name)![1]!
  return tests.some((one) => uses(one, last, kind))
}

function titleOf(call: ts.CallExpression): string {
  const first = call.arguments[0]
  if (first === undefined) return ''
  if (ts.isStringLiteralLike(first)) return first.text
  return ts.isTemplateExpression(first) ? first.head.text : ''
}

function uses(test: ts.Node, name: string, kind: Kind): boolean {
  const visit = (node: ts.Node): boolean => {
    if (ts.isIdentifier(node) && node.text === name && counts(node, kind)) return true
    return ts.forEachChild(node, visit) ?? false
  }
  return visit(test)
}

function counts(node: ts.Identifier, kind: Kind): boolean {
  // The whole of `loop.time` or `runner[Symbol.asyncDispose]`, if the name is the last part of that.
  let whole: ts.Node = node
  if (ts.isPropertyAccessExpression(whole.parent) && whole.parent.name === node) whole = whole.parent
  if (ts.isElementAccessExpression(whole.parent) && whole.parent.argumentExpression === whole)
    whole = whole.parent
  const { parent } = whole
  switch (kind) {
    case 'function':
      return (
        ts.isCallExpression(parent) &&
        (parent.expression === whole || parent.arguments.includes(whole as never))
      )
    case 'class':
      return (
        (ts.isNewExpression(parent) && parent.expression === whole) ||
        (ts.isBinaryExpression(parent) && parent.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword) ||
        (ts.isCallExpression(parent) && parent.arguments.includes(whole as never)) ||
        ts.isTypeReferenceNode(parent)
      )
    case 'property':
      return (
        whole !== node ||
        ts.isPropertyAssignment(parent) ||
        ts.isShorthandPropertyAssignment(parent) ||
        ts.isBindingElement(parent)
      )
    case 'type':
      return ts.isTypeReferenceNode(parent)
  }
}

/** What is wrong with the table in `document`; `read` gives a file by its path in the repository, or undefined. */
export function checkTable(
  document: string,
  markdown: string,
  surface: Pick<Surface, 'kindOf'>,
  read: (path: string) => string | undefined,
): string[] {
  const problems: string[] = []
  for (const row of rowsOf(markdown)) {
    const problem = (text: string): void =>
      void problems.push(`${document}:${row.line}: ${row.asyncio}: ${text}`)
    if (!statuses.includes(row.status)) {
      problem(`expected one of ${statuses.join(', ')}, found '${row.status}'`)
      continue
    }
    if (row.status === 'left out' || row.status === 'not yet') {
      if (row.names.length > 0)
        problem(`expected no name, since it is ${row.status}, found ${row.names.join(', ')}`)
      if (row.status === 'left out' && row.remark === '')
        problem('expected why it is left out, found nothing')
      continue
    }
    if (row.names.length === 0) problem(`expected a name, since it is ${row.status}, found none`)
    if (row.test === undefined) {
      problem(`expected the test that uses it, found none`)
      continue
    }
    const path = relative('.', resolve(dirname(document), row.test.path))
    const text = read(path)
    if (text === undefined) {
      problem(`expected the test file ${path}, found none`)
      continue
    }
    for (const name of row.names) {
      const kind = surface.kindOf(name)
      if (kind === undefined) {
        problem(`expected ${name} to be exported or a member of an export, found nothing of that name`)
        continue
      }
      const used = usedInTest(text, row.test.title, name, kind)
      if (used === undefined) problem(`expected a test '${row.test.title}...' in ${path}, found none`)
      else if (!used)
        problem(`expected '${row.test.title}...' in ${path} to use the ${kind} ${name}, found no use`)
    }
  }
  return problems
}

function main(): void {
  const root = dirname(dirname(fileURLToPath(import.meta.url)))
  process.chdir(root)
  const { config } = ts.readConfigFile('tsconfig.base.json', (path) => ts.sys.readFile(path)) as {
    config: { compilerOptions: object }
  }
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...config.compilerOptions, types: ['node'], noEmit: true },
    root,
  )
  const surface = new Surface(
    ['packages/cede/src/index.ts', 'packages/cede/src/lowlevel.ts'].map((door) => join(root, door)),
    options,
  )
  const document = 'docs/asyncio.md'
  const markdown = readFileSync(document, 'utf8')
  const read = (path: string): string | undefined =>
    existsSync(path) ? readFileSync(path, 'utf8') : undefined
  const problems = checkTable(document, markdown, surface, read)
  for (const problem of problems) console.error(problem)
  const rows = rowsOf(markdown)
  const count = statuses.map((status) => `${rows.filter((row) => row.status === status).length} ${status}`)
  console.log(`asyncio table: ${rows.length} rows, ${count.join(', ')}; ${problems.length} problems`)
  process.exitCode = problems.length === 0 ? 0 : 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main()
