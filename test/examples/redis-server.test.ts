/** The Redis example under the clients of Redis itself, and under what no client of good will sends. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { checkMessages, Client, example, missing, runCommand, ServerProcess } from './server-process.ts'

const COMMAND = example('redis-server.ts')
const skip = missing('redis-cli', 'redis-tools')

async function withServer(talk: (server: ServerProcess) => Promise<void>): Promise<void> {
  const server = await ServerProcess.start(COMMAND)
  await talk(server)
  await server.stop()
}

/** Sends all at once and a byte at a time; both must be answered alike. */
async function exchange(port: number, sent: string, expected: string): Promise<void> {
  const whole = new Client(port)
  whole.type(sent)
  await whole.hears(expected)
  assert.equal(whole.heard, expected)
  whole.socket.destroy()
  const bytes = new Client(port)
  for (const byte of sent) {
    bytes.type(byte)
    await new Promise(setImmediate)
  }
  await bytes.hears(expected)
  assert.equal(bytes.heard, expected)
  bytes.socket.destroy()
}

const encoded = (...args: readonly string[]): string =>
  `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`

test('it has less than 300 lines', () => {
  assert.ok(readFileSync('examples/redis-server.ts', 'utf8').split('\n').length <= 300)
})

test('redis-cli: every command, as its help says', { skip }, () =>
  withServer(async ({ port }) => {
    const lines = [
      ['PING', 'PONG'],
      ['PING there', 'there'],
      ['ECHO "two words"', 'two words'],
      ['SET greeting hello', 'OK'],
      ['get greeting', 'hello'],
      ['GET nothing', ''],
      ['TTL greeting', '-1'],
      ['TTL nothing', '-2'],
      ['EXPIRE greeting 100', '1'],
      ['TTL greeting', '100'],
      ['EXPIRE nothing 100', '0'],
      ['SET greeting again', 'OK'],
      ['TTL greeting', '-1'],
      ['SET brief x EX 50', 'OK'],
      ['TTL brief', '50'],
      ['SET brief x PX 20000', 'OK'],
      ['TTL brief', '20'],
      ['INCR brief', 'ERR value is not an integer or out of range'],
      ['INCR count', '1'],
      ['INCR count', '2'],
      ['EXPIRE count 9', '1'],
      ['INCR count', '3'],
      ['TTL count', '9'],
      ['SET most 9007199254740991', 'OK'],
      ['INCR most', 'ERR value is not an integer or out of range'],
      ['DBSIZE', '4'],
      ['EXPIRE brief 0', '1'],
      ['GET brief', ''],
      ['DBSIZE', '3'],
      ['DEL greeting count nothing greeting', '2'],
      ['DBSIZE', '1'],
      ['SET greeting', "ERR wrong number of arguments for 'set' command"],
      ['SET greeting hello FOR 5', 'ERR syntax error'],
      ['SET greeting hello EX 0', "ERR invalid expire time in 'set' command"],
      ['SET greeting hello EX soon', 'ERR value is not an integer or out of range'],
      ['LPUSH list 1', "ERR unknown command 'LPUSH'"],
    ] as const
    const input = lines.map(([command]) => command + '\n').join('')
    const { stdout, code } = await runCommand(['redis-cli', '-p', String(port)], input)
    assert.equal(code, 0)
    // redis-cli prints an empty line after an error.
    const found = stdout.replaceAll(/^(ERR .*)\n$/gm, '$1').split('\n')
    assert.deepEqual(
      found.slice(0, -1),
      lines.map(([, answer]) => answer),
    )
  }),
)

test('redis-benchmark: all that it can ask, pipelined', { skip }, () =>
  withServer(async ({ port }) => {
    const { stdout, stderr, code } = await runCommand([
      'redis-benchmark',
      '-p',
      String(port),
      '-n',
      '2000',
      '-P',
      '16',
      '-q',
      '-t',
      'ping,set,get,incr',
    ])
    assert.equal(code, 0, stderr)
    assert.equal(stderr, '')
    assert.equal(stdout.match(/requests per second/g)?.length, 5, stdout)
  }),
)

test('redis-benchmark: large values, so that each comes in several pieces', { skip }, () =>
  withServer(async ({ port }) => {
    const { stdout, code } = await runCommand([
      'redis-benchmark',
      '-p',
      String(port),
      '-n',
      '200',
      '-P',
      '16',
      '-q',
      '-d',
      '300000',
      '-t',
      'set,get',
    ])
    assert.equal(code, 0)
    assert.equal(stdout.match(/requests per second/g)?.length, 2, stdout)
  }),
)

test('whole or a byte at a time: programs, hands, binary, nothing at all', () =>
  withServer(async ({ port }) => {
    const binary = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i))
    await exchange(
      port,
      encoded('SET', binary, binary) +
        encoded('GET', binary) +
        'PING\r\n\r\n*0\r\nECHO  hands\n' +
        encoded('ping'),
      `+OK\r\n$256\r\n${binary}\r\n+PONG\r\n$5\r\nhands\r\n+PONG\r\n`,
    )
    await exchange(
      port,
      encoded('GET', 'no') + encoded('SET', '', '') + encoded('GET', ''),
      '$-1\r\n+OK\r\n$0\r\n\r\n',
    )
  }))

test('what is answered does not wait for the rest of the next command', () =>
  withServer(async ({ port }) => {
    for (const cut of [1, 3, 6, 9, 12, 15, 18]) {
      const client = new Client(port)
      const next = encoded('SET', 'k', 'value')
      client.type(encoded('ECHO', 'first') + next.slice(0, cut))
      await client.hears('first\r\n')
      client.type(next.slice(cut))
      await client.hears('+OK\r\n')
      client.socket.destroy()
    }
  }))

test('ten thousand commands and a value of 20 MB in one write', () =>
  withServer(async ({ port }) => {
    const client = new Client(port)
    client.type(encoded('INCR', 'n').repeat(10_000))
    await client.hears(':10000\r\n')
    client.heard = ''
    const large = 'x'.repeat(20_000_000)
    client.type(encoded('SET', 'large', large) + encoded('GET', 'large').repeat(3) + encoded('PING'))
    await client.hearsBytes(5 + 3 * (11 + large.length + 2) + 7)
    assert.ok(client.heard.endsWith('x\r\n+PONG\r\n'))
    client.socket.destroy()
  }))

test('what is no command is told, and the connection closed; the others go on', () =>
  withServer(async (server) => {
    const { port } = server
    const other = new Client(port)
    for (const [sent, found] of [
      ['*1\r\n+PING\r\n', "expected '$', got '+'"],
      ['*x\r\n', 'invalid multibulk length'],
      ['*\r\n', 'invalid multibulk length'],
      ['*4194305\r\n', 'invalid multibulk length'],
      ['*99999999999999999999999\r\n', 'invalid multibulk length'],
      ['*1\r\n$-5\r\n', 'invalid bulk length'],
      ['*1\r\n$4x\r\nPING\r\n', 'invalid bulk length'],
      ['*1\r\n$100000000\r\n', 'invalid bulk length'],
      ['x'.repeat(200_000), 'too big a line'],
    ] as const) {
      const client = new Client(port)
      client.type(encoded('PING') + sent)
      await client.closed
      assert.equal(client.heard, `+PONG\r\n-ERR Protocol error: ${found}\r\n`, sent.slice(0, 40))
    }
    other.type('PING\r\nQUIT\r\nPING\r\n')
    await other.closed
    assert.equal(other.heard, '+PONG\r\n+OK\r\n')
    await server.printed(/conn-2 127\.0\.0\.1:\d+ does not speak the protocol: expected '\$', got '\+'\n/)
  }))

test('keys end when their time is over, also those that nobody asks for', () =>
  withServer(async ({ port }) => {
    const client = new Client(port)
    client.type(
      encoded('SET', 'a', '1', 'PX', '30') + encoded('SET', 'b', '2', 'px', '60') + encoded('SET', 'c', '3'),
    )
    await client.hears('+OK\r\n+OK\r\n+OK\r\n')
    for (client.heard = ''; !client.heard.endsWith(':1\r\n');) {
      client.heard = ''
      client.type(encoded('DBSIZE'))
      await client.hears('\r\n')
    }
    client.heard = ''
    client.type(encoded('GET', 'a') + encoded('GET', 'c'))
    await client.hears('3\r\n')
    assert.equal(client.heard, '$-1\r\n$1\r\n3\r\n')
    client.socket.destroy()
  }))

test('a client that asks for much and reads nothing holds up nobody; Ctrl-C ends it all', () =>
  withServer(async ({ port }) => {
    const greedy = new Client(port)
    greedy.socket.pause()
    greedy.type(encoded('SET', 'k', 'x'.repeat(100_000)) + encoded('GET', 'k').repeat(1_000))
    const other = new Client(port)
    for (let i = 1; i <= 100; i++) {
      other.type(encoded('INCR', 'n'))
      await other.hears(`:${i}\r\n`)
    }
  }))

test('mistakes are told in one line', () => checkMessages('redis-server.ts'))
