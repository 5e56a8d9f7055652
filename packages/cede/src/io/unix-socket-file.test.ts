/** The file of a Unix socket: when its place is free, how it comes into its place, whose it is when it is removed. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { unusablePath, UnixSocketFile } from './unix-socket-file.ts'

const skip = process.platform === 'win32' ? 'no Unix sockets' : false
const folder = mkdtempSync(join(tmpdir(), 'cede-file-'))
after(() => rmSync(folder, { recursive: true, force: true }))

let made = 0
function freshPath(): string {
  return join(folder, `${String(++made)}.sock`)
}

function whenFree(file: UnixSocketFile): Promise<Error | null> {
  return new Promise((resolve) => void file.whenFree(resolve))
}

async function listenAt(path: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy()).listen(path)
  await once(server, 'listening')
  return server
}

/** Leaves the file behind that a server has made, as one that was killed does. */
async function staleFile(path: string): Promise<void> {
  const hidden = `${path}.hidden`
  const server = await listenAt(path)
  renameSync(path, hidden)
  server.close()
  await once(server, 'close')
  renameSync(hidden, path)
}

test('S138: a place is free if nothing is there, or a socket where nobody answers', { skip }, async () => {
  const nothing = new UnixSocketFile(freshPath())
  assert.equal(await whenFree(nothing), null)
  const path = freshPath()
  await staleFile(path)
  assert.equal(await whenFree(new UnixSocketFile(path)), null)
})

test('S138: a place is not free if somebody answers, or something else is there', { skip }, async () => {
  const path = freshPath()
  const server = await listenAt(path)
  const taken = await whenFree(new UnixSocketFile(path))
  assert.equal((taken as NodeJS.ErrnoException).code, 'EADDRINUSE')
  server.close()
  await once(server, 'close')

  const file = freshPath()
  writeFileSync(file, 'precious')
  const other = await whenFree(new UnixSocketFile(file))
  assert.equal((other as NodeJS.ErrnoException).code, 'EADDRINUSE')
  assert.match(other!.message, /another kind of file/)
  assert.equal(((await whenFree(new UnixSocketFile(folder))) as NodeJS.ErrnoException).code, 'EADDRINUSE')
  const link = freshPath()
  symlinkSync(file, link)
  assert.equal(((await whenFree(new UnixSocketFile(link))) as NodeJS.ErrnoException).code, 'EADDRINUSE')
})

test('a path that is too long is told with its length', { skip }, async () => {
  for (const path of [join(folder, 'x'.repeat(200)), join(folder, 'ü'.repeat(60))]) {
    const error = (await whenFree(new UnixSocketFile(path))) as NodeJS.ErrnoException
    assert.equal(error.code, 'ENAMETOOLONG')
    assert.match(error.message, /^expected a path of at most \d+ bytes, found \d+/)
  }
})

test('a path is not cut off at a zero byte, where it would mean another file', { skip }, async () => {
  const path = freshPath()
  await staleFile(path)
  const error = (await whenFree(new UnixSocketFile(`${path}\0.old`))) as NodeJS.ErrnoException
  assert.equal(error.code, 'EINVAL')
  assert.match(error.message, /^expected a path without a zero byte, found ".*\\u0000\.old"$/)
  assert.equal(unusablePath('\0a name\0of its own'), null)
})

test('a directory that is not there is told as such', { skip }, async () => {
  const error = (await whenFree(
    new UnixSocketFile(join(folder, 'nowhere', 'x.sock')),
  )) as NodeJS.ErrnoException
  assert.equal(error.code, 'ENOENT')
})

test('asking is given up: nobody is called, and the socket is gone', { skip }, async () => {
  const path = freshPath()
  const server = await listenAt(path)
  let calls = 0
  new UnixSocketFile(path).whenFree(() => calls++)()
  server.close()
  await once(server, 'close')
  assert.equal(calls, 0)
})

test(
  'S138: it comes into its place in one step, with its rights, and is removed from there',
  { skip },
  async () => {
    const path = freshPath()
    await staleFile(path)
    const file = new UnixSocketFile(path)
    assert.notEqual(file.boundPath, path)
    const server = await listenAt(file.boundPath)
    const before = statSync(path).ino
    assert.equal(await whenFree(file), null)
    file.publish(0o640)
    assert.notEqual(statSync(path).ino, before)
    assert.equal(statSync(path).mode & 0o777, 0o640)
    assert.equal(existsSync(file.boundPath), false)
    server.close()
    await once(server, 'close')
    assert.equal(existsSync(path), true)
    file.remove()
    assert.equal(existsSync(path), false)
    file.remove()
  },
)

test('S138: a file that was replaced is not removed', { skip }, async () => {
  const path = freshPath()
  const older = new UnixSocketFile(path)
  const first = await listenAt(older.boundPath)
  older.publish(undefined)
  renameSync(path, `${path}.old`)
  const newer = new UnixSocketFile(path)
  const second = await listenAt(newer.boundPath)
  newer.publish(undefined)
  older.remove()
  assert.equal(existsSync(path), true)
  newer.remove()
  assert.equal(existsSync(path), false)
  first.close()
  second.close()
})

test('S138: of two that found the same place free, the first has it', { skip }, async () => {
  const empty = freshPath()
  const stale = freshPath()
  await staleFile(stale)
  for (const path of [empty, stale]) {
    const files = [new UnixSocketFile(path), new UnixSocketFile(path)] as const
    for (const file of files) assert.equal(await whenFree(file), null)
    const [first, second] = files
    const servers = [await listenAt(first.boundPath), await listenAt(second.boundPath)]
    first.publish(undefined)
    assert.throws(() => second.publish(undefined), { code: 'EADDRINUSE' })
    assert.equal(existsSync(second.boundPath), false)
    second.remove()
    assert.equal(existsSync(path), true)
    first.remove()
    for (const server of servers) server.close()
  }
})

/** Listens at a path, says so, and never accepts. */
const BUSY = `
  const server = require('node:net').createServer().listen({ path: process.argv[1], backlog: 1 })
  server.on('listening', () => {
    require('node:fs').writeSync(1, 'listening')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })
`

test('S138: somebody who is too busy to answer is somebody', { skip }, async () => {
  const path = freshPath()
  const child = spawn(process.execPath, ['-e', BUSY, path])
  await once(child.stdout, 'data')
  const waiting = Array.from({ length: 8 }, () => connect({ path }).on('error', () => {}))
  await once(waiting[0]!, 'connect')
  const taken = (await whenFree(new UnixSocketFile(path))) as NodeJS.ErrnoException
  for (const socket of waiting) socket.destroy()
  child.kill('SIGKILL')
  await once(child, 'close')
  assert.equal(taken.code, 'EADDRINUSE')
})

test('what cannot be put in its place leaves nothing', { skip }, async () => {
  const path = join(folder, 'a-directory')
  mkdirSync(path)
  const file = new UnixSocketFile(path)
  const server = await listenAt(file.boundPath)
  assert.throws(() => file.publish(undefined), { code: 'EADDRINUSE' })
  file.remove()
  assert.equal(existsSync(file.boundPath), false)
  server.close()
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('.')),
    [],
  )
})

test(
  'a name without a file is bound as it is',
  { skip: process.platform === 'linux' ? false : 'Linux has them' },
  async () => {
    const file = new UnixSocketFile('\0cede-test-abstract')
    assert.equal(file.boundPath, file.path)
    assert.equal(await whenFree(file), null)
    file.publish(0o600)
    file.remove()
  },
)
