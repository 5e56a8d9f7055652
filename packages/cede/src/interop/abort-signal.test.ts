import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import {
  abortSignal,
  cancelAndWait,
  CancelledError,
  createTask,
  currentTask,
  Future,
  gather,
  MisuseError,
  shield,
  sleep,
  sleepForever,
  timeout,
  timeoutOr,
  until,
  withScope,
  withSignal,
  type CancelScope,
  type Suspension,
} from 'cede'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownBy, thrownOf } from '../../../../test/support/thrown-by.ts'

test('abortSignal: one signal per scope, and one for each', () =>
  simulate(function* () {
    const signal = abortSignal()
    assert.equal(abortSignal(), signal)
    yield* sleep(0)
    assert.equal(abortSignal(), signal)
    yield* withScope(function* () {
      assert.notEqual(abortSignal(), signal)
      assert.equal(abortSignal(), abortSignal())
      yield* sleep(0)
    })
    assert.equal(abortSignal(), signal)
    assert.equal(signal.aborted, false)
  }))

test('abortSignal: aborted from the loop when its scope is cancelled, never inside cancel()', () =>
  simulate(function* () {
    yield* withScope(function* (scope) {
      const signal = abortSignal()
      let events = 0
      signal.addEventListener('abort', () => events++)
      scope.cancel({ reason: 'mine' })
      assert.deepEqual([signal.aborted, events], [false, 0])
      try {
        yield* sleepForever()
      } finally {
        yield* sleep(0)
        const reason: unknown = signal.reason
        assert.ok(reason instanceof CancelledError)
        assert.deepEqual([reason.reason, events], ['mine', 1])
      }
    })
  }))

test('abortSignal: a reason that is an error is passed on, so that a timeout is told apart', () =>
  simulate(function* () {
    let signal: AbortSignal | undefined
    const error = yield* thrownBy(
      timeout(5, function* () {
        signal = abortSignal()
        yield* sleepForever()
      }),
    )
    yield* sleep(0)
    assert.equal(signal!.reason, error)
  }))

test('abortSignal: aborted when its scope or task has ended, so that nothing outlives it', () =>
  simulate(function* () {
    const signals: AbortSignal[] = []
    yield* withScope(function* () {
      signals.push(abortSignal())
    })
    yield* createTask(
      (function* () {
        signals.push(abortSignal())
        yield* sleep(1)
      })(),
    )
    yield* sleep(0)
    for (const signal of signals) {
      const reason: unknown = signal.reason
      assert.ok(reason instanceof CancelledError)
      assert.match(reason.message, /its scope has ended/)
    }
  }))

test('abortSignal: in a scope that is cancelled already it is aborted', () =>
  simulate(function* () {
    yield* withScope(function* (scope) {
      scope.cancel({ reason: 'mine' })
      assert.equal(abortSignal().aborted, true)
    })
  }))

test('abortSignal: a cancel further out reaches the signal when its scope is left', () =>
  simulate(function* () {
    let signal: AbortSignal | undefined
    const task = createTask(
      withScope(function* () {
        signal = abortSignal()
        yield* sleepForever()
      }),
    )
    yield* sleep(1)
    yield* cancelAndWait(task)
    yield* sleep(0)
    assert.equal(signal!.aborted, true)
  }))

test('abortSignal: inside a cleanup it lives as long as the cleanup', () =>
  simulate(function* () {
    let signal: AbortSignal | undefined
    const task = createTask(
      (function* () {
        try {
          yield* sleepForever()
        } finally {
          signal = abortSignal()
          yield* sleep(10)
          assert.equal(signal.aborted, false)
        }
      })(),
    )
    yield* sleep(1)
    yield* cancelAndWait(task)
    yield* sleep(0)
    assert.equal(signal!.aborted, true)
  }))

test('abortSignal: outside a coroutine it is refused', () => {
  assert.throws(() => abortSignal(), MisuseError)
})

test('abortSignal: it stops what a function does with it', () =>
  simulate(function* () {
    const fetched = (signal: AbortSignal): Promise<string> =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error))
      })
    let promise: Promise<string> | undefined
    const value = yield* timeoutOr(
      5,
      function* () {
        promise = fetched(abortSignal())
        return yield* until(promise)
      },
      'cut',
    )
    assert.equal(value, 'cut')
    yield* sleep(1)
    assert.ok((yield* thrownBy(until(promise!))) instanceof Error)
  }))

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

test('withSignal: gives the value of its body', () =>
  simulate(function* () {
    const { signal } = new AbortController()
    assert.equal(yield* withSignal(signal, sleep(5, 'value')), 'value')
    assert.equal(
      yield* withSignal(signal, function* () {
        return 'from a function'
      }),
      'from a function',
    )
  }))

test('withSignal: once aborted the body is unwound, and then the reason thrown as it is', () =>
  simulate(function* (sim) {
    const mine = new Error('mine')
    for (const reason of [mine, 'a string', { any: 'thing' }]) {
      const controller = new AbortController()
      const begunMs = sim.now()
      sim.loop.callLater(5, () => controller.abort(reason))
      const body = function* (): Generator<Suspension, void> {
        try {
          yield* sleepForever()
        } finally {
          yield* sleep(10)
        }
      }
      assert.equal(yield* thrownBy(withSignal(controller.signal, body)), reason)
      assert.equal(sim.now() - begunMs, 15)
    }
    const controller = new AbortController()
    sim.loop.callLater(5, () => controller.abort())
    const error = yield* thrownOf(DOMException, withSignal(controller.signal, sleepForever()))
    assert.equal(error.name, 'AbortError')
  }))

test('withSignal: one that is aborted already cuts the body at its first wait', () =>
  simulate(function* (sim) {
    const seen: string[] = []
    const signal = AbortSignal.abort('before')
    const body = function* (): Generator<Suspension, void> {
      seen.push('begun')
      yield* sleep(0)
      seen.push('went on')
    }
    assert.equal(yield* thrownBy(withSignal(signal, body)), 'before')
    assert.deepEqual(seen, ['begun'])
    assert.equal(sim.now(), 0)
    assert.equal(listeners(signal), 0)
  }))

test('withSignal: one listener while it runs, none after it, however it ends', () =>
  simulate(function* (sim) {
    const { signal } = new AbortController()
    yield* withSignal(signal, function* () {
      assert.equal(listeners(signal), 1)
      yield* sleep(1)
      assert.equal(listeners(signal), 1)
    })
    assert.equal(listeners(signal), 0)

    yield* thrownBy(
      withSignal(signal, function* () {
        yield* sleep(1)
        throw new Error('mine')
      }),
    )
    assert.equal(listeners(signal), 0)

    yield* timeoutOr(1, withSignal(signal, sleepForever()), undefined)
    assert.equal(listeners(signal), 0)

    const controller = new AbortController()
    sim.loop.callLater(1, () => controller.abort('mine'))
    yield* thrownBy(withSignal(controller.signal, sleepForever()))
    assert.equal(listeners(controller.signal), 0)

    const unused = withSignal(signal, sleep(1))
    assert.equal(listeners(signal), 0)
    yield* unused
  }))

test('withSignal: a hundred waits in a row leave no listener', () =>
  simulate(function* () {
    const { signal } = new AbortController()
    for (let i = 0; i < 100; i++) yield* withSignal(signal, sleep(1))
    assert.equal(listeners(signal), 0)
  }))

test('withSignal: a value that is there when the signal comes is returned', () =>
  simulate(function* () {
    const controller = new AbortController()
    const future = new Future<string>()
    const task = createTask(withSignal(controller.signal, future))
    yield* sleep(1)
    future.setResult('value')
    controller.abort('too late')
    assert.equal(yield* task, 'value')
  }))

test('withSignal: scope.cancel() is CancelledError; a cancel further out reports nothing here', () =>
  simulate(function* () {
    const { signal } = new AbortController()
    const error = yield* thrownOf(
      CancelledError,
      withSignal(signal, function* (scope: CancelScope) {
        scope.cancel({ reason: 'mine' })
        yield* sleepForever()
      }),
    )
    assert.equal(error.reason, 'mine')

    const seen: unknown[] = []
    const task = createTask(
      (function* () {
        try {
          yield* withSignal(signal, sleepForever())
        } catch (caught) {
          seen.push(caught)
        }
      })(),
    )
    yield* sleep(1)
    assert.equal((yield* cancelAndWait(task)).status, 'cancelled')
    assert.deepEqual(seen, [])
  }))

test('abortSignal(): a cancel of a scope around aborts at once, with its reason, also while inner cleanup waits', () =>
  simulate(function* (sim) {
    const aborted: unknown[] = []
    const work = function* (): Generator<Suspension, void> {
      const signal = abortSignal()
      signal.addEventListener('abort', () => aborted.push(sim.now(), signal.reason))
      try {
        yield* sleep(100)
      } finally {
        yield* sleep(50)
      }
    }
    const error = yield* thrownBy(timeout(10, withScope(work)))
    assert.deepEqual(aborted, [10, error])
    assert.equal(sim.now(), 60)
  }))

test('abortSignal(): behind a shield a cancel from outside aborts nothing before the shield ends', () =>
  simulate(function* (sim) {
    const aborted: number[] = []
    const work = function* (): Generator<Suspension, void> {
      abortSignal().addEventListener('abort', () => aborted.push(sim.now()))
      yield* sleep(30)
    }
    yield* timeout(10, shield(work))
    yield* sleep(0)
    assert.deepEqual(aborted, [30])
  }))

test('abortSignal(): a scope that has ended leaves nothing behind in those around it', () =>
  simulate(function* () {
    const { scope } = currentTask()!
    for (let i = 0; i < 3; i++) {
      yield* withScope(function* () {
        abortSignal()
        yield* sleep(0)
      })
      yield* sleep(0)
    }
    assert.equal(scope.hooks?.size ?? 0, 0)
  }))

test('withSignal(): what is no signal is refused at the call', () => {
  for (const signal of [5, null, undefined, {}]) {
    assert.throws(() => withSignal(signal as AbortSignal, sleep(0)), {
      code: 'CEDE_MISUSE',
      message: /^withSignal\(\): expected an AbortSignal, found /,
    })
  }
})

test('abortSignal: a listener belongs to the run, and may make tasks', () =>
  simulate(function* () {
    const done = new Future<string>()
    function* tidy(): Generator<Suspension, void> {
      yield* sleep(1)
      done.setResult('tidied')
    }
    yield* withScope(function* (scope) {
      abortSignal().addEventListener('abort', () => {
        createTask(tidy())
      })
      scope.cancel()
      yield* sleepForever()
    })
    assert.equal(yield* done, 'tidied')
  }))

test('any number may wait for one signal without a warning of Node', async () => {
  const warnings: string[] = []
  const warned = ({ name }: Error): void => void warnings.push(name)
  process.on('warning', warned)
  await simulate(function* () {
    const { signal } = new AbortController()
    const both = { own: abortSignal(), until: null as AbortSignal | null }
    yield* gather([
      ...Array.from({ length: 20 }, () => withSignal(signal, sleep(5))),
      until((given) => {
        both.until = given
        for (let i = 0; i < 20; i++) given.addEventListener('abort', () => {})
        return Promise.resolve()
      }),
    ])
    for (let i = 0; i < 20; i++) both.own.addEventListener('abort', () => {})
    assert.equal(listeners(signal), 0)
  })
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', warned)
  assert.deepEqual(warnings, [])
})

test('withSignal: all who wait for one signal stand behind one listener, and are all told', () =>
  simulate(function* (sim) {
    const controller = new AbortController()
    const { signal } = controller
    const early = createTask(withSignal(signal, sleep(1)))
    const tasks = Array.from({ length: 3 }, () => createTask(withSignal(signal, sleepForever())))
    yield* sleep(0)
    assert.equal(listeners(signal), 1)
    yield* early
    assert.equal(listeners(signal), 1)
    sim.loop.callLater(5, () => controller.abort('mine'))
    for (const task of tasks) assert.equal(yield* thrownBy(task), 'mine')
    assert.equal(sim.now(), 6)
    assert.equal(listeners(signal), 0)
  }))

test('withSignal: a real leak of listeners on the signal is told as it is without it', async () => {
  const leakedInto = (signal: AbortSignal): void => {
    for (let i = 0; i < 11; i++) signal.addEventListener('abort', () => {})
  }
  // Newer Nodes do not count the listeners of signals at all.
  const bare = await warnings(() => leakedInto(new AbortController().signal))
  const used = await warnings(() =>
    simulate(function* () {
      const { signal } = new AbortController()
      yield* withSignal(signal, function* () {
        leakedInto(signal)
        yield* sleep(1)
      })
    }),
  )
  assert.deepEqual(used, bare)
})

/** The names of what Node warns of meanwhile. */
async function warnings(act: () => unknown): Promise<string[]> {
  const names: string[] = []
  const note = (warning: Error): void => void names.push(warning.name)
  process.on('warning', note)
  try {
    await act()
    await new Promise((resolve) => setImmediate(resolve))
  } finally {
    process.off('warning', note)
  }
  return names
}
