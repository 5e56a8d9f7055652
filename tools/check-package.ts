// Packs the package as it would be published, installs the tarball into an empty folder, and uses every door there
// as its users will: require() from CommonJS, import from a module, and the types with both compilers.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { documents, withDocuments } from './with-documents.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const folder = mkdtempSync(join(tmpdir(), 'cede-package-'))
const run = (cwd: string, command: string, ...args: string[]) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })

interface Manifest {
  readonly exports: Readonly<Record<string, unknown>>
}
interface Packed {
  readonly filename: string
  readonly size: number
  readonly files: readonly { readonly path: string }[]
}

try {
  const packed = JSON.parse(
    withDocuments(() =>
      run(root, 'npm', 'pack', '--workspace=cede', '--json', `--pack-destination=${folder}`),
    ),
  ) as Packed[] | Record<string, Packed>
  const { filename, size, files } = Object.values(packed)[0]!
  console.log(`packed ${filename}: ${files.length} files, ${(size / 1024).toFixed(0)} KiB`)
  const stray = files.filter(({ path }) => /\.test\.|tsconfig|portable-host/.test(path))
  if (stray.length > 0) {
    throw new Error(
      `pack: expected no tests and no configuration, found ${stray.map(({ path }) => path).join(', ')}`,
    )
  }
  const missing = documents.filter((name) => !files.some(({ path }) => path === name))
  if (missing.length > 0) throw new Error(`pack: expected ${missing.join(', ')}, found none`)

  const user = join(folder, 'user')
  mkdirSync(user)
  writeFileSync(join(user, 'package.json'), '{ "private": true }')
  run(user, 'npm', 'install', '--no-audit', '--no-fund', '--offline', join(folder, filename))

  const manifest = JSON.parse(readFileSync(join(user, 'node_modules/cede/package.json'), 'utf8')) as Manifest
  const doors = Object.keys(manifest.exports)
    .filter((door) => door !== './package.json')
    .map((door) => door.replace(/^\./, 'cede'))
  for (const door of doors) {
    const words = 'console.log(Object.keys(door).length)'
    writeFileSync(join(user, 'door.cjs'), `const door = require('${door}'); ${words}`)
    writeFileSync(join(user, 'door.mjs'), `import * as door from '${door}'; ${words}`)
    const required = run(user, process.execPath, '--no-warnings', 'door.cjs').trim()
    const imported = run(user, process.execPath, 'door.mjs').trim()
    console.log(`ok     ${door}: ${imported} names by import, ${required} by require`)
  }

  const { scripts = {} } = JSON.parse(readFileSync(join(user, 'node_modules/cede/package.json'), 'utf8')) as {
    scripts?: object
  }
  if (Object.keys(scripts).length > 0) {
    throw new Error(`package.json: expected no scripts, found ${Object.keys(scripts).join(', ')}`)
  }
  const prebuilds = files.flatMap(({ path }) => /^prebuilds\/(.+)\/cede\.node$/.exec(path)?.[1] ?? [])
  console.log(`ok     shims: ${prebuilds.length === 0 ? 'none' : prebuilds.join(', ')}`)
  writeFileSync(
    join(user, 'driver.mjs'),
    "import { currentDriver } from 'cede'; console.log(currentDriver())",
  )
  const driver = () => run(user, process.execPath, 'driver.mjs').trim()
  const here = `${process.platform}-${process.arch}`
  const served = driver()
  if (served.includes("'epoll'") !== prebuilds.includes(here)) {
    throw new Error(
      `driver: expected epoll where there is a shim for ${here}, and only there, found ${served}`,
    )
  }
  console.log(`ok     driver: ${served}`)
  rmSync(join(user, 'node_modules/cede/prebuilds'), { recursive: true, force: true })
  const without = driver()
  if (!without.includes("'node'")) throw new Error(`driver without a shim: expected node, found ${without}`)
  console.log(`ok     driver without a shim: ${without}`)

  writeFileSync(
    join(user, 'types.mts'),
    doors.map((door, n) => `import * as door${n} from '${door}'; void door${n}\n`).join(''),
  )
  const config = {
    compilerOptions: {
      strict: true,
      module: 'nodenext',
      target: 'es2023',
      lib: ['es2023', 'esnext.disposable'],
      skipLibCheck: false,
      noEmit: true,
      types: ['node'],
      typeRoots: [join(root, 'node_modules/@types')],
    },
    files: ['types.mts'],
  }
  writeFileSync(join(user, 'tsconfig.json'), JSON.stringify(config))
  for (const compiler of ['typescript-7', 'typescript']) {
    run(user, process.execPath, join(root, 'node_modules', compiler, 'bin/tsc'), '--project', '.')
    console.log(`ok     types with ${compiler}`)
  }
} finally {
  rmSync(folder, { recursive: true })
}
