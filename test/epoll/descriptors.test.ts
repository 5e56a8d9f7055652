/** `addReader` and `addWriter`: descriptors that belong to somebody else. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  ContextVar,
  getRunningLoop,
  MisuseError,
  run,
  sleep,
  type ExceptionContext,
  type Suspension,
} from 'cede'
import { HostDriver } from 'cede/lowlevel'
import { EpollDriver } from '../../packages/cede/src/drivers/epoll.ts'
import { loadShim, type Shim } from '../../packages/cede/src/drivers/shim.ts'

let shim!: Shim
let skip: string | false = false
try {
  shim = loadShim()
} catch (error) {
  skip = (error as Error).message
}

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
  reports: ExceptionContext[] = [],
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
  const driver = new EpollDriver(shim)
  try {
    await run(() => main(pipe), { driver, exceptionHandler: (context) => void reports.push(context) })
    assert.equal(driver.watched, 0)
  } finally {
    driver.close()
    closeSync(reads)
    closeSync(writes)
  }
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
    reports.map(({ message }) => message),
    ['a callback (breaks) threw'],
  )
})

test(
  'what cannot be watched is told with the code of the system; wrong callbacks are refused',
  { skip },
  () =>
    withPipe(function* () {
      const loop = getRunningLoop()
      const file = openSync(new URL(import.meta.url), 'r')
      assert.throws(() => loop.addReader(file, () => {}), { code: 'EPERM' })
      closeSync(file)
      assert.throws(() => loop.addReader(file, () => {}), { code: 'EBADF' })
      assert.throws(() => loop.addWriter(1, 'text' as never), MisuseError)
      yield* sleep(0)
    }),
)

test('a driver that cannot watch descriptors says so', async () => {
  await run(
    function* () {
      assert.throws(
        () => getRunningLoop().addReader(0, () => {}),
        (error) =>
          error instanceof MisuseError &&
          error.message ===
            'addReader(): a driver that watches descriptors was expected (epoll), found `node`',
      )
      yield* sleep(0)
    },
    { driver: new HostDriver() },
  )
})
