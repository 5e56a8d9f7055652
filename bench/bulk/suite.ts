// The suite `bulk`: one stream of a GiB through an echo server, and the memory that this takes.

import type { Place } from '../child.ts'
import { compiledGo } from '../compile.ts'
import type { LineLoad } from '../load/line-load.ts'
import { goVersion, installEpoll, onDriver, servers, type Server } from '../servers.ts'
import type { Row, ServerSuite, ServerUnderLoad, SuiteProgram } from '../suite.ts'

const at = (file: string) => new URL(file, import.meta.url)

const load: LineLoad = {
  connections: 1,
  lineBytes: 64 * 1024,
  pipelined: 1,
  loop: { streamMiB: 1024, quickMiB: 64 },
}

const node = (name: string): Server => ({ by: 'Node', server: { module: at('peers/node.ts'), name } })
const chunks: Place = { module: at('cede.ts'), name: 'chunks' }

const compared = {
  net: { ...node('dataCallbacks'), does: 'net, data callbacks, pause and resume' },
  pipe: { ...node('pipe'), does: 'net, socket.pipe(socket)' },
  forAwait: { ...servers.forAwaitChunks, does: 'for await on a socket' },
  cede: {
    by: 'Cede',
    server: { ...chunks, ...onDriver.epoll },
    install: installEpoll,
    does: 'read(65_536), write, drain',
  },
  cedeNode: {
    by: 'Cede',
    server: { ...chunks, ...onDriver.node },
    does: 'the same on the node driver',
  },
  epoll: { ...servers.epollChunks, does: 'epoll' },
  libuv: { ...servers.libuvChunks, does: 'libuv' },
  bun: { ...servers.bunChunks, does: 'Bun.listen, callbacks' },
  go: {
    by: 'Go',
    server: {
      command: (port: number) => [compiledGo(at('peers/copy.go')), String(port)] as const,
      versions: goVersion,
    },
    install: 'install golang-go',
    does: 'io.Copy, one core',
  },
  uvloop: { ...servers.uvloopChunks, does: 'protocol callbacks' },
} satisfies Record<string, Server & { does: string }>

type Key = keyof typeof compared
const keys = Object.keys(compared) as Key[]
const cases = Object.fromEntries(keys.map((key) => [key, { ...compared[key], load }])) as Record<
  Key,
  ServerUnderLoad
>

const asked = ({ server, ...peer }: Server): SuiteProgram => ({
  ...('install' in peer ? { install: peer.install } : {}),
  server,
  asked: 'stream',
  size: 1024,
  quickSize: 64,
})

const through = 'One stream of 1 GiB, echoed in 64 KiB writes'
const grown = 'By how much the server grows: while 1 GiB goes through'
const deaf = 'By how much the server grows: while 1 GiB is offered by a client that reads nothing'

const inOrder: readonly Key[] = [
  'cede',
  'cedeNode',
  'net',
  'pipe',
  'forAwait',
  'epoll',
  'libuv',
  'bun',
  'go',
  'uvloop',
]
const what = (key: Key) => `${compared[key].by}: ${compared[key].does}`
const times = (of: Key) => ({ kind: 'times', of, as: 'cede' }) as const
const megabytes = (of: string, figure: string) => ({ kind: 'program', of, figure, in: 'MB' }) as const

const rows: Row[] = [
  ...inOrder.map((key): Row => ({ heading: through, what: what(key), figure: { kind: 'rate', of: key } })),
  { heading: through, what: 'Cede, times net callbacks', figure: times('net'), target: { atLeast: 0.9 } },
  { heading: through, what: 'Cede, times pipe', figure: times('pipe') },
  { heading: through, what: 'Cede, times libuv', figure: times('libuv') },

  {
    heading: grown,
    what: what('cede'),
    figure: megabytes('memoryCede', 'megabytes'),
    target: { atMost: 64 },
  },
  { heading: grown, what: what('cedeNode'), figure: megabytes('memoryCedeNode', 'megabytes') },
  { heading: grown, what: what('net'), figure: megabytes('memoryNet', 'megabytes') },
  { heading: grown, what: what('pipe'), figure: megabytes('memoryPipe', 'megabytes') },

  {
    heading: deaf,
    what: what('cede'),
    figure: megabytes('memoryCede', 'deafMegabytes'),
    target: { atMost: 64 },
  },
  { heading: deaf, what: what('cedeNode'), figure: megabytes('memoryCedeNode', 'deafMegabytes') },
  { heading: deaf, what: what('net'), figure: megabytes('memoryNet', 'deafMegabytes') },
  {
    heading: deaf,
    what: 'Node: net, data callbacks that do not look at what write() says',
    figure: megabytes('memoryCareless', 'deafMegabytes'),
  },
]

export const bulk: ServerSuite = {
  kind: 'servers',
  name: 'bulk',
  title: 'One stream of a GiB',
  unit: 'net',
  counted: 'MiB',
  rounds: 15,
  cases,
  programs: {
    memoryCede: asked(compared.cede),
    memoryCedeNode: asked(compared.cedeNode),
    memoryNet: asked(compared.net),
    memoryPipe: asked(compared.pipe),
    memoryCareless: asked(servers.netChunks),
  },
  rows,
  packages: [],
}
