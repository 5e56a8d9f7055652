// Compiles the system-call shim of the epoll driver (packages/cede/native) into packages/cede/prebuilds.
//
//   npm run build:native                     for this machine; does nothing where the shim cannot run
//   npm run build:native -- --all            for every machine the published package serves; needs cross compilers
//   npm run build:native -- --if-possible    as `npm ci` does it: says why and goes on if it cannot be built
//   npm run build:native -- --sanitize       with AddressSanitizer and UBSan, for tests
//
// The shim needs the headers of Node-API and a C compiler (CC, or cc), nothing else. It is linked to no C library: the
// process that loads it has one, and the few functions it calls are the same in glibc and musl. So one file serves both.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const packageFolder = join(root, 'packages/cede')
const source = join(packageFolder, 'native/shim.c')

/** What is built, and the compilers to try, in this order. */
const targets: Readonly<Record<string, readonly string[]>> = {
  x64: ['x86_64-linux-gnu-gcc'],
  arm64: ['aarch64-linux-gnu-gcc'],
}

const flags = [
  ...['-std=c11', '-O2', '-fPIC', '-shared', '-fvisibility=hidden'],
  ...['-Wall', '-Wextra', '-Wpedantic', '-Werror'],
  ...['-Wl,-z,relro', '-Wl,-z,now', '-Wl,-z,noexecstack', '-Wl,--build-id=none'],
]
// What these would add is different in every C library.
const freestanding = ['-nostdlib', '-s', '-fno-stack-protector', '-U_FORTIFY_SOURCE']
const sanitizing = [
  '-g',
  '-fno-omit-frame-pointer',
  '-fsanitize=address,undefined',
  '-fno-sanitize-recover=undefined',
]

const options = new Set(process.argv.slice(2))
const known = ['--all', '--if-possible', '--sanitize']
const unknown = [...options].filter((option) => !known.includes(option))

try {
  if (unknown.length > 0) throw new Error(`${known.join(', ')} were expected, found ${unknown.join(', ')}`)
  if (options.has('--all')) for (const arch of Object.keys(targets)) build(arch)
  else if (process.platform === 'linux') build(process.arch)
  else console.log(`native: nothing to build on ${process.platform}, the node driver serves`)
} catch (error) {
  const { message } = error as Error
  if (options.has('--if-possible')) console.log(`native: not built, the node driver serves (${message})`)
  else {
    console.error(`native: ${message}`)
    process.exitCode = 1
  }
}

function build(arch: string): void {
  const compiler = compilerFor(arch)
  const folder = join(packageFolder, `prebuilds/linux-${arch}`)
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'cede.node')
  // Renamed when it is complete: a process that has the old one loaded keeps it.
  const made = `${file}.${String(process.pid)}`
  const how = options.has('--sanitize') ? sanitizing : freestanding
  execFileSync(compiler, [...flags, ...how, `-I${headers()}`, '-o', made, source], { stdio: 'inherit' })
  renameSync(made, file)
  console.log(`native: built prebuilds/linux-${arch}/cede.node with ${compiler}`)
}

function compilerFor(arch: string): string {
  const own = process.env['CC'] ?? 'cc'
  const compilers = [...(arch === process.arch ? [own] : []), ...(targets[arch] ?? [])]
  const found = compilers.find(works)
  if (found !== undefined) return found
  throw new Error(`a C compiler for linux-${arch} was expected, found none of ${compilers.join(', ')}`)
}

function works(compiler: string): boolean {
  try {
    execFileSync(compiler, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** They come with Node, where it is not packaged apart from them. */
function headers(): string {
  const places = [
    join(dirname(process.execPath), '../include/node'),
    '/usr/include/node',
    '/usr/local/include/node',
  ]
  const found = places.find((place) => existsSync(join(place, 'node_api.h')))
  if (found !== undefined) return found
  throw new Error(
    `the headers of Node-API (node_api.h) were expected in one of ${places.join(', ')}, found them in none`,
  )
}
