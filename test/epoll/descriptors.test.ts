/** `addReader` and `addWriter`: descriptors that belong to somebody else. */
import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setImmediate as polled } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import {
  ContextVar,
  getRunningLoop,
  MisuseError,
  openConnection,
  run,
  sleep,
  startServer,
  until,
  type ExceptionContext,
  type Suspension,
} from 'cede'
import { HostDriver } from 'cede/lowlevel'
import type { Shim } from '../../packages/cede/src/drivers/shim.ts'
import { shim, skip } from '../support/shim.ts'
import { onOwnDriver } from './own-driver.ts'

const folder = mkdtempSync(join(tmpdir(), 'cede-fifo-'))
after(() => rmSync(folder, { recursive: true }))
let made = 0

/** The two ends of a pipe. */
interface Pipe {
  readonly reads: number
  readonly writes: number
  read(): string
  write(text: string): void
}

/** Runs `main` on a driver of its own with a pipe; no descriptor stays watched. */
async function withPipe(
  main: (pipe: Pipe) => Generator<Suspension, void>,
  reports?: ExceptionContext[],
): Promise<void> {
  const path = join(folder, `pipe${String(++made)}`)
  execFileSync('mkfifo', [path])
  const reads = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writes = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  const memory = Buffer.alloc(65_536)
  const pipe: Pipe = {
    reads,
    writes,
    read: () => memory.toString('latin1', 0, readSync(reads, memory)),
    write: (text) => void writeSync(writes, text),
  }
  try {
    await onOwnDriver(() => main(pipe), { reports })
  } finally {
    closeSync(reads)
    closeSync(writes)
  }
}

/** Two ends of a connection. */
function socketPair(): readonly [number, number] {
  const listener = shim.listenUnix(`\0cede pair ${process.pid}`, 1)
  const client = shim.connectUnix(`\0cede pair ${process.pid}`)
  const server = shim.accept(listener, Buffer.alloc(128))
  shim.close(listener)
  assert.ok(client >= 0 && server >= 0)
  return [client, server]
}

/** Lets real events come. */
function* settle(): Generator<Suspension, void> {
  for (let i = 0; i < 5; i++) yield* sleep(1)
}

test('a reader is called while something is there, and no more when it is removed', { skip }, () =>
  withPipe(function* (pipe) {
    const loop = getRunningLoop()
    const heard: string[] = []
    loop.addReader(pipe.reads, () => heard.push(pipe.read()))
    yield* settle()
    assert.deepEqual(heard, [])
    pipe.write('one')
    yield* settle()
    pipe.write('two')
    yield* settle()
    assert.deepEqual(heard, ['one', 'two'])
    assert.equal(loop.removeReader(pipe.reads), true)
    assert.equal(loop.removeReader(pipe.reads), false)
    pipe.write('three')
    yield* settle()
    assert.deepEqual(heard, ['one', 'two'])
  }),
)

test('a reader that reads nothing is called again and again, and others have their turn', { skip }, () =>
  withPipe(function* (pipe) {
    const loop = getRunningLoop()
    let calls = 0
    loop.addReader(pipe.reads, () => {
      if (++calls === 5) loop.removeReader(pipe.reads)
    })
    pipe.write('x')
    yield* settle()
    assert.equal(calls, 5)
  }),
)

test(
  'a second reader replaces the first, which is called no more, not even for what came before',
  { skip },
  () =>
    withPipe(function* (pipe) {
      const loop = getRunningLoop()
      const heard: string[] = []
      loop.addReader(pipe.reads, () => heard.push('first'))
      pipe.write('x')
      loop.addReader(pipe.reads, () => heard.push(`second ${pipe.read()}`))
      yield* settle()
      assert.deepEqual(heard, ['second x'])
      loop.removeReader(pipe.reads)
    }),
)

test('a writer is called while there is room', { skip }, () =>
  withPipe(function* (pipe) {
    const loop = getRunningLoop()
    let written = 0
    loop.addWriter(pipe.writes, () => {
      pipe.write('x'.repeat(4_096))
      written++
    })
    yield* settle()
    const full = written
    assert.ok(full > 0)
    yield* settle()
    assert.equal(written, full)
    pipe.read()
    yield* settle()
    assert.ok(written > full)
    assert.equal(loop.removeWriter(pipe.writes), true)
    assert.equal(loop.removeWriter(pipe.writes), false)
  }),
)

test('the end is told to the reader, again and again', { skip }, () =>
  withPipe(function* () {
    const loop = getRunningLoop()
    let ends = 0
    const listener = shim.listenUnix(`\0cede end ${process.pid}`, 1)
    const connected = shim.connectUnix(`\0cede end ${process.pid}`)
    shim.close(listener)
    loop.addReader(connected, () => {
      if (++ends === 2) loop.removeReader(connected)
    })
    yield* settle()
    assert.equal(ends, 2)
    shim.close(connected)
  }),
)

test('the callback runs in the context it was given in; what it throws is told', { skip }, async () => {
  const reports: ExceptionContext[] = []
  await withPipe(function* (pipe) {
    const loop = getRunningLoop()
    const name = new ContextVar<string>('name')
    const token = name.set('inside')
    let seen = ''
    loop.addReader(pipe.reads, function breaks() {
      seen = name.get()
      pipe.read()
      throw new Error('mine')
    })
    name.reset(token)
    pipe.write('x')
    yield* settle()
    assert.equal(seen, 'inside')
    loop.removeReader(pipe.reads)
  }, reports)
  assert.deepEqual(
    reports.map(({ message }) => message.replace(/\d+/, 'N')),
    ['a callback (breaks, addReader(N)) threw'],
  )
})

test(
  'what cannot be watched is refused at the call, in words and with the code of the system',
  { skip },
  () =>
    withPipe(function* () {
      const loop = getRunningLoop()
      const file = openSync(new URL(import.meta.url), 'r')
      const directory = openSync(folder, 'r')
      for (const descriptor of [file, directory]) {
        assert.throws(() => loop.addReader(descriptor, () => {}), {
          code: 'EPERM',
          syscall: 'epoll_ctl',
          message:
            `addReader(): a descriptor that can be watched (a pipe, a terminal, a socket) was expected, ` +
            `found ${descriptor}: a file or directory, which is always ready (EPERM)`,
        })
        closeSync(descriptor)
      }
      assert.throws(() => loop.addWriter(file, () => {}), {
        code: 'EBADF',
        message:
          `addWriter(): a descriptor that can be watched (a pipe, a terminal, a socket) was expected, ` +
          `found ${file}, which is not open (EBADF)`,
      })
      assert.throws(() => loop.addWriter(1, 'text' as never), MisuseError)
      for (const none of [-1, 1.5, NaN, Infinity, 2 ** 40, '0', null, undefined, {}] as never[]) {
        for (const act of ['addReader', 'addWriter', 'removeReader', 'removeWriter'] as const) {
          assert.throws(
            () => loop[act](none, () => {}),
            (error) =>
              error instanceof MisuseError &&
              error.message.startsWith(
                `${act}(): a descriptor (a whole number from 0 on) was expected, found `,
              ),
            `${act}(${String(none)})`,
          )
        }
      }
      yield* sleep(0)
    }),
)

test('a reader that removes itself, or the writer that was told with it', { skip }, () =>
  withPipe(function* () {
    const loop = getRunningLoop()
    const [ours, theirs] = socketPair()
    const told: string[] = []
    loop.addReader(ours, () => {
      told.push('reader')
      loop.removeReader(ours)
      loop.removeWriter(ours)
    })
    loop.addWriter(ours, () => {
      told.push('writer')
      loop.removeWriter(ours)
      loop.removeReader(ours)
    })
    shim.write(theirs, Buffer.from('x'), 0, 1)
    yield* settle()
    assert.equal(told.length, 1, 'whoever is told first is told alone')
    shim.close(ours)
    shim.close(theirs)
  }),
)

test('both directions of one descriptor: each is told and removed alone', { skip }, () =>
  withPipe(function* () {
    const loop = getRunningLoop()
    const [ours, theirs] = socketPair()
    const memory = Buffer.alloc(16)
    const told = { reads: 0, writes: 0 }
    loop.addReader(ours, () => {
      told.reads += shim.read(ours, memory, 0, 16)
    })
    loop.addWriter(ours, () => {
      if (++told.writes === 3) assert.equal(loop.removeWriter(ours), true)
    })
    yield* settle()
    assert.deepEqual(told, { reads: 0, writes: 3 })
    shim.write(theirs, Buffer.from('four'), 0, 4)
    yield* settle()
    assert.deepEqual(told, { reads: 4, writes: 3 })
    loop.addWriter(ours, () => {
      told.writes++
      loop.removeWriter(ours)
    })
    assert.equal(loop.removeReader(ours), true)
    shim.write(theirs, Buffer.from('four'), 0, 4)
    yield* settle()
    assert.deepEqual(told, { reads: 4, writes: 4 })
    shim.close(ours)
    shim.close(theirs)
  }),
)

test('a descriptor that was closed while it was watched can still be removed', { skip }, () =>
  withPipe(function* () {
    const loop = getRunningLoop()
    const [ours, theirs] = socketPair()
    loop.addReader(ours, () => assert.fail('it is closed'))
    loop.addWriter(ours, () => assert.fail('it is closed'))
    shim.close(ours)
    shim.close(theirs)
    assert.equal(loop.removeReader(ours), true)
    assert.equal(loop.removeWriter(ours), true)
    assert.equal(loop.removeWriter(ours), false)
    yield* settle()
  }),
)

test('its number is used again: the new reader is told, the callbacks of the old one are not', { skip }, () =>
  withPipe(function* () {
    const loop = getRunningLoop()
    const [old, oldPeer] = socketPair()
    loop.addReader(old, () => assert.fail('it is closed'))
    loop.addWriter(old, () => assert.fail('it is closed'))
    shim.close(old)
    shim.close(oldPeer)
    const pair = socketPair()
    const again = pair.indexOf(old)
    assert.notEqual(again, -1, 'the number is used again')
    const told: string[] = []
    const memory = Buffer.alloc(16)
    loop.addReader(old, () => told.push(memory.toString('latin1', 0, shim.read(old, memory, 0, 16))))
    shim.write(pair[1 - again]!, Buffer.from('new'), 0, 3)
    yield* settle()
    assert.deepEqual(told, ['new'])
    assert.equal(loop.removeReader(old), true)
    assert.equal(loop.removeWriter(old), false)
    for (const socket of pair) shim.close(socket)
  }),
)

test(
  'a child has the file too, and it was closed before it was removed: nobody is kept busy',
  { skip },
  async () => {
    const path = join(folder, 'shared')
    execFileSync('mkfifo', [path])
    const shared = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
    const child = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore', shared] })
    const gone = once(child, 'exit')
    let looks = 0
    let pollers = 0
    const calls: Partial<Shim> = {
      openPoller(events, callback) {
        pollers++
        return shim.openPoller(events, (count) => {
          looks++
          return callback(count)
        })
      },
    }
    await onOwnDriver(
      function* () {
        const loop = getRunningLoop()
        const [ours, theirs] = socketPair()
        const memory = Buffer.alloc(16)
        const heard: string[] = []
        loop.addReader(ours, () => heard.push(memory.toString('latin1', 0, shim.read(ours, memory, 0, 16))))
        loop.addReader(shared, () => {})
        closeSync(shared)
        loop.removeReader(shared)
        const again = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
        writeSync(again, 'x')
        for (let round = 0; round < 500; round++) yield* until(polled())
        assert.ok(looks < 100, `${looks} looks at events for nobody`)
        assert.equal(pollers, 2)
        shim.write(theirs, Buffer.from('goes on'), 0, 7)
        yield* settle()
        assert.deepEqual(heard, ['goes on'])
        loop.removeReader(ours)
        for (const socket of [ours, theirs]) shim.close(socket)
        closeSync(again)
      },
      { calls },
    )
    child.kill()
    await gone
  },
)

test('its number is a connection by now: that is told, and the connection goes on', { skip }, () =>
  withPipe(function* () {
    const loop = getRunningLoop()
    const server = yield* startServer(
      function* (reader, writer) {
        for (let line = yield* reader.readLine(); line !== null; line = yield* reader.readLine())
          yield* writer.send(line)
      },
      { host: '127.0.0.1', port: 0 },
    )
    const [old, oldPeer] = socketPair()
    loop.addReader(old, () => assert.fail('it is closed'))
    loop.addWriter(old, () => assert.fail('it is closed'))
    shim.close(old)
    shim.close(oldPeer)
    // Takes the lowest number there is.
    const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
    const ask = function* () {
      yield* writer.send('still there?\n')
      assert.equal(yield* reader.readTextLine(), 'still there?')
    }
    yield* ask()
    assert.equal(loop.removeWriter(old), true)
    yield* ask()
    assert.equal(loop.removeReader(old), true)
    yield* ask()
    assert.throws(() => loop.addReader(old, () => {}), {
      code: 'EEXIST',
      message:
        `addReader(): a descriptor that can be watched (a pipe, a terminal, a socket) was expected, ` +
        `found ${old}, which is a connection or server of this program (EEXIST)`,
    })
    yield* ask()
    writer.close()
    yield* writer.waitClosed()
    yield* server.shutdown()
  }),
)

test(
  'eventfd, timerfd and a terminal, given by another process',
  { skip: skip || (spawnSync('python3', ['--version']).error && 'needs python3') },
  async () => {
    const giver = fileURLToPath(new URL('give-descriptors.py', import.meta.url))
    const watcher = fileURLToPath(new URL('watch-descriptors.ts', import.meta.url))
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const { stdout, stderr } = await promisify(execFile)(
      'python3',
      [giver, process.execPath, '--import', 'tsx', watcher],
      { env: { ...env, CEDE_DRIVER: 'epoll' }, timeout: 60_000 },
    )
    assert.equal(stderr, '')
    assert.deepEqual(stdout.split('\n'), [
      'eventfd: counted 1, then 41, writable: true',
      'timerfd: went off 3 times or more',
      'terminal: one line, two lines; then hung up (EIO)',
      '',
    ])
  },
)

test('a driver that cannot watch descriptors says so', async () => {
  await run(
    function* () {
      assert.throws(
        () => getRunningLoop().addReader(0, () => {}),
        (error) =>
          error instanceof MisuseError &&
          error.message ===
            'addReader(): a driver that watches descriptors was expected (epoll), found `node`; ' +
              'elsewhere a stream of Node can read it: net.Socket, tty.ReadStream',
      )
      yield* sleep(0)
    },
    { driver: new HostDriver() },
  )
})
