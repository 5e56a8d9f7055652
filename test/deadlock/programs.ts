// Programs in which tasks wait for what can never come, or seem to; deadlock.test.ts runs each in a process of its
// own and names it as argument.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { setTimeout as afterTimeout } from 'node:timers/promises'
import {
  coroutine,
  createTask,
  DeadlockError,
  Future,
  memoryStreamPair,
  run,
  Runner,
  sleep,
  sleepForever,
  until,
  type Operation,
  type Suspension,
  type Task,
} from 'cede'

const waitsFor = coroutine(function* waitsFor<T>(operation: Operation<T>): Generator<Suspension, T> {
  return yield* operation
})

function* eachForTheOther(): Generator<Suspension, void> {
  const one: Task<void> = createTask(waitsFor(sleepThenJoin(() => two)), { name: 'one' })
  const two: Task<void> = createTask(waitsFor(sleepThenJoin(() => one)), { name: 'two' })
  yield* one
}

function* sleepThenJoin(other: () => Operation<unknown>): Generator<Suspension, void> {
  yield* sleep(1)
  yield* other()
}

function* withCleanup(name: string): Generator<Suspension, void> {
  try {
    yield* new Future<void>()
  } finally {
    yield* sleep(1)
    console.log(`${name} cleaned up`)
  }
}

function* hangsInCleanup(): Generator<Suspension, void> {
  try {
    yield* new Future<void>()
  } finally {
    yield* new Future<void>()
  }
}

function* settledBy(settle: (future: Future<string>) => void): Generator<Suspension, string> {
  const future = new Future<string>()
  settle(future)
  return yield* future
}

/** Says how a run ended, and so handles its rejection. */
async function told(name: string, outcome: Promise<unknown>): Promise<void> {
  try {
    console.log(name, 'value:', await outcome)
  } catch (error) {
    console.log(name, error instanceof DeadlockError ? error.code : error)
  }
}

function settleBySocket(future: Future<string>): void {
  const server = createServer((socket) => socket.end('from a socket')).listen(0, '127.0.0.1')
  server.once('listening', () => {
    connect((server.address() as AddressInfo).port, '127.0.0.1').on('data', (data) => {
      future.setResult(data.toString())
      server.close()
    })
  })
}

const programs: Record<string, () => Promise<void>> = {
  async plain() {
    await run(waitsFor(new Future<void>()))
  },

  async forever() {
    await run(waitsFor(sleepForever()))
  },

  async floating() {
    void run(waitsFor(new Future<void>()))
  },

  async circle() {
    await run(eachForTheOther)
  },

  async cleanup() {
    await told('main', run(withCleanup('main')))
    console.log('goes on')
  },

  async hangingCleanup() {
    await told('main', run(hangsInCleanup, { cleanupGraceMs: Infinity }))
  },

  /** The main has ended; a background task that is cancelled then hangs in its cleanup. */
  async hangingBackground() {
    const exceptionHandler = ({ error }: { readonly error?: unknown }): void => {
      console.log('reported', error instanceof DeadlockError ? error.code : error)
    }
    const main = function* (): Generator<Suspension, string> {
      createTask(hangsInCleanup())
      yield* sleep(0)
      return 'value'
    }
    await told('main', run(main, { cleanupGraceMs: Infinity, exceptionHandler }))
  },

  /** Two mains of one runner. */
  async twoMains() {
    const runner = new Runner()
    await Promise.all([
      told('one', runner.run(withCleanup('one'))),
      told('two', runner.run(withCleanup('two'))),
    ])
    await runner.close()
  },

  async oneAfterTheOther() {
    for (const name of ['first', 'second', 'third']) await told(name, run(waitsFor(new Future<void>())))
  },

  async concurrent() {
    await Promise.all([
      told('one', run(withCleanup('one'))),
      told('two', run(withCleanup('two'))),
      told('asleep', run(sleep(20, 'slept'))),
    ])
  },

  async background() {
    const runner = new Runner()
    await told(
      'main',
      runner.run(function* () {
        createTask(withCleanup('background'), { name: 'background' })
        yield* new Future<void>()
      }),
    )
    await told('next main', runner.run(sleep(1, 'the runner still works')))
    await runner.close()
  },

  async timer() {
    await told('main', run(settledBy((future) => setTimeout(() => future.setResult('from a timer'), 10))))
  },

  async socket() {
    await told('main', run(settledBy(settleBySocket)))
  },

  async promise() {
    await told('main', run(until(afterTimeout(10, 'from a promise'))))
  },

  /** A stream whose other end says one thing and then nothing. */
  async memory() {
    await told(
      'main',
      run(function* () {
        const [ours, theirs] = memoryStreamPair()
        theirs.writer.write('from a peer\n')
        console.log(yield* ours.reader.readTextLine())
        yield* ours.reader.readLine()
      }),
    )
  },

  async event() {
    const server = createServer().listen(0, '127.0.0.1')
    await told('main', run(until(once(server, 'listening').then(() => 'from an event'))))
    server.close()
  },

  /** The unref'd timer would settle it, but does not keep the process alive: nothing will come. */
  async unrefed() {
    await told('main', run(settledBy((future) => setTimeout(() => future.setResult('late'), 60_000).unref())))
  },
}

const program = programs[process.argv[2] ?? '']
if (program === undefined) throw new Error(`no program ${process.argv[2] ?? ''}`)
await program()
