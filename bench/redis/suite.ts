// The suite `redis`: the Redis example under redis-benchmark, beside a hand-written server on bare `net` and the real one.

import { fileURLToPath } from 'node:url'
import { javaScriptOf } from '../javascript.ts'
import { installEpoll, onDriver } from '../servers.ts'
import type { RedisLoad, Row, ServerProgram, ServerSuite, ServerUnderLoad } from '../suite.ts'

const example = new URL('../../examples/redis-server.ts', import.meta.url)
const install = 'install redis-tools and redis-server'

const pipelined = 16

const runExample: ServerProgram['command'] = (port) => [
  process.execPath,
  ...['--min-semi-space-size=16', '--max-semi-space-size=16'],
  ...[fileURLToPath(javaScriptOf(example)), '--port', String(port)],
]

function serversUnder(test: RedisLoad['test']) {
  const load: RedisLoad = { test, pipelined }
  const asked = `${test.toUpperCase()} at -P ${pipelined}`
  return {
    net: {
      by: 'Node',
      does: `net, data callbacks, ${asked}`,
      server: { module: new URL('peers/net-redis.ts', import.meta.url), name: 'redis' },
      load,
      install,
    },
    cede: {
      by: 'Cede',
      does: `examples/redis-server.ts, ${asked}`,
      server: { command: runExample, ...onDriver.epoll },
      load,
      install: `${install}; ${installEpoll}`,
    },
    cedeNode: {
      by: 'Cede',
      does: `the same on the node driver, ${asked}`,
      server: { command: runExample, ...onDriver.node },
      load,
      install,
    },
    redis: {
      by: 'Redis',
      does: `redis-server, ${asked}`,
      server: {
        command: (port) => [
          'redis-server',
          ...['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
        ],
      },
      load,
      install,
    },
  } satisfies Record<string, ServerUnderLoad>
}

const get = serversUnder('get')
const set = serversUnder('set')

function rowsOf(test: 'Get' | 'Set'): Row[] {
  const heading = `${test.toUpperCase()}, redis-benchmark -P ${pipelined}, 50 connections`
  const times = (peer: string, ours = 'cede') =>
    ({ kind: 'times', of: `${peer}${test}`, as: `${ours}${test}` }) as const
  const onNode = 'Cede on the node driver, times net callbacks'
  return [
    { heading, what: 'Cede: the example', figure: { kind: 'rate', of: `cede${test}` } },
    {
      heading,
      what: 'Cede: the example on the node driver',
      figure: { kind: 'rate', of: `cedeNode${test}` },
    },
    { heading, what: 'Node: net, data callbacks', figure: { kind: 'rate', of: `net${test}` } },
    { heading, what: 'redis-server', figure: { kind: 'rate', of: `redis${test}` } },
    { heading, what: 'Cede, times redis-server', figure: times('redis'), target: { atLeast: 0.5 } },
    { heading, what: 'Cede, times net callbacks', figure: times('net'), target: { atLeast: 1 } },
    { heading, what: onNode, figure: times('net', 'cedeNode'), target: { atLeast: 1 } },
  ]
}

export const redis: ServerSuite = {
  kind: 'servers',
  name: 'redis',
  title: 'The Redis example',
  unit: 'netGet',
  counted: 'requests',
  cases: {
    netGet: get.net,
    cedeGet: get.cede,
    cedeNodeGet: get.cedeNode,
    redisGet: get.redis,
    netSet: set.net,
    cedeSet: set.cede,
    cedeNodeSet: set.cedeNode,
    redisSet: set.redis,
  },
  programs: {},
  rows: [...rowsOf('Get'), ...rowsOf('Set')],
  packages: [],
}
