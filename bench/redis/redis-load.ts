// redis-benchmark as a load, and a check that it meets a server which does what it is asked.

import { execFile, spawnSync } from 'node:child_process'
import { connect } from 'node:net'
import { promisify } from 'node:util'
import { pinned } from '../cores.ts'
import { MissingError } from '../line-process.ts'
import type { RedisLoad } from '../suite.ts'

const execute = promisify(execFile)

/** @throws {MissingError} if it is not installed */
export function requireRedisBenchmark(): void {
  if (spawnSync('redis-benchmark', ['--version']).status !== 0) {
    throw new MissingError('redis-benchmark is not installed')
  }
}

/** Runs it once; times in nanoseconds, latencies of whole batches. */
export async function benchmarkRedis(
  { test, pipelined }: RedisLoad,
  port: number,
  count: number,
  core?: number,
) {
  const [command, ...args] = pinned(core, ['redis-benchmark', '-h', '127.0.0.1', '-p', String(port)])
  const { stdout } = await execute(command, [
    ...args,
    ...['-P', String(pipelined), '-n', String(count), '-t', test, '--csv'],
  ])
  return figuresOf(stdout, count)
}

/** What redis-benchmark tells with --csv: a line of names, and one of values. */
export function figuresOf(csv: string, count: number) {
  const [names = [], values = []] = csv
    .trim()
    .split('\n')
    .slice(-2)
    .map((line) => line.split(',').map((cell) => cell.replaceAll('"', '')))
  const value = (name: string) => Number(values[names.indexOf(name)])
  const rate = value('rps')
  if (!(rate > 0)) throw new Error(`redis-benchmark: a rate was expected, found ${JSON.stringify(csv)}`)
  const ns = (name: string) => value(name) * 1e6
  // It counts milliseconds: less than one is a rate without end.
  return {
    ns: (count / rate) * 1e9,
    p50: ns('p50_latency_ms'),
    p99: ns('p99_latency_ms'),
    p999: NaN,
  }
}

const exchange: readonly (readonly [ask: string, answer: string])[] = [
  ['PING', '+PONG'],
  ['SET bench:key hello', '+OK'],
  ['GET bench:key', '$5\r\nhello'],
  ['GET bench:none', '$-1'],
  ['DEL bench:key', ':1'],
  ['GET bench:key', '$-1'],
]

/** redis-benchmark takes any answer for one. So a few commands are sent, in one write, and their answers compared. */
export function checkRedis(port: number): Promise<void> {
  const asked = exchange.map(([ask]) => encode(ask.split(' '))).join('')
  const expected = exchange.map(([, answer]) => answer + '\r\n').join('')
  return new Promise((resolve, reject) => {
    let found = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(asked))
    socket.setTimeout(5_000, () => socket.destroy())
    socket.on('data', (chunk) => {
      found += chunk.toString('latin1')
      if (found.length >= expected.length) socket.destroy()
    })
    socket.on('error', reject)
    socket.on('close', () => {
      if (found === expected) resolve()
      else
        reject(
          new Error(
            `check the server: ${JSON.stringify(expected)} was expected, found ${JSON.stringify(found)}`,
          ),
        )
    })
  })
}

function encode(words: readonly string[]): string {
  return `*${words.length}\r\n` + words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')
}
