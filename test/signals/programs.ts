// Programs that are sent signals; signals.test.ts runs each in a process of its own and names it as argument. Every
// one prints "ready" when the signal may come.
import process from 'node:process'
import {
  CancelledError,
  createTask,
  currentTask,
  run,
  Runner,
  shield,
  sleep,
  until,
  type Suspension,
} from 'cede'

/** Longer than any test: whoever waits this long waits for the signal. */
const LONG_MS = 600_000

function* cleansUp(name = 'main'): Generator<Suspension, string> {
  try {
    console.log(`${name} ready`)
    yield* sleep(LONG_MS)
    return 'slept'
  } finally {
    console.log(`${name} cleans up`)
    yield* sleep(1)
    console.log(`${name} cleaned up`)
  }
}

function* cleansUpSlowly(): Generator<Suspension, void> {
  try {
    yield* sleep(LONG_MS)
  } finally {
    yield* sleep(50)
    console.log('background cleaned up')
  }
}

function* withBackgroundTask(): Generator<Suspension, string> {
  createTask(cleansUp('background'))
  yield* sleep(0)
  return yield* cleansUp()
}

function* hangsInCleanup(): Generator<Suspension, void> {
  try {
    console.log('ready')
    yield* sleep(LONG_MS)
  } finally {
    console.log('hangs')
    yield* sleep(LONG_MS)
  }
}

function* failsInCleanup(): Generator<Suspension, void> {
  try {
    console.log('ready')
    yield* sleep(LONG_MS)
  } finally {
    throw new Error('cleanup failed')
  }
}

function* untilCancelled(): Generator<Suspension, string> {
  console.log('ready')
  while (!currentTask()!.cancelled) yield* sleep(1)
  return 'a value in spite of it'
}

/** Waits for something else than the signal. */
function* waitsFor(event: Promise<unknown>, name = 'main'): Generator<Suspension, string> {
  const keepsAlive = setInterval(() => {}, LONG_MS)
  console.log(`${name} ready`)
  yield* until(event)
  clearInterval(keepsAlive)
  return 'not cancelled'
}

/** Says how a run ended, and so handles its rejection. */
async function told(name: string, outcome: Promise<unknown>): Promise<void> {
  try {
    console.log(name, 'value:', await outcome)
  } catch (error) {
    if (error instanceof CancelledError) console.log(name, error.name, error.reason)
    else console.log(name, error instanceof Error ? error.message : error)
  }
}

/** What is PID 1 in a container does not die of a signal it raises. */
function surviveOwnSignals(): void {
  process.kill = (pid, signal) => {
    process.stdout.write(`raised ${String(signal)}${pid === process.pid ? '' : ' elsewhere'}\n`)
    return true
  }
}

const programs: Record<string, () => Promise<void>> = {
  async plain() {
    await run(cleansUp())
  },

  async floating() {
    void run(cleansUp())
  },

  /** The cleanup of one is quick; the other has a background task that is not. */
  async floatingPair() {
    void run(cleansUp('quick'))
    void run(function* () {
      createTask(cleansUpSlowly())
      yield* sleep(0)
      return yield* cleansUp('slow')
    })
  },

  async background() {
    await told('main', run(withBackgroundTask))
  },

  async handled() {
    await told('main', run(cleansUp()))
    console.log('goes on')
    await new Promise((resolve) => setTimeout(resolve, 5))
    console.log('went on')
  },

  async exitsZero() {
    try {
      await run(cleansUp())
    } catch {
      process.exit(0)
    }
  },

  async exitsInFinally() {
    try {
      await run(cleansUp())
    } finally {
      process.exit(7)
    }
  },

  /** Nobody handles the rejection. */
  async choosesInCleanup() {
    await run(function* () {
      try {
        yield* cleansUp()
      } finally {
        process.exitCode = 7
      }
    })
  },

  async choseBefore() {
    process.exitCode = 3
    await told('main', run(cleansUp()))
  },

  async exitsOne() {
    try {
      await run(cleansUp())
    } catch {
      process.exit(1)
    }
  },

  async waitsForEver() {
    await told('main', run(cleansUp()))
    await new Promise(() => {})
  },

  async secondRun() {
    await told('first', run(cleansUp('first')))
    await told('second', run(sleep(1, 'a value')))
  },

  async secondRunIsFine() {
    await told('first', run(cleansUp('first')))
    await told('second', run(sleep(1, 'a value')))
    process.exitCode = 0
  },

  async choosesAndHangs() {
    process.on('SIGTERM', () => (process.exitCode = 0))
    await run(hangsInCleanup, { handleSignals: true })
  },

  async hanging() {
    await run(hangsInCleanup)
  },

  async failing() {
    await told('main', run(failsInCleanup))
  },

  async value() {
    await told('main', run(shield(untilCancelled)))
  },

  async listening() {
    const heard = new Promise<void>((resolve) => {
      process.on('SIGINT', () => {
        console.log('somebody else was told')
        resolve()
      })
    })
    await told('main', run(waitsFor(heard)))
  },

  async both() {
    process.on('SIGINT', () => console.log('somebody else was told'))
    await told('main', run(cleansUp(), { handleSignals: true }))
  },

  async onlyTerm() {
    await told('main', run(cleansUp(), { handleSignals: ['SIGTERM'] }))
  },

  async off() {
    await told('main', run(cleansUp(), { handleSignals: false }))
  },

  async concurrent() {
    const cancelled = Promise.all([told('one', run(cleansUp('one'))), told('two', run(cleansUp('two')))])
    await told('three', run(waitsFor(cancelled, 'three'), { handleSignals: false }))
  },

  async again() {
    const runner = new Runner()
    await told('first', runner.run(cleansUp('first')))
    await told('second', runner.run(cleansUp('second')))
  },

  async crash() {
    await told('main', run(cleansUp()))
    setTimeout(() => {
      throw new Error('an unrelated error')
    }, 1)
  },

  async rejection() {
    await told('main', run(cleansUp()))
    void Promise.reject(new Error('an unrelated error'))
  },

  async ownHandler() {
    process.on('uncaughtException', (error) => console.log('the program handles', error.message))
    await told('main', run(cleansUp()))
    setTimeout(() => {
      throw new Error('an unrelated error')
    }, 1)
    setTimeout(() => console.log('went on'), 20)
  },

  async survivor() {
    surviveOwnSignals()
    await run(cleansUp())
  },

  async hangingSurvivor() {
    surviveOwnSignals()
    await run(hangsInCleanup)
  },
}

const program = programs[process.argv[2] ?? '']
if (program === undefined) throw new Error(`no program ${process.argv[2] ?? ''}`)
await program()
