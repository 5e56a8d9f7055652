// The echo servers that suites compare: whose they are, where they are, and what brings them.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { currentDriver } from 'cede'
import { runtimeVersions } from '../tools/runtimes.ts'
import type { Place } from './child.ts'
import { compiledC, compiledGo } from './compile.ts'
import { MissingError } from './line-process.ts'
import { effectSockets, installPackages, requireEffectSockets, runtimeBinary } from './peer-packages.ts'
import type { ServerProgram } from './suite.ts'

export interface Server {
  readonly by: string
  readonly server: Place | ServerProgram
  readonly install?: string
}

/** What is needed to run on a driver of Cede, and what chooses it. */
export const onDriver = {
  epoll: { env: { CEDE_DRIVER: 'epoll' }, requires: requireEpoll },
  node: { env: { CEDE_DRIVER: 'node' } },
} as const

export const installEpoll = 'npm run build:native, on Linux with a C compiler'

function requireEpoll(): void {
  const { name, why } = currentDriver()
  if (name !== 'epoll') throw new MissingError(`the epoll driver was expected, found ${name} (${why})`)
}

const at = (file: string) => new URL(file, import.meta.url)

const cede = (name: string, driver: keyof typeof onDriver): Server => ({
  by: 'Cede',
  server: { module: at('echo/cede.ts'), name, ...onDriver[driver] },
  ...(driver === 'epoll' ? { install: installEpoll } : {}),
})
const node = (name: string): Server => ({ by: 'Node', server: { module: at('echo/peers/node.ts'), name } })
/** The module is what it imports beyond Python itself. */
const python = (by: string, name: string, install: string, module?: string): Server => ({
  by,
  server: {
    module: at('echo/peers/python_peers.py'),
    name,
    ...(module === undefined ? {} : { pythonModule: module }),
  },
  install,
})
const effect = (name: string): Server => ({
  by: 'Effect',
  server: { module: at('echo/peers/effect.ts'), name, env: effectSockets, requires: requireEffectSockets },
  install: installPackages,
})
const program = (
  by: string,
  install: string,
  command: (port: string) => readonly [string, ...string[]],
  versions?: ServerProgram['versions'],
): Server => ({
  by,
  server: { command: (port) => command(String(port)), ...(versions === undefined ? {} : { versions }) },
  install,
})
const deno = (name: string) =>
  program(
    'Deno',
    installPackages,
    (port) => [
      runtimeBinary('deno'),
      ...['run', '--quiet', '--no-config', '--no-check', '--allow-net=127.0.0.1'],
      ...[fileURLToPath(at('echo/peers/deno.ts')), port, name],
    ],
    () => ({ Deno: runtimeVersions.deno }),
  )

const libuv = (file: string) =>
  program('C', 'install gcc, libc6-dev and libuv1-dev', (port) => [
    compiledC(at(`echo/peers/${file}`), { needs: { header: 'uv.h', library: 'uv' } }),
    port,
  ])

const installUvloop = 'install python3-uvloop'

/** Lines, or where the name says so chunks as they come. */
export const servers = {
  cede: cede('echo', 'epoll'),
  cedeTimeout: cede('echoWithTimeout', 'epoll'),
  cedeNode: cede('echo', 'node'),
  netChunks: node('dataCallbacks'),
  forAwaitChunks: node('forAwait'),
  readline: node('readline'),
  effect: effect('lines'),
  effectChunks: effect('chunks'),
  bunChunks: program(
    'Bun',
    installPackages,
    (port) => [runtimeBinary('bun'), fileURLToPath(at('echo/peers/bun.ts')), port],
    () => ({ Bun: runtimeVersions.bun }),
  ),
  denoChunks: deno('readAndWrite'),
  denoStreamsChunks: deno('pipe'),
  asyncio: python(
    'asyncio',
    'asyncio_streams',
    'install Python 3.8 or later as python3, or name it in $PYTHON',
  ),
  uvloop: python('uvloop', 'uvloop_streams', installUvloop, 'uvloop'),
  uvloopChunks: python('uvloop', 'uvloop_protocol', installUvloop, 'uvloop'),
  twisted: python('Twisted', 'twisted_lines', 'install python3-twisted', 'twisted'),
  trio: python('trio', 'trio_lines', 'install python3-trio', 'trio'),
  go: program('Go', 'install golang-go', (port) => [compiledGo(at('echo/peers/lines.go')), port], goVersion),
  epollChunks: program('C', 'install gcc and libc6-dev', (port) => [
    compiledC(at('echo/peers/epoll.c')),
    port,
  ]),
  libuvChunks: libuv('libuv.c'),
  libuvGuideChunks: libuv('libuv-guide.c'),
} satisfies Record<string, Server>

export function goVersion(): Record<string, string> {
  const [, version] = /go(\d\S*)/.exec(spawnSync('go', ['version'], { encoding: 'utf8' }).stdout) ?? []
  return version === undefined ? {} : { Go: version }
}
