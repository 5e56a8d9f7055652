// What must compile, and with which types: every right use in the design's chapter "Types".
import {
  type Body,
  type Coroutine,
  type Operation,
  type Suspension,
  type Task,
  Future,
  checkpoint,
  coroutine,
  createTask,
  gather,
  race,
  run,
  shield,
  sleep,
  taskGroup,
  timeout,
  timeoutOr,
  until,
  withScope,
} from 'cede'
import { LineReceiver, Protocol, type Transport } from 'cede/lowlevel'
import { expectType } from './equal.ts'

function* inferred(n: number) {
  yield* sleep(1)
  return n
}
function* annotated(n: number): Coroutine<number> {
  yield* sleep(1)
  return n
}
function* asOperation(n: number): Operation<number> {
  return yield* annotated(n)
}
function* neverWaits() {
  return 'done' as const
}
const wrapped = coroutine(function* (a: number, b: string) {
  yield* sleep(1)
  return `${a}${b}`
})
const named = coroutine('named', function* (a: number) {
  yield* sleep(1)
  return a
})
const generic = coroutine(function* <T>(value: T) {
  yield* checkpoint()
  return value
})

export function* values(): Generator<Suspension, void, unknown> {
  // The value of a yield* is exactly the operation's result.
  expectType<number>()(yield* inferred(1))
  expectType<number>()(yield* annotated(1))
  expectType<number>()(yield* asOperation(1))
  expectType<'done'>()(yield* neverWaits())
  expectType<string>()(yield* wrapped(1, ''))
  expectType<number>()(yield* named(1))
  expectType<{ a: 1 }>()(yield* generic<{ a: 1 }>({ a: 1 }))
  expectType<void>()(yield* sleep(1))

  // A body may be an operation or a function that makes one.
  expectType<number>()(yield* timeout(1, inferred(1)))
  expectType<number>()(yield* timeout(1, () => annotated(1)))
  expectType<string>()(
    yield* timeout(1, function* (_scope) {
      yield* sleep(1)
      return ''
    }),
  )
  expectType<number | 'late'>()(yield* timeoutOr(1, inferred(1), 'late' as const))
  expectType<number>()(yield* shield(inferred(1)))
  expectType<number | undefined>()(yield* withScope(() => inferred(1)))
  expectType<number>()(yield* until(Promise.resolve(1)))
  expectType<Response>()(yield* until((signal) => fetch('http://localhost', { signal })))

  // Tuples and records keep their members' types, arrays theirs.
  expectType<[number, string, 'done']>()(yield* gather([inferred(1), wrapped(1, ''), neverWaits()]))
  expectType<number[]>()(yield* gather([1, 2].map((n) => inferred(n))))
  expectType<{ a: number; b: string }>()(yield* gather({ a: inferred(1), b: wrapped(1, '') }))
  expectType<number | string>()(yield* race([inferred(1), wrapped(1, '')]))

  // Tasks and futures are operations, and promises for the other world.
  const task = createTask(inferred(1), { name: undefined })
  expectType<Task<number>>()(task)
  expectType<number>()(yield* task)
  expectType<[number]>()(yield* gather([task]))
  const operation: Operation<number> = task
  const promiseLike: PromiseLike<number> = task
  expectType<Operation<number>>()(operation)
  expectType<PromiseLike<number>>()(promiseLike)
  const future = new Future<string>()
  expectType<string>()(yield* future)

  const sum = yield* taskGroup(function* (group) {
    const child = group.createTask(inferred(1))
    expectType<Task<number>>()(child)
    return yield* child
  })
  expectType<number>()(sum)
}

export async function outside(): Promise<void> {
  expectType<number>()(await run(() => inferred(1)))
  expectType<number>()(await run(inferred(1)))
  expectType<number>()(
    await run(function* () {
      return yield* annotated(1)
    }),
  )
  // `run` settles like any async function: a promise in the return slot is followed.
  expectType<number>()(
    await run(function* () {
      return Promise.resolve(1)
    }),
  )
  // An operation in a promise stays what it is: Promise.all does not pretend to have run it.
  expectType<Coroutine<number>[]>()(await Promise.all([1, 2].map((n) => annotated(n))))
}

// Recursion needs the return type written down, like any recursive function whose type depends on itself.
export function* depth(n: number): Coroutine<number> {
  return n === 0 ? 0 : 1 + (yield* depth(n - 1))
}

// Operations are covariant; what is narrower is accepted.
export const wider: Operation<string | number> = annotated(1)
export const asBody: Body<number, [n: number]> = inferred

// Methods keep their `this`.
class Counter {
  #count = 0;
  *increment(by: number) {
    yield* sleep(1)
    return (this.#count += by)
  }
  readonly wrapped = coroutine(function* (this: Counter, by: number) {
    return yield* this.increment(by)
  })
}
export function* methods(counter: Counter): Coroutine<void> {
  expectType<number>()(yield* counter.increment(1))
  expectType<number>()(yield* counter.wrapped(1))
  expectType<number>()(yield* timeout(1, () => counter.increment(1)))
}

// Generators that have nothing to do with Cede stay what they were under cede/strict.
export function* ordinary(): Generator<number, string, undefined> {
  yield 1
  return ''
}
export const spread: number[] = [...ordinary()]
export async function awaitsOrdinary(): Promise<Generator<number, string, undefined>> {
  return ordinary()
}

// ---- protocols: methods with and without a written type, early returns, arrows, super

export class RightProtocol extends Protocol {
  override connectionMade(transport: Transport) {
    transport.write(Buffer.from('hello'))
  }
  override dataReceived(chunk: Buffer): void {
    if (chunk.length === 0) return
    super.dataReceived(chunk)
  }
  override eofReceived() {
    return true
  }
  override pauseWriting = () => {}
  override resumeWriting(): undefined {
    return undefined
  }
  override connectionLost(error: Error | null) {
    if (error === null) return
    createTask(sleep(1))
  }
}
export class RightLines extends LineReceiver {
  override lineReceived(line: string) {
    this.send(line)
  }
  override rawDataReceived = (bytes: Buffer) => this.transport.write(bytes)
  override framesEnded() {}
}
