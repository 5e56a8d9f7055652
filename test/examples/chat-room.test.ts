/** The chat room: who hears what, and what becomes of those who do not read. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkMessages, Client, example, missing, ServerProcess, Spawned } from './server-process.ts'

const COMMAND = example('chat-room.ts')

/** A member that is in the room when this returns. */
async function member(server: ServerProcess, name: string): Promise<Client> {
  const client = new Client(server.port)
  client.type(`${name}\n`)
  await client.hears('Your name?\n* ')
  return client
}

test('names, joins, talk, /who, leaves', async () => {
  const server = await ServerProcess.start(COMMAND)
  const ada = await member(server, 'ada')
  assert.equal(ada.heard, 'Your name?\n* You are the first.\n')
  const bob = new Client(server.port)
  bob.type('no such name\nada\nbob\n')
  await bob.hears('Here are: ada\n')
  assert.equal(
    bob.heard,
    'Your name?\n* 1 to 20 letters and digits, please.\nYour name?\n* ada is here already.\nYour name?\n* Here are: ada\n',
  )
  await ada.hears('* bob has come\n')
  bob.type('hello \x1b[31mred\n\n')
  await ada.hears('bob: hello ?[31mred\n')
  ada.type('hi\n/who\n')
  await bob.hears('ada: hi\n')
  await ada.hears('* Here are: ada, bob\n')
  bob.type('/quit\nnot this\n')
  await bob.closed
  await ada.hears('* bob has left\n')
  const third = await member(server, 'bob')
  third.socket.resetAndDestroy()
  await ada.hears('* bob is gone\n')
  assert.doesNotMatch(ada.heard, /not this|ada: hi/)
  assert.equal(await stopped(server, ada), 'ada is put out')
})

/** What the log says last, after Ctrl-C. */
async function stopped(server: ServerProcess, ...left: readonly Client[]): Promise<string> {
  const log = await server.stop()
  for (const client of left) {
    await client.closed
    assert.match(client.heard, /\* You are put out: the server ends\.\n$/)
  }
  return log.trim().split('\n').at(-1)!
}

test('who does not read is put out with a message; the others go on, and lose nothing', async () => {
  const server = await ServerProcess.start(COMMAND)
  const slow = await member(server, 'slow')
  slow.socket.pause()
  const reader = await member(server, 'reader')
  const talker = await member(server, 'talker')
  const line = 'x'.repeat(900)
  let said = 0
  while (!talker.heard.includes('* slow is put out')) {
    for (let i = 0; i < 50; i++) talker.type(`${++said} ${line}\n`)
    await reader.hears(`talker: ${said} `)
    reader.heard = reader.heard.slice(-200)
  }
  talker.type('the last\n')
  await reader.hears('talker: the last\n')
  slow.socket.resume()
  await slow.closed
  assert.match(slow.heard, /\* You are put out: you did not read\.\n$/)
  await stopped(server, reader, talker)
})

test('a line that is too long', async () => {
  const server = await ServerProcess.start(COMMAND)
  const ada = await member(server, 'ada')
  const bob = await member(server, 'bob')
  bob.type('x'.repeat(1_002))
  await bob.closed
  assert.match(bob.heard, /\* A line may have 1000 bytes\.\n$/)
  await ada.hears('* bob talks too long without a break, and is put out\n')
  const nameless = new Client(server.port)
  nameless.type('x'.repeat(2_000))
  await nameless.closed
  assert.equal(nameless.heard, 'Your name?\n')
  await stopped(server, ada)
})

test('nc', { skip: missing('nc', 'netcat-openbsd') }, async () => {
  const server = await ServerProcess.start(COMMAND)
  const ada = await member(server, 'ada')
  const nc = new Spawned(['nc', '-N', '127.0.0.1', String(server.port)], null)
  nc.type('nell\nhello from nc\n')
  await ada.hears('nell: hello from nc\n')
  ada.type('hello from ada\n')
  await nc.printed(/ada: hello from ada\n/)
  nc.endInput()
  await nc.ended
  await ada.hears('* nell has left\n')
  await stopped(server, ada)
})

test('mistakes are told in one line', () => checkMessages('chat-room.ts'))
