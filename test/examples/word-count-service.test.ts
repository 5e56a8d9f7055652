/** The asyncio program and its port: the same client must see the same, and so must who reads the log. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkMessages, Client, example, missing, runCommand, ServerProcess } from './server-process.ts'

const PORT = example('word-count-service.ts')
const ORIGINAL = ['python3', '-u', 'examples/asyncio/word_count_service.py']

for (const [name, command, skip] of [
  ['Cede', PORT, undefined],
  ['asyncio', ORIGINAL, missing('python3', 'python3')],
] as const) {
  test(`${name}: texts are counted, and the reporter and the end say how many`, { skip }, async () => {
    const server = await ServerProcess.start(command)
    const client = new Client(server.port)
    client.type('one two\nthree\n\n   \nfour\r\n\r\n')
    await client.hears('1 lines, 1 words\n')
    client.type('the last, without an end')
    client.socket.end()
    await client.closed
    assert.equal(client.heard, '2 lines, 3 words\n0 lines, 0 words\n1 lines, 1 words\n1 lines, 5 words\n')
    await server.printed(/4 texts, 9 words so far\n/)
    assert.match(await server.stop(), /4 texts, 9 words in all\n$/)
  })

  test(
    `${name}: a client that says nothing, one whose line has no end, one that is gone`,
    { skip },
    async () => {
      const server = await ServerProcess.start(command)
      const silent = new Client(server.port)
      const endless = new Client(server.port)
      endless.type('x'.repeat(200_000))
      const gone = new Client(server.port)
      gone.type('half a li')
      await endless.hears('a line is too long, goodbye\n')
      gone.socket.resetAndDestroy()
      await silent.closed
      assert.equal(silent.heard, '5 s are over, goodbye\n')
      await server.stop()
    },
  )

  test(`${name}: Ctrl-C lets clients finish`, { skip }, async () => {
    const server = await ServerProcess.start(command)
    const client = new Client(server.port)
    client.type('one\n\ntwo three\n')
    await client.hears('1 lines, 1 words\n')
    server.kill('SIGINT')
    client.type('four\n\n')
    await client.hears('2 lines, 3 words\n')
    client.socket.end()
    const { stdout, stderr, code, signal } = await server.ended
    assert.equal(stderr, '')
    assert.match(stdout, /2 texts, 4 words in all\n$/)
    assert.ok(signal === 'SIGINT' || code === 130, `${code} ${signal}`)
  })

  test(`${name}: Ctrl-C ends clients that stay`, { skip }, async () => {
    const server = await ServerProcess.start(command)
    const client = new Client(server.port)
    client.type('one\n\n')
    await client.hears('1 lines, 1 words\n')
    assert.match(await server.stop(), /1 texts, 1 words in all\n$/)
    await client.closed
  })
}

test('mistakes are told in one line', () => checkMessages('word-count-service.ts'))

test('asyncio: a port in use', { skip: missing('python3', 'python3') }, async () => {
  const server = await ServerProcess.start(ORIGINAL)
  const { code, stderr } = await runCommand([...ORIGINAL, '--port', String(server.port)])
  assert.equal(code, 1)
  assert.match(stderr, /^word_count_service: .*address already in use\n$/)
  await server.stop()
})
